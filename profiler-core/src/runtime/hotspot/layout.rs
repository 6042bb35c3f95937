//! Where things are in a JVM, as it says itself. What it does not say, and has from which version on, stands here.

use super::super::memory::ReadMemory;
use super::structs::{Field, Missing, Structs};

/// The structs that are asked for.
pub(super) const WANTED: &[&str] = &[
    "Abstract_VM_Version",
    "AbstractInterpreter",
    "CodeBlob",
    "CodeCache",
    "CodeHeap",
    "CompiledMethod",
    "ConstMethod",
    "ConstantPool",
    "GenericGrowableArray",
    "GrowableArray<int>",
    "GrowableArrayBase",
    "HeapBlock",
    "HeapBlock::Header",
    "InstanceKlass",
    "Klass",
    "Method",
    "PcDesc",
    "StubQueue",
    "StubRoutines",
    "Symbol",
    "VM_Version",
    "VirtualSpace",
    "nmethod",
];

/// An integer in a struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) offset: u16,
    /// In bytes: 2, 4 or 8.
    pub(super) size: u8,
}

/// Where a blob's code begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The word at this offset is its address.
    Address(u16),
    /// The number there is an offset.
    Offset(Number),
}

/// Where the descriptions of a compiled method's code are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scopes {
    /// In the blob (until 22): offsets of both from it on, and of what is behind the list.
    InBlob { list: Number, list_end: Number, data: ScopeData },
    /// In memory of their own, which the first names (from 23 on).
    Apart { memory: u16, size: Number, list: Number, data: Number },
}

/// Where the bytes of scopes begin.
#[derive(Debug, Clone, Copy)]
pub(super) enum ScopeData {
    /// At an offset from the blob on (8).
    Offset(Number),
    /// At an address.
    Address(u16),
}

/// Where a compiled method's list of methods is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Metadata {
    /// From the blob on.
    InBlob(Number),
    /// From the blob's data on (23 and 24).
    InData { data: Number, offset: Number },
    /// In memory of its own, behind so many bytes of relocations (from 25 on).
    Apart { memory: u16, relocations: Number },
}

/// Offsets, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) version: u32,
    pub(super) block_header: u16,
    pub(super) heap_memory: u16,
    pub(super) heap_segments: u16,
    pub(super) heap_shift: u16,
    pub(super) space_low: u16,
    pub(super) space_low_boundary: u16,
    pub(super) space_high_boundary: u16,
    pub(super) blob_name: u16,
    pub(super) blob_size: Number,
    pub(super) blob_code: Place,
    pub(super) blob_frame: u16,
    pub(super) blob_complete: Number,
    pub(super) compiled_method: u16,
    pub(super) compiled_number: u16,
    pub(super) compiled_entry: Place,
    pub(super) scopes: Scopes,
    pub(super) metadata: Metadata,
    pub(super) place_size: u16,
    pub(super) place_code: u16,
    pub(super) place_scope: u16,
    pub(super) method_const: u16,
    pub(super) const_size: u16,
    pub(super) const_pool: u16,
    pub(super) const_flags: Number,
    pub(super) const_has_lines: u32,
    pub(super) const_total: Number,
    pub(super) const_length: u16,
    pub(super) const_name: u16,
    pub(super) const_signature: u16,
    pub(super) pool_size: u16,
    pub(super) pool_length: u16,
    pub(super) pool_holder: u16,
    pub(super) class_name: u16,
    pub(super) source: Source,
    pub(super) symbol_length: Number,
    pub(super) symbol_body: u16,
}

/// Where the number of a source file's name is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// In the pool of constants (from 16 on).
    Pool(u16),
    /// In the class.
    Class(u16),
}

impl Layout {
    pub(super) fn of(structs: &Structs, version: u32) -> Result<Self, Missing> {
        let offset = |name| structs.offset(name);
        let number = |name| Number::of(structs.field(name)?).ok_or(Missing(name));
        let is_apart = structs.field("nmethod::_immutable_data").is_ok();
        let scopes = if is_apart {
            Scopes::Apart {
                memory: offset("nmethod::_immutable_data")?,
                size: number("nmethod::_immutable_data_size")?,
                list: number("nmethod::_scopes_pcs_offset")?,
                data: number("nmethod::_scopes_data_offset")?,
            }
        } else {
            Scopes::InBlob {
                list: number("nmethod::_scopes_pcs_offset")?,
                list_end: number("nmethod::_dependencies_offset")?,
                data: match structs.field("CompiledMethod::_scopes_data_begin") {
                    Ok(_) => ScopeData::Address(offset("CompiledMethod::_scopes_data_begin")?),
                    Err(_) => ScopeData::Offset(number("nmethod::_scopes_data_offset")?),
                },
            }
        };
        let metadata = match (structs.field("CodeBlob::_mutable_data"), structs.field("nmethod::_metadata_offset")) {
            (Ok(_), _) => Metadata::Apart {
                memory: offset("CodeBlob::_mutable_data")?,
                relocations: number("CodeBlob::_relocation_size")?,
            },
            (_, Ok(_)) if is_apart => Metadata::InData {
                data: number("CodeBlob::_data_offset")?,
                offset: number("nmethod::_metadata_offset")?,
            },
            _ => Metadata::InBlob(number("nmethod::_metadata_offset")?),
        };
        Ok(Self {
            version,
            block_header: structs.size("HeapBlock")?,
            heap_memory: offset("CodeHeap::_memory")?,
            heap_segments: offset("CodeHeap::_segmap")?,
            heap_shift: offset("CodeHeap::_log2_segment_size")?,
            space_low: offset("VirtualSpace::_low")?,
            space_low_boundary: offset("VirtualSpace::_low_boundary")?,
            space_high_boundary: offset("VirtualSpace::_high_boundary")?,
            blob_name: offset("CodeBlob::_name")?,
            blob_size: number("CodeBlob::_size")?,
            blob_code: match structs.field("CodeBlob::_code_begin") {
                Ok(_) => Place::Address(offset("CodeBlob::_code_begin")?),
                Err(_) => Place::Offset(number("CodeBlob::_code_offset")?),
            },
            blob_frame: offset("CodeBlob::_frame_size")?,
            blob_complete: number("CodeBlob::_frame_complete_offset")?,
            compiled_method: offset_of_one(structs, &["nmethod::_method", "CompiledMethod::_method"])?,
            compiled_number: offset("nmethod::_compile_id")?,
            compiled_entry: match structs.field("nmethod::_verified_entry_point") {
                Ok(_) => Place::Address(offset("nmethod::_verified_entry_point")?),
                Err(_) => Place::Offset(number("nmethod::_verified_entry_offset")?),
            },
            scopes,
            metadata,
            place_size: structs.size("PcDesc")?,
            place_code: offset("PcDesc::_pc_offset")?,
            place_scope: offset("PcDesc::_scope_decode_offset")?,
            method_const: offset("Method::_constMethod")?,
            const_size: structs.size("ConstMethod")?,
            const_pool: offset("ConstMethod::_constants")?,
            const_flags: Number::of(structs.one_of(&["ConstMethod::_flags", "ConstMethod::_flags._flags"])?)
                .ok_or(Missing("ConstMethod::_flags"))?,
            const_has_lines: structs
                .constant(&["ConstMethod::_has_linenumber_table", "ConstMethodFlags::_misc_has_linenumber_table"])?,
            const_total: number("ConstMethod::_constMethod_size")?,
            const_length: offset("ConstMethod::_code_size")?,
            const_name: offset("ConstMethod::_name_index")?,
            const_signature: offset("ConstMethod::_signature_index")?,
            pool_size: structs.size("ConstantPool")?,
            pool_length: offset("ConstantPool::_length")?,
            pool_holder: offset("ConstantPool::_pool_holder")?,
            class_name: offset("Klass::_name")?,
            source: match structs.field("ConstantPool::_source_file_name_index") {
                Ok(_) => Source::Pool(offset("ConstantPool::_source_file_name_index")?),
                Err(_) => Source::Class(offset("InstanceKlass::_source_file_name_index")?),
            },
            symbol_length: number("Symbol::_length")?,
            symbol_body: offset_of_one(structs, &["Symbol::_body", "Symbol::_body[0]"])?,
        })
    }

    /// From the interpreter's frame pointer on: where it keeps its place. Until 8 a frame does not name its class
    /// (`frame_x86.hpp`).
    pub(super) fn frame_place(&self) -> i16 {
        if self.version <= 8 { -7 * 8 } else { -8 * 8 }
    }
}

fn offset_of_one(structs: &Structs, names: &[&'static str]) -> Result<u16, Missing> {
    let missing = Missing(names.first().copied().unwrap_or_default());
    u16::try_from(structs.one_of(names)?.place).map_err(|_| missing)
}

impl Number {
    fn of(field: &Field) -> Option<Self> {
        let kind = field.kind.strip_prefix("volatile ").unwrap_or(&field.kind);
        let size = match kind {
            "u2" | "jushort" | "unsigned short" | "int16_t" | "uint16_t" | "short" => 2,
            "int" | "jint" | "u4" | "uint" | "unsigned int" | "int32_t" | "uint32_t" => 4,
            "size_t" | "intx" | "uintx" | "uint64_t" => 8,
            _ => return None,
        };
        Some(Self { offset: u16::try_from(field.place).ok()?, size })
    }

    /// None of one that is negative.
    pub(super) fn read(self, memory: &dyn ReadMemory, of: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        let (own, _) = bytes.split_at_mut_checked(self.size.into())?;
        if !memory.read(of.checked_add(self.offset.into())?, own) {
            return None;
        }
        let number = u64::from_le_bytes(bytes);
        (number >> (u32::from(self.size) * 8 - 1) == 0).then_some(number)
    }
}

impl Place {
    pub(super) fn read(self, memory: &dyn ReadMemory, of: u64) -> Option<u64> {
        match self {
            Self::Address(offset) => memory.pointer(of.checked_add(offset.into())?),
            Self::Offset(number) => of.checked_add(number.read(memory, of)?),
        }
    }
}
