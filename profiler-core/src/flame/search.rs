//! Which functions a search finds, and how much is spent in them.

use super::{Tree, Values};

/// What a text is found in.
#[derive(Debug)]
pub struct Search {
    /// By the places of names.
    found: Vec<bool>,
    /// What is spent in functions that were found, with all that they call; what is below two of them counts once.
    pub total: Values,
    /// Different functions.
    pub functions: usize,
}

impl Tree {
    /// Finds functions whose names contain a text, whatever the case of its letters.
    #[must_use]
    pub fn search(&self, text: &str) -> Search {
        let wanted = text.to_lowercase();
        let found: Vec<bool> = self.names.iter().map(|name| name.to_lowercase().contains(&wanted)).collect();
        let is_found = |name: u32| found.get(name as usize).copied().unwrap_or_default();
        let mut total = Values::default();
        // A caller stands before what it calls.
        let mut inside: Vec<bool> = Vec::with_capacity(self.nodes.len());
        for (place, node) in self.nodes.iter().enumerate() {
            let below = inside.get(node.caller as usize).copied().unwrap_or_default();
            let here = place > 0 && is_found(node.name);
            if here && !below {
                total = total.plus(node.total);
            }
            inside.push(below || here);
        }
        let functions = found.iter().skip(1).filter(|found| **found).count();
        Search { found, total, functions }
    }
}

impl Search {
    /// Whether the function of a node was found.
    pub(super) fn has(&self, name: u32) -> bool {
        self.found.get(name as usize).copied().unwrap_or_default()
    }
}
