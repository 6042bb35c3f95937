//! V8's, as `bpf/v8.h` reads them.

use super::packed;

/// `struct v8_process`: types of objects, and offsets in them in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct V8Process {
    /// In a map: the type of its objects.
    pub map_type: u16,
    /// The first type of functions.
    pub first_function: u16,
    /// The last type of functions.
    pub last_function: u16,
    /// The type of what the interpreter runs.
    pub bytecodes: u16,
    /// In a function: what all its closures share.
    pub function_shared: u16,
    /// In that: its script.
    pub shared_script: u16,
    /// In that: its number in the script.
    pub shared_literal: u16,
    /// In a script: its number.
    pub script_id: u16,
}

/// Words of `struct v8_process`.
pub(super) const WORDS: usize = 2;

/// The map of them, by pid.
pub(super) const PROCESSES: &str = "v8_processes";

impl V8Process {
    pub(super) fn words(&self) -> [u64; WORDS] {
        packed(&[
            &self.map_type.to_le_bytes(),
            &self.first_function.to_le_bytes(),
            &self.last_function.to_le_bytes(),
            &self.bytecodes.to_le_bytes(),
            &self.function_shared.to_le_bytes(),
            &self.shared_script.to_le_bytes(),
            &self.shared_literal.to_le_bytes(),
            &self.script_id.to_le_bytes(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::runtimes::tests::fields;

    #[test]
    fn a_process_of_v8_is_laid_out_as_the_kernel_reads_it() {
        let process = V8Process {
            map_type: 1,
            first_function: 2,
            last_function: 3,
            bytecodes: 4,
            function_shared: 5,
            shared_script: 6,
            shared_literal: 7,
            script_id: 8,
        };
        let read = fields(include_str!("../../../../bpf/v8.h"), "v8_process", &process.words());
        let expected = [
            ("map_type", 1),
            ("first_function", 2),
            ("last_function", 3),
            ("bytecodes", 4),
            ("function_shared", 5),
            ("shared_script", 6),
            ("shared_literal", 7),
            ("script_id", 8),
        ];
        assert_eq!(read, expected);
    }
}
