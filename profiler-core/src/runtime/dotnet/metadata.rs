//! Names of methods in an assembly, as it lies in memory: a file of PE/COFF, whose metadata are tables (ECMA-335, II.24).

use super::{Method, half, short, text};
use crate::runtime::memory::ReadMemory;
use tables::{Column, Tables};

mod portable;
mod tables;

/// Where an assembly's names are.
#[derive(Debug)]
pub(super) struct Metadata {
    /// Where it begins in memory.
    base: u64,
    tables: Tables,
    /// The heap `#Strings`.
    strings: u64,
    file: String,
}

/// Longest part of a name, in bytes.
const MAX_NAME: usize = 1024;
/// Types around a type.
const MAX_NESTING: usize = 16;

const MODULE: usize = 0x00;
const TYPE: usize = 0x02;
const METHOD: usize = 0x06;
const NESTED: usize = 0x29;
/// Columns of these tables.
const MODULE_NAME: Column = Column(MODULE, 1);
const TYPE_NAME: Column = Column(TYPE, 1);
const TYPE_NAMESPACE: Column = Column(TYPE, 2);
const TYPE_METHODS: Column = Column(TYPE, 5);
const METHOD_NAME: Column = Column(METHOD, 3);
const NESTED_TYPE: Column = Column(NESTED, 0);
const NESTED_OUTER: Column = Column(NESTED, 1);

impl Metadata {
    /// The assembly that begins at an address.
    pub(super) fn read(memory: &dyn ReadMemory, base: u64) -> Option<Self> {
        let root = portable::metadata(memory, base)?;
        let streams = portable::streams(memory, root)?;
        let tables = Tables::read(memory, streams.tables)?;
        let mut metadata = Self { base, tables, strings: streams.strings, file: String::new() };
        metadata.file = metadata.string(memory, MODULE_NAME, 1)?;
        Some(metadata)
    }

    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// In bytes.
    pub(super) fn footprint(&self) -> usize {
        size_of::<Self>() + self.file.len()
    }

    /// A method by its number, from 1 on.
    pub(super) fn method(&self, memory: &dyn ReadMemory, number: u32) -> Option<Method> {
        let method = self.string(memory, METHOD_NAME, number)?;
        // A type has the methods from its first one up to the first of the next.
        let of = self.tables.last_at_most(memory, TYPE_METHODS, number)?;
        let mut name = self.string(memory, TYPE_NAME, of)?;
        let mut outermost = of;
        for _ in 0..MAX_NESTING {
            let Some(outer) = self.outer(memory, outermost) else { break };
            name = format!("{}+{name}", self.string(memory, TYPE_NAME, outer)?);
            outermost = outer;
        }
        let namespace = self.string(memory, TYPE_NAMESPACE, outermost);
        let namespace = namespace.map(|namespace| namespace + ".").unwrap_or_default();
        // Constructors begin with a dot of their own, as in `Type..ctor`.
        Some(Method { name: format!("{namespace}{name}.{method}"), file: self.file.clone() })
    }

    /// The type that a type is in.
    fn outer(&self, memory: &dyn ReadMemory, of: u32) -> Option<u32> {
        let row = self.tables.last_at_most(memory, NESTED_TYPE, of)?;
        (self.tables.value(memory, NESTED_TYPE, row)? == of).then(|| self.tables.value(memory, NESTED_OUTER, row))?
    }

    fn string(&self, memory: &dyn ReadMemory, column: Column, row: u32) -> Option<String> {
        let offset = self.tables.value(memory, column, row)?;
        text(memory, self.strings.checked_add(offset.into())?, MAX_NAME)
    }
}
