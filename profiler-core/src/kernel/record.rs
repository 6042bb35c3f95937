//! What comes through the ring buffer.

use super::{FileRef, FrameKind, Origin, Stop};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record<'a> {
    /// A thread was running, left its CPU, or came to a probe.
    Sample(Sample<'a>),
    /// A thread is on a CPU again whose last sample was of [`Origin::OffCpu`].
    Back {
        /// The process.
        pid: u32,
        /// The thread.
        tid: u32,
        /// Nanoseconds since that sample.
        away: u64,
    },
    /// A process runs that is not known.
    Unknown {
        /// The process.
        pid: u32,
        /// The one for which it is sampled, in [`super::Scope::Cgroups`].
        cgroup: Option<u64>,
    },
    /// A process runs code outside of its known mappings. Said once, until it is put again.
    Stale(u32),
    /// A process runs another program. It is not unwound until it is put again.
    Exec(u32),
    /// A process is gone.
    Exit(u32),
}

/// A thread, at the moment when it was sampled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample<'a> {
    /// The process.
    pub pid: u32,
    /// The thread.
    pub tid: u32,
    /// What it was taken for.
    pub origin: Origin,
    /// Its cgroup's number, that of the folder in cgroup v2.
    pub cgroup: u64,
    /// Nanoseconds since boot, without suspension.
    pub time: u64,
    /// The thread's name, up to the first zero.
    pub comm: [u8; 16],
    /// Why the walk through user space ended.
    pub stop: Stop,
    kernel: &'a [u8],
    user: &'a [u8],
    labels: &'a [u8],
}

/// A frame of user space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Frame {
    /// An address in the file for [`FrameKind::Native`], else in memory.
    pub address: u64,
    /// The file, for [`FrameKind::Native`].
    pub file: FileRef,
    /// Which place in a runtime's function, as the runtime counts; [`u32::MAX`]: before its first, or not
    /// known. For all other kinds 0.
    pub place: u32,
    /// Bits of what a runtime's function is, by which another one in its place is told; 0: not known.
    pub check: u16,
    /// What the address is.
    pub kind: FrameKind,
    /// The address is where a call returns to: the call is the instruction before it.
    pub caller: bool,
    /// Found by a frame pointer.
    pub by_pointer: bool,
}

const SAMPLE: u32 = 1;
const BACK: u32 = 2;
const UNKNOWN: u32 = 16;
const STALE: u32 = 17;
const EXEC: u32 = 18;
const EXIT: u32 = 19;
const CALLER: u32 = 1 << 8;
const BY_POINTER: u32 = 1 << 9;

impl<'a> Record<'a> {
    /// None of a kind that is not known, or too short.
    pub(super) fn parse(mut bytes: &'a [u8]) -> Option<Self> {
        let kind = u32::from_le_bytes(take(&mut bytes)?);
        let pid = u32::from_le_bytes(take(&mut bytes)?);
        match kind {
            SAMPLE => Sample::parse(pid, bytes).map(Self::Sample),
            BACK => {
                let (tid, away) = event(bytes)?;
                Some(Self::Back { pid, tid, away })
            }
            UNKNOWN => {
                let (_, cgroup) = event(bytes)?;
                Some(Self::Unknown { pid, cgroup: Some(cgroup).filter(|cgroup| *cgroup != 0) })
            }
            STALE => Some(Self::Stale(pid)),
            EXEC => Some(Self::Exec(pid)),
            EXIT => Some(Self::Exit(pid)),
            _ => None,
        }
    }
}

impl<'a> Sample<'a> {
    /// The kernel's frames, the innermost first: addresses in the kernel.
    pub fn kernel_frames(&self) -> impl ExactSizeIterator<Item = u64> + 'a {
        self.kernel.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word))
    }

    /// The frames of user space, the innermost first.
    pub fn user_frames(&self) -> impl ExactSizeIterator<Item = Frame> + 'a {
        let (words, _) = self.user.as_chunks::<8>();
        let (frames, _) = words.as_chunks::<2>();
        frames.iter().map(|[address, what]| {
            let what = u64::from_le_bytes(*what);
            let bits = (what >> 32) as u32;
            let kind = FrameKind::from_number(bits & 0xff);
            let (number, is_of_runtime) = (what as u32, kind.is_of_runtime());
            Frame {
                address: u64::from_le_bytes(*address),
                file: FileRef(if is_of_runtime { 0 } else { number }),
                place: if is_of_runtime { number } else { 0 },
                check: (what >> 48) as u16,
                kind,
                caller: bits & CALLER != 0,
                by_pointer: bits & BY_POINTER != 0,
            }
        })
    }

    /// The labels of what the thread works at, each a key and a value: bytes that a program chose. Long values are cut off,
    /// within a character too.
    pub fn labels(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.labels;
        std::iter::from_fn(move || {
            let [key, value, behind @ ..] = rest else { return None };
            let (key, behind) = behind.split_at_checked((*key).into())?;
            let (value, behind) = behind.split_at_checked((*value).into())?;
            rest = behind;
            Some((key, value))
        })
    }

    fn parse(pid: u32, mut bytes: &'a [u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let tid = u32::from_le_bytes(take(bytes)?);
        let kernel_frames = u16::from_le_bytes(take(bytes)?);
        let user_frames = u16::from_le_bytes(take(bytes)?);
        let stop = Stop::from_number(u32::from_le_bytes(take(bytes)?));
        let origin = Origin::from_number(u16::from_le_bytes(take(bytes)?).into());
        let label_bytes = u16::from_le_bytes(take(bytes)?);
        let cgroup = u64::from_le_bytes(take(bytes)?);
        let time = u64::from_le_bytes(take(bytes)?);
        let comm = take(bytes)?;
        let (kernel, rest) = bytes.split_at_checked(usize::from(kernel_frames) * 8)?;
        let (user, rest) = rest.split_at_checked(usize::from(user_frames) * 16)?;
        let labels = rest.get(..usize::from(label_bytes))?;
        Some(Self { pid, tid, origin, cgroup, time, comm, stop, kernel, user, labels })
    }
}

/// The rest of `struct event`: thread and value.
fn event(mut bytes: &[u8]) -> Option<(u32, u64)> {
    let bytes = &mut bytes;
    let tid = u32::from_le_bytes(take(bytes)?);
    let _padding: [u8; 4] = take(bytes)?;
    Some((tid, u64::from_le_bytes(take(bytes)?)))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [SAMPLE, 10, 11] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(1u16.to_le_bytes());
        bytes.extend(3u16.to_le_bytes());
        bytes.extend(6u32.to_le_bytes());
        bytes.extend(1u16.to_le_bytes());
        bytes.extend(14u16.to_le_bytes());
        bytes.extend(77u64.to_le_bytes());
        bytes.extend(88u64.to_le_bytes());
        bytes.extend(*b"name\0\0\0\0\0\0\0\0\0\0\0\0");
        bytes.extend(0xffff_u64.to_le_bytes());
        let frames = [(0x10_u64, 3_u32, 0_u32), (0x20, 0, 1 | CALLER | BY_POINTER), (0x30, 6, 17 | 5 << 16)];
        for (address, file, kind) in frames {
            bytes.extend(address.to_le_bytes());
            bytes.extend(file.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
        }
        bytes.extend(b"\x01\x02kv1\x02\x00k2\x05\x05cut");
        bytes
    }

    #[test]
    fn a_sample_is_read_as_the_kernel_lays_it_out() {
        let bytes = sample();
        let Some(Record::Sample(sample)) = Record::parse(&bytes) else { panic!("no sample") };
        assert_eq!((sample.pid, sample.tid, sample.cgroup, sample.time), (10, 11, 77, 88));
        assert_eq!((sample.stop, &sample.comm[..5]), (Stop::Unreadable, &b"name\0"[..]));
        assert_eq!(sample.origin, Origin::OffCpu);
        assert_eq!(sample.kernel_frames().collect::<Vec<_>>(), [0xffff]);
        let frame = |address, kind| Frame {
            address,
            file: FileRef(0),
            place: 0,
            check: 0,
            kind,
            caller: false,
            by_pointer: false,
        };
        let inner = Frame { file: FileRef(3), ..frame(0x10, FrameKind::Native) };
        let outer = Frame { caller: true, by_pointer: true, ..frame(0x20, FrameKind::Anonymous) };
        let of_runtime = Frame { place: 6, check: 5, ..frame(0x30, FrameKind::Python) };
        assert_eq!(sample.user_frames().collect::<Vec<_>>(), [inner, outer, of_runtime]);
        let labels: [(&[u8], &[u8]); 2] = [(b"k", b"v1"), (b"k2", b"")];
        assert_eq!(sample.labels().collect::<Vec<_>>(), labels);
    }

    #[test]
    fn an_event_is_read_as_the_kernel_lays_it_out() {
        let event = |kind: u32, value: u64| {
            let words = u128::from(kind) | 7 << 32 | 8 << 64;
            [&words.to_le_bytes()[..], &value.to_le_bytes()].concat()
        };
        let back = event(BACK, 99);
        assert_eq!(Record::parse(&back), Some(Record::Back { pid: 7, tid: 8, away: 99 }));
        assert_eq!(Record::parse(&back[..20]), None);
        assert_eq!(Record::parse(&event(UNKNOWN, 0)), Some(Record::Unknown { pid: 7, cgroup: None }));
        assert_eq!(Record::parse(&event(UNKNOWN, 5)), Some(Record::Unknown { pid: 7, cgroup: Some(5) }));
        assert_eq!(Record::parse(&event(EXIT, 0)), Some(Record::Exit(7)));
    }

    #[test]
    fn what_is_cut_off_is_no_record() {
        let bytes = sample();
        for length in 0..bytes.len() {
            assert_eq!(Record::parse(&bytes[..length]), None, "{length} bytes");
        }
        assert_eq!(Record::parse(&[99; 64]), None);
    }
}
