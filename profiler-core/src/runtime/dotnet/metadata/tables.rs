//! Tables of metadata: rows of one size, whose columns are as wide as the tables and heaps are large that they lead to
//! (ECMA-335, II.22 and II.24.2.6).

use super::{half, short};
use crate::runtime::memory::ReadMemory;

/// Those up to the last one that is read here.
#[derive(Debug)]
pub(super) struct Tables([Table; TABLES]);

#[derive(Debug, Clone, Copy, Default)]
struct Table {
    address: u64,
    rows: u32,
    row_size: u32,
    /// Of each column: where it begins in a row, and whether it has four bytes.
    columns: [(u8, bool); MAX_COLUMNS],
}

/// A column of a table, by the numbers of both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column(pub(super) usize, pub(super) usize);

const TABLES: usize = 0x2a;
const MAX_COLUMNS: usize = 9;
/// The most rows that a number of a row reaches.
const MAX_ROWS: u32 = 1 << 24;

/// What a column is, by which it is two bytes wide or four.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Two,
    Four,
    /// A place in a heap, by its bit in the sizes of heaps.
    Heap(u8),
    /// A row of a table.
    Row(usize),
    /// A row of one of these tables, which so many lower bits tell.
    OneOf(u32, &'static [usize]),
}

use Kind::{Four, Heap, OneOf, Row, Two};

const STRING: Kind = Heap(1);
const GUID: Kind = Heap(2);
const BLOB: Kind = Heap(4);
const TYPE_DEF_OR_REF: Kind = OneOf(2, &[0x02, 0x01, 0x1b]);
const HAS_CONSTANT: Kind = OneOf(2, &[0x04, 0x08, 0x17]);
const HAS_CUSTOM_ATTRIBUTE: Kind = OneOf(
    5,
    &[
        0x06, 0x04, 0x01, 0x02, 0x08, 0x09, 0x0a, 0x00, 0x0e, 0x17, 0x14, 0x11, 0x1a, 0x1b, 0x20, 0x23, 0x26, 0x27,
        0x28, 0x2a, 0x2c, 0x2b,
    ],
);
const HAS_FIELD_MARSHAL: Kind = OneOf(1, &[0x04, 0x08]);
const HAS_DECL_SECURITY: Kind = OneOf(2, &[0x02, 0x06, 0x20]);
const MEMBER_REF_PARENT: Kind = OneOf(3, &[0x02, 0x01, 0x1a, 0x06, 0x1b]);
const HAS_SEMANTICS: Kind = OneOf(1, &[0x14, 0x17]);
const METHOD_DEF_OR_REF: Kind = OneOf(1, &[0x06, 0x0a]);
const MEMBER_FORWARDED: Kind = OneOf(1, &[0x04, 0x06]);
const IMPLEMENTATION: Kind = OneOf(2, &[0x26, 0x23, 0x27]);
const CUSTOM_ATTRIBUTE_TYPE: Kind = OneOf(3, &[0x06, 0x0a]);
const RESOLUTION_SCOPE: Kind = OneOf(2, &[0x00, 0x1a, 0x23, 0x01]);

/// By the number of a table, its columns (II.22.2 to II.22.39).
const COLUMNS: [&[Kind]; TABLES] = [
    &[Two, STRING, GUID, GUID, GUID],                               // 00 Module
    &[RESOLUTION_SCOPE, STRING, STRING],                            // 01 TypeRef
    &[Four, STRING, STRING, TYPE_DEF_OR_REF, Row(0x04), Row(0x06)], // 02 TypeDef
    &[Row(0x04)],                                                   // 03 FieldPtr
    &[Two, STRING, BLOB],                                           // 04 Field
    &[Row(0x06)],                                                   // 05 MethodPtr
    &[Four, Two, Two, STRING, BLOB, Row(0x08)],                     // 06 MethodDef
    &[Row(0x08)],                                                   // 07 ParamPtr
    &[Two, Two, STRING],                                            // 08 Param
    &[Row(0x02), TYPE_DEF_OR_REF],                                  // 09 InterfaceImpl
    &[MEMBER_REF_PARENT, STRING, BLOB],                             // 0a MemberRef
    &[Two, HAS_CONSTANT, BLOB],                                     // 0b Constant
    &[HAS_CUSTOM_ATTRIBUTE, CUSTOM_ATTRIBUTE_TYPE, BLOB],           // 0c CustomAttribute
    &[HAS_FIELD_MARSHAL, BLOB],                                     // 0d FieldMarshal
    &[Two, HAS_DECL_SECURITY, BLOB],                                // 0e DeclSecurity
    &[Two, Four, Row(0x02)],                                        // 0f ClassLayout
    &[Four, Row(0x04)],                                             // 10 FieldLayout
    &[BLOB],                                                        // 11 StandAloneSig
    &[Row(0x02), Row(0x14)],                                        // 12 EventMap
    &[Row(0x14)],                                                   // 13 EventPtr
    &[Two, STRING, TYPE_DEF_OR_REF],                                // 14 Event
    &[Row(0x02), Row(0x17)],                                        // 15 PropertyMap
    &[Row(0x17)],                                                   // 16 PropertyPtr
    &[Two, STRING, BLOB],                                           // 17 Property
    &[Two, Row(0x06), HAS_SEMANTICS],                               // 18 MethodSemantics
    &[Row(0x02), METHOD_DEF_OR_REF, METHOD_DEF_OR_REF],             // 19 MethodImpl
    &[STRING],                                                      // 1a ModuleRef
    &[BLOB],                                                        // 1b TypeSpec
    &[Two, MEMBER_FORWARDED, STRING, Row(0x1a)],                    // 1c ImplMap
    &[Four, Row(0x04)],                                             // 1d FieldRVA
    &[Four, Four],                                                  // 1e EncLog
    &[Four],                                                        // 1f EncMap
    &[Four, Two, Two, Two, Two, Four, BLOB, STRING, STRING],        // 20 Assembly
    &[Four],                                                        // 21 AssemblyProcessor
    &[Four, Four, Four],                                            // 22 AssemblyOS
    &[Two, Two, Two, Two, Four, BLOB, STRING, STRING, BLOB],        // 23 AssemblyRef
    &[Four, Row(0x23)],                                             // 24 AssemblyRefProcessor
    &[Four, Four, Four, Row(0x23)],                                 // 25 AssemblyRefOS
    &[Four, STRING, BLOB],                                          // 26 File
    &[Four, Four, STRING, STRING, IMPLEMENTATION],                  // 27 ExportedType
    &[Four, Four, STRING, IMPLEMENTATION],                          // 28 ManifestResource
    &[Row(0x02), Row(0x02)],                                        // 29 NestedClass
];

/// Where the rows of methods are not in the order of their types.
const METHOD_POINTERS: usize = 0x05;
/// `ExtraData`, in the sizes of heaps: a number more before the tables.
const EXTRA: u8 = 0x40;

impl Tables {
    /// Those of the stream `#~` at an address.
    pub(super) fn read(memory: &dyn ReadMemory, stream: u64) -> Option<Self> {
        // { u32 reserved; u8 major, minor; u8 heaps; u8 reserved; u64 there; u64 sorted; u32 rows[]; … }
        let mut heaps = [0];
        memory.read(stream.checked_add(6)?, &mut heaps).then_some(())?;
        let [heaps] = heaps;
        let there = memory.word(stream.checked_add(8)?)?;
        let mut at = stream.checked_add(24)?;
        let mut rows = [0; u64::BITS as usize];
        for (table, rows) in rows.iter_mut().enumerate().filter(|(table, _)| there >> table & 1 != 0) {
            *rows = half(memory, at).filter(|rows| *rows < MAX_ROWS || table >= TABLES)?;
            at = at.checked_add(4)?;
        }
        if heaps & EXTRA != 0 {
            at = at.checked_add(4)?;
        }
        let mut tables = [Table::default(); TABLES];
        for ((table, columns), rows_of) in tables.iter_mut().zip(COLUMNS).zip(rows) {
            *table = Table::new(at, rows_of, columns, |column| column.is_wide(heaps, &rows));
            at = at.checked_add(u64::from(table.row_size) * u64::from(table.rows))?;
        }
        let tables = Self(tables);
        (tables.0.get(METHOD_POINTERS)?.rows == 0).then_some(tables)
    }

    /// Rows are counted from 1 on.
    pub(super) fn value(&self, memory: &dyn ReadMemory, column: Column, row: u32) -> Option<u32> {
        let table = self.0.get(column.0)?;
        let (start, is_wide) = *table.columns.get(column.1)?;
        let row = row.checked_sub(1).filter(|row| *row < table.rows)?;
        let at = table.address.checked_add(u64::from(row) * u64::from(table.row_size) + u64::from(start))?;
        if is_wide { half(memory, at) } else { short(memory, at, 0).map(u32::from) }
    }

    /// Of a column whose values rise: the last row in which it is no more than that.
    pub(super) fn last_at_most(&self, memory: &dyn ReadMemory, column: Column, most: u32) -> Option<u32> {
        let (mut low, mut high) = (0, self.0.get(column.0)?.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.value(memory, column, middle + 1)? <= most {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (low != 0).then_some(low)
    }
}

impl Table {
    fn new(address: u64, rows: u32, columns: &[Kind], is_wide: impl Fn(Kind) -> bool) -> Self {
        let mut table = Self { address, rows, ..Self::default() };
        for (column, into) in columns.iter().zip(&mut table.columns) {
            let is_wide = is_wide(*column);
            *into = (table.row_size as u8, is_wide);
            table.row_size += if is_wide { 4 } else { 2 };
        }
        table
    }
}

impl Kind {
    fn is_wide(self, heaps: u8, rows: &[u32]) -> bool {
        let rows_of = |table: &usize| rows.get(*table).copied().unwrap_or(0);
        match self {
            Two => false,
            Four => true,
            Heap(bit) => heaps & bit != 0,
            Row(table) => rows_of(&table) > u32::from(u16::MAX),
            OneOf(bits, tables) => tables.iter().map(rows_of).any(|rows| rows >= 1 << (16 - bits)),
        }
    }
}
