//! The object that is built in, and its programs.

use std::io;
use std::path::Path;

use aya::maps::{MapData, MapError, ProgramArray};
use aya::programs::perf_event::{PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent};
use aya::programs::uprobe::{UProbeAttachLocation, UProbeScope};
use aya::programs::{BtfTracePoint, PerfEvent, Program, ProgramError};
use aya::util::online_cpus;
use aya::{Btf, Ebpf, EbpfError, EbpfLoader};
use rustix::process::{Resource, getrlimit};

use super::runtimes::Walker;
use super::{
    KernelSettings, LoadError, Location, MAPPINGS_OF_ALL, MAX_CGROUPS, Place, Probe, Scope, Shortfall, TABLES,
    Unwinder, runtimes,
};

#[cfg(target_arch = "x86_64")]
const OBJECT: Option<&[u8]> =
    Some(aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/../bpf/x86_64.o")));
#[cfg(target_arch = "aarch64")]
const OBJECT: Option<&[u8]> =
    Some(aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/../bpf/aarch64.o")));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const OBJECT: Option<&[u8]> = None;

/// The reader sleeps until so much of the ring buffer is full, or its own time has come.
const WAKE_AT_PART: u32 = 4;
/// The tracepoint of switches.
const SWITCH: &str = "sched_switch";

/// Makes the maps and relocates the programs; none of them is loaded yet.
pub(super) fn load(settings: &KernelSettings, pid_namespace: Option<u32>) -> Result<Ebpf, LoadError> {
    let object = OBJECT.ok_or(LoadError::Architecture)?;
    let btf = Btf::from_sys_fs().map_err(LoadError::Btf)?;
    let scope: u32 = match settings.scope {
        Scope::Listed => 0,
        Scope::All => 1,
        Scope::Chosen => 2,
        Scope::Cgroups => 3,
    };
    let kernel_frames = u32::from(settings.kernel_frames);
    let go_labels = u32::from(settings.runtimes.go);
    let pid_namespace = pid_namespace.unwrap_or(0);
    // Of the 2^32 numbers that the kernel draws from.
    let off_cpu_threshold = (settings.off_cpu_threshold.clamp(0.0, 1.0) * 2f64.powi(32)) as u64;
    let wake_bytes = u64::from(settings.ring_bytes / WAKE_AT_PART);
    let mut loader = EbpfLoader::new();
    for (map, entries) in runtimes::maps(settings.runtimes) {
        loader.map_max_entries(map, entries);
    }
    loader
        .btf(Some(&btf))
        .override_global("scope", &scope, true)
        .override_global("kernel_frames", &kernel_frames, true)
        .override_global("go_labels", &go_labels, true)
        .override_global("wake_bytes", &wake_bytes, true)
        .override_global("pid_namespace", &pid_namespace, true)
        .override_global("off_cpu_threshold", &off_cpu_threshold, true)
        .map_max_entries("events", settings.ring_bytes)
        .map_max_entries("mappings", MAPPINGS_OF_ALL)
        .map_max_entries("tables", TABLES)
        .map_max_entries("cgroups", MAX_CGROUPS as u32)
        // It does not know the storage of tasks, which only the programs use.
        .allow_unsupported_maps()
        .load(object)
        .map_err(name_locked_memory)
}

/// Loads a program that walks stacks and gives it its number.
pub(super) fn add_unwinder(
    ebpf: &mut Ebpf,
    unwinders: &mut ProgramArray<MapData>,
    name: &'static str,
    number: Unwinder,
) -> Result<(), LoadError> {
    let program = ebpf.program_mut(name).ok_or(LoadError::Object { missing: name })?;
    match program {
        Program::PerfEvent(program) => program.load(),
        Program::KProbe(program) => program.load(),
        Program::BtfTracePoint(program) => program.load(SWITCH, &Btf::from_sys_fs().map_err(LoadError::Btf)?),
        _ => return Err(LoadError::Object { missing: name }),
    }
    .map_err(refused(name))?;
    unwinders.set(number.0.into(), program.fd().map_err(refused(name))?, 0)?;
    Ok(())
}

/// Samples threads that leave a CPU.
pub(super) fn follow_switches(ebpf: &mut Ebpf) -> Result<(), LoadError> {
    const NAME: &str = "switched";
    let btf = Btf::from_sys_fs().map_err(LoadError::Btf)?;
    follow(ebpf, NAME, SWITCH, &btf)
}

/// Attaches what samples at a place.
pub(super) fn add_probe(
    ebpf: &mut Ebpf,
    unwinders: &mut ProgramArray<MapData>,
    walkers: &[Walker],
    probe: &Probe,
) -> Result<(), LoadError> {
    let (kind, option, name) = match (&probe.place, probe.is_return) {
        (Place::Program { .. }, false) => ("uprobe", "CONFIG_UPROBE_EVENTS", "probe"),
        (Place::Program { .. }, true) => ("uprobe", "CONFIG_UPROBE_EVENTS", "probe_return"),
        (Place::Kernel { .. }, false) => ("kprobe", "CONFIG_KPROBE_EVENTS", "kernel_probe"),
        (Place::Kernel { .. }, true) => ("kprobe", "CONFIG_KPROBE_EVENTS", "kernel_probe_return"),
    };
    if !Path::new("/sys/bus/event_source/devices").join(kind).exists() {
        return Err(LoadError::NoProbes { probe: Box::new(probe.clone()), kind, option });
    }
    for walker in walkers {
        if ebpf.program(walker.of_probes).is_none_or(|program| program.fd().is_err()) {
            add_unwinder(ebpf, unwinders, walker.of_probes, walker.unwinder)?;
        }
    }
    let program = ebpf.program_mut(name).ok_or(LoadError::Object { missing: name })?;
    let is_loaded = program.fd().is_ok();
    let attached = match (program, &probe.place) {
        (Program::UProbe(program), Place::Program { path, at }) => {
            if !is_loaded {
                program.load().map_err(refused(name))?;
            }
            let at = match at {
                Location::Symbol(symbol) => UProbeAttachLocation::Symbol(symbol),
                Location::Offset(offset) => UProbeAttachLocation::AbsoluteOffset(*offset),
            };
            program.attach(at, path, UProbeScope::AllProcesses).map(|_| ())
        }
        (Program::KProbe(program), Place::Kernel { symbol }) => {
            if !is_loaded {
                program.load().map_err(refused(name))?;
            }
            program.attach(symbol, 0).map(|_| ())
        }
        _ => return Err(LoadError::Object { missing: name }),
    };
    attached.map_err(|error| LoadError::Probe { probe: Box::new(probe.clone()), error })
}

/// Loads what samples, and attaches it to each CPU.
pub(super) fn attach_to_cpus(ebpf: &mut Ebpf, sample_rate: u32) -> Result<(), LoadError> {
    const NAME: &str = "sample";
    let cpus = online_cpus().map_err(|(path, error)| LoadError::Cpus { path, error })?;
    let program = perf_program(ebpf, NAME)?;
    program.load().map_err(refused(NAME))?;
    for cpu in cpus {
        program
            .attach(
                PerfEventConfig::Software(SoftwareEvent::CpuClock),
                PerfEventScope::AllProcessesOneCpu { cpu },
                SamplePolicy::Frequency(u64::from(sample_rate)),
                false,
            )
            .map_err(refused(NAME))?;
    }
    Ok(())
}

/// Lets the kernel tell of processes that run another program or end.
pub(super) fn follow_processes(ebpf: &mut Ebpf) -> Option<Shortfall> {
    let followed = Btf::from_sys_fs().is_ok_and(|btf| {
        [("executed", "sched_process_exec"), ("exited", "sched_process_exit")]
            .into_iter()
            .all(|(name, tracepoint)| follow(ebpf, name, tracepoint, &btf).is_ok())
    });
    (!followed).then_some(Shortfall::Lifetimes)
}

fn follow(ebpf: &mut Ebpf, name: &'static str, tracepoint: &str, btf: &Btf) -> Result<(), LoadError> {
    let program = ebpf.program_mut(name).ok_or(LoadError::Object { missing: name })?;
    let program: &mut BtfTracePoint = program.try_into().map_err(refused(name))?;
    program.load(tracepoint, btf).and_then(|()| program.attach()).map_err(refused(name))?;
    Ok(())
}

fn perf_program<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut PerfEvent, LoadError> {
    let program = ebpf.program_mut(name).ok_or(LoadError::Object { missing: name })?;
    program.try_into().map_err(refused(name))
}

fn refused(program: &'static str) -> impl Fn(ProgramError) -> LoadError {
    move |error| LoadError::Program { program, error }
}

/// Before 5.11 maps count as locked memory, and too little of it looks like a missing right.
fn name_locked_memory(error: EbpfError) -> LoadError {
    if let EbpfError::MapError(MapError::CreateError { io_error, .. }) = &error
        && io_error.kind() == io::ErrorKind::PermissionDenied
        && let Some(limit) = getrlimit(Resource::Memlock).current
    {
        return LoadError::LockedMemory { limit };
    }
    LoadError::Load(error)
}
