//! What can be chosen on the page, and what was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use maud::{Markup, html};
use profiler_core::flame::{Side, Values};
use profiler_core::labels::{NAME, SERVICE_NAME};

use super::merge::{Counted, Merged};
use crate::kept::{Selector, Series, Store};
use crate::web::ui::format::{SHORT, number, plain, value};
use crate::web::ui::link::{Compare, Link, Range, text};

/// Groups in the menu.
const MOST_GROUPS: usize = 1000;
/// Minutes that can be chosen.
const MINUTES: [u64; 5] = [1, 5, 15, 30, 60];

/// Series of one service and one kind of profile.
#[derive(Debug)]
pub(super) struct Group {
    pub selector: Selector,
    name: String,
}

impl Group {
    /// The groups of these series, those that sent most bytes first.
    pub(super) fn all(series: &[Series]) -> Vec<Self> {
        let mut bytes: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for one in series {
            let value = |name| one.labels.value(name).unwrap_or_default();
            *bytes.entry((value(SERVICE_NAME), value(NAME))).or_default() += one.bytes;
        }
        let mut groups: Vec<_> = bytes.into_iter().collect();
        groups.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        groups.truncate(MOST_GROUPS);
        let group = |((service, name), _): ((&str, &str), u64)| Self {
            selector: Selector::default().with(SERVICE_NAME, service).with(NAME, name),
            name: [service, name]
                .iter()
                .filter(|part| !part.is_empty())
                .map(|part| plain(part, 80))
                .collect::<Vec<_>>()
                .join(" · "),
        };
        groups.into_iter().map(group).collect()
    }
}

/// The menu.
pub(super) fn form(
    link: &Link,
    range: Range,
    views: &[(String, Arc<Store>)],
    groups: &[Group],
    merged: &Merged,
) -> Markup {
    let series = link.series.as_ref();
    let is_listed = groups.iter().any(|group| Some(&group.selector) == series);
    let types = &merged.types;
    let with = match &link.compare {
        Compare::With(selector) => text(selector),
        Compare::Nothing | Compare::Before => String::new(),
    };
    html! {
        form #choice method="get" action="/profiles" {
            @if views.len() > 1 {
                label {
                    span { "Kept by" }
                    select name="view" {
                        @for (view, _) in views { option value=(view) selected[*view == link.view] { (plain(view, 80)) } }
                    }
                }
            }
            label .wide {
                span { "Service and profile" }
                select name="series" {
                    @if let Some(series) = series.filter(|_| !is_listed) { option value=(series) selected { (plain(&series.to_string(), 120)) } }
                    @for group in groups { option value=(group.selector) selected[Some(&group.selector) == series] { (group.name) } }
                }
            }
            label {
                span { "Values" }
                select name="type" {
                    @if types.is_empty() { option value="" { "–" } }
                    @for of in types {
                        option value=(of.kind) selected[of.kind == link.kind] {
                            (plain(&of.kind, 60))
                            @if !of.unit.is_empty() { " (" (plain(&of.unit, 30)) ")" }
                        }
                    }
                }
            }
            (labels("Labels", "labels", &text(&link.labels), "pod=\"a\", env!=\"test\""))
            label {
                span { "Time" }
                @match range {
                    Range::Last(last) => select name="last" {
                        @for minutes in MINUTES {
                            @let seconds = minutes * 60;
                            option value=(seconds) selected[Duration::from_secs(seconds) == last] { "last " (minutes) " min" }
                        }
                        @if !MINUTES.iter().any(|minutes| Duration::from_secs(minutes * 60) == last) {
                            option value=(last.as_secs()) selected { "last " (last.as_secs()) " s" }
                        }
                    },
                    Range::Between(from, until) => {
                        select name="until" {
                            option value=(until) selected { (clock(from)) "–" (clock(until)) " UTC" }
                            option value="" { "last 5 min" }
                        }
                        input type="hidden" name="from" value=(from);
                    }
                }
            }
            label {
                span { "Compare" }
                select name="compare" {
                    option value="" selected[link.compare == Compare::Nothing] { "with nothing" }
                    option value="before" selected[link.compare == Compare::Before] { "with the time before" }
                    option value="with" selected[matches!(link.compare, Compare::With(_))] { "with other labels" }
                }
            }
            @if matches!(link.compare, Compare::With(_)) {
                (labels("Other labels", "with", &with, "pod=\"b\""))
            }
            @if link.up { input type="hidden" name="up" value="1"; }
            button type="submit" { "Show" }
        }
    }
}

fn labels(title: &str, name: &str, value: &str, example: &str) -> Markup {
    html! {
        label .wide {
            span { (title) }
            input type="text" name=(name) value=(value) placeholder=(example) autocomplete="off" spellcheck="false";
        }
    }
}

/// What was merged, in one line, and what was not.
pub(super) fn summary(merged: &Merged) -> Markup {
    let total = merged.tree.total();
    let side = |side: Side, counted: Counted| {
        html! {
            strong { (value(total.of(side), &merged.of.unit)) } " " (plain(&merged.of.kind, 60)) " in " (profiles(counted.merged))
            @if counted.merged < counted.selected { " (the last of " (counted.selected) ")" }
        }
    };
    html! {
        p .summary {
            (side(Side::Shown, merged.shown))
            @if let Some(compared) = merged.compared { ", compared with " (side(Side::Compared, compared)) }
        }
        @if merged.tree.is_full() { p .note { "There are more functions than can be shown: the deepest are counted at their callers." } }
        @for (reason, number) in merged.not_drawable.iter().take(5) {
            p .note { (profiles(*number)) " not drawn: " (plain(reason, SHORT)) }
        }
    }
}

fn profiles(number: usize) -> String {
    format!("{number} {}", if number == 1 { "profile" } else { "profiles" })
}

/// What can be done with the graph.
pub(super) fn tools(link: &Link, merged: &Merged) -> Markup {
    let hidden =
        |name: &str, value: &str| html! { @if !value.is_empty() { input type="hidden" name=(name) value=(value); } };
    let query = Link { find: String::new(), ..link.clone() }.to_string();
    let pairs: Vec<(String, String)> =
        form_urlencoded::parse(query.split_once('?').map_or("", |(_, query)| query).as_bytes()).into_owned().collect();
    html! {
        div .tools {
            form #search method="get" action="/profiles" role="search" {
                @for (name, value) in &pairs { (hidden(name, value)) }
                input type="search" name="find" value=(link.find) placeholder="Search functions  /"
                    aria-label="Search functions" autocomplete="off" spellcheck="false";
                @if !link.find.is_empty() { (found(link, merged)) }
            }
            span .buttons {
                a .button href=(Link { up: !link.up, ..link.clone() }) data-graph { (if link.up { "Icicle" } else { "Flame" }) }
                @if link.focus.is_some() { a .button #whole href=(Link { focus: None, ..link.clone() }) data-graph { "Whole" } }
                a .button href=(Link { path: "/profiles/pprof", ..link.clone() }) download { "pprof" }
                a .button href=(Link { path: "/profiles/svg", ..link.clone() }) download { "SVG" }
                a .button #share href=(link) title="An address of what is shown, for as long as it is kept" { "Link" }
            }
        }
    }
}

fn found(link: &Link, merged: &Merged) -> Markup {
    let search = merged.tree.search(&link.find);
    let [shown, _] = search.total.shares(merged.tree.total());
    html! { output .found { (number(search.functions as f64)) " found, " (crate::web::ui::format::percent(shown)) } }
}

/// Where there is nothing to be drawn.
pub(super) fn empty(merged: &Merged, nothing_yet: bool) -> Markup {
    if nothing_yet {
        return html! { p .empty data-again { "No profile has come yet. This page looks again every few seconds." } };
    }
    let text = if merged.shown.selected == 0 {
        "No profile of this choice came in this time: choose a longer time, or other labels."
    } else if merged.not_drawable.is_empty() && merged.tree.total() == Values::default() {
        "The profiles of this choice hold no such values."
    } else {
        "Nothing of this choice can be drawn."
    };
    html! { p .empty { (text) } }
}

/// Hours, minutes and seconds.
fn clock(millis: u64) -> String {
    let seconds = millis / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
