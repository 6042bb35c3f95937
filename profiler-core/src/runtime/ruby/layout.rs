//! Where things are in the objects of Ruby: offsets in bytes, from the headers of each version for 64 bits. What is the
//! same in all of them stands beside who reads it, here and in `bpf/ruby.h`.

/// A version: 3.1 is (3, 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u8, u8);

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

impl Version {
    /// `ruby_api_version`.
    pub(super) fn of(numbers: &[u32]) -> Option<Self> {
        let [major, minor, _teeny] = *numbers else { return None };
        Some(Self(u8::try_from(major).ok()?, u8::try_from(minor).ok()?))
    }
}

/// Where things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) root: Root,
    /// `rb_thread_t.vm`
    pub(super) thread_machine: u16,
    /// `rb_thread_t.ec`
    pub(super) thread_context: u16,
    /// What `pthread_self()` gave.
    pub(super) thread_itself: Itself,
    /// `rb_execution_context_t.thread_ptr`
    pub(super) context_thread: u16,
    /// `sizeof(rb_control_frame_t)`
    pub(super) frame_size: u16,
    /// `rb_iseq_constant_body.insns_info`
    pub(super) lines: u16,
    /// `sizeof(struct iseq_insn_info_entry)`
    pub(super) line_size: u16,
    /// Whether a line number is an object.
    pub(super) line_is_object: bool,
    pub(super) text: Text,
    pub(super) class: Class,
    /// `RUBY_FL_SINGLETON`
    pub(super) singleton: u64,
}

/// What leads from Ruby's variables to a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// `ruby_current_execution_context_ptr`: a thread says that it is its context.
    Context,
    /// `ruby_current_vm_ptr`: the main thread is here in it, and says so.
    Machine(u16),
}

/// Where a thread says which of the system's it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Itself {
    /// `rb_thread_t.thread_id`
    At(u16),
    /// In what is there, `rb_native_thread.thread_id`.
    Behind(u16, u16),
}

/// Where short texts are, which have no memory of their own (`struct RString`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// At once; the length is in the flags.
    Flags,
    /// Behind their length.
    Length,
}

/// What a class says of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// A variable in a table (`rb_classext_t.iv_tbl`).
    Variable,
    /// A variable that is found by the shape of the class, which is not followed: names are without classes.
    Shape,
    /// `rb_classext_t.classpath` and `attached_object`, in the class itself.
    Field,
}

impl Layout {
    /// Of a version that is known. `vm_core.h`, `internal/class.h` (2.7: `internal.h`), `iseq.h`, `thread_pthread.h`.
    pub(super) fn of(version: Version) -> Option<Self> {
        let v2_7 = Self {
            root: Root::Context,
            thread_machine: 24,
            thread_context: 32,
            thread_itself: Itself::At(72),
            context_thread: 56,
            frame_size: 56,
            lines: 120,
            line_size: 8,
            line_is_object: true,
            text: Text::Flags,
            class: Class::Variable,
            singleton: 1 << 12,
        };
        // Threads have a ractor.
        let v3_0 = Self {
            root: Root::Machine(40),
            thread_machine: 32,
            thread_context: 40,
            thread_itself: Itself::At(80),
            ..v2_7
        };
        // Contexts without `protect_tag`, frames with `jit_return`, lines with `node_id`.
        let v3_1 = Self { context_thread: 48, frame_size: 64, line_size: 12, ..v3_0 };
        // Native threads of their own, `first_lineno` a number, texts of any length in objects.
        let v3_2 = Self {
            thread_context: 48,
            thread_itself: Itself::Behind(40, 8),
            lines: 112,
            line_is_object: false,
            text: Text::Length,
            class: Class::Shape,
            ..v3_1
        };
        // Frames without `__bp__`, native threads with `vm`.
        let v3_3 = Self { thread_itself: Itself::Behind(40, 16), frame_size: 56, class: Class::Field, ..v3_2 };
        match version {
            Version(2, 7) => Some(v2_7),
            Version(3, 0) => Some(v3_0),
            Version(3, 1) => Some(v3_1),
            Version(3, 2) => Some(v3_2),
            Version(3, 3) => Some(v3_3),
            Version(3, 4) => Some(Self { singleton: 1 << 13, ..v3_3 }),
            _ => None,
        }
    }
}
