//! A JVM as if it had said where its things are: each field has a place of its own, in versions that say them otherwise.

use std::sync::Mutex;

use super::blobs::Blobs;
use super::layout::Layout;
use super::structs::Structs;
use super::{Instance, METHODS};
use crate::kernel::CodeHeap;
use crate::runtime::assumed::one_of;
use crate::runtime::memory::ReadMemory;
use crate::symbolizer::Generations;

/// What all versions say: structs, each with its fields that are pointers, and those that are numbers.
const FIELDS: [(&str, &[&str], &[&str]); 11] = [
    ("CodeHeap", &["_memory", "_segmap"], &["_log2_segment_size"]),
    ("VirtualSpace", &["_low", "_low_boundary", "_high_boundary"], &[]),
    ("CodeBlob", &["_name"], &["_size", "_frame_size", "_frame_complete_offset"]),
    (
        "nmethod",
        &["_method"],
        &["_compile_id", "_scopes_pcs_offset", "_dependencies_offset", "_scopes_data_offset", "_metadata_offset"],
    ),
    ("PcDesc", &[], &["_pc_offset", "_scope_decode_offset"]),
    ("Method", &["_constMethod"], &[]),
    ("ConstMethod", &["_constants"], &["_flags", "_constMethod_size", "_code_size", "_name_index", "_signature_index"]),
    ("ConstantPool", &["_pool_holder"], &["_length"]),
    ("Klass", &["_name"], &[]),
    ("InstanceKlass", &[], &["_source_file_name_index"]),
    ("Symbol", &[], &["_length", "_body"]),
];
const SIZES: [(&str, u64); 4] = [("HeapBlock", 16), ("PcDesc", 16), ("ConstMethod", 56), ("ConstantPool", 72)];
/// And what is said in some versions alone: pointers, and numbers.
const VERSIONS: [(u32, &[&str], &[&str]); 4] = [
    (8, &["nmethod::_verified_entry_point"], &["CodeBlob::_code_offset"]),
    (
        17,
        &["nmethod::_verified_entry_point", "CodeBlob::_code_begin", "CompiledMethod::_scopes_data_begin"],
        &["ConstantPool::_source_file_name_index"],
    ),
    (
        24,
        &["nmethod::_immutable_data"],
        &[
            "nmethod::_immutable_data_size",
            "nmethod::_verified_entry_offset",
            "CodeBlob::_code_offset",
            "CodeBlob::_data_offset",
        ],
    ),
    (
        25,
        &["nmethod::_immutable_data", "CodeBlob::_mutable_data"],
        &[
            "nmethod::_immutable_data_size",
            "nmethod::_verified_entry_offset",
            "CodeBlob::_code_offset",
            "CodeBlob::_relocation_size",
        ],
    ),
];
/// Segments of 128 bytes.
const SHIFT: u8 = 7;
/// Far more than any memory that is looked at has.
const LARGEST: u64 = 2 << 30;

impl Instance {
    /// See [`crate::runtime::Assumption`]: where the one heap of code begins, its size, and where its segments are.
    pub(in crate::runtime) fn assumed(version: u8, found: [u64; 3], memory: &dyn ReadMemory) -> Option<Self> {
        let (version, pointers, numbers) = one_of(&VERSIONS, version)?;
        let layout = Layout::of(&said(pointers, numbers), version).ok()?;
        let [start, size, segments] = found;
        let heaps = vec![CodeHeap { start, end: start.saturating_add(size % LARGEST), segments }];
        let blobs = Blobs { heaps, shift: SHIFT };
        let interpreter = start..start.saturating_add(1 << SHIFT);
        let methods = Mutex::new(Generations::new(METHODS));
        let instance = Self { layout, blobs, interpreter, stubs: vec![(start, "stub".to_owned())], methods };
        let _is_one = instance.check(memory);
        Some(instance)
    }
}

fn said(pointers: &[&str], numbers: &[&str]) -> Structs {
    let mut structs = Structs::default();
    for (name, pointers, numbers) in FIELDS {
        for (fields, kind) in [(pointers, "void*"), (numbers, "int")] {
            fields.iter().for_each(|field| structs.say(&format!("{name}::{field}"), kind));
        }
    }
    pointers.iter().for_each(|field| structs.say(field, "void*"));
    numbers.iter().for_each(|field| structs.say(field, "int"));
    for (name, size) in SIZES {
        structs.say_size(name, size);
    }
    structs.say_constant("ConstMethod::_has_linenumber_table", 1);
    structs
}
