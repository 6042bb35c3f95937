//! Where the parts of a profile's message lie. Writers keep the entries of a table together: who knows from where to where
//! they go need not pass the whole message to find them.

use std::ops::Range;

use super::fields::{Damaged, Field, Fields, fields};

/// The fields of a profile that are tables, as profile.proto numbers them.
pub(crate) const TYPES: u32 = 1;
pub(crate) const SAMPLES: u32 = 2;
pub(crate) const MAPPINGS: u32 = 3;
pub(crate) const LOCATIONS: u32 = 4;
pub(crate) const FUNCTIONS: u32 = 5;
pub(crate) const TEXTS: u32 = 6;
const TABLES: usize = 7;
/// When a profile was taken, and for how long.
pub(crate) const TIME: u32 = 9;
pub(crate) const DURATION: u32 = 10;

/// A message of which each field has been seen once: it is not cut short.
#[derive(Debug)]
pub(crate) struct Sections<'a> {
    message: &'a [u8],
    tables: [Table; TABLES],
    /// All that belongs to no table, from its first to its last.
    rest: Range<usize>,
}

#[derive(Debug, Clone, Default)]
struct Table {
    count: usize,
    /// From its first entry to its last; entries of others may lie between.
    bytes: Range<usize>,
}

impl<'a> Sections<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Result<Self, Damaged> {
        let mut sections = Self { message, tables: Default::default(), rest: 0..0 };
        let mut all = Fields::of(message, "the message");
        let mut from = 0;
        while let Some(field) = all.next() {
            let tag = field?.tag;
            let to = message.len() - all.rest().len();
            let bytes = match sections.tables.get_mut(tag as usize) {
                Some(table) => {
                    table.count += 1;
                    &mut table.bytes
                }
                _ => &mut sections.rest,
            };
            *bytes = if bytes.end == 0 { from..to } else { bytes.start..to };
            from = to;
        }
        Ok(sections)
    }

    pub(crate) fn count(&self, tag: u32) -> usize {
        self.tables.get(tag as usize).map_or(0, |table| table.count)
    }

    /// The entries of a table.
    pub(crate) fn fields(&self, tag: u32) -> impl Iterator<Item = Result<Field<'a>, Damaged>> + use<'a> {
        let bytes = self.tables.get(tag as usize).map(|table| table.bytes.clone()).unwrap_or_default();
        fields(self.part(bytes), "the message", tag)
    }

    /// What the profile says of itself.
    pub(crate) fn rest(&self) -> impl Iterator<Item = Result<Field<'a>, Damaged>> + use<'a> {
        let fields = Fields::of(self.part(self.rest.clone()), "the message");
        fields.filter(|field| field.as_ref().map_or(true, |field| !(TYPES..=TEXTS).contains(&field.tag)))
    }

    fn part(&self, bytes: Range<usize>) -> &'a [u8] {
        self.message.get(bytes).unwrap_or_default()
    }
}
