//! Where things are in the data of CoreCLR: what a process says of itself, and for 9.0 tables of the rest.

use crate::native::elf::Machine;

use super::contracts::Contracts;
use super::version::Version;
use crate::runtime::Unsupported;

/// Offsets in bytes, unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) section: Section,
    pub(super) heap: Heap,
    /// In `RealCodeHeader`: the method.
    pub(super) header_method: u16,
    pub(super) module: Module,
    pub(super) image: Image,
    /// In `HashMap`: where its buckets are.
    pub(super) map_buckets: u16,
    pub(super) method: MethodDesc,
    pub(super) chunk: Chunk,
    /// Lower bits of a method's number, which it has itself.
    pub(super) token_bits: u32,
    /// What methods of a chunk are apart, in bytes.
    pub(super) method_alignment: u64,
}

/// `RangeSection`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) flags: u16,
    pub(super) module: u16,
    pub(super) heap: u16,
}

/// `HeapList`, which contracts call `CodeHeapListNode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heap {
    pub(super) base: u16,
    pub(super) nibbles: u16,
}

/// `Module`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Module {
    /// Where its assembly begins in memory.
    pub(super) base: u16,
    pub(super) image: u16,
    /// In `MethodTable`, which is a type: its module.
    pub(super) of_table: u16,
}

/// `ReadyToRunInfo`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) whole: u16,
    pub(super) functions: u16,
    pub(super) count: u16,
    /// The `HashMap` from entry points to methods.
    pub(super) methods: u16,
}

/// `MethodDesc`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MethodDesc {
    pub(super) flags: u16,
    pub(super) token: u16,
    /// Its place in its chunk.
    pub(super) index: u16,
    /// The name of a `DynamicMethodDesc`.
    pub(super) dynamic_name: u16,
}

/// `MethodDescChunk`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Of what is before its methods.
    pub(super) size: u16,
    pub(super) table: u16,
    /// The upper bits of its methods' numbers.
    pub(super) token: u16,
}

/// What 9.0 does not say of itself: `codeman.h`, `ceeload.h`, `readytoruninfo.h` and `hash.h` of `src/coreclr/vm`, as
/// x86_64 has them; the places behind locks, whose size depends on the C library's headers, as Microsoft's builds for glibc
/// have them.
const V9_X86_64: [(&str, &str, u16); 12] = [
    ("RangeSection", "Flags", 0x10),
    ("RangeSection", "R2RModule", 0x20),
    ("RangeSection", "HeapList", 0x28),
    ("CodeHeapListNode", "MapBase", 0x20),
    ("CodeHeapListNode", "HeaderMap", 0x28),
    ("RealCodeHeader", "MethodDesc", 0x18),
    ("Module", "ReadyToRunInfo", 0x3d8),
    ("ReadyToRunInfo", "CompositeInfo", 0x28),
    ("ReadyToRunInfo", "RuntimeFunctions", 0x50),
    ("ReadyToRunInfo", "NumRuntimeFunctions", 0x58),
    ("ReadyToRunInfo", "EntryPointToMethodDescMap", 0x1b0),
    ("HashMap", "Buckets", 0x10),
];

/// The versions of contracts that are understood here. 9.0 has the structures of the execution manager, but no contract.
const CONTRACTS: [(&str, &[u64]); 3] = [("RuntimeTypeSystem", &[1]), ("Loader", &[1]), ("ExecutionManager", &[1, 2])];

/// Most bits of a method's number in itself: there are 16 with its flags.
const MAX_TOKEN_BITS: u64 = 16;

impl Layout {
    /// Whether enough is known of a version on a processor, with what its processes will say.
    pub(super) fn is_known(version: Version, machine: Machine) -> bool {
        version == Version::V10 || table(version, machine).is_some()
    }

    pub(super) fn of(version: Version, machine: Machine, contracts: &Contracts) -> Result<Self, Unsupported> {
        let table = table(version, machine).unwrap_or_default();
        for (contract, understood) in CONTRACTS {
            match contracts.version(contract) {
                Some(found) if understood.contains(&found) => {}
                None if contract == "ExecutionManager" && !table.is_empty() => {}
                found => return Err(Unsupported(format!("{contract} of version {found:?} is not known"))),
            }
        }
        let field = |of: &str, name: &str| {
            let listed = || table.iter().find(|row| (row.0, row.1) == (of, name)).map(|row| row.2);
            let missing = || Unsupported(format!("it does not say where {of}.{name} is"));
            contracts.field(of, name).or_else(listed).ok_or_else(missing)
        };
        let number = |name: &str, of: std::ops::RangeInclusive<u64>| {
            let missing = || Unsupported(format!("it does not say what {name} is"));
            contracts.number(name).filter(|number| of.contains(number)).ok_or_else(missing)
        };
        let missing = || Unsupported("it does not say how large MethodDescChunk is".to_owned());
        Ok(Self {
            section: Section {
                flags: field("RangeSection", "Flags")?,
                module: field("RangeSection", "R2RModule")?,
                heap: field("RangeSection", "HeapList")?,
            },
            heap: Heap {
                base: field("CodeHeapListNode", "MapBase")?,
                nibbles: field("CodeHeapListNode", "HeaderMap")?,
            },
            header_method: field("RealCodeHeader", "MethodDesc")?,
            module: Module {
                base: field("Module", "Base")?,
                image: field("Module", "ReadyToRunInfo")?,
                of_table: field("MethodTable", "Module")?,
            },
            image: Image {
                whole: field("ReadyToRunInfo", "CompositeInfo")?,
                functions: field("ReadyToRunInfo", "RuntimeFunctions")?,
                count: field("ReadyToRunInfo", "NumRuntimeFunctions")?,
                methods: field("ReadyToRunInfo", "EntryPointToMethodDescMap")?,
            },
            map_buckets: field("HashMap", "Buckets")?,
            method: MethodDesc {
                flags: field("MethodDesc", "Flags")?,
                token: field("MethodDesc", "Flags3AndTokenRemainder")?,
                index: field("MethodDesc", "ChunkIndex")?,
                dynamic_name: field("DynamicMethodDesc", "MethodName")?,
            },
            chunk: Chunk {
                size: contracts.size("MethodDescChunk").ok_or_else(missing)?,
                table: field("MethodDescChunk", "MethodTable")?,
                token: field("MethodDescChunk", "FlagsAndTokenRange")?,
            },
            token_bits: number("MethodDescTokenRemainderBitCount", 8..=MAX_TOKEN_BITS)? as u32,
            method_alignment: number("MethodDescAlignment", 1..=64)?,
        })
    }
}

fn table(version: Version, machine: Machine) -> Option<&'static [(&'static str, &'static str, u16)]> {
    (version == Version::V9 && machine == Machine::X86_64).then_some(&V9_X86_64)
}
