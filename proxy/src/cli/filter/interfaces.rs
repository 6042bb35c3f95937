//! What a component imports and exports, read from its bytes: nothing is compiled for it.

use anyhow::bail;
use wasmparser::{Encoding, Parser, Payload};

/// Names, such as `flamegate:filter/log@0.1.0`, in the component's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Interfaces {
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
}

impl Interfaces {
    /// Those of these bytes; an error where they are no component.
    pub(super) fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        let mut found = Self::default();
        // Components and modules inside of it have names of their own.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(no_component)? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => bail!(
                    "it is a core module, not a component: `wasm-tools component new MODULE.wasm --output FILTER.wasm` \
                     makes one of it, once it holds the types of the contract (wit-bindgen, `wasm-tools component embed`)"
                ),
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        found.imports.push(import.map_err(no_component)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        found.exports.push(export.map_err(no_component)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

#[allow(clippy::needless_pass_by_value, reason = "what map_err hands over")]
fn no_component(error: wasmparser::BinaryReaderError) -> anyhow::Error {
    anyhow::anyhow!("it is no WebAssembly component: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component_is_told_from_what_is_one() {
        let hostile = include_bytes!("../../../../guest-examples/hostile.wasm");
        let found = Interfaces::read(hostile).unwrap();
        assert_eq!(found.exports, ["flamegate:filter/lifecycle@0.1.0", "flamegate:filter/filter-labels@0.1.0"]);
        assert!(found.imports.contains(&"flamegate:filter/log@0.1.0".to_owned()), "{found:?}");

        let module = b"\0asm\x01\0\0\0".as_slice();
        for (bytes, says) in [
            (module, "a core module, not a component"),
            (b"\x7fELF\x02\x01\x01\0", "no WebAssembly component"),
            (b"", "no WebAssembly component"),
            (hostile.get(..1000).unwrap(), "no WebAssembly component"),
        ] {
            let said = Interfaces::read(bytes).unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
        }
    }
}
