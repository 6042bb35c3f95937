//! Samples that are the same, counted.

use std::hash::{Hash, Hasher};

use indexmap::{Equivalent, IndexMap};

use super::follow::Follower;
use crate::kernel::{Frame, FrameKind, Record, Sample, Stop};

/// The name of a thread, up to 15 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Comm(pub [u8; 16]);

impl Comm {
    /// Its text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        let name = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    }
}

/// A stack of a thread, and how often it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The process.
    pub pid: u32,
    /// The thread.
    pub tid: u32,
    /// The thread's name.
    pub comm: Comm,
    /// Addresses in the kernel, the innermost first.
    pub kernel: Box<[u64]>,
    /// Frames of user space, the innermost first.
    pub user: Box<[Frame]>,
    /// Why the walk through user space ended.
    pub stop: Stop,
    /// How often.
    pub count: u64,
}

/// Stacks that wait to be collected hold no more frames than this: 64 MiB.
const MAX_FRAMES: usize = (64 << 20) / size_of::<Frame>();

#[derive(Debug, Default)]
pub(super) struct Traces {
    counts: IndexMap<Key, u64, rapidhash::fast::RandomState>,
    frames: usize,
    dropped: u64,
    /// Stacks with addresses outside of the mappings that were known; no more than are read at once.
    unmapped: Vec<Key>,
    // Kept from one sample to the next for their memory.
    kernel: Vec<u64>,
    user: Vec<Frame>,
}

impl Traces {
    /// Counts a sample; what is none is passed over.
    pub(super) fn add(&mut self, record: &Record<'_>) {
        let Record::Sample(sample) = record else { return };
        self.kernel.clear();
        self.kernel.extend(sample.kernel_frames());
        self.user.clear();
        self.user.extend(sample.user_frames());
        if self.user.iter().any(|frame| frame.kind == FrameKind::Unmapped) {
            self.unmapped.push(View::new(sample, &self.kernel, &self.user).to_key());
            return;
        }
        self.count(sample.pid, sample.tid, Comm(sample.comm), sample.stop);
    }

    /// Counts the samples that were met before anything was known of their process.
    pub(super) fn settle(&mut self, follower: &Follower) {
        for Key { pid, tid, comm, stop, kernel, user } in std::mem::take(&mut self.unmapped) {
            if !follower.wants(pid) {
                continue;
            }
            (self.kernel, self.user) = (kernel.into_vec(), user.into_vec());
            for frame in self.user.iter_mut().filter(|frame| frame.kind == FrameKind::Unmapped) {
                if let Some(found) = follower.place(pid, frame.address) {
                    (frame.kind, frame.file, frame.address) = found;
                }
            }
            self.count(pid, tid, comm, stop);
        }
    }

    /// Counts the stack in `kernel` and `user`.
    fn count(&mut self, pid: u32, tid: u32, comm: Comm, stop: Stop) {
        let view = View { pid, tid, comm, stop, kernel: &self.kernel, user: &self.user };
        if let Some(count) = self.counts.get_mut(&view) {
            *count += 1;
            return;
        }
        // One more for what a stack without frames takes.
        let frames = self.kernel.len() + self.user.len() + 1;
        if self.frames + frames > MAX_FRAMES {
            self.dropped += 1;
            return;
        }
        self.frames += frames;
        let key = view.to_key();
        self.counts.insert(key, 1);
    }

    pub(super) fn take(&mut self) -> Vec<Trace> {
        self.frames = 0;
        std::mem::take(&mut self.counts)
            .into_iter()
            .map(|(Key { pid, tid, comm, stop, kernel, user }, count)| Trace {
                pid,
                tid,
                comm,
                kernel,
                user,
                stop,
                count,
            })
            .collect()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    pid: u32,
    tid: u32,
    comm: Comm,
    stop: Stop,
    kernel: Box<[u64]>,
    user: Box<[Frame]>,
}

/// A key that owns nothing: most samples were seen before.
#[derive(PartialEq, Eq, Hash)]
struct View<'a> {
    pid: u32,
    tid: u32,
    comm: Comm,
    stop: Stop,
    kernel: &'a [u64],
    user: &'a [Frame],
}

impl<'a> View<'a> {
    fn new(sample: &Sample<'_>, kernel: &'a [u64], user: &'a [Frame]) -> Self {
        Self { pid: sample.pid, tid: sample.tid, comm: Comm(sample.comm), stop: sample.stop, kernel, user }
    }

    fn to_key(&self) -> Key {
        let Self { pid, tid, comm, stop, kernel, user } = *self;
        Key { pid, tid, comm, stop, kernel: kernel.into(), user: user.into() }
    }
}

impl Key {
    fn view(&self) -> View<'_> {
        let Self { pid, tid, comm, stop, kernel, user } = self;
        View { pid: *pid, tid: *tid, comm: *comm, stop: *stop, kernel, user }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.view().hash(state);
    }
}

impl Equivalent<Key> for View<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.view()
    }
}
