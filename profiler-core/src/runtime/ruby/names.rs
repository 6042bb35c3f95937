//! Names of methods and classes. Methods are called by numbers; of these Ruby has a table.

use std::ops::Range;

use super::layout::{Class, Layout};
use super::objects::{CLASS, MODULE, Objects};
use crate::runtime::memory::ReadMemory;

/// Numbers up to this one are operators', as they are; all others are shifted by what is said of them (`ID_SCOPE_SHIFT`).
const OPERATORS: u64 = 1000;
const SCOPE_SHIFT: u64 = 4;
/// The table has arrays of so many names (`ID_ENTRY_UNIT`), each with a text and a symbol.
const NAMES_AN_ARRAY: u64 = 512;
/// What the interpreter itself calls its variables is among the first.
const FIRST_NAMES: u64 = 4096;
/// No program has more names.
const MAX_NAMES: u64 = 1 << 26;
/// Variables of a class that are looked at.
const MAX_VARIABLES: u64 = 4096;

/// What names of a process begin with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    /// The array of arrays.
    table: u64,
    /// The numbers of `__classpath__` and `__attached__`, where classes have variables.
    class_path: u64,
    attached: u64,
}

impl Names {
    /// As if it had been found.
    pub(super) fn assumed(table: u64, class_path: u64, attached: u64) -> Self {
        Self { table, class_path, attached }
    }

    /// Looks for `ruby_global_symbols` among Ruby's variables: a number of names, an address, and an array of just so many
    /// arrays.
    pub(super) fn find(memory: &dyn ReadMemory, layout: &Layout, variables: &Range<u64>) -> Option<Self> {
        let objects = Objects { memory, layout };
        let count = usize::try_from(variables.end.saturating_sub(variables.start) / 8).ok()?;
        let words = memory.words(variables.start, count.min(1 << 20));
        let table = words.windows(3).find_map(|words| {
            let [last, texts, table] = *words else { return None };
            let last = last & u64::from(u32::MAX);
            let is_number = last > OPERATORS && last < MAX_NAMES && texts > 4096 && texts & 7 == 0;
            let (length, _) = objects.array(table).filter(|_| is_number)?;
            let is_array = |place| objects.element(table, place).and_then(|array| objects.array(array)).is_some();
            (length == last / NAMES_AN_ARRAY + 1 && is_array(0) && is_array(length - 1)).then_some(table)
        })?;
        let mut names = Self { table, class_path: 0, attached: 0 };
        if layout.class == Class::Variable {
            let number =
                |name: &str| (1..FIRST_NAMES).find(|number| names.text(objects, *number).as_deref() == Some(name));
            (names.class_path, names.attached) = (number("__classpath__")?, number("__attached__")?);
        }
        Some(names)
    }

    /// What a method is called, by its number.
    pub(super) fn method(&self, objects: Objects<'_>, number: u64) -> Option<String> {
        self.text(objects, serial(number))
    }

    /// A method with the class that it is a method of, as Ruby's users write it.
    pub(super) fn qualified(&self, objects: Objects<'_>, owner: u64, method: &str) -> String {
        self.class_and_mark(objects, owner).map_or_else(|| method.to_owned(), |class| class + method)
    }

    /// None of a class without a name.
    fn class_and_mark(&self, objects: Objects<'_>, owner: u64) -> Option<String> {
        let flags = objects.flags(owner)?;
        let is_singleton = flags & 0x1f == CLASS && flags & objects.layout.singleton != 0;
        let (named, mark) = if is_singleton { (self.attached_to(objects, owner)?, '.') } else { (owner, '#') };
        if !matches!(objects.kind(named)?, CLASS | MODULE) {
            return None;
        }
        let mut name = self.class(objects, named)?;
        name.push(mark);
        Some(name)
    }

    fn class(&self, objects: Objects<'_>, class: u64) -> Option<String> {
        let text = match objects.layout.class {
            Class::Variable => variable(objects, class, self.class_path)?,
            Class::Shape => return None,
            Class::Field => {
                // A name that is not lasting has an address in it.
                let bits = objects.memory.word(class.wrapping_add(FIELD_BITS))?;
                if bits >> 40 & 1 == 0 {
                    return None;
                }
                objects.memory.word(class.wrapping_add(FIELD_PATH))?
            }
        };
        objects.text(text)
    }

    fn attached_to(&self, objects: Objects<'_>, class: u64) -> Option<u64> {
        match objects.layout.class {
            Class::Variable => variable(objects, class, self.attached),
            Class::Shape => None,
            Class::Field => objects.memory.word(class.wrapping_add(FIELD_ATTACHED)),
        }
    }

    fn text(&self, objects: Objects<'_>, serial: u64) -> Option<String> {
        let array = objects.element(self.table, serial / NAMES_AN_ARRAY)?;
        objects.text(objects.element(array, serial % NAMES_AN_ARRAY * 2)?)
    }
}

/// `rb_classext_t` begins at 32: `as.singleton_class.attached_object`, the word with `max_iv_count`, `variation_count` and
/// the bit `permanent_classpath`, and `classpath` (`internal/class.h`, 3.3 and 3.4).
const FIELD_ATTACHED: u64 = 32 + 96;
const FIELD_BITS: u64 = 32 + 112;
const FIELD_PATH: u64 = 32 + 120;
/// `RClass.ptr`, and `rb_classext_t.iv_tbl` in it (2.7 to 3.1).
const EXTENSION: u16 = 24;
const VARIABLES: u16 = 8;

/// `rb_id_to_serial`
fn serial(number: u64) -> u64 {
    if number > OPERATORS { number >> SCOPE_SHIFT } else { number }
}

/// A variable of a class, from its `st_table`: `entries_start`, `entries_bound` and `entries`, each { hash, key, record }.
fn variable(objects: Objects<'_>, class: u64, number: u64) -> Option<u64> {
    let table = objects.field(objects.field(class, EXTENSION)?, VARIABLES)?;
    let (start, end, entries) = (objects.field(table, 32)?, objects.field(table, 40)?, objects.field(table, 48)?);
    (start..end.min(start.saturating_add(MAX_VARIABLES))).find_map(|place| {
        let entry = entries.wrapping_add(place.wrapping_mul(24));
        let [hash, key, record] = *objects.memory.words(entry, 3) else { return None };
        // Those that were removed.
        (hash != u64::MAX && serial(key) == number).then_some(record)
    })
}
