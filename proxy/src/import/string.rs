//! `import.string`: a module from a string, mostly another component's export.

use alloy_syntax::{Arguments, Invalid, OptionalSecret, Value};

use super::Imported;
use crate::component::{Component, Context};
use crate::config::Source;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
pub struct ImportStringArguments {
    /// The module's text.
    #[alloy(attr)]
    content: OptionalSecret,
}

/// The import.
pub struct ImportString(Imported);

impl Component for ImportString {
    const NAME: &'static str = "import.string";
    const SUMMARY: &'static str = "Brings custom components from a string, mostly another component's export.";
    type Arguments = ImportStringArguments;

    fn build(arguments: &ImportStringArguments, context: &Context<'_>, _: Option<&Self>) -> Result<Self, Invalid> {
        let name = context.component.to_string();
        let files = vec![Source { name, text: arguments.content.expose().to_owned() }];
        Ok(Self(Imported { files, module_path: "".into(), remote: false }))
    }

    fn exports(&self) -> Value {
        self.0.exports()
    }
}
