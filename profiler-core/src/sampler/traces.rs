//! Samples that are the same, counted.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use indexmap::{Equivalent, IndexMap};

use super::follow::Follower;
use super::goroutine_labels::{LabelSets, pack, texts};
use crate::kernel::{Frame, FrameKind, Origin, Record, Sample, Stop};

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
    /// What it was sampled for.
    pub origin: Origin,
    /// Addresses in the kernel, the innermost first.
    pub kernel: Box<[u64]>,
    /// Frames of user space, the innermost first.
    pub user: Box<[Frame]>,
    /// Why the walk through user space ended.
    pub stop: Stop,
    /// What the program says of its work there, by keys in their order: the labels of a goroutine of Go. At most 16;
    /// values are cut off after 128 bytes.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// How often.
    pub count: u64,
    /// For [`Origin::OffCpu`] the nanoseconds until the thread was back, all times together; else the same as `count`.
    pub value: u64,
}

/// Stacks that wait to be collected hold no more frames than this: 64 MiB.
const MAX_FRAMES: usize = (64 << 20) / size_of::<Frame>();

#[derive(Debug, Default)]
pub(super) struct Traces {
    seen: IndexMap<Key, Seen, rapidhash::fast::RandomState>,
    /// By thread: where it left its CPU.
    away: HashMap<u32, Key>,
    /// In both.
    frames: usize,
    dropped: u64,
    label_sets: LabelSets,
    /// Stacks with addresses outside of the mappings that were known; no more than are read at once.
    unmapped: Vec<(Key, u64)>,
    /// Frames of runtimes in stacks that are new.
    new: Vec<(u32, Frame)>,
    // Kept from one sample to the next for their memory.
    kernel: Vec<u64>,
    user: Vec<Frame>,
    labels: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    count: u64,
    value: u64,
}

impl Traces {
    /// Counts a sample; what is none is passed over.
    pub(super) fn add(&mut self, record: &Record<'_>) {
        match record {
            Record::Sample(sample) => self.add_sample(sample),
            Record::Back { tid, away, .. } => {
                if let Some(key) = self.away.remove(tid) {
                    self.frames -= key.frames();
                    self.count_key(key, *away);
                }
            }
            _ => {}
        }
    }

    /// Counts the samples that were met before anything was known of their process.
    pub(super) fn settle(&mut self, follower: &Follower) {
        for (mut key, value) in std::mem::take(&mut self.unmapped) {
            if !follower.wants(key.pid) {
                continue;
            }
            for frame in key.user.iter_mut().filter(|frame| frame.kind == FrameKind::Unmapped) {
                if let Some(found) = follower.place(key.pid, frame.address) {
                    (frame.kind, frame.file, frame.address) = found;
                }
            }
            self.count(key.view(), value);
        }
    }

    /// Forgets where threads of processes left their CPUs that are not followed: they do not come back.
    pub(super) fn forget_others(&mut self, is_followed: impl Fn(u32) -> bool) {
        let frames = &mut self.frames;
        self.away.retain(|_, key| {
            let stays = key.stop == Stop::KernelThread || is_followed(key.pid);
            if !stays {
                *frames -= key.frames();
            }
            stays
        });
    }

    pub(super) fn take(&mut self) -> Vec<Trace> {
        self.label_sets.clear();
        self.frames = self.away.values().map(Key::frames).sum();
        std::mem::take(&mut self.seen)
            .into_iter()
            .map(|(Key { pid, tid, comm, origin, stop, kernel, user, labels }, Seen { count, value })| Trace {
                pid,
                tid,
                comm,
                origin,
                kernel,
                user,
                stop,
                labels: texts(&labels),
                count,
                value,
            })
            .collect()
    }

    /// Frames of runtimes in stacks that are new since the last call, each with its process.
    pub(super) fn take_new(&mut self) -> Vec<(u32, Frame)> {
        std::mem::take(&mut self.new)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Samples that were kept without their labels.
    pub(super) fn unlabelled(&self) -> u64 {
        self.label_sets.refused()
    }

    fn add_sample(&mut self, sample: &Sample<'_>) {
        let (mut kernel, mut user) = (std::mem::take(&mut self.kernel), std::mem::take(&mut self.user));
        kernel.clear();
        kernel.extend(sample.kernel_frames());
        user.clear();
        user.extend(sample.user_frames());
        let mut labels = std::mem::take(&mut self.labels);
        pack(sample, &mut labels);
        let view = View::new(sample, &kernel, &user, &labels);
        if sample.origin == Origin::OffCpu {
            self.leave(view);
        } else if view.has_unmapped() {
            self.unmapped.push((view.to_key(), 1));
        } else {
            self.count(view, 1);
        }
        (self.kernel, self.user, self.labels) = (kernel, user, labels);
    }

    fn leave(&mut self, view: View<'_>) {
        // Its way back was lost.
        if let Some(before) = self.away.remove(&view.tid) {
            self.frames -= before.frames();
        }
        if self.has_room(view.frames()) {
            // It may be gone before it is back.
            self.new.extend(view.of_runtimes());
            self.away.insert(view.tid, view.to_key());
        }
    }

    fn count_key(&mut self, key: Key, value: u64) {
        if key.view().has_unmapped() {
            self.unmapped.push((key, value));
        } else {
            self.count(key.view(), value);
        }
    }

    fn count(&mut self, view: View<'_>, value: u64) {
        if let Some(seen) = self.seen.get_mut(&view) {
            seen.count += 1;
            seen.value = seen.value.saturating_add(value);
        } else if !self.label_sets.take(view.pid, view.labels) {
            self.count(View { labels: &[], ..view }, value);
        } else if self.has_room(view.frames()) {
            self.new.extend(view.of_runtimes());
            self.seen.insert(view.to_key(), Seen { count: 1, value });
        }
    }

    fn has_room(&mut self, frames: usize) -> bool {
        let has_room = self.frames + frames <= MAX_FRAMES;
        if has_room {
            self.frames += frames;
        } else {
            self.dropped += 1;
        }
        has_room
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    pid: u32,
    tid: u32,
    comm: Comm,
    origin: Origin,
    stop: Stop,
    kernel: Box<[u64]>,
    user: Box<[Frame]>,
    labels: Box<[u8]>,
}

/// A key that owns nothing: most samples were seen before.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct View<'a> {
    pid: u32,
    tid: u32,
    comm: Comm,
    origin: Origin,
    stop: Stop,
    kernel: &'a [u64],
    user: &'a [Frame],
    labels: &'a [u8],
}

impl<'a> View<'a> {
    fn new(sample: &Sample<'_>, kernel: &'a [u64], user: &'a [Frame], labels: &'a [u8]) -> Self {
        let Sample { pid, tid, comm, origin, stop, .. } = *sample;
        Self { pid, tid, comm: Comm(comm), origin, stop, kernel, user, labels }
    }

    fn to_key(self) -> Key {
        let Self { pid, tid, comm, origin, stop, kernel, user, labels } = self;
        Key { pid, tid, comm, origin, stop, kernel: kernel.into(), user: user.into(), labels: labels.into() }
    }

    fn has_unmapped(&self) -> bool {
        self.user.iter().any(|frame| frame.kind == FrameKind::Unmapped)
    }

    fn of_runtimes(&self) -> impl Iterator<Item = (u32, Frame)> + use<'a> {
        let pid = self.pid;
        self.user.iter().filter(|frame| frame.kind.is_of_runtime()).map(move |frame| (pid, *frame))
    }

    /// One more for what a stack without frames takes, and those that take as much as the labels.
    fn frames(&self) -> usize {
        self.kernel.len() + self.user.len() + self.labels.len().div_ceil(size_of::<Frame>()) + 1
    }
}

impl Key {
    fn view(&self) -> View<'_> {
        let Self { pid, tid, comm, origin, stop, kernel, user, labels } = self;
        View { pid: *pid, tid: *tid, comm: *comm, origin: *origin, stop: *stop, kernel, user, labels }
    }

    fn frames(&self) -> usize {
        self.view().frames()
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
