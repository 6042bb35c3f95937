//! What a runtime says of its data: the contract descriptor (`docs/design/datacontracts/contract-descriptor.md` of
//! dotnet/runtime), a few words that lead to a text in JSON.

use serde_json::Value;

use crate::runtime::memory::ReadMemory;

/// What a process says.
#[derive(Debug)]
pub(super) struct Contracts(Value);

/// `DNCCDAC` and a zero, as a word.
const MAGIC: u64 = 0x0043_4144_4343_4e44;
/// Longest text, in bytes: that of 10 has 10,563.
const MAX_TEXT: usize = 256 << 10;

impl Contracts {
    /// The descriptor at an address; none where there is none (yet).
    pub(super) fn read(memory: &dyn ReadMemory, address: u64) -> Option<Self> {
        // { u64 magic; u32 flags; u32 size; char *text; u32 count; u32 pad; void **pointers }
        if memory.word(address)? != MAGIC {
            return None;
        }
        let size = usize::try_from(memory.word(address.checked_add(8)?)? >> 32).ok()?;
        if size > MAX_TEXT {
            return None;
        }
        let mut text = vec![0; size];
        let at = memory.pointer(address.checked_add(16)?)?;
        memory.read(at, &mut text).then_some(())?;
        Self::parse(&text)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok().map(Self)
    }

    /// Where a field is in its type. A field is an offset, or one with the name of its type.
    pub(super) fn field(&self, of: &str, field: &str) -> Option<u16> {
        let field = self.0.get("types")?.get(of)?.get(field)?;
        field.as_array().map_or(Some(field), |parts| parts.first())?.as_u64()?.try_into().ok()
    }

    /// How large a type is, in bytes.
    pub(super) fn size(&self, of: &str) -> Option<u16> {
        self.field(of, "!")
    }

    /// A number that holds in the whole process: a text, decimal or hexadecimal, with the name of its type.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let global = self.0.get("globals")?.get(name)?;
        let text = global.as_array().map_or(Some(global), |parts| parts.first())?.as_str()?;
        text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |digits| u64::from_str_radix(digits, 16).ok())
    }

    /// Which version of a contract is kept.
    pub(super) fn version(&self, contract: &str) -> Option<u64> {
        self.0.get("contracts")?.get(contract)?.as_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_numbers_are_read_in_each_spelling() {
        let text = br#"{"types":{"A":{"!":24,"B":8,"C":[16,"pointer"]}},"contracts":{"D":2},
            "globals":{"E":["0xc","uint8"],"F":["12","uint8"],"G":[[1],"pointer"]}}"#;
        let contracts = Contracts::parse(text).unwrap();
        assert_eq!([contracts.field("A", "B"), contracts.field("A", "C"), contracts.size("A")], [8, 16, 24].map(Some));
        assert_eq!([contracts.number("E"), contracts.number("F"), contracts.number("G")], [Some(12), Some(12), None]);
        assert_eq!([contracts.version("D"), contracts.version("E")], [Some(2), None]);
        assert_eq!(contracts.field("A", "D"), None);
        assert!(Contracts::parse(b"[[[").is_none());
    }
}
