//! V8's, as `bpf/v8.h` reads them.

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
        let quarters = |parts: [u16; 4]| parts.iter().rev().fold(0, |word, part| word << 16 | u64::from(*part));
        [
            quarters([self.map_type, self.first_function, self.last_function, self.bytecodes]),
            quarters([self.function_shared, self.shared_script, self.shared_literal, self.script_id]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let header = include_str!("../../../../bpf/v8.h");
        let (_, rest) = header.split_once("struct v8_process {").unwrap();
        let (body, _) = rest.split_once("\n};").unwrap();
        let fields: Vec<&str> = body
            .lines()
            .filter_map(|line| line.trim().strip_prefix("u16 ")?.split_once(';'))
            .map(|(name, _)| name)
            .collect();
        let expected = [
            "map_type",
            "first_function",
            "last_function",
            "bytecodes",
            "function_shared",
            "shared_script",
            "shared_literal",
            "script_id",
        ];
        assert_eq!(fields, expected);
        let bytes: Vec<u8> = process.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        let read: Vec<u16> = bytes.as_chunks().0.iter().map(|field| u16::from_le_bytes(*field)).collect();
        assert_eq!(read, [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
