//! The runtimes of processes: each is looked for when its file is known, and its code is told apart when it was found.

use std::ops::Range;

use super::{Follower, Mapped, Process};
use crate::kernel::{Content, FileRef, Frame, Kernel, Mapping, Unwinder};
use crate::process::Source;
use crate::runtime::{MadeCode, Target};

/// Those of one process.
#[derive(Debug, Default)]
pub(super) struct FoundRuntimes(Vec<Found>);

#[derive(Debug)]
struct Found {
    file: FileRef,
    bias: u64,
    /// Of the file, in memory and by rising addresses; empty while it is looked for.
    code: Vec<Range<u64>>,
    made_code: MadeCode,
    unwinder: Unwinder,
}

/// Files of runtimes in one process.
const MAX_RUNTIMES: usize = 8;

impl FoundRuntimes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The parts of a mapping, each with whoever walks up from it; `source` is what stands behind it.
    pub(super) fn divide(&self, mapping: &Mapping, source: &Source) -> Vec<Mapping> {
        let mut code: Vec<(Range<u64>, Unwinder)> = Vec::new();
        for found in &self.0 {
            found.add_code_in(mapping, source, &mut code);
        }
        code.sort_unstable_by_key(|(code, _)| code.start);
        let mut parts = Vec::new();
        let mut from = mapping.start;
        let mut add = |start, end, unwinder| {
            if start < end {
                parts.push(Mapping { start, end, unwinder, content: mapping.content.clone() });
            }
        };
        for (code, unwinder) in code {
            let (start, end) = (code.start.clamp(from, mapping.end), code.end.clamp(from, mapping.end));
            add(from, start, Unwinder::NATIVE);
            add(start, end, unwinder);
            from = end;
        }
        add(from, mapping.end, Unwinder::NATIVE);
        parts
    }
}

impl Found {
    /// Adds the runtime's code in a mapping, which may reach over its ends.
    fn add_code_in(&self, mapping: &Mapping, source: &Source, code: &mut Vec<(Range<u64>, Unwinder)>) {
        let mut add = |range: Range<u64>| {
            if range.start < mapping.end && mapping.start < range.end {
                code.push((range, self.unwinder));
            }
        };
        match (&mapping.content, &self.made_code) {
            (Content::File { file, bias, .. }, _) if (self.file, self.bias) == (*file, *bias) => {
                self.code.iter().cloned().for_each(add);
            }
            (Content::Anonymous, MadeCode::OfNoFile) => add(mapping.start..mapping.end),
            (_, MadeCode::Shared) if source.is_shared_memory() => add(mapping.start..mapping.end),
            (_, MadeCode::Within(ranges)) => ranges.iter().cloned().for_each(add),
            _ => {}
        }
    }
}

impl Follower {
    /// Those of a process whose mappings are read again; none where it is another process by now.
    pub(super) fn keep_runtimes(&self, kernel: &mut Kernel, pid: u32, before: Option<&mut Process>) -> FoundRuntimes {
        if let Some(before) = before {
            return std::mem::take(&mut before.runtimes);
        }
        kernel.remove_runtimes(pid);
        self.reader.forget(pid);
        FoundRuntimes::default()
    }

    /// A process runs another program: what was known was of the one before, wherever in memory that had been.
    pub(super) fn forget_runtimes(&mut self, kernel: &mut Kernel, pid: u32) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.runtimes = FoundRuntimes::default();
            kernel.remove_runtimes(pid);
            self.reader.forget(pid);
        }
    }

    /// Asks for the runtimes of a process that were not asked for.
    pub(super) fn look_for_runtimes(&self, pid: u32, process: &mut Process) {
        for mapped in &process.contents {
            let Mapped::File { file, bias } = *mapped else { continue };
            let Some(data) = self.files.get(file).and_then(|known| known.runtime.clone()) else { continue };
            let is_known = process.runtimes.0.iter().any(|found| (found.file, found.bias) == (file, bias));
            if is_known || process.runtimes.0.len() >= MAX_RUNTIMES {
                continue;
            }
            process.runtimes.0.push(Found {
                file,
                bias,
                code: Vec::new(),
                made_code: MadeCode::Nowhere,
                unwinder: Unwinder::NATIVE,
            });
            self.reader.attach(Target { pid, start_time: process.start_time, data, bias });
        }
    }

    /// Tells the kernel of the runtimes that were found.
    pub(super) fn take_runtimes(&mut self, kernel: &mut Kernel) {
        for attached in self.reader.take_attached() {
            let Target { pid, start_time, data, bias } = attached.target;
            let Some(mut process) = self.processes.remove(&pid) else { continue };
            let is_it = |found: &&mut Found| {
                let known = self.files.get(found.file).and_then(|known| known.runtime.as_ref());
                found.bias == bias && known.is_some_and(|known| std::sync::Arc::ptr_eq(known, &data))
            };
            if process.start_time == start_time
                && let Some(found) = process.runtimes.0.iter_mut().find(is_it)
            {
                if kernel.put_runtime(pid, &attached.process).is_ok() {
                    let (unwinder, code) = data.code();
                    found.unwinder = unwinder;
                    found.code =
                        code.iter().map(|code| code.start.wrapping_add(bias)..code.end.wrapping_add(bias)).collect();
                    found.made_code = attached.made_code;
                    self.put(kernel, pid, &process);
                } else {
                    self.refused += 1;
                }
            }
            self.processes.insert(pid, process);
        }
    }

    /// Has the functions of frames read while they are there.
    pub(in crate::sampler) fn read_functions(&self, frames: Vec<(u32, Frame)>) {
        if !frames.is_empty() {
            self.reader.want(frames);
        }
    }
}
