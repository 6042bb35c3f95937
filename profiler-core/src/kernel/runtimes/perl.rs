//! Perl's, as `bpf/perl.h` reads them.

/// `struct perl_process`. `main` is an address in the process, all else are offsets in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerlProcess {
    /// What names the main thread's interpreter.
    pub main: u64,
    /// Where a thread has its interpreter, from the thread pointer. None: only that of the main thread is known.
    pub slot: Option<i32>,
    /// In an interpreter: the last place in the source that was passed.
    pub operation: u16,
    /// In an interpreter: the stack of arguments.
    pub stack: u16,
    /// In an interpreter: the stack of contexts.
    pub contexts: u16,
}

/// Words of `struct perl_process`.
pub(super) const WORDS: usize = 3;

/// The map of them, by pid.
pub(super) const PROCESSES: &str = "perl_processes";

impl PerlProcess {
    pub(super) fn words(&self) -> [u64; WORDS] {
        let quarters = |parts: [u32; 2]| u64::from(parts[0]) | u64::from(parts[1]) << 32;
        let pair = |low: u16, high: u16| u32::from(low) | u32::from(high) << 16;
        [
            self.main,
            quarters([self.slot.unwrap_or(0).cast_unsigned(), pair(self.operation, self.stack)]),
            u64::from(self.contexts),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields in the order of `struct perl_process`, each with its size.
    fn fields() -> Vec<(String, usize)> {
        let header = include_str!("../../../../bpf/perl.h");
        let (_, rest) = header.split_once("struct perl_process {").unwrap();
        let (body, _) = rest.split_once("\n};").unwrap();
        let field = |line: &str| {
            let (kind, rest) = line.trim().split_once(' ')?;
            let bits: usize = kind.get(1..)?.parse().ok()?;
            Some((rest.split_once(';')?.0.to_owned(), bits / 8))
        };
        body.lines().filter_map(field).collect()
    }

    #[test]
    fn a_perl_process_is_laid_out_as_the_kernel_reads_it() {
        let process = PerlProcess { main: 1, slot: Some(-2), operation: 3, stack: 4, contexts: 5 };
        let bytes: Vec<u8> = process.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut at = 0;
        let read: Vec<(String, i64)> = fields()
            .into_iter()
            .map(|(name, size)| {
                let mut word = [if bytes[at + size - 1] & 0x80 == 0 { 0 } else { 0xff }; 8];
                word[..size].copy_from_slice(&bytes[at..at + size]);
                at += size;
                (name, i64::from_le_bytes(word))
            })
            .collect();
        let expected =
            [("main", 1), ("slot", -2), ("operation", 3), ("stack", 4), ("contexts", 5), ("pad", 0), ("pad2", 0)];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value)));
        assert_eq!(at, bytes.len());
    }
}
