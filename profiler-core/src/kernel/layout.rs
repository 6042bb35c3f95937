//! What kernel and user space both know: `bpf/shared.h`. The two change together.

/// A flag of a process: its goroutines have labels.
pub(super) const PROCESS_GO: u32 = 2;

/// Words of a mapping in the kernel.
pub(super) const MAPPING_WORDS: usize = 6;
const MAPPING_ANONYMOUS: u64 = 1;

/// A number that user space gives a file; it comes back in frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileRef(pub u32);

/// Where a table is in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSlot {
    pub(super) slot: u32,
    pub(super) rows: u32,
}

impl TableSlot {
    /// Rows of the table.
    #[must_use]
    pub fn rows(self) -> u32 {
        self.rows
    }
}

/// Executable memory of a process, as the kernel is told of it. Those of a process are sorted and do not overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The first address.
    pub start: u64,
    /// The first address behind it.
    pub end: u64,
    /// What is in it.
    pub content: Content,
    /// Who walks up from it.
    pub unwinder: Unwinder,
}

/// A program that knows the frames of some code, by its number in the kernel. One that is not loaded leaves them to
/// [`Unwinder::NATIVE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Unwinder(pub u16);

impl Unwinder {
    /// Machine code: by tables, or frame pointers.
    pub const NATIVE: Self = Self(0);
    /// CPython's evaluation loop.
    pub const PYTHON: Self = Self(1);
    /// Code that HotSpot makes.
    pub const HOTSPOT: Self = Self(2);
    /// V8: code that it made, and its builtins.
    pub const V8: Self = Self(3);
    /// Ruby's interpreter, and machine code that it made.
    pub const RUBY: Self = Self(4);
    /// Perl's loop.
    pub const PERL: Self = Self(5);
    /// PHP's loop, and machine code that opcache made.
    pub const PHP: Self = Self(6);
    /// CoreCLR: code that it made, and images that were compiled ahead.
    pub const DOTNET: Self = Self(7);
}

/// What executable memory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Code that a program wrote while it ran.
    Anonymous,
    /// Part of a file.
    File {
        /// Its number.
        file: FileRef,
        /// Addresses in memory minus addresses in the file.
        bias: u64,
        /// How to walk up from it; without a table by frame pointers.
        table: Option<Table>,
    },
}

/// A file's unwind table, for a mapping of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Where it is.
    pub slot: TableSlot,
    /// What its rows' addresses are counted from.
    pub base: u64,
}

impl Mapping {
    /// `struct mapping`.
    pub(super) fn words(&self) -> [u64; MAPPING_WORDS] {
        let unwinder = u64::from(self.unwinder.0) << 32;
        match &self.content {
            Content::Anonymous => [self.start, self.end, 0, 0, 0, MAPPING_ANONYMOUS << 48 | unwinder],
            Content::File { file, bias, table } => {
                let (slot, rows, base) =
                    table.as_ref().map_or((0, 0, 0), |table| (table.slot.slot, table.slot.rows, table.base));
                let numbers = u64::from(file.0) | u64::from(slot) << 32;
                [self.start, self.end, *bias, base, numbers, u64::from(rows) | unwinder]
            }
        }
    }
}

macro_rules! numbered {
    ($(#[$outer:meta])* $name:ident, $unknown:ident, { $($(#[$inner:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$inner])* $variant,)* }

        impl $name {
            /// All of them, in the order of the kernel's numbers.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// In words.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            pub(super) fn from_number(number: u32) -> Self {
                match number { $($number => Self::$variant,)* _ => Self::$unknown }
            }
        }
    };
}

numbered! {
    /// Why a walk up a stack ended.
    Stop, Unsupported, {
        /// At the outermost frame.
        Complete = 0 "complete",
        /// A thread of the kernel: it has no user space.
        KernelThread = 1 "kernel thread",
        /// The process' mappings are not known yet.
        NoProcess = 2 "unknown process",
        /// An address outside of all mappings.
        NoMapping = 3 "unknown mapping",
        /// No unwind information for an address.
        NoInformation = 4 "no unwind information",
        /// Unwind information that is not understood.
        Unsupported = 5 "unsupported unwind information",
        /// The stack is not in memory.
        Unreadable = 6 "unreadable stack",
        /// More frames than are kept: 512.
        TooDeep = 7 "too deep",
        /// The frame pointer leads nowhere.
        PointerLost = 8 "frame pointer lost",
        /// The stack pointer does not move.
        NoProgress = 9 "no progress",
        /// Code of 32 bits.
        Compat = 10 "32-bit code",
        /// The file's table is gone.
        NoTable = 11 "no table",
        /// The chain of programs ended early.
        NoUnwinder = 12 "no unwinder",
    }
}

numbered! {
    /// What a sample was taken for.
    Origin, Cpu, {
        /// It ran when its CPU's time came.
        Cpu = 0 "on CPU",
        /// It left its CPU.
        OffCpu = 1 "off CPU",
        /// It came to the place of a probe.
        Probe = 2 "probe",
    }
}

numbered! {
    /// What a frame's address is.
    FrameKind, Unmapped, {
        /// An address in a file.
        Native = 0 "native",
        /// An address in memory that no file stands behind.
        Anonymous = 1 "anonymous",
        /// An address in memory of which nothing is known.
        Unmapped = 2 "unmapped",
        /// That of a code object of CPython.
        Python = 17 "python",
        /// That of a method, of compiled code or of a stub of HotSpot.
        HotSpot = 18 "hotspot",
        /// A function of V8 that is interpreted, or an address in code that it made.
        V8 = 19 "v8",
        /// Those of code and method of Ruby, as one number.
        Ruby = 20 "ruby",
        /// That of a subroutine of Perl, or of the place in the program itself.
        Perl = 21 "perl",
        /// That of a function of PHP, be it written in PHP or in C.
        Php = 22 "php",
        /// The beginning of a method's code of CoreCLR.
        DotNet = 23 "dotnet",
    }
}

impl FrameKind {
    /// Whether it is a function of a runtime: the address stands for the function, and no code of a processor is there.
    #[must_use]
    pub fn is_of_runtime(self) -> bool {
        matches!(self, Self::Python | Self::HotSpot | Self::V8 | Self::Ruby | Self::Perl | Self::Php | Self::DotNet)
    }
}

/// What became of looking for a runtime's frames in a stack, in the order of the kernel's numbers. Where none are found the
/// walk goes on through machine code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RuntimeWalk {
    /// The thread's frames were found.
    Entered,
    /// Nothing is known of the process.
    NoProcess,
    /// The runtime does not know the thread.
    NoThread,
    /// What was found is of another thread, or nothing that the runtime made.
    OtherThread,
    /// A frame is not in memory.
    Unreadable,
}

impl RuntimeWalk {
    /// All of them, in the order of the kernel's numbers.
    pub const ALL: &[Self] = &[Self::Entered, Self::NoProcess, Self::NoThread, Self::OtherThread, Self::Unreadable];

    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Entered => "entered",
            Self::NoProcess => "unknown process",
            Self::NoThread => "unknown thread",
            Self::OtherThread => "another thread",
            Self::Unreadable => "unreadable frame",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_kernel() {
        let header = include_str!("../../../bpf/shared.h");
        let number_of = |name: &str| -> u32 {
            let (_, rest) = header.split_once(&format!("{name} = ")).unwrap();
            rest.split_once(',').unwrap().0.parse().unwrap()
        };
        for (name, stop) in [
            ("STOP_COMPLETE", Stop::Complete),
            ("STOP_KERNEL_THREAD", Stop::KernelThread),
            ("STOP_NO_PROCESS", Stop::NoProcess),
            ("STOP_NO_MAPPING", Stop::NoMapping),
            ("STOP_NO_INFORMATION", Stop::NoInformation),
            ("STOP_UNSUPPORTED", Stop::Unsupported),
            ("STOP_UNREADABLE", Stop::Unreadable),
            ("STOP_TOO_DEEP", Stop::TooDeep),
            ("STOP_POINTER_LOST", Stop::PointerLost),
            ("STOP_NO_PROGRESS", Stop::NoProgress),
            ("STOP_COMPAT", Stop::Compat),
            ("STOP_NO_TABLE", Stop::NoTable),
            ("STOP_NO_UNWINDER", Stop::NoUnwinder),
        ] {
            assert_eq!(Stop::from_number(number_of(name)), stop, "{name}");
            assert_eq!(Stop::ALL[number_of(name) as usize], stop, "{name}");
        }
        for (name, origin) in
            [("ORIGIN_CPU", Origin::Cpu), ("ORIGIN_OFF_CPU", Origin::OffCpu), ("ORIGIN_PROBE", Origin::Probe)]
        {
            assert_eq!(Origin::from_number(number_of(name)), origin, "{name}");
        }
        assert_eq!(header.matches("\tSTOP_").count() - 1, Stop::ALL.len(), "a reason that has no name here");
        for (name, walk) in [
            ("RUNTIME_ENTERED", RuntimeWalk::Entered),
            ("RUNTIME_NO_PROCESS", RuntimeWalk::NoProcess),
            ("RUNTIME_NO_THREAD", RuntimeWalk::NoThread),
            ("RUNTIME_OTHER_THREAD", RuntimeWalk::OtherThread),
            ("RUNTIME_UNREADABLE", RuntimeWalk::Unreadable),
        ] {
            assert_eq!(RuntimeWalk::ALL[number_of(name) as usize], walk, "{name}");
        }
        assert_eq!(header.matches("\tRUNTIME_").count() - 1, RuntimeWalk::ALL.len(), "a reason that has no name here");
    }

    #[test]
    fn a_mapping_is_laid_out_as_the_kernel_reads_it() {
        let table = Table { slot: TableSlot { slot: 5, rows: 7 }, base: 0x1000 };
        let file = Content::File { file: FileRef(3), bias: 0x4000, table: Some(table) };
        let mapping = Mapping { start: 1, end: 2, content: file, unwinder: Unwinder(9) };
        assert_eq!(mapping.words(), [1, 2, 0x4000, 0x1000, 3 | 5 << 32, 7 | 9 << 32]);
        let anonymous = Mapping { content: Content::Anonymous, unwinder: Unwinder::NATIVE, ..mapping };
        assert_eq!(anonymous.words(), [1, 2, 0, 0, 0, 1 << 48]);
    }
}
