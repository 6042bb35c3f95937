//! How large the frames of Go's functions are, from address to address: what the runtime itself walks stacks by, so that no
//! linker leaves it out.

use super::super::super::elf::ElfFile;
use super::table::{MAX_STEPS, Steps, Table};
use super::{find, module, text};

/// Those of one function.
#[derive(Debug)]
pub(crate) struct Frames<'t> {
    /// The function's, as its source has it.
    pub(crate) name: &'t [u8],
    pub(crate) start: u64,
    /// Where the next one begins.
    pub(crate) end: u64,
    /// It was not compiled; Go said so first in 1.18.
    pub(crate) is_assembly: bool,
    /// It sets the stack pointer to what sizes do not say; Go said so first in 1.17.
    pub(crate) switches_stack: bool,
    /// How many bytes are on the stack above the return address, from an address on that is counted from `start`.
    pub(crate) sizes: Steps,
}

/// Tells `each` function of a Go program of its frames. False if it is none.
///
/// # Errors
/// Those of `each`.
pub(crate) fn frames<E>(file: &ElfFile, mut each: impl FnMut(Frames<'_>) -> Result<(), E>) -> Result<bool, E> {
    let Some((address, bytes)) = find(file) else { return Ok(false) };
    let Some(table) = Table::parse(&bytes) else { return Ok(true) };
    let Some(text) = text(file, module(file, address, &table).as_ref(), &table) else { return Ok(true) };
    let mut left = MAX_STEPS;
    for function in table.functions(text) {
        let name = usize::try_from(function.name).ok().and_then(|from| table.names.get(from..)).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let length = u32::try_from(function.end - function.start).unwrap_or(u32::MAX);
        each(Frames {
            // As the linker calls those that keep to the first of Go's ways to call.
            name: name.strip_suffix(b".abi0").unwrap_or(name),
            start: function.start,
            end: function.end,
            is_assembly: function.is_assembly,
            switches_stack: function.switches_stack,
            sizes: table.steps(function.frame, length, &mut left),
        })?;
    }
    Ok(true)
}
