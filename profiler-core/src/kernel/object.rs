//! The object that is built in, and its programs.

use std::io;

use aya::maps::{MapData, MapError, ProgramArray};
use aya::programs::perf_event::{PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent};
use aya::programs::{BtfTracePoint, PerfEvent, ProgramError};
use aya::util::online_cpus;
use aya::{Btf, Ebpf, EbpfError, EbpfLoader};
use rustix::process::{Resource, getrlimit};

use super::{KernelSettings, LoadError, MAPPINGS_OF_ALL, Scope, Shortfall, TABLES};

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

/// Makes the maps and relocates the programs; none of them is loaded yet.
pub(super) fn load(settings: &KernelSettings) -> Result<Ebpf, LoadError> {
    let object = OBJECT.ok_or(LoadError::Architecture)?;
    let btf = Btf::from_sys_fs().map_err(LoadError::Btf)?;
    let scope: u32 = match settings.scope {
        Scope::Listed => 0,
        Scope::All => 1,
        Scope::Chosen => 2,
    };
    let kernel_frames = u32::from(settings.kernel_frames);
    let wake_bytes = u64::from(settings.ring_bytes / WAKE_AT_PART);
    EbpfLoader::new()
        .btf(Some(&btf))
        .override_global("scope", &scope, true)
        .override_global("kernel_frames", &kernel_frames, true)
        .override_global("wake_bytes", &wake_bytes, true)
        .map_max_entries("events", settings.ring_bytes)
        .map_max_entries("mappings", MAPPINGS_OF_ALL)
        .map_max_entries("tables", TABLES)
        .load(object)
        .map_err(name_locked_memory)
}

/// Loads a program that walks stacks and gives it its number.
pub(super) fn add_unwinder(
    ebpf: &mut Ebpf,
    unwinders: &mut ProgramArray<MapData>,
    name: &'static str,
    number: u32,
) -> Result<(), LoadError> {
    let program = perf_program(ebpf, name)?;
    program.load().map_err(refused(name))?;
    unwinders.set(number, program.fd().map_err(refused(name))?, 0)?;
    Ok(())
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
            .all(|(name, tracepoint)| follow(ebpf, name, tracepoint, &btf).is_some())
    });
    (!followed).then_some(Shortfall::Lifetimes)
}

fn follow(ebpf: &mut Ebpf, name: &str, tracepoint: &str, btf: &Btf) -> Option<()> {
    let program: &mut BtfTracePoint = ebpf.program_mut(name)?.try_into().ok()?;
    program.load(tracepoint, btf).ok()?;
    program.attach().ok()?;
    Some(())
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
