//! Methods of Java: what they are called, and where their lines are.

use super::super::memory::ReadMemory;
use super::layout::{Layout, Source};
use super::lines::Lines;
use crate::jfr;

/// Longest name that is read, in bytes; in a class file it may have 65,535.
const LONGEST_NAME: u64 = 4096;
/// Largest table of lines that is read, in bytes.
const MAX_LINES: u64 = 128 << 10;
/// Classes without a package have no folder.
const PACKAGES: char = '/';

/// A method, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Method {
    /// `package.Class.method`.
    pub(super) name: Box<str>,
    /// `package/Class.method(I)V`.
    pub(super) system_name: Box<str>,
    /// `package/Class.java`.
    pub(super) file: Box<str>,
    pub(super) lines: Lines,
}

/// What tells a method from another one in the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    method: u64,
    pub(super) constant: u64,
    pool: u64,
    holder: u64,
    class: u64,
}

impl Identity {
    pub(super) fn read(layout: &Layout, memory: &dyn ReadMemory, method: u64) -> Option<Self> {
        let at = |of: u64, offset: u16| memory.pointer(of.checked_add(offset.into())?);
        let constant = at(method, layout.method_const)?;
        let pool = at(constant, layout.const_pool)?;
        let holder = at(pool, layout.pool_holder)?;
        let class = at(holder, layout.class_name)?;
        Some(Self { method, constant, pool, holder, class })
    }
}

impl Method {
    pub(super) fn read(layout: &Layout, memory: &dyn ReadMemory, identity: Identity) -> Option<Self> {
        let Identity { constant, pool, holder, class, .. } = identity;
        let named = |offset: u16| constant_text(layout, memory, pool, short(memory, constant, offset)?);
        let class = symbol(layout, memory, class).filter(|name| !name.is_empty())?;
        let method = named(layout.const_name).filter(|name| !name.is_empty())?;
        let signature = named(layout.const_signature).filter(|signature| signature.starts_with('('))?;
        let source = match layout.source {
            Source::Pool(offset) => short(memory, pool, offset),
            Source::Class(offset) => short(memory, holder, offset),
        };
        // Many generated classes have none.
        let source = source.filter(|place| *place != 0);
        let source = source.and_then(|place| constant_text(layout, memory, pool, place)).unwrap_or_default();
        let package = class.rfind(PACKAGES).and_then(|end| class.get(..=end)).unwrap_or_default();
        let file = if source.is_empty() { String::new() } else { format!("{package}{source}") };
        Some(Self {
            name: jfr::function_name(&class, &method, true).into(),
            system_name: format!("{class}.{method}{signature}").into(),
            file: file.into(),
            lines: lines(layout, memory, constant).unwrap_or_default(),
        })
    }

    /// In bytes.
    pub(super) fn footprint(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.system_name.len() + self.file.len() + self.lines.footprint()
    }
}

/// What is behind a method's bytecode.
fn lines(layout: &Layout, memory: &dyn ReadMemory, constant: u64) -> Option<Lines> {
    if layout.const_flags.read(memory, constant)? & u64::from(layout.const_has_lines) == 0 {
        return None;
    }
    let length = short(memory, constant, layout.const_length)?;
    let begin = u64::from(layout.const_size) + u64::from(length);
    // In words.
    let end = layout.const_total.read(memory, constant)?.checked_mul(8)?;
    let size = end.checked_sub(begin)?.min(MAX_LINES);
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    memory.read(constant.checked_add(begin)?, &mut bytes).then(|| Lines::read(&bytes, layout.version))
}

/// A text among the constants of a class.
fn constant_text(layout: &Layout, memory: &dyn ReadMemory, pool: u64, place: u16) -> Option<String> {
    let length = memory.word(pool.checked_add(layout.pool_length.into())?)? as u32;
    if place == 0 || u32::from(place) >= length {
        return None;
    }
    let at = pool.checked_add(u64::from(layout.pool_size) + 8 * u64::from(place))?;
    symbol(layout, memory, memory.pointer(at)?)
}

fn symbol(layout: &Layout, memory: &dyn ReadMemory, address: u64) -> Option<String> {
    let length = layout.symbol_length.read(memory, address).filter(|length| *length <= LONGEST_NAME)?;
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    if !memory.read(address.checked_add(layout.symbol_body.into())?, &mut bytes) {
        return None;
    }
    // Characters beyond the sixteenth bit are written as two: these are replaced.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (!text.contains(char::is_control)).then_some(text)
}

fn short(memory: &dyn ReadMemory, of: u64, offset: u16) -> Option<u16> {
    let mut bytes = [0; 2];
    memory.read(of.checked_add(offset.into())?, &mut bytes).then(|| u16::from_le_bytes(bytes))
}
