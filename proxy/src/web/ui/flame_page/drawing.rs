//! The graph. Frames are links to themselves: without a script, too, one zooms by following them.

use inferno::flamegraph::{Options, from_lines};
use maud::{Markup, html};
use profiler_core::flame::{Frame, Layout, Side, Window};

use super::merge::Merged;
use crate::web::ui::format::{SHORT, change, percent, plain, value};
use crate::web::ui::link::Link;

/// The height of a row, as in the style sheet.
const ROW: usize = 18;
/// Frames below a pixel of a wide window are not drawn.
const NARROWEST: f64 = 1.0 / 1600.0;
/// Frames in a page.
const MOST_FRAMES: usize = 4000;
/// Narrower frames have no room for a letter.
const WITH_NAME: f64 = 0.008;
/// Colours of functions, and of changes in either direction, in the style sheet.
const COLOURS: u64 = 8;
const CHANGES: f64 = 4.0;

pub(super) fn graph(link: &Link, merged: &Merged) -> Markup {
    let search = (!link.find.is_empty()).then(|| merged.tree.search(&link.find));
    let window = Window { focus: link.focus, narrowest: NARROWEST, most: MOST_FRAMES };
    let layout = merged.tree.layout(window, search.as_ref());
    // Above all of them one for the whole.
    let height = (layout.rows + 1) * ROW;
    let y = |row: usize| if link.up { (layout.rows - row) * ROW } else { row * ROW };
    html! {
        div .canvas .up[link.up] {
            svg #flame .searched[search.is_some()] width="100%" height=(height) role="group" aria-label="Flame graph" {
                (root(link, merged, y(0)))
                @for (place, frame) in layout.frames.iter().enumerate() {
                    (drawn(link, merged, &layout, frame, place, y(frame.row + 1)))
                }
            }
        }
        p #details .details {
            @if layout.left_out > 0 { (layout.left_out) " functions are too narrow to be drawn: zoom in, or search. " }
            "Click or Enter zooms, arrows move, Esc shows the whole."
        }
    }
}

fn root(link: &Link, merged: &Merged, y: usize) -> Markup {
    let label = format!("all: {}", value(merged.tree.total().shown, &merged.of.unit));
    html! {
        a href=(Link { focus: None, ..link.clone() }) data-graph {
            svg .frame.root x="0" y=(y) width="100%" height=(ROW) {
                title { (label) }
                rect width="100%" height="100%" {}
                text x="4" y="13" { (label) }
            }
        }
    }
}

fn drawn(link: &Link, merged: &Merged, layout: &Layout<'_>, frame: &Frame<'_>, place: usize, y: usize) -> Markup {
    let name = plain(frame.name, SHORT);
    let class = class(merged, layout, frame, place);
    html! {
        a href=(Link { focus: Some(frame.path), ..link.clone() }) data-graph {
            svg class=(class) x=(share(frame.start)) y=(y) width=(share(frame.width)) height=(ROW) {
                title { (name) "\n" (told(merged, frame)) }
                rect width="100%" height="100%" {}
                @if frame.width >= WITH_NAME { text x="4" y="13" { (name) } }
            }
        }
    }
}

fn class(merged: &Merged, layout: &Layout<'_>, frame: &Frame<'_>, place: usize) -> String {
    let colour = if merged.compared.is_some() {
        let [shown, compared] = frame.total.shares(merged.tree.total());
        change_class(shown, compared)
    } else {
        format!("c{}", hue(frame.name))
    };
    let above = if place < layout.above { " above" } else { "" };
    let found = if frame.found { " hit" } else { "" };
    format!("frame {colour}{above}{found}")
}

/// What a frame's label says besides its name.
fn told(merged: &Merged, frame: &Frame<'_>) -> String {
    let (whole, unit) = (merged.tree.total(), &merged.of.unit);
    let [shown, compared] = frame.total.shares(whole);
    if merged.compared.is_some() {
        let (shown_share, compared_share, points) = (percent(shown), percent(compared), change(shown, compared));
        return format!("{shown_share}, compared with {compared_share}: {points} points");
    }
    let [own, _] = frame.own.shares(whole);
    let (total, own_value) = (value(frame.total.of(Side::Shown), unit), value(frame.own.of(Side::Shown), unit));
    format!("{total}, {} · self {own_value}, {}", percent(shown), percent(own))
}

/// How much more or less of the whole it is: from `less4` over `same` to `more4`.
pub(super) fn change_class(shown: f64, compared: f64) -> String {
    let change = (shown - compared) / shown.max(compared).max(f64::MIN_POSITIVE);
    let step = (change.abs() * CHANGES).ceil() as u64;
    match (step, change > 0.0) {
        (0, _) => "same".to_owned(),
        (step, true) => format!("more{step}"),
        (step, false) => format!("less{step}"),
    }
}

/// Functions of one package have one colour.
fn hue(name: &str) -> u64 {
    rapidhash::v3::rapidhash_v3(package(name).as_bytes()) % COLOURS
}

/// `net/http` of Go, `tokio::runtime` of Rust and C++, `java/util` of Java; else what stands before the first separator.
fn package(name: &str) -> &str {
    if let Some((path, rest)) = name.rsplit_once('/') {
        let end = path.len() + 1 + rest.find('.').unwrap_or(rest.len());
        return name.get(..end).unwrap_or(name);
    }
    let mut parts = name.match_indices("::");
    if let Some((end, _)) = parts.nth(1).or_else(|| name.match_indices("::").next()) {
        return name.get(..end).unwrap_or(name);
    }
    name.split(['.', '_', '+']).find(|part| !part.is_empty()).unwrap_or(name)
}

fn share(share: f64) -> String {
    format!("{:.4}%", share * 100.0)
}

/// As a file.
pub(super) fn svg(merged: &Merged) -> Vec<u8> {
    let lines: Vec<String> = merged.tree.folded(Side::Shown).collect();
    let mut options = Options::default();
    options.title = plain(&merged.of.kind, 60);
    options.count_name = plain(&merged.of.unit, 30);
    let mut svg = Vec::new();
    // It fails where there are no stacks: the file is empty then, as is what is shown.
    let _drawn = from_lines(&mut options, lines.iter().map(String::as_str), &mut svg).is_ok();
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_one_package_look_the_same() {
        for (name, expected) in [
            ("net/http.(*conn).serve", "net/http"),
            ("github.com/a/b.F", "github.com/a/b"),
            ("runtime.mallocgc", "runtime"),
            ("tokio::runtime::task::poll", "tokio::runtime"),
            ("std::move", "std"),
            ("java/util/HashMap.get", "java/util/HashMap"),
            ("__libc_start_main", "libc"),
            ("main", "main"),
            ("", ""),
        ] {
            assert_eq!(package(name), expected, "{name}");
        }
    }

    #[test]
    fn changes_have_steps() {
        for (shown, compared, class) in
            [(0.5, 0.5, "same"), (0.0, 0.0, "same"), (0.5, 0.0, "more4"), (0.1, 0.5, "less4"), (0.5, 0.45, "more1")]
        {
            assert_eq!(change_class(shown, compared), class);
        }
    }
}
