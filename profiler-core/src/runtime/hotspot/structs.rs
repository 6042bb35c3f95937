//! What a JVM says of itself: the tables that HotSpot has for debuggers, behind the symbols `gHotSpotVM…` of its library
//! (`vmStructs.hpp`). How an entry is laid out is said by symbols, too.

use std::collections::{HashMap, HashSet};

use super::super::exports::Export;
use super::super::memory::ReadMemory;

/// The symbols: of each table where it is, how far its entries are apart, and where their parts are.
pub(super) const SYMBOLS: [&str; 16] = [
    "gHotSpotVMStructs",
    "gHotSpotVMStructEntryArrayStride",
    "gHotSpotVMStructEntryTypeNameOffset",
    "gHotSpotVMStructEntryFieldNameOffset",
    "gHotSpotVMStructEntryTypeStringOffset",
    "gHotSpotVMStructEntryIsStaticOffset",
    "gHotSpotVMStructEntryOffsetOffset",
    "gHotSpotVMStructEntryAddressOffset",
    "gHotSpotVMTypes",
    "gHotSpotVMTypeEntryArrayStride",
    "gHotSpotVMTypeEntryTypeNameOffset",
    "gHotSpotVMTypeEntrySizeOffset",
    "gHotSpotVMIntConstants",
    "gHotSpotVMIntConstantEntryArrayStride",
    "gHotSpotVMIntConstantEntryNameOffset",
    "gHotSpotVMIntConstantEntryValueOffset",
];
/// Entries of a table; JVMs have some 1,500.
const MAX_ENTRIES: usize = 16_384;
/// Bytes of an entry, and of a name.
const MAX_ENTRY: u64 = 256;
const LONGEST_NAME: usize = 128;

/// Of the structs that were asked for: where their fields are, and how large they are.
#[derive(Debug, Default)]
pub(super) struct Structs {
    fields: HashMap<String, Field>,
    sizes: HashMap<String, u64>,
    constants: HashMap<String, u32>,
}

/// A field of a struct.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// Its type, as the sources write it.
    pub(super) kind: String,
    /// An address if it is static, else an offset in bytes.
    pub(super) place: u64,
}

/// Something that the JVM does not say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it does not say where {0} is")]
pub(super) struct Missing(pub(super) &'static str);

impl Structs {
    /// None where the tables are not there (yet).
    pub(super) fn read(
        memory: &dyn ReadMemory,
        symbols: &[Export; SYMBOLS.len()],
        bias: u64,
        wanted: &[&str],
    ) -> Option<Self> {
        let at = symbols.map(|symbol| symbol.address.wrapping_add(bias));
        let [structs @ .., _, _, _, _, _, _, _, _] = at;
        let [_, _, _, _, _, _, _, _, types @ .., _, _, _, _] = at;
        let [.., first, stride, name, value] = at;
        let mut found = Self::default();
        let mut texts = Texts { memory, known: HashMap::new() };
        let wanted: HashSet<&str> = wanted.iter().copied().collect();
        each(memory, structs, |entry, [type_name, field, kind, is_static, offset, address]| {
            let name = texts.short(word(entry, type_name)?)?;
            if !wanted.contains(&*name) {
                return Some(());
            }
            let is_static = word(entry, is_static)? as u32 != 0;
            let place = word(entry, if is_static { address } else { offset })?;
            // Of some types only the address is in the table.
            let kind = texts.short(word(entry, kind)?).unwrap_or_default();
            let field = texts.short(word(entry, field)?)?;
            found.fields.insert(format!("{name}::{field}"), Field { kind, place });
            Some(())
        })?;
        each(memory, types, |entry, [type_name, size]| {
            let name = texts.short(word(entry, type_name)?)?;
            if wanted.contains(&*name) {
                found.sizes.insert(name, word(entry, size)?);
            }
            Some(())
        })?;
        each(memory, [first, stride, name, value], |entry, [name, value]| {
            let name = texts.short(word(entry, name)?)?;
            found.constants.insert(name, word(entry, value)? as u32);
            Some(())
        })?;
        Some(found)
    }

    /// Has a field behind all others of its struct.
    pub(super) fn say(&mut self, name: &str, kind: &str) {
        let of = name.split_once("::").map_or(name, |(of, _)| of);
        let place = 8 * self.of(of).count() as u64;
        self.fields.insert(name.to_owned(), Field { kind: kind.to_owned(), place });
    }

    pub(super) fn say_size(&mut self, name: &str, size: u64) {
        self.sizes.insert(name.to_owned(), size);
    }

    pub(super) fn say_constant(&mut self, name: &str, value: u32) {
        self.constants.insert(name.to_owned(), value);
    }

    /// Named `Struct::_field`.
    pub(super) fn field(&self, name: &'static str) -> Result<&Field, Missing> {
        self.fields.get(name).ok_or(Missing(name))
    }

    /// The first of these that there is.
    pub(super) fn one_of(&self, names: &[&'static str]) -> Result<&Field, Missing> {
        let found = names.iter().find_map(|name| self.fields.get(*name));
        found.ok_or(Missing(names.first().copied().unwrap_or_default()))
    }

    /// In a struct.
    pub(super) fn offset(&self, name: &'static str) -> Result<u16, Missing> {
        u16::try_from(self.field(name)?.place).map_err(|_| Missing(name))
    }

    /// Of a struct, in bytes.
    pub(super) fn size(&self, name: &'static str) -> Result<u16, Missing> {
        self.sizes.get(name).and_then(|size| u16::try_from(*size).ok()).ok_or(Missing(name))
    }

    pub(super) fn constant(&self, names: &[&'static str]) -> Result<u32, Missing> {
        let found = names.iter().find_map(|name| self.constants.get(*name));
        found.copied().ok_or(Missing(names.first().copied().unwrap_or_default()))
    }

    /// The fields of a struct: their names, each with its place.
    pub(super) fn of<'s>(&'s self, name: &'s str) -> impl Iterator<Item = (&'s str, &'s Field)> {
        self.fields.iter().filter_map(move |(field, what)| {
            let field = field.strip_prefix(name)?.strip_prefix("::")?;
            Some((field, what))
        })
    }
}

/// Hands over each entry of a table, which ends with one whose first part is zero, and where its parts are.
fn each<const SYMBOLS: usize, const PARTS: usize>(
    memory: &dyn ReadMemory,
    symbols: [u64; SYMBOLS],
    mut take: impl FnMut(&[u8], [usize; PARTS]) -> Option<()>,
) -> Option<()> {
    let [first, stride, parts @ ..] = symbols.as_slice() else { return None };
    let mut at = memory.pointer(*first)?;
    let stride = memory.word(*stride).filter(|stride| (8..=MAX_ENTRY).contains(stride))?;
    let mut places = [0; PARTS];
    for (place, symbol) in places.iter_mut().zip(parts) {
        *place = usize::try_from(memory.word(*symbol)?).ok()?;
    }
    let name = places.first().copied()?;
    // Eight bytes more: what is shorter is read as a word, too.
    let mut entry = vec![0; usize::try_from(stride).ok()? + 8];
    for _ in 0..MAX_ENTRIES {
        let (own, _) = entry.split_at_mut_checked(usize::try_from(stride).ok()?)?;
        if !memory.read(at, own) {
            return None;
        }
        if word(&entry, name)? == 0 {
            break;
        }
        // What cannot be read is not known.
        let _ = take(&entry, places);
        at = at.checked_add(stride)?;
    }
    Some(())
}

fn word(entry: &[u8], at: usize) -> Option<u64> {
    entry.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Names by their addresses: most are there many times.
struct Texts<'m> {
    memory: &'m dyn ReadMemory,
    known: HashMap<u64, Option<String>>,
}

impl Texts<'_> {
    fn short(&mut self, address: u64) -> Option<String> {
        let memory = self.memory;
        let read = || String::from_utf8(memory.terminated(address, LONGEST_NAME)?).ok();
        if self.known.len() >= MAX_ENTRIES {
            return read();
        }
        self.known.entry(address).or_insert_with(read).clone()
    }
}
