//! A profile that passed, as an item of the page.

use std::sync::Arc;

use maud::{Markup, PreEscaped, html};
use profiler_core::labels::Labels;

use crate::tap::{End, Opening, Passed};
use crate::web::ui::component_page;
use crate::web::ui::format::{bytes, plain, value};

/// Labels of a profile that are shown.
const MOST_LABELS: usize = 60;
/// Letters of a label's name and of its value.
const NAME: usize = 60;
const VALUE: usize = 120;

/// The last one first.
pub(super) fn items(rows: &[Arc<Passed>], opening: &mut Opening, many: bool) -> Markup {
    let items: String = rows.iter().rev().map(|passed| item(passed, opening, many).into_string()).collect();
    PreEscaped(items)
}

fn item(passed: &Passed, opening: &mut Opening, many: bool) -> Markup {
    let (class, word, reason) = match &passed.end {
        End::Passed { .. } => ("good", "passed", None),
        End::Dropped(reason) => ("unknown", "dropped", Some(&**reason)),
        End::Failed(error) => ("bad", "failed", Some(&*error.cause)),
    };
    let time = humantime::format_rfc3339_millis(passed.at).to_string();
    let clock = time.get(11..23).unwrap_or(&time);
    let types: Vec<String> = passed.sample_types(opening).iter().map(|kind| plain(kind, 40)).collect();
    let took = value(u64::try_from(passed.took.as_nanos()).unwrap_or(u64::MAX), "nanoseconds");
    html! {
        li {
            p .meta {
                time datetime=(time) { (clock) }
                span class={ "state " (class) } { span .dot {} (word) }
                @if many { (component_page::link(&passed.component)) }
                span .faint {
                    (plain(&passed.format, 40))
                    @if !types.is_empty() { " " (types.join(", ")) }
                    " · " (bytes(passed.bytes as f64))
                    @if passed.profiles != 1 { " · " (passed.profiles) " profiles" }
                    " · " (took)
                    @if let End::Passed { taken } = &passed.end { @if *taken > 1 { " · taken by " (taken) } }
                }
            }
            @if let Some(reason) = reason { p .reason { (plain(reason, 300)) } }
            p .labels { (labels(passed)) }
        }
    }
}

/// Before and after in one: what was there before and is not any more, and what is new.
fn labels(passed: &Passed) -> Markup {
    let (before, after) = match (&passed.before, &passed.after) {
        (Some(before), Some(after)) => (before, after),
        (Some(only), None) | (None, Some(only)) => (only, only),
        (None, None) => return html! {},
    };
    let changes = changes(before, after);
    html! {
        @if changes.is_empty() { span .faint { "without labels" } }
        @for (name, was, is) in changes.iter().take(MOST_LABELS) {
            @if was == is { @if let Some(value) = is { span .label { (pair(name, value)) } } }
            @else {
                @if let Some(value) = was { del .label { span .unseen { "removed " } (pair(name, value)) } }
                @if let Some(value) = is { ins .label { span .unseen { "added " } (pair(name, value)) } }
            }
            " "
        }
        @if changes.len() > MOST_LABELS { span .faint { "and " (changes.len() - MOST_LABELS) " more" } }
    }
}

fn pair(name: &str, value: &str) -> Markup {
    html! { (plain(name, NAME)) "=" bdi { (plain(value, VALUE)) } }
}

type Change<'l> = (&'l str, Option<&'l str>, Option<&'l str>);

/// Each name once, in order, with its value before and after.
fn changes<'l>(before: &'l Labels, after: &'l Labels) -> Vec<Change<'l>> {
    let was = before.iter().map(|(name, value)| (name, Some(value), after.value(name)));
    let new = after.iter().filter(|(name, _)| before.value(name).is_none());
    let mut changes: Vec<Change<'l>> = was.chain(new.map(|(name, value)| (name, None, Some(value)))).collect();
    changes.sort_by_key(|(name, ..)| *name);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_kept_changed_removed_or_added() {
        let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied()).unwrap();
        let (before, after) =
            (labels(&[("a", "1"), ("b", "2"), ("d", "4")]), labels(&[("a", "1"), ("b", "x"), ("c", "3")]));
        let expected =
            [("a", Some("1"), Some("1")), ("b", Some("2"), Some("x")), ("c", None, Some("3")), ("d", Some("4"), None)];
        assert_eq!(changes(&before, &after), expected);
    }
}
