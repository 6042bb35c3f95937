//! Where each function of a tree is drawn: as wide as what is spent in it, below its caller.

use super::{Place, ROOT, Search, Tree, Values};

/// What is to be drawn.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// The path of the function that fills the width; all of the tree where there is none of this path.
    pub focus: Option<u64>,
    /// What is narrower, from 0 to 1 of the width, is left out with all that it calls.
    pub narrowest: f64,
    /// Frames at most: of more, the narrowest are left out.
    pub most: usize,
}

/// What is drawn.
#[derive(Debug)]
pub struct Layout<'a> {
    /// The outermost first, and each before what it calls.
    pub frames: Vec<Frame<'a>>,
    /// Rows of frames.
    pub rows: usize,
    /// What fills the width.
    pub whole: Values,
    /// Frames of the functions above the one that fills the width.
    pub above: usize,
    /// Frames that are too narrow to be drawn.
    pub left_out: usize,
}

/// A function under its callers.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The function's name.
    pub name: &'a str,
    /// What to focus on it by.
    pub path: u64,
    /// From 0.
    pub row: usize,
    /// Where it begins, from 0 to 1.
    pub start: f64,
    /// From 0 to 1.
    pub width: f64,
    /// Spent in it and in all that it calls.
    pub total: Values,
    /// Spent in itself.
    pub own: Values,
    /// Whether a search has found it.
    pub found: bool,
}

struct Job {
    place: Place,
    row: usize,
    start: f64,
}

impl Tree {
    /// Draws the tree, or a part of it. What a function calls stands in the order of the names, so that drawings can be
    /// compared.
    #[must_use]
    pub fn layout(&self, window: Window, search: Option<&Search>) -> Layout<'_> {
        let focus = window.focus.and_then(|wanted| self.paths.iter().position(|path| *path == wanted));
        let focus = focus.and_then(|place| Place::try_from(place).ok()).unwrap_or(ROOT);
        let whole = self.node(focus).map(|node| node.total).unwrap_or_default();
        let (narrowest, left_out) = self.narrowest(focus, whole, window);
        let frame = |place: Place, row, start, width| {
            let node = self.node(place)?;
            let found = search.is_some_and(|search| search.has(node.name));
            let (name, path) = (self.name(node), self.path(place));
            Some(Frame { name, path, row, start, width, total: node.total, own: node.own, found })
        };
        let line = self.line(focus);
        let above = line.len().saturating_sub(1);
        let mut frames: Vec<Frame<'_>> =
            line.iter().enumerate().filter_map(|(row, place)| frame(*place, row, 0.0, 1.0)).collect();
        let mut rows = frames.len();
        let mut jobs = vec![Job { place: focus, row: frames.len(), start: 0.0 }];
        while let Some(Job { place, row, start }) = jobs.pop() {
            let Some(node) = self.node(place) else { continue };
            if !self.callees(node).any(|(_, callee)| callee.total.weight(whole) >= narrowest) {
                continue;
            }
            let mut callees: Vec<_> = self.callees(node).collect();
            callees.sort_unstable_by_key(|(_, node)| self.name(node));
            let mut start = start;
            for (place, callee) in callees {
                let width = callee.total.weight(whole);
                if width >= narrowest {
                    frames.extend(frame(place, row, start, width));
                    rows = rows.max(row + 1);
                    jobs.push(Job { place, row: row + 1, start });
                }
                start += width;
            }
        }
        Layout { frames, rows, whole, above, left_out }
    }

    /// The width below which frames are left out, and how many those are.
    fn narrowest(&self, focus: Place, whole: Values, window: Window) -> (f64, usize) {
        // A callee is no wider than its caller: what is wide enough hangs together.
        let mut inside = vec![false; self.nodes.len()];
        let (mut widths, mut all) = (Vec::new(), 0);
        for (place, node) in self.nodes.iter().enumerate().skip(focus as usize) {
            let is_focus = place == focus as usize;
            let is_inside = is_focus || place > 0 && inside.get(node.caller as usize).copied().unwrap_or_default();
            if let Some(inside) = inside.get_mut(place) {
                *inside = is_inside;
            }
            if is_inside && !is_focus {
                all += 1;
                let width = node.total.weight(whole);
                if width >= window.narrowest && width > 0.0 {
                    widths.push(width);
                }
            }
        }
        let narrowest = window.narrowest.max(f64::MIN_POSITIVE);
        if widths.len() <= window.most {
            return (narrowest, all - widths.len());
        }
        widths.sort_unstable_by(|a, b| b.total_cmp(a));
        // Above the first that has no room any more: of equally wide ones all are drawn, or none.
        let first_out = widths.get(window.most).copied().unwrap_or_default();
        let drawn = widths.iter().take_while(|width| **width > first_out).count();
        (first_out.next_up().max(narrowest), all - drawn)
    }
}
