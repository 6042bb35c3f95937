//! The filters that are compiled in: the same sandboxed components as everyone else's.

use super::Digest;

/// A component that the binary holds; its sources stand in `guest-examples/`.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// By this name a child that compiles is told which one.
    pub(super) name: &'static str,
    pub(super) component: &'static [u8],
    /// The record of how it was built, which says its digest: to hash the component itself would bring a megabyte of
    /// it into the memory of a process that else never reads it.
    record: &'static str,
}

impl Builtin {
    /// The targets' labels of `pyroscope.enrich`.
    pub const ENRICH: Self = Self {
        name: "enrich",
        component: include_bytes!("../../../guest-examples/enrich.wasm"),
        record: include_str!("../../../guest-examples/enrich.record.toml"),
    };

    /// The rules of `pyroscope.relabel`.
    pub const RELABEL: Self = Self {
        name: "relabel",
        component: include_bytes!("../../../guest-examples/relabel.wasm"),
        record: include_str!("../../../guest-examples/relabel.record.toml"),
    };

    const ALL: [Self; 2] = [Self::ENRICH, Self::RELABEL];

    /// The one of this name.
    pub(super) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|builtin| builtin.name == name)
    }

    /// The digest of its component.
    pub(super) fn digest(&self) -> Digest {
        let recorded = self.record.lines().find_map(|line| line.strip_prefix("sha256 = \"")?.strip_suffix('"'));
        recorded.and_then(|text| text.parse().ok()).unwrap_or_else(|| Digest::of(self.component))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_says_the_digest_of_the_component() {
        for builtin in Builtin::ALL {
            assert_eq!(builtin.digest(), Digest::of(builtin.component), "{}", builtin.name);
        }
    }
}
