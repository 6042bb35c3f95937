//! Which custom components can be made at a place of the text.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_syntax::ast;

/// The declares and imports that a text sees: its own, and those around it.
#[derive(Default)]
pub(super) struct Environment {
    /// By name.
    pub declares: BTreeMap<String, Arc<ast::Block>>,
    /// What imports have brought, by namespace. `None`: not known, since nothing is fetched to check a text.
    pub libraries: BTreeMap<String, Option<Arc<Environment>>>,
    /// Whether someone else decides what the text says: then it may not bring this host's files.
    pub remote: bool,
    /// The folder that `module_path` names there.
    pub module_path: Arc<str>,
    /// What lies around.
    pub outer: Option<Arc<Environment>>,
}

/// What a custom component is made of.
#[derive(Clone)]
pub(super) struct Definition {
    pub block: Arc<ast::Block>,
    /// Where it was declared: its body sees what was to be seen there.
    pub environment: Arc<Environment>,
}

/// Why a custom component cannot be made.
#[derive(Debug)]
pub(super) enum Unfound {
    /// Nothing declares it.
    Undeclared,
    /// The import that would declare it was not read.
    Unread,
}

impl Environment {
    /// Whether a block of this name may be a custom component, as far as is known before imports are read.
    pub(super) fn knows(&self, name: &[ast::Ident]) -> bool {
        let here = match name {
            [name] => self.declares.contains_key(&name.name),
            [namespace, _] => self.libraries.contains_key(&namespace.name),
            _ => false,
        };
        here || self.outer.as_ref().is_some_and(|outer| outer.knows(name))
    }

    /// What a block of this name is made of.
    pub(super) fn find(self: &Arc<Self>, name: &[ast::Ident]) -> Result<Definition, Unfound> {
        match name {
            [name] => {
                if let Some(block) = self.declares.get(&name.name) {
                    return Ok(Definition { block: block.clone(), environment: self.clone() });
                }
            }
            [namespace, name] => match self.libraries.get(&namespace.name) {
                Some(Some(library)) => {
                    let block = library.declares.get(&name.name).ok_or(Unfound::Undeclared)?;
                    return Ok(Definition { block: block.clone(), environment: library.clone() });
                }
                Some(None) => return Err(Unfound::Unread),
                None => {}
            },
            _ => {}
        }
        self.outer.as_ref().map_or(Err(Unfound::Undeclared), |outer| outer.find(name))
    }
}
