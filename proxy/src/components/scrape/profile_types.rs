//! The kinds of profiles that targets are asked for.

use std::collections::BTreeMap;

use alloy_syntax::{Arguments, Invalid};

/// The `profiling_config` block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = ProfilingArguments::validate)]
pub(super) struct ProfilingArguments {
    /// Stands before the path of each kind.
    #[alloy(attr, optional)]
    pub(super) path_prefix: String,
    /// Memory, allocated and in use.
    #[alloy(block, optional, name = "profile.memory")]
    memory: MemoryArguments,
    /// Where threads wait for each other.
    #[alloy(block, optional, name = "profile.block")]
    block: BlockArguments,
    /// What goroutines do.
    #[alloy(block, optional, name = "profile.goroutine")]
    goroutine: GoroutineArguments,
    /// Which locks threads wait for.
    #[alloy(block, optional, name = "profile.mutex")]
    mutex: MutexArguments,
    /// Time on the CPU.
    #[alloy(block, optional, name = "profile.process_cpu")]
    process_cpu: ProcessCpuArguments,
    /// Time on the CPU and off it, of fgprof.
    #[alloy(block, optional, name = "profile.fgprof")]
    fgprof: FgprofArguments,
    /// Memory since the last profile, of godeltaprof.
    #[alloy(block, optional, name = "profile.godeltaprof_memory")]
    godeltaprof_memory: GodeltaprofMemoryArguments,
    /// Locks since the last profile, of godeltaprof.
    #[alloy(block, optional, name = "profile.godeltaprof_mutex")]
    godeltaprof_mutex: GodeltaprofMutexArguments,
    /// Waiting since the last profile, of godeltaprof.
    #[alloy(block, optional, name = "profile.godeltaprof_block")]
    godeltaprof_block: GodeltaprofBlockArguments,
    /// Kinds of one's own.
    #[alloy(block, optional, name = "profile.custom")]
    custom: Vec<CustomArguments>,
}

/// A kind of one's own.
#[derive(Debug, Clone, PartialEq, Arguments)]
pub(super) struct CustomArguments {
    /// The name of its profiles.
    #[alloy(label)]
    name: String,
    /// Whether targets are asked for it.
    #[alloy(attr)]
    enabled: bool,
    /// Where it is.
    #[alloy(attr)]
    path: String,
    /// Whether targets collect it for as long as they are told.
    #[alloy(attr, optional)]
    delta: bool,
}

/// A kind of profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProfileType {
    /// The name in the configuration.
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) path: String,
    /// Whether targets collect it for as long as they are told.
    pub(super) delta: bool,
}

/// The blocks of the kinds that there always are, each with defaults of its own.
macro_rules! standard_types {
    ($($arguments:ident $field:ident: $enabled:literal, $path:literal, $delta:literal;)*) => {
        $(
            /// One of the kinds that there always are.
            #[derive(Debug, Clone, PartialEq, Arguments)]
            pub(super) struct $arguments {
                /// Whether targets are asked for it.
                #[alloy(attr, default = $enabled)]
                enabled: bool,
                /// Where it is.
                #[alloy(attr, default = $path.to_owned())]
                path: String,
                /// Whether targets collect it for as long as they are told.
                #[alloy(attr, default = $delta)]
                delta: bool,
            }
        )*

        impl ProfilingArguments {
            fn standard(&self) -> impl Iterator<Item = ProfileType> {
                [$(
                    ProfileType {
                        name: stringify!($field).to_owned(),
                        enabled: self.$field.enabled,
                        path: self.$field.path.clone(),
                        delta: self.$field.delta,
                    },
                )*]
                .into_iter()
            }
        }
    };
}

standard_types! {
    MemoryArguments memory: true, "/debug/pprof/allocs", false;
    BlockArguments block: true, "/debug/pprof/block", false;
    GoroutineArguments goroutine: true, "/debug/pprof/goroutine", false;
    MutexArguments mutex: true, "/debug/pprof/mutex", false;
    ProcessCpuArguments process_cpu: true, "/debug/pprof/profile", true;
    FgprofArguments fgprof: false, "/debug/fgprof", true;
    GodeltaprofMemoryArguments godeltaprof_memory: false, "/debug/pprof/delta_heap", false;
    GodeltaprofMutexArguments godeltaprof_mutex: false, "/debug/pprof/delta_mutex", false;
    GodeltaprofBlockArguments godeltaprof_block: false, "/debug/pprof/delta_block", false;
}

impl ProfilingArguments {
    /// All kinds, whether they are asked for or not. One of one's own replaces that of the same name.
    pub(super) fn all(&self) -> Vec<ProfileType> {
        let own = self.custom.iter().map(|custom| ProfileType {
            name: custom.name.clone(),
            enabled: custom.enabled,
            path: custom.path.clone(),
            delta: custom.delta,
        });
        let by_name: BTreeMap<String, ProfileType> =
            self.standard().chain(own).map(|kind| (kind.name.clone(), kind)).collect();
        by_name.into_values().collect()
    }

    /// The kinds that targets are asked for.
    pub(super) fn enabled(&self) -> impl Iterator<Item = ProfileType> {
        self.all().into_iter().filter(|kind| kind.enabled)
    }

    fn validate(&self) -> Result<(), Invalid> {
        let mut names: Vec<&str> = self.custom.iter().map(|custom| custom.name.as_str()).collect();
        names.sort_unstable();
        if let Some([twice, _]) = names.array_windows().find(|[one, next]| one == next) {
            let message = format!("there are two blocks profile.custom {twice:?}: give each a label of its own");
            return Err(Invalid::block(message));
        }
        Ok(())
    }
}

/// What godeltaprof makes on the target is published as if it were made here.
pub(super) fn published_as(name: &str) -> Option<&'static str> {
    match name {
        "godeltaprof_memory" => Some("memory"),
        "godeltaprof_mutex" => Some("mutex"),
        "godeltaprof_block" => Some("block"),
        _ => None,
    }
}
