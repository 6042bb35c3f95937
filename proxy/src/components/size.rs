//! Bytes, as users write them.

use alloy_syntax::TextValue;
use bytesize::ByteSize;

/// Bytes, as `"64MiB"` or as a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size(pub(super) ByteSize);

impl TextValue for Size {
    fn parse_text(text: &str) -> Result<Self, String> {
        let size: ByteSize = text.parse().map_err(|_| format!("{text:?} is no size; write it as \"64MiB\""))?;
        if size.as_u64() == 0 {
            return Err("must be greater than 0".to_owned());
        }
        Ok(Self(size))
    }

    /// In the largest unit that divides it: what is shown is exact, and can be read again.
    fn to_text(&self) -> String {
        let bytes = self.0.as_u64();
        let units = [("GiB", bytesize::GIB), ("MiB", bytesize::MIB), ("KiB", bytesize::KIB)];
        let whole = units.into_iter().find(|(_, unit)| bytes.is_multiple_of(*unit));
        let (name, unit) = whole.unwrap_or(("B", 1));
        format!("{}{name}", bytes / unit)
    }
}

impl Size {
    pub(super) fn bytes(self) -> usize {
        usize::try_from(self.0.as_u64()).unwrap_or(usize::MAX)
    }
}
