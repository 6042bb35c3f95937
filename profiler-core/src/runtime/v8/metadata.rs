//! What V8 says of itself: `v8dbg_…`, constants that its build writes for debuggers (`tools/gen-postmortem-metadata.py`).

use std::collections::HashMap;
use std::ops::Range;

use crate::native::elf::ElfFile;
use crate::native::unwind::described_code;
use crate::runtime::exports::{self, Export};

const PREFIX: &str = "v8dbg_";
/// `v8::internal::Version`: its numbers.
const VERSION: &str = "_ZN2v88internal7Version6";
const EMBEDDED: &str = "v8_Default_embedded_blob_code_";
const SIZES: &str = "_ZN2v88internal11interpreter9Bytecodes14kBytecodeSizesE";
const OPERANDS: &str = "_ZZN2v88internal29TranslationOpcodeOperandCountENS0_17TranslationOpcodeEE6counts";
/// Most opcodes of translations.
const MAX_OPCODES: u64 = 128;
/// Longest table of sizes, in bytes: three for each bytecode.
const MAX_SIZES: u64 = 3 * 256;
/// One of each build, which the dynamic linker knows or nobody does.
const ANY: &str = "v8dbg_off_fp_function";

/// The constants of a file.
#[derive(Debug)]
pub(super) struct Metadata {
    symbols: HashMap<String, Export>,
    constants: HashMap<String, i32>,
}

impl Metadata {
    /// That says these.
    pub(super) fn of(constants: &[(&str, i32)]) -> Self {
        let constants = constants.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Self { symbols: HashMap::new(), constants }
    }

    /// None of a file that is nothing of V8's.
    pub(super) fn read(file: &ElfFile, path: &str) -> Option<Self> {
        let [any] = exports::find(file, [ANY]);
        // Newer builds hide them from the dynamic linker, and all symbols of all files are many.
        if any.is_none() && !is_named_so(path) {
            return None;
        }
        let symbols = exports::beginning(file, &[PREFIX, VERSION, EMBEDDED, SIZES, OPERANDS]);
        symbols.contains_key(ANY).then_some(())?;
        let constants = symbols
            .iter()
            .filter_map(|(name, symbol)| {
                let name = name.strip_prefix(PREFIX)?;
                let value = exports::content(file, symbol.address)?;
                Some((name.to_owned(), i32::from_le_bytes(value)))
            })
            .collect();
        Some(Self { symbols, constants })
    }

    /// The first of these constants that is there.
    pub(super) fn any(&self, names: &[&str]) -> Option<i32> {
        names.iter().find_map(|name| self.constants.get(*name).copied())
    }

    /// Major and minor number.
    pub(super) fn version(&self, file: &ElfFile) -> Option<(u32, u32)> {
        let number = |part: &str| {
            let symbol = self.symbols.get(&format!("{VERSION}{part}_E"))?;
            Some(u32::from_le_bytes(exports::content(file, symbol.address)?))
        };
        Some((number("major")?, number("minor")?))
    }

    /// The code of the builtins, in the file.
    pub(super) fn builtins(&self, file: &ElfFile) -> Option<Range<u64>> {
        self.named_builtins(file).or_else(|| undescribed(file))
    }

    fn named_builtins(&self, file: &ElfFile) -> Option<Range<u64>> {
        let size = self.symbols.get("v8_Default_embedded_blob_code_size_")?;
        let size = u32::from_le_bytes(exports::content(file, size.address)?);
        let start = self.symbols.get(EMBEDDED)?.address;
        // Until V8 10 it is a pointer.
        let is_pointer = file.sections().any(|(name, section)| {
            let end = section.address.saturating_add(section.size);
            name.starts_with(b".data") && (section.address..end).contains(&start)
        });
        let start = if is_pointer { u64::from_le_bytes(exports::content(file, start)?) } else { start };
        let is_code = file.executable().iter().any(|segment| segment.contains(start));
        (size > 0 && is_code).then(|| start..start.saturating_add(size.into()))
    }

    /// How many bytes each bytecode has: by its number, and that of its operands' size.
    pub(super) fn bytecode_sizes(&self, file: &ElfFile) -> Vec<u8> {
        let sizes = self.symbols.get(SIZES).filter(|symbol| symbol.size <= MAX_SIZES);
        sizes.and_then(|symbol| exports::bytes(file, symbol.address, symbol.size as usize)).unwrap_or_default()
    }
}

impl Metadata {
    /// How many operands each opcode of a translation has.
    pub(super) fn operands(&self, file: &ElfFile) -> Vec<u8> {
        let counts = self.symbols.get(OPERANDS).filter(|symbol| symbol.size <= MAX_OPCODES * 4);
        let counts = counts.and_then(|symbol| exports::bytes(file, symbol.address, symbol.size as usize));
        counts.unwrap_or_default().as_chunks::<4>().0.iter().map(|[count, ..]| *count).collect()
    }
}

/// Where no symbol names the builtins: the one large piece of code of which no unwind information says anything.
fn undescribed(file: &ElfFile) -> Option<Range<u64>> {
    const LEAST: u64 = 512 << 10;
    let described = described_code(file).ok()?;
    let gaps = described.windows(2).filter_map(|pair| match pair {
        [before, after] => Some(before.end..after.start.max(before.end)),
        _ => None,
    });
    let is_code = |gap: &Range<u64>| file.executable().iter().any(|segment| segment.contains(gap.start));
    gaps.filter(is_code).max_by_key(|gap| gap.end - gap.start).filter(|gap| gap.end - gap.start >= LEAST)
}

/// What V8 is called that is no part of another program.
fn is_named_so(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    ["node", "libnode", "nsolid"].iter().any(|known| name.starts_with(known))
}
