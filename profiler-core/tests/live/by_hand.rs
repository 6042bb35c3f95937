//! The kernel's side alone, told by hand what a process has mapped.

use std::time::Duration;

use profiler_core::kernel::{
    Content, FileRef, Kernel, KernelSettings, Mapping, Record, Runtimes, Scope, Stop, TableSlot, Unwinder,
};
use profiler_core::native::elf::ElfFile;
use profiler_core::native::unwind::UnwindTable;
use profiler_core::process::{MappedMemory, Source, executable_memory, open_mapped};

use crate::live::program::Target;
use crate::wait_for;

#[test]
fn an_unwinder_that_is_not_loaded_leaves_frames_to_the_native_one() {
    let target = Target::start(&[]);
    let mut kernel = kernel();
    let mut mappings = mappings(&mut kernel, target.pid());
    for mapping in &mut mappings {
        mapping.unwinder = Unwinder(9);
    }
    kernel.put_process(target.pid(), &mappings).unwrap();
    assert!(deepest(&mut kernel, |stop| stop == Stop::Complete) > 40);
}

#[test]
fn a_table_that_is_taken_away_leaves_a_stack_that_says_so() {
    let target = Target::start(&[]);
    let mut kernel = kernel();
    let mappings = mappings(&mut kernel, target.pid());
    kernel.put_process(target.pid(), &mappings).unwrap();
    assert!(deepest(&mut kernel, |stop| stop == Stop::Complete) > 40);
    for slot in mappings.iter().filter_map(table) {
        kernel.remove_table(slot).unwrap();
    }
    assert_eq!(deepest(&mut kernel, |stop| stop == Stop::NoInformation), 1);
}

fn kernel() -> Kernel {
    let settings = KernelSettings {
        scope: Scope::Listed,
        kernel_frames: true,
        off_cpu_threshold: 0.0,
        runtimes: Runtimes::NONE,
        ring_bytes: 1 << 20,
    };
    let mut kernel =
        Kernel::load(&settings).unwrap_or_else(|error| panic!("this test needs root and a kernel with BPF: {error}"));
    kernel.begin(499).unwrap();
    kernel
}

/// Frames of the deepest of some stacks that ended for such a reason.
fn deepest(kernel: &mut Kernel, is_meant: impl Fn(Stop) -> bool) -> usize {
    const ENOUGH: usize = 50;
    let mut depths = Vec::new();
    wait_for(|| {
        kernel.wait(Duration::from_millis(50));
        kernel.read(1000, |record| {
            if let Record::Sample(sample) = record
                && is_meant(sample.stop)
            {
                depths.push(sample.user_frames().len());
            }
        });
        depths.len() >= ENOUGH
    });
    depths.into_iter().max().unwrap()
}

/// Of a program that is loaded: with tables for all of its files.
fn mappings(kernel: &mut Kernel, pid: u32) -> Vec<Mapping> {
    let is_libc = |memory: &MappedMemory| matches!(&memory.source, Source::File { path, .. } if path.contains("libc"));
    wait_for(|| executable_memory(pid).unwrap().iter().any(is_libc));
    let memory = executable_memory(pid).unwrap();
    let mapped = (1..).zip(memory).filter_map(|(number, memory)| {
        let Source::File { offset, .. } = memory.source else { return None };
        let elf = ElfFile::open(open_mapped(pid, &memory).unwrap()).unwrap();
        let table = kernel.put_table(&UnwindTable::build(&elf).unwrap()).unwrap();
        let bias = memory.start - elf.address_of_offset(offset).unwrap();
        let content = Content::File { file: FileRef(number), bias, table: Some(table) };
        Some(Mapping { start: memory.start, end: memory.end, content, unwinder: Unwinder::NATIVE })
    });
    mapped.collect()
}

fn table(mapping: &Mapping) -> Option<TableSlot> {
    match &mapping.content {
        Content::File { table, .. } => table.as_ref().map(|table| table.slot),
        Content::Anonymous => None,
    }
}
