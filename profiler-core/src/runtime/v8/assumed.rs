//! V8 as if a file of it had been read: what one says of itself, and the parts in which other versions differ.

use super::layout::{Layout, Version};
use super::metadata::Metadata;
use super::positions::BytecodeSizes;
use super::{Known, Translations};
use crate::runtime::assumed::one_of;

/// What Node.js 20 says (V8 11.3).
const SAID: [(&str, i32); 34] = [
    ("CodeKindBaseline", 11),
    ("CodeKindFieldMask", 15),
    ("DeoptimizationDataInliningPositionsIndex", 7),
    ("DeoptimizationDataLiteralArrayIndex", 2),
    ("DeoptimizationDataSharedFunctionInfoIndex", 6),
    ("FirstNonstringType", 128),
    ("class_BytecodeArray__data__uintptr_t", 54),
    ("class_Code__source_position_table__ByteArray", 24),
    ("class_ConsString__first__String", 16),
    ("class_ConsString__second__String", 24),
    ("class_ExternalString__resource__Object", 16),
    ("class_JSFunction__shared__SharedFunctionInfo", 24),
    ("class_Map__instance_type__uint16_t", 12),
    ("class_Script__line_ends__Object", 56),
    ("class_Script__name__Object", 16),
    ("class_Script__source__Object", 8),
    ("class_SeqOneByteString__chars__char", 16),
    ("class_SharedFunctionInfo__flags__int", 48),
    ("class_SharedFunctionInfo__name_or_scope_info__Object", 16),
    ("class_SharedFunctionInfo__script_or_debug_info__HeapObject", 32),
    ("class_SlicedString__offset__SMI", 24),
    ("class_SlicedString__parent__String", 16),
    ("class_String__length__int32_t", 12),
    ("class_ThinString__actual__String", 16),
    ("scopeinfo_idx_first_vars", 3),
    ("scopeinfo_idx_ncontextlocals", 2),
    ("type_BytecodeArray__BYTECODE_ARRAY_TYPE", 191),
    ("type_Code__CODE_TYPE", 245),
    ("type_InstructionStream__INSTRUCTION_STREAM_TYPE", 252),
    ("type_InterpreterData__INTERPRETER_DATA_TYPE", 159),
    ("type_JSFunction__JS_FUNCTION_TYPE", 2066),
    ("type_ScopeInfo__SCOPE_INFO_TYPE", 261),
    ("type_Script__SCRIPT_TYPE", 167),
    ("type_SharedFunctionInfo__SHARED_FUNCTION_INFO_TYPE", 262),
];

/// What a version says besides, and how many opcodes describe the exits of its code.
type Besides = (Version, &'static [(&'static str, i32)], usize);

const VERSIONS: [Besides; 5] = [
    (
        Version(9, 4),
        &[("class_Code__instruction_start__uintptr_t", 64), ("type_BaselineData__BASELINE_DATA_TYPE", 150)],
        28,
    ),
    (Version(10, 2), &[("class_Code__instruction_start__uintptr_t", 64)], 28),
    (Version(11, 3), &[], 36),
    (
        Version(12, 4),
        &[
            ("class_Code__instruction_start__Address", 40),
            ("class_Code__instruction_size__int", 52),
            ("class_Code__flags__uint32_t", 48),
            ("class_BytecodeArray__wrapper__Tagged_BytecodeWrapper_", 32),
            ("FirstJSFunctionType", 2060),
            ("LastJSFunctionType", 2075),
        ],
        40,
    ),
    (
        Version(14, 1),
        &[
            ("class_Code__instruction_start__Address", 40),
            ("class_Code__instruction_size__int", 52),
            ("class_Code__flags__uint32_t", 48),
            ("DeoptimizationDataWrappedSharedFunctionInfoIndex", 6),
        ],
        45,
    ),
];

/// One of the versions.
pub(super) fn known(number: u8) -> Option<Known> {
    let (version, besides, opcodes) = one_of(&VERSIONS, number)?;
    let layout = Layout::of(version, &Metadata::of(&[&SAID, besides].concat())).ok()?;
    // Bytecodes of one to five bytes, of which the first four make others wider; operands of all opcodes.
    let sizes = BytecodeSizes::of((0..3 * 200).map(|place| place % 5 + 1).map(|size: u16| size as u8).collect());
    let translations = Translations::of(vec![2; opcodes]);
    Some(Known { version, layout, sizes, translations })
}
