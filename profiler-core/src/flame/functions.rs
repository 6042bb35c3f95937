//! How much is spent in each function, wherever it was called from.

use super::{Place, ROOT, Tree, Values};

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function<'a> {
    /// Its name.
    pub name: &'a str,
    /// Spent in itself.
    pub own: Values,
    /// Spent in it and in all that it calls; in one that calls itself, once.
    pub total: Values,
}

/// What functions are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Most spent in themselves first.
    Own,
    /// Most spent with all that they call first.
    Total,
    /// The largest difference of own shares first.
    Change,
    /// By their names.
    Name,
}

impl Tree {
    /// The first `most` functions.
    #[must_use]
    pub fn functions(&self, order: Order, most: usize) -> Vec<Function<'_>> {
        let mut functions: Vec<Function<'_>> = self.by_name();
        functions.retain(|function| !function.total.is_zero());
        let whole = self.total();
        let change = |function: &Function<'_>| {
            let [shown, compared] = function.own.shares(whole);
            (shown - compared).abs()
        };
        let in_order = |a: &Function<'_>, b: &Function<'_>| {
            let by_own = || b.own.weight(whole).total_cmp(&a.own.weight(whole));
            let by_total = || b.total.weight(whole).total_cmp(&a.total.weight(whole));
            let by_name = || a.name.cmp(b.name);
            match order {
                Order::Own => by_own().then_with(by_total),
                Order::Total => by_total().then_with(by_own),
                Order::Change => change(b).total_cmp(&change(a)).then_with(by_own),
                Order::Name => by_name(),
            }
            .then_with(by_name)
        };
        // Of very many functions a page has few.
        if most < functions.len() {
            functions.select_nth_unstable_by(most, in_order);
            functions.truncate(most);
        }
        functions.sort_unstable_by(in_order);
        functions
    }

    fn by_name(&self) -> Vec<Function<'_>> {
        let none = Values::default();
        let mut functions: Vec<Function<'_>> =
            self.names.iter().map(|name| Function { name, own: none, total: none }).collect();
        // How often each name stands on the way from the root to where we are.
        let mut entered = vec![0_u32; self.names.len()];
        let mut walk = vec![Step::Enter(ROOT)];
        while let Some(step) = walk.pop() {
            let (Step::Enter(place) | Step::Leave(place)) = step;
            let Some(node) = self.node(place) else { continue };
            let name = node.name as usize;
            let (Some(function), Some(entered)) = (functions.get_mut(name), entered.get_mut(name)) else { continue };
            if let Step::Leave(_) = step {
                *entered -= 1;
                continue;
            }
            if place != ROOT {
                function.own = function.own.plus(node.own);
                if *entered == 0 {
                    function.total = function.total.plus(node.total);
                }
            }
            *entered += 1;
            walk.push(Step::Leave(place));
            walk.extend(self.callees(node).map(|(place, _)| Step::Enter(place)));
        }
        functions
    }
}

enum Step {
    Enter(Place),
    Leave(Place),
}
