//! Where things are in V8's objects: offsets in bytes. A file says most of it; what it does not say is in tables by version.

use super::metadata::Metadata;
use super::positions::Steps;
use crate::runtime::Unsupported;

/// Major and minor number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32);

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

/// Those of Node.js 16 to 26.
pub(super) const KNOWN: std::ops::RangeInclusive<Version> = Version(9, 0)..=Version(14, 6);

/// Where things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) types: Types,
    /// `Map::instance_type`
    pub(super) map_type: u16,
    /// `JSFunction::shared_function_info`
    pub(super) function_shared: u16,
    pub(super) shared: Shared,
    pub(super) script: Script,
    pub(super) scope: Scope,
    pub(super) text: Text,
    pub(super) bytecodes: Bytecodes,
    pub(super) code: Code,
    pub(super) deoptimization: Deoptimization,
    pub(super) steps: Steps,
}

/// Types of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types {
    pub(super) first_function: u16,
    pub(super) last_function: u16,
    pub(super) shared: u16,
    pub(super) script: u16,
    pub(super) scope: u16,
    pub(super) bytecodes: u16,
    pub(super) code: u16,
    /// What holds the instructions: the code itself until V8 11.
    pub(super) instructions: u16,
    /// Texts are all below this.
    pub(super) first_other_than_text: u16,
    /// `InterpreterData`, where each function has its own copy of the interpreter's entry.
    pub(super) interpreter_data: u16,
    /// `BaselineData`, until V8 9.
    pub(super) baseline_data: Option<u16>,
}

/// `SharedFunctionInfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) data: u16,
    pub(super) name: u16,
    pub(super) script: u16,
    pub(super) literal: u16,
}

/// `Script`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) source: u16,
    pub(super) name: u16,
    pub(super) first_line: u16,
    pub(super) id: u16,
}

/// `ScopeInfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) flags: u16,
    pub(super) locals: u16,
    /// The first word whose place depends on the scope.
    pub(super) first: u16,
    /// Where the function begins in the script, where that has a place of its own.
    pub(super) start: Option<u16>,
}

/// `String` and those derived from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) length: u16,
    pub(super) characters: u16,
    pub(super) first: u16,
    pub(super) second: u16,
    pub(super) actual: u16,
    pub(super) parent: u16,
    pub(super) offset: u16,
    pub(super) external: u16,
}

/// `BytecodeArray`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytecodes {
    pub(super) first: u16,
    pub(super) positions: u16,
}

/// `Code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code {
    /// From the object that holds the instructions to the code; none where it is the same.
    pub(super) of_instructions: Option<u16>,
    /// Deoptimization data, or the bytecodes of code of the baseline compiler.
    pub(super) data: u16,
    pub(super) positions: u16,
    pub(super) start: Start,
    pub(super) size: u16,
    pub(super) flags: u16,
    /// In the flags: what sort of code it is.
    pub(super) kind_mask: u32,
    pub(super) baseline: u32,
}

/// Where the instructions begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// In the object itself.
    Within(u16),
    /// Their address is there.
    At(u16),
}

/// `DeoptimizationData`: places in an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deoptimization {
    pub(super) literals: u16,
    pub(super) shared: u16,
    /// What is in `shared` is a wrapper of it.
    pub(super) is_wrapped: bool,
    pub(super) inlined: u16,
}

/// `Array::length` and its elements, of all arrays (`FixedArrayBase`).
pub(super) const ARRAY_LENGTH: u16 = 8;
pub(super) const ARRAY: u16 = 16;
/// `InstructionStream::code`, from V8 11 on.
const STREAM_CODE: u16 = 8;
/// `SharedFunctionInfoWrapper`, `InterpreterData` and `BaselineData`: what they wrap, and what the last has of the
/// interpreter's.
pub(super) const WRAPPED: u16 = 8;
pub(super) const BASELINE_BYTECODES: u16 = 16;
const WORD: u16 = 8;

impl Layout {
    pub(super) fn of(version: Version, metadata: &Metadata) -> Result<Self, Unsupported> {
        let number = |names: &[&str]| -> Result<u16, Unsupported> {
            let value = metadata.any(names).and_then(|value| u16::try_from(value).ok());
            value.ok_or_else(|| Unsupported(format!("V8 {version} does not say {}", names.first().unwrap_or(&""))))
        };
        let optional = |name: &str| number(&[name]).ok();
        let function = number(&["type_JSFunction__JS_FUNCTION_TYPE"])?;
        let code = number(&["type_Code__CODE_TYPE"])?;
        let script_name = number(&["class_Script__name__Object"])?;
        let scope_first = number(&["scopeinfo_idx_first_vars"])?;
        let shared_flags = number(&["class_SharedFunctionInfo__flags__int"])?;
        let external = number(&["class_ExternalString__resource__Object"])?;
        let types = Types {
            first_function: optional("FirstJSFunctionType").unwrap_or(function),
            // Constructors come behind: of eleven typed arrays, arrays, promises and regular expressions, and from 9.6.138 on
            // those of classes (js-function.tq). Node.js 16, 18 and 20 have them there.
            last_function: optional("LastJSFunctionType")
                .unwrap_or(function + if version < Version(9, 6) { 14 } else { 15 }),
            shared: number(&["type_SharedFunctionInfo__SHARED_FUNCTION_INFO_TYPE"])?,
            script: number(&["type_Script__SCRIPT_TYPE"])?,
            scope: number(&["type_ScopeInfo__SCOPE_INFO_TYPE"])?,
            bytecodes: number(&["type_BytecodeArray__BYTECODE_ARRAY_TYPE"])?,
            code,
            instructions: optional("type_InstructionStream__INSTRUCTION_STREAM_TYPE").unwrap_or(code),
            first_other_than_text: number(&["FirstNonstringType"])?,
            interpreter_data: number(&["type_InterpreterData__INTERPRETER_DATA_TYPE"])?,
            baseline_data: optional("type_BaselineData__BASELINE_DATA_TYPE"),
        };
        Ok(Self {
            types,
            map_type: number(&["class_Map__instance_type__uint16_t"])?,
            function_shared: number(&["class_JSFunction__shared__SharedFunctionInfo"])?,
            shared: Shared {
                // `function_data`, and `trusted_function_data` from 12.5 on: its first field.
                data: WORD,
                name: number(&[
                    "class_SharedFunctionInfo__name_or_scope_info__Object",
                    "class_SharedFunctionInfo__name_or_scope_info__Tagged_Object_",
                    "class_SharedFunctionInfo__name_or_scope_info__Tagged_NameOrScopeInfoT_",
                ])?,
                script: number(&[
                    "class_SharedFunctionInfo__script_or_debug_info__HeapObject",
                    "class_SharedFunctionInfo__script_or_debug_info__Object",
                    "class_SharedFunctionInfo__script__Tagged_HeapObject_",
                ])?,
                // `function_literal_id`, 32 bits each (shared-function-info.tq).
                literal: shared_flags + 4,
            },
            script: Script {
                // Lost in 9.x: the word before the name (script.tq).
                source: optional("class_Script__source__Object").unwrap_or(script_name - WORD),
                name: script_name,
                // `line_offset` and `id`: behind the name, and behind `line_ends` (script.tq).
                first_line: script_name + WORD,
                id: number(&["class_Script__line_ends__Object"])? + WORD,
            },
            scope: Scope {
                flags: WORD,
                locals: (number(&["scopeinfo_idx_ncontextlocals"])? + 1) * WORD,
                first: (scope_first + 1) * WORD,
                // From 12.8 on the place comes before what depends on the scope (scope-info.tq): start and end.
                start: (scope_first >= 5).then(|| (scope_first - 1) * WORD),
            },
            text: Text {
                length: number(&["class_String__length__int32_t"])?,
                characters: number(&["class_SeqOneByteString__chars__char"])?,
                first: number(&["class_ConsString__first__String"])?,
                second: number(&["class_ConsString__second__String"])?,
                actual: number(&["class_ThinString__actual__String"])?,
                parent: number(&["class_SlicedString__parent__String"])?,
                offset: number(&["class_SlicedString__offset__SMI"])?,
                // `resource_data` is behind the resource (string.tq).
                external: external + WORD,
            },
            bytecodes: Bytecodes::of(version, metadata),
            code: Code::of(version, metadata)?,
            deoptimization: Deoptimization::of(metadata),
            // So do the tables of processes: 13.6 has the one, 14.1 the other.
            steps: if version < Version(14, 0) { Steps::Signed } else { Steps::Marked },
        })
    }
}

impl Bytecodes {
    fn of(version: Version, metadata: &Metadata) -> Self {
        // code.tq and bytecode-array.tq: `wrapper` came first in 12.2, and the tables changed their order.
        let is_wrapped = metadata.any(&["class_BytecodeArray__wrapper__Tagged_BytecodeWrapper_"]).is_some();
        let positions = if is_wrapped { 3 * WORD } else { 4 * WORD };
        let first = metadata.any(&["class_BytecodeArray__data__uintptr_t"]);
        // 9.x: three numbers of 32 bits and one of 16 behind the positions.
        let default = if version < Version(10, 0) { positions + WORD + 14 } else { positions + WORD + 16 };
        Self { first: first.and_then(|first| u16::try_from(first).ok()).unwrap_or(default), positions }
    }
}

impl Code {
    fn of(version: Version, metadata: &Metadata) -> Result<Self, Unsupported> {
        let said = |names: &[&str]| metadata.any(names).and_then(|value| u16::try_from(value).ok());
        let missing = |what: &str| Unsupported(format!("V8 {version} does not say where its code has its {what}"));
        let kind_mask = said(&["CodeKindFieldMask"]).unwrap_or(15).into();
        // `CodeKind::BASELINE` (code-kind.h) of the versions that do not say it, which is 9.x.
        let baseline = said(&["CodeKindBaseline"]).unwrap_or(11).into();
        let size = said(&["class_Code__instruction_size__int"]);
        let flags = said(&["class_Code__flags__uint32_t"]);
        if version < Version(11, 0) {
            // code.h: relocation_info, deoptimization_data, source_position_table, code_data_container, instruction_size,
            // metadata_size, flags; and then, aligned, the instructions.
            let start = said(&["class_Code__instruction_start__uintptr_t"]).ok_or_else(|| missing("instructions"))?;
            let size = size.unwrap_or(40);
            return Ok(Self {
                of_instructions: None,
                data: 16,
                positions: 24,
                start: Start::Within(start),
                size,
                flags: flags.unwrap_or(size + 8),
                kind_mask,
                baseline,
            });
        }
        let of_instructions = Some(STREAM_CODE);
        if let (Some(start), Some(size), Some(flags)) = (said(&["class_Code__instruction_start__Address"]), size, flags)
        {
            // code.h from 12.x on: deoptimization data and positions come first, then the wrapper where there is one.
            return Ok(Self {
                of_instructions,
                data: 8,
                positions: 16,
                start: Start::At(start),
                size,
                flags,
                kind_mask,
                baseline,
            });
        }
        // code.h of 11.x, which says less: relocation_info, deoptimization_data, source_position_table, the stream,
        // instruction_start, flags, and until 11.4 a builtin's number and flags of 16 bits each, instruction_size.
        let positions = said(&["class_Code__source_position_table__ByteArray"]).unwrap_or(24);
        let start = positions + 2 * WORD;
        let flags = start + WORD;
        Ok(Self {
            of_instructions,
            data: positions - WORD,
            positions,
            start: Start::At(start),
            size: flags + if version < Version(11, 4) { 8 } else { 4 },
            flags,
            kind_mask,
            baseline,
        })
    }
}

impl Deoptimization {
    /// deoptimization-data.h; until 11.x code.h.
    fn of(metadata: &Metadata) -> Self {
        let said = |name: &str| metadata.any(&[name]).and_then(|value| u16::try_from(value).ok());
        let wrapped = said("DeoptimizationDataWrappedSharedFunctionInfoIndex");
        Self {
            literals: said("DeoptimizationDataLiteralArrayIndex").unwrap_or(2),
            shared: wrapped.or_else(|| said("DeoptimizationDataSharedFunctionInfoIndex")).unwrap_or(6),
            is_wrapped: wrapped.is_some(),
            inlined: said("DeoptimizationDataInliningPositionsIndex").unwrap_or(7),
        }
    }
}
