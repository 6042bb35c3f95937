//! The worlds that a component may fit, and the exports of an instance of each.

use std::fmt;
use std::str::FromStr;

use profiler_core::labels::Labels;
use wasmtime::Store;
use wasmtime::component::{HasSelf, InstancePre, Linker, Resource};

use super::bindings::labels::exports::flamegate::filter::filter_labels;
use super::bindings::labels::flamegate::filter::types::{Info, Label};
use super::bindings::packed::exports::flamegate::filter::filter_labels_packed::{PackedParam, PackedVerdict};
use super::bindings::{granted, labels, packed, profile};
use super::instance::HostState;
use super::profile::Opened;

/// A world of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// `labels-filter`.
    Labels,
    /// `packed-labels-filter`.
    PackedLabels,
    /// `profile-filter`.
    Profile,
}

/// A component's code, linked to what the host offers its world. Clones share it.
#[derive(Clone)]
pub(super) enum Linked {
    Labels(labels::LabelsFilterPre<HostState>),
    Packed(packed::PackedLabelsFilterPre<HostState>),
    Profile(profile::ProfileFilterPre<HostState>),
}

/// What an instance exports.
pub(super) enum Exports {
    Labels(labels::LabelsFilter),
    Packed(packed::PackedLabelsFilter),
    Profile(profile::ProfileFilter),
}

/// What an instance answers on a series, in its world's words.
pub(super) enum Answer {
    Whole(filter_labels::Verdict),
    Packed(PackedVerdict),
}

impl World {
    const ALL: [Self; 3] = [Self::Labels, Self::PackedLabels, Self::Profile];

    /// The interface that a component of it exports besides `lifecycle`.
    fn interface(self) -> &'static str {
        match self {
            Self::Labels => "flamegate:filter/filter-labels@0.1.0",
            Self::PackedLabels => "flamegate:filter/filter-labels-packed@0.1.0",
            Self::Profile => "flamegate:filter/filter-profile@0.1.0",
        }
    }
}

/// A capability that there is not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} cannot be granted: filters may be granted {}, and nothing else", Capability::ALL.map(Capability::name).join(", "))]
pub struct NoCapability {
    name: String,
}

/// What a filter may be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// The time of day.
    Clock,
}

impl Capability {
    /// All there are.
    pub const ALL: [Self; 1] = [Self::Clock];

    /// As the user writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clock => "clock",
        }
    }

    fn interface(self) -> &'static str {
        match self {
            Self::Clock => "flamegate:filter/clock@0.1.0",
        }
    }
}

impl FromStr for Capability {
    type Err = NoCapability;

    fn from_str(name: &str) -> Result<Self, NoCapability> {
        let named = Self::ALL.into_iter().find(|capability| capability.name() == name);
        named.ok_or_else(|| NoCapability { name: name.to_owned() })
    }
}

/// As the contract names it.
impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Labels => "labels-filter",
            Self::PackedLabels => "packed-labels-filter",
            Self::Profile => "profile-filter",
        })
    }
}

impl Linked {
    /// Links a component to the world whose interface it exports.
    ///
    /// # Errors
    /// None of them, or something is missing, or of another type, or not offered.
    pub(super) fn new(linked: InstancePre<HostState>) -> wasmtime::Result<Self> {
        let component = linked.component().clone();
        let exports = |world: &World| component.get_export_index(None, world.interface()).is_some();
        let exported = World::ALL.iter().filter(|world| exports(world));
        let worlds: Vec<World> = exported.copied().collect();
        match worlds.as_slice() {
            [World::Labels] => Ok(Self::Labels(labels::LabelsFilterPre::new(linked)?)),
            [World::PackedLabels] => Ok(Self::Packed(packed::PackedLabelsFilterPre::new(linked)?)),
            [World::Profile] => Ok(Self::Profile(profile::ProfileFilterPre::new(linked)?)),
            [] => {
                let [labels, packed, profile] = World::ALL.map(World::interface);
                wasmtime::bail!("it exports none of {labels}, {packed} and {profile}")
            }
            [one, other, ..] => wasmtime::bail!("it is of two worlds, {one} and {other}: build it for one of them"),
        }
    }

    /// What the host offers: to the worlds, the largest of which imports what all others do, and to who is granted it.
    pub(super) fn offer(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        profile::ProfileFilter::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
        granted::Granted::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
    }

    pub(super) fn world(&self) -> World {
        match self {
            Self::Labels(_) => World::Labels,
            Self::Packed(_) => World::PackedLabels,
            Self::Profile(_) => World::Profile,
        }
    }

    /// What the component imports that is to be granted first.
    pub(super) fn needs(&self) -> Vec<Capability> {
        let component = match self {
            Self::Labels(linked) => linked.instance_pre().component(),
            Self::Packed(linked) => linked.instance_pre().component(),
            Self::Profile(linked) => linked.instance_pre().component(),
        };
        let imported = component.component_type();
        let is_imported = |capability: &Capability| {
            imported.imports(component.engine()).any(|(name, _)| name == capability.interface())
        };
        Capability::ALL.into_iter().filter(is_imported).collect()
    }

    pub(super) fn instantiate(&self, store: &mut Store<HostState>) -> wasmtime::Result<Exports> {
        Ok(match self {
            Self::Labels(linked) => Exports::Labels(linked.instantiate(store)?),
            Self::Packed(linked) => Exports::Packed(linked.instantiate(store)?),
            Self::Profile(linked) => Exports::Profile(linked.instantiate(store)?),
        })
    }
}

impl Exports {
    pub(super) fn configure(&self, store: &mut Store<HostState>, config: &str) -> wasmtime::Result<Result<(), String>> {
        match self {
            Self::Labels(exports) => exports.flamegate_filter_lifecycle().call_configure(store, config),
            Self::Packed(exports) => exports.flamegate_filter_lifecycle().call_configure(store, config),
            Self::Profile(exports) => exports.flamegate_filter_lifecycle().call_configure(store, config),
        }
    }

    pub(super) fn describe(&self, store: &mut Store<HostState>) -> wasmtime::Result<Info> {
        match self {
            Self::Labels(exports) => exports.flamegate_filter_lifecycle().call_describe(store),
            Self::Packed(exports) => exports.flamegate_filter_lifecycle().call_describe(store),
            Self::Profile(exports) => exports.flamegate_filter_lifecycle().call_describe(store),
        }
    }

    /// # Errors
    /// Of a filter of profiles, always, besides what the call may end with.
    pub(super) fn apply(&self, store: &mut Store<HostState>, labels: &Labels) -> wasmtime::Result<Answer> {
        match self {
            Self::Labels(exports) => {
                let interface = exports.flamegate_filter_filter_labels();
                interface.call_apply(store, &to_guest(labels)).map(Answer::Whole)
            }
            Self::Packed(exports) => {
                let packed = PackedParam { text: labels.text(), ends: labels.ends() };
                exports.flamegate_filter_filter_labels_packed().call_apply(store, packed).map(Answer::Packed)
            }
            Self::Profile(_) => wasmtime::bail!("a filter of profiles was handed labels alone"),
        }
    }

    /// Filters of labels do not see the profile.
    pub(super) fn apply_to_profile(
        &self,
        store: &mut Store<HostState>,
        labels: &Labels,
        profile: Resource<Opened>,
    ) -> wasmtime::Result<Answer> {
        match self {
            Self::Profile(exports) => {
                let interface = exports.flamegate_filter_filter_profile();
                interface.call_apply(store, &to_guest(labels), profile).map(Answer::Whole)
            }
            Self::Labels(_) | Self::Packed(_) => self.apply(store, labels),
        }
    }
}

/// Labels as the contract's list.
pub(super) fn to_guest(labels: &Labels) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() }).collect()
}
