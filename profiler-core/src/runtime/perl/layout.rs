//! Where things are in an interpreter of Perl: offsets in bytes, from the headers of each version for builds of 64 bits with
//! threads, and as their debug information has them (5.32, 5.36, 5.40). What is the same in all versions stands beside who
//! reads it, here and in `bpf/perl.h`.

/// A version: the second number of 5.x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u8);

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "5.{}", self.0)
    }
}

/// Where things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// `PL_defstash`
    pub(super) main_package: u16,
    /// `PL_curcop`
    pub(super) operation: u16,
    /// `PL_curstack`
    pub(super) stack: u16,
    /// `PL_curstackinfo`
    pub(super) contexts: u16,
    /// Whether what a package has beside its variables is behind these, or in its body.
    pub(super) package_is_behind: bool,
}

impl Layout {
    /// Of a version that is known: those that were released. `intrpvar.h`, `hv.h`.
    pub(super) fn of(version: Version) -> Option<Self> {
        let v5_28 = Self { main_package: 208, operation: 224, stack: 232, contexts: 240, package_is_behind: true };
        // Numbers of one size beside one another.
        let v5_34 = Self { main_package: 192, operation: 208, stack: 216, contexts: 224, ..v5_28 };
        match version.0 {
            28 | 30 | 32 => Some(v5_28),
            34 => Some(v5_34),
            36 | 38 | 40 => Some(Self { package_is_behind: false, ..v5_34 }),
            _ => None,
        }
    }
}
