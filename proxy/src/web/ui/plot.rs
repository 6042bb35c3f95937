//! Small plots of the last minutes.

use maud::{Markup, html};

const WIDTH: f64 = 100.0;
const HEIGHT: f64 = 24.0;
/// Points of a whole plot; one that has fewer yet begins further right.
const POINTS: usize = 149;

/// A line over the last five minutes, from 0 to the highest of its values.
pub(super) fn spark(values: &[f64]) -> Markup {
    let highest = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let first = POINTS.saturating_sub(values.len());
    let point = |(place, value): (usize, &f64)| {
        let x = (first + place) as f64 * WIDTH / (POINTS - 1) as f64;
        format!("{x:.1},{:.1}", HEIGHT - 1.0 - value / highest * (HEIGHT - 2.0))
    };
    let points: Vec<String> = values.iter().enumerate().map(point).collect();
    html! {
        svg .spark viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" aria-hidden="true" {
            @if values.len() > 1 { polyline points=(points.join(" ")) {} }
        }
    }
}
