//! Functions of PHP, and code of files: what they are called, and where they are.

use super::layout::{FUNCTIONS, Layout};
use super::objects;
use crate::runtime::check::check_of;
use crate::runtime::memory::ReadMemory;
use crate::symbolizer::Function;

/// A function, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PhpFunction {
    /// `Namespace\Class::method`; of code of a file that another one has included `include:path`.
    name: String,
    /// Empty of one that is written in C.
    file: String,
    first_line: u32,
    /// It is code of a file or of a text, and no function.
    is_code: bool,
}

/// What stands for the script, as in PHP's own backtraces.
const SCRIPT: &str = "{main}";
/// What functions without a name are called, in their namespace and until 8.3.
const NO_NAME: &str = "{closure}";
/// `PHP_OUTERMOST` of the kernel's side.
const OUTERMOST: u32 = 1 << 31;

impl PhpFunction {
    /// As it stands in a stack, at the place that a frame says.
    pub(crate) fn at(&self, place: u32) -> Function<'_> {
        let name = if self.is_code && place & OUTERMOST != 0 { SCRIPT } else { &self.name };
        let line = match place & !OUTERMOST {
            0 => self.first_line,
            said => said,
        };
        Function { name, system_name: name, file: &self.file, line, start_line: self.first_line }
    }

    /// In bytes.
    pub(crate) fn footprint(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.file.len()
    }
}

/// `zend_function`: type, function_name, scope.
const TYPE: u64 = 0;
const NAME: u64 = 8;
const SCOPE: u64 = 16;
/// `ZEND_INTERNAL_FUNCTION`, `ZEND_USER_FUNCTION`, `ZEND_EVAL_CODE`
const INTERNAL: u8 = 1;
const USER: u8 = 2;
const EVALUATED: u8 = 4;
/// `zend_execute_data`: opline, func, prev_execute_data.
const FRAME_PLACE: u64 = 0;
const FRAME_FUNCTION: u64 = 24;
const FRAME_CALLER: u64 = 48;
/// `zend_op`
const INSTRUCTION_SIZE: u64 = 32;

/// Reads what a frame stands for.
pub(super) fn read(memory: &dyn ReadMemory, layout: &Layout, address: u64, check: u16) -> Option<PhpFunction> {
    let own = |offset: u64| memory.word(address.wrapping_add(offset));
    let (name, scope) = (own(NAME)?, own(SCOPE)?);
    let class = if scope == 0 { None } else { Some(objects::class(memory, scope)?) };
    let checked = || (checked(memory, layout, address) == Some(check)).then_some(());
    checked()?;
    let function = if kind(memory, address)? == INTERNAL {
        let name = qualified(class.as_deref(), objects::text(memory, name)?);
        PhpFunction { name, file: String::new(), first_line: 0, is_code: false }
    } else {
        let file = objects::text(memory, own(layout.file.into())?)?;
        let first_line = own(layout.line.into())? as u32;
        let (name, is_code) = match objects::text(memory, name) {
            Some(name) => (qualified(class.as_deref(), with_place(name, &file, first_line)), false),
            None if kind(memory, address)? == EVALUATED => ("eval".to_owned(), true),
            None => (format!("include:{file}"), true),
        };
        PhpFunction { name, file, first_line, is_code }
    };
    // It may have been replaced meanwhile.
    checked()?;
    Some(function)
}

fn qualified(class: Option<&str>, name: String) -> String {
    match class {
        Some(class) => format!("{class}::{name}"),
        None => name,
    }
}

/// A function without a name has its place and not its namespace, as 8.4 has it for those that are in no other function.
fn with_place(name: String, file: &str, line: u32) -> String {
    if name.ends_with(NO_NAME) { format!("{{closure:{file}:{line}}}") } else { name }
}

fn kind(memory: &dyn ReadMemory, address: u64) -> Option<u8> {
    let mut kind = [0];
    memory.read(address.wrapping_add(TYPE), &mut kind).then_some(kind[0])
}

/// The check of the kernel's side.
fn checked(memory: &dyn ReadMemory, layout: &Layout, address: u64) -> Option<u16> {
    let own = |offset: u64| memory.word(address.wrapping_add(offset));
    let name = objects::hash(memory, own(NAME)?);
    Some(check_of(if kind(memory, address)? == INTERNAL {
        name ^ own(SCOPE)?
    } else {
        let file = own(layout.file.into())?;
        name ^ objects::hash(memory, file) << 1 ^ own(layout.line.into())?
    }))
}

/// Whether one of the first functions that PHP knows, all of which are written in C, is called as it is known.
pub(super) fn knows_its_own(memory: &dyn ReadMemory, globals: u64) -> bool {
    const FIRST: u64 = 8;
    let Some(table) = memory.pointer(globals.wrapping_add(FUNCTIONS)) else { return false };
    objects::first_entries(memory, table, FIRST).iter().any(|(key, function)| {
        let name = memory.word(function.wrapping_add(NAME)).and_then(|name| objects::text(memory, name));
        kind(memory, *function) == Some(INTERNAL) && name.is_some_and(|name| name.eq_ignore_ascii_case(key))
    })
}

/// Whether frames are what frames are, from the innermost on; that there are none is well.
pub(super) fn are_frames(memory: &dyn ReadMemory, layout: &Layout, innermost: u64) -> bool {
    /// Frames that are looked at.
    const MOST: usize = 64;
    let (mut frame, mut known, mut of_php) = (innermost, 0, 0);
    for _ in 0..MOST {
        if frame == 0 {
            break;
        }
        let own = |offset: u64| memory.word(frame.wrapping_add(offset));
        let (Some(place), Some(function), Some(caller)) = (own(FRAME_PLACE), own(FRAME_FUNCTION), own(FRAME_CALLER))
        else {
            return false;
        };
        match if function == 0 { Some(INTERNAL) } else { kind(memory, function) } {
            Some(INTERNAL) => {}
            Some(USER | EVALUATED) => {
                of_php += 1;
                known += usize::from(is_within(memory, layout, function, place));
            }
            _ => return false,
        }
        frame = caller;
    }
    // The innermost may be between two instructions, and one that an exception left has another one's.
    known > 0 || of_php == 0
}

/// Whether a function has a file and this instruction.
fn is_within(memory: &dyn ReadMemory, layout: &Layout, function: u64, place: u64) -> bool {
    let own = |offset: u16| memory.word(function.wrapping_add(offset.into()));
    let (Some(first), Some(count), Some(file)) = (own(layout.first), own(layout.count), own(layout.file)) else {
        return false;
    };
    let within = place.wrapping_sub(first);
    within.is_multiple_of(INSTRUCTION_SIZE)
        && within / INSTRUCTION_SIZE < count & u64::from(u32::MAX)
        && objects::text(memory, file).is_some_and(|file| !file.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_without_a_name_have_their_place() {
        let shown = |name: &str| with_place(name.to_owned(), "/srv/a.php", 12);
        assert_eq!(shown("{closure}"), "{closure:/srv/a.php:12}");
        assert_eq!(shown("Trade\\{closure}"), "{closure:/srv/a.php:12}");
        assert_eq!(shown("{closure:Trade\\Shop::offer():7}"), "{closure:Trade\\Shop::offer():7}");
        assert_eq!(shown("offer"), "offer");
    }

    #[test]
    fn code_of_a_file_is_the_script_or_included() {
        let name = "include:/srv/a.php".to_owned();
        let code = PhpFunction { name, file: "/srv/a.php".to_owned(), first_line: 1, is_code: true };
        assert_eq!((code.at(7).name, code.at(7).line), ("include:/srv/a.php", 7));
        assert_eq!((code.at(OUTERMOST | 9).name, code.at(OUTERMOST | 9).line), ("{main}", 9));
        assert_eq!(code.at(OUTERMOST).line, 1);
    }
}
