//! Runtimes as if they had been found in a process: what must hold for any memory of one is checked with these, where no
//! process has to be made to have it.

use super::memory::ReadMemory;
use super::{Instance, OfProcess, dotnet, hotspot, perl, php, python, ruby, v8};
use crate::kernel::FrameKind;

/// What a process would say of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assumption {
    /// Whose frames are named.
    pub kind: FrameKind,
    /// Which of the layouts that are known; any number is one of them.
    pub layout: u8,
    /// What was found: addresses and numbers, whose meaning is the runtime's.
    pub found: [u64; 3],
}

impl Instance {
    /// What would be known of the process. Looks at the memory as who finds the runtime does, whatever comes of it. None of
    /// frames that are of no runtime, and of memory that describes no layout.
    #[must_use]
    pub fn assumed(assumption: Assumption, memory: &dyn ReadMemory) -> Option<Self> {
        let Assumption { kind, layout, found } = assumption;
        let instance = match kind {
            FrameKind::Python => OfProcess::Python(python::Instance::assumed(layout, found, memory)?),
            FrameKind::HotSpot => OfProcess::HotSpot(Box::new(hotspot::Instance::assumed(layout, found, memory)?)),
            FrameKind::V8 => OfProcess::V8(v8::Instance::assumed(layout, found, memory)?),
            FrameKind::Ruby => OfProcess::Ruby(ruby::Instance::assumed(layout, found, memory)?),
            FrameKind::Perl => OfProcess::Perl(perl::Instance::assumed(layout, found, memory)?),
            FrameKind::Php => OfProcess::Php(php::Instance::assumed(layout, found, memory)?),
            FrameKind::DotNet => OfProcess::DotNet(dotnet::Instance::assumed(layout, found, memory)?),
            FrameKind::Native | FrameKind::Anonymous | FrameKind::Unmapped => return None,
        };
        Some(Self(instance))
    }
}

/// One of several.
pub(super) fn one_of<T: Copy>(all: &[T], number: u8) -> Option<T> {
    all.get(usize::from(number) % all.len().max(1)).copied()
}
