//! The graph as SVG, twice: from left to right for wide screens, from top to bottom for narrow ones. The style sheet shows
//! one of them.

use maud::{Markup, html};

use super::layout::{Layout, Spot, Style, lay_out};
use super::level::{Carried, Edge, Level, Node};
use super::{address, rate};
use crate::web::ui::format::{SHORT, number, plain};

/// Boxes that are drawn: of more nobody sees anything. The list has them all.
const MOST_BOXES: usize = 120;
/// Room around the graph, for the outlines of what has the focus.
const MARGIN: f64 = 4.0;
/// The size of an arrow.
const ARROW: f64 = 6.0;

/// Between two layers there is room for a rate.
const WIDE: Drawing = Drawing {
    class: "wide",
    style: Style { along: 190.0, across: 64.0, gap_along: 150.0, gap_across: 22.0, lane: 12.0, widest: usize::MAX },
    is_down: false,
    letters: 26,
};
/// Two boxes beside each other, and some lanes, fit on a phone.
const TALL: Drawing = Drawing {
    class: "tall",
    style: Style { along: 64.0, across: 164.0, gap_along: 44.0, gap_across: 12.0, lane: 6.0, widest: 2 },
    is_down: true,
    letters: 22,
};

/// A way of drawing.
struct Drawing {
    class: &'static str,
    style: Style,
    is_down: bool,
    /// Letters in a line of a box.
    letters: usize,
}

/// The section with both.
pub(super) fn pipeline(level: &Level) -> Markup {
    let drawn = level.nodes.len().min(MOST_BOXES);
    let edges: Vec<&Edge> = level.edges.iter().filter(|edge| edge.from < drawn && edge.to < drawn).collect();
    html! {
        section #pipeline aria-label="Pipeline" {
            @for drawing in [&WIDE, &TALL] { (drawing.svg(level, &edges, drawn)) }
            @if drawn < level.nodes.len() { p .faint { (level.nodes.len() - drawn) " more are in the list alone." } }
        }
    }
}

impl Drawing {
    fn svg(&self, level: &Level, edges: &[&Edge], drawn: usize) -> Markup {
        let ends: Vec<(usize, usize)> = edges.iter().map(|edge| (edge.from, edge.to)).collect();
        let layout = lay_out(drawn, &ends, &self.style);
        let (right, bottom) = self.spot((layout.along, layout.across));
        let (width, height) = (right + MARGIN, bottom + MARGIN);
        html! {
            div class={ "scroll drawing " (self.class) } tabindex="0" role="region" aria-label="Graph" {
                svg width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } role="group" aria-label="Components and what goes between them" {
                    @for (edge, way) in edges.iter().zip(&layout.ways) { (self.edge(edge, way)) }
                    @for (node, spot) in level.nodes.iter().zip(&layout.boxes) { (self.node(node, *spot)) }
                    @for (place, spot) in layout.boxes.iter().enumerate() { (self.rates(edges, &layout, place, *spot)) }
                }
            }
        }
    }

    /// Along and across, as x and y.
    fn spot(&self, (along, across): Spot) -> (f64, f64) {
        let (x, y) = if self.is_down { (across, along) } else { (along, across) };
        (x + MARGIN, y + MARGIN)
    }

    fn node(&self, node: &Node, (along, middle): Spot) -> Markup {
        let (x, y) = self.spot((along, middle - self.style.across / 2.0));
        let (width, height) =
            if self.is_down { (self.style.across, self.style.along) } else { (self.style.along, self.style.across) };
        let mut class = format!("node {}", node.class);
        class += if node.is_outside { " outside" } else { "" };
        let kind = if node.kind.is_empty() { "item" } else { &node.kind };
        html! {
            a href=(address(node)) class=(class) {
                title { (plain(&node.path, SHORT)) " is " (node.word) }
                @if node.has_inside { rect .behind x=(x + 4.0) y=(y - 4.0) width=(width) height=(height) rx="6" {} }
                rect .box x=(x) y=(y) width=(width) height=(height) rx="6" {}
                rect .bar x=(x) y=(y + 6.0) width="4" height=(height - 12.0) rx="2" {}
                text .kind x=(x + 13.0) y=(y + 19.0) { (plain(kind, self.letters)) }
                text .label-of x=(x + 13.0) y=(y + 36.0) { (plain(&node.label, self.letters - 2)) }
                text .told x=(x + 13.0) y=(y + 53.0) {
                    tspan .word { (node.word) }
                    @if node.components > 1 { " · " (node.components) " inside" }
                    @if node.is_outside { " · outside" }
                    @if node.lost > 0.0 { tspan .lost { " · " (number(node.losing)) "/s dropped" } }
                }
            }
        }
    }

    fn edge(&self, edge: &Edge, way: &[Spot]) -> Markup {
        let spots: Vec<(f64, f64)> = way.iter().map(|spot| self.spot(*spot)).collect();
        let Some(((x, y), others)) = spots.split_first().map(|(first, others)| (*first, others)) else {
            return html! {};
        };
        let mut path = format!("M{x:.1} {y:.1}");
        let mut from = (x, y);
        for to in others {
            let (a, b) = if self.is_down {
                let middle = f64::midpoint(from.1, to.1);
                ((from.0, middle), (to.0, middle))
            } else {
                let middle = f64::midpoint(from.0, to.0);
                ((middle, from.1), (middle, to.1))
            };
            path += &format!("C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}", a.0, a.1, b.0, b.1, to.0, to.1);
            from = *to;
        }
        let (class, thickness) = match edge.carries {
            None => ("edge values", 1.0),
            Some(None) => ("edge", 1.5),
            Some(Some(Carried { profiles, .. })) if profiles > 0.0 => {
                ("edge flowing", 1.5 + (1.0 + profiles).log10().min(4.0))
            }
            Some(Some(_)) => ("edge", 1.5),
        };
        let back = way.first().map(|spot| spot.0) > way.last().map(|spot| spot.0);
        let toward = if back { -ARROW } else { ARROW };
        let arrow = if self.is_down {
            let half = ARROW * 0.6;
            format!(
                "{:.1},{:.1} {:.1},{:.1} {:.1},{:.1}",
                from.0,
                from.1,
                from.0 - half,
                from.1 - toward,
                from.0 + half,
                from.1 - toward
            )
        } else {
            let half = ARROW * 0.6;
            format!(
                "{:.1},{:.1} {:.1},{:.1} {:.1},{:.1}",
                from.0,
                from.1,
                from.0 - toward,
                from.1 - half,
                from.0 - toward,
                from.1 + half
            )
        };
        html! {
            g class=(class) {
                path d=(path) stroke-width=(format!("{thickness:.1}")) {}
                polygon points=(arrow) {}
            }
        }
    }

    /// What leaves a node: once where it is the same on all its edges, else at the end of each.
    fn rates(&self, edges: &[&Edge], layout: &Layout, place: usize, (along, middle): Spot) -> Markup {
        let leaving: Vec<(&&Edge, &Vec<Spot>)> = edges
            .iter()
            .zip(&layout.ways)
            .filter(|(edge, way)| edge.from == place && edge.carries.is_some() && !way.is_empty())
            .collect();
        let Some(((first, _), others)) = leaving.split_first() else { return html! {} };
        if others.iter().all(|(edge, _)| edge.carries == first.carries) {
            let (x, y) = self.spot((along + self.style.along, middle));
            let (x, y) = if self.is_down { (x + 8.0, y + 14.0) } else { (x + 8.0, y - 7.0) };
            return html! { text .rate x=(x) y=(y) { (rate(first)) } };
        }
        html! {
            @for (edge, way) in &leaving {
                @if let Some(end) = way.last() {
                    @let (x, y) = self.spot(*end);
                    @let (x, y, anchor) = if self.is_down { (x + 8.0, y - 8.0, "start") } else { (x - 10.0, y - 7.0, "end") };
                    text .rate x=(x) y=(y) text-anchor=(anchor) { (rate(edge)) }
                }
            }
        }
    }
}
