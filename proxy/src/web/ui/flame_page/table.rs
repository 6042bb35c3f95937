//! The functions in which most is spent.

use maud::{Markup, html};
use profiler_core::flame::{Order, Side};

use super::merge::Merged;
use crate::web::ui::format::{SHORT, change, percent, plain, value};
use crate::web::ui::link::Link;

/// Functions in the table.
const MOST_FUNCTIONS: usize = 100;

pub(super) fn table(link: &Link, merged: &Merged) -> Markup {
    let whole = merged.tree.total();
    let functions = merged.tree.functions(link.order, MOST_FUNCTIONS);
    let head = |order: Order, text: &str, right: bool| {
        let sorted = (link.order == order).then_some(if order == Order::Name { "ascending" } else { "descending" });
        html! { th .right[right] aria-sort=[sorted] { a href=(Link { order, ..link.clone() }) data-graph { (text) } } }
    };
    html! {
        h2 { "Functions" }
        div .scroll tabindex="0" role="region" aria-label="Functions" {
            table #functions {
                thead {
                    tr {
                        (head(Order::Name, "Function", false))
                        @if merged.compared.is_some() {
                            (head(Order::Own, "Self", true)) th .right { "Compared" } (head(Order::Change, "Change", true))
                            (head(Order::Total, "Total", true)) th .right { "Compared" }
                        } @else {
                            (head(Order::Own, "Self", true)) th .right { "Share" } (head(Order::Total, "Total", true)) th .right { "Share" }
                        }
                    }
                }
                tbody {
                    @for function in &functions {
                        @let [own, own_before] = function.own.shares(whole);
                        @let [total, total_before] = function.total.shares(whole);
                        tr {
                            @let find = function.name.chars().take(SHORT).collect();
                            td { a .function href=(Link { find, ..link.clone() }) data-graph { bdi { (plain(function.name, SHORT)) } } }
                            @if merged.compared.is_some() {
                                td .right { (percent(own)) } td .right.faint { (percent(own_before)) }
                                td .right { span class={ "change " (super::drawing::change_class(own, own_before)) } { (change(own, own_before)) } }
                                td .right { (percent(total)) } td .right.faint { (percent(total_before)) }
                            } @else {
                                td .right { (value(function.own.of(Side::Shown), &merged.of.unit)) } td .right.faint { (percent(own)) }
                                td .right { (value(function.total.of(Side::Shown), &merged.of.unit)) } td .right.faint { (percent(total)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
