//! `/tmp/perf-PID.map`: what runtimes that write code while they run say of it.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use crate::process::{Root, start_time};

/// Longest name, in bytes; the rest of it is left out.
const MAX_NAME: usize = 4 << 10;
/// A line with a name that is too long.
const LONGEST_LINE: u64 = 64 << 10;
/// Most bytes of a map; what was written behind them is not read.
const MAX_MAP: u64 = 256 << 20;
/// What an entry takes beside its name, in bytes: three words in the tree, which is two thirds full.
const ENTRY: usize = 40;
/// Processes whose maps are held, or known not to be there.
const MAX_PROCESSES: usize = 4096;
/// After an address that is not known it is looked whether the map grew, but no sooner than this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Code may be written over.
const TRUST: Duration = Duration::from_secs(10);

/// The maps of all processes.
#[derive(Debug)]
pub(super) struct PerfMaps {
    maps: HashMap<u32, PerfMap>,
    /// Of all together, in bytes.
    limit: usize,
}

#[derive(Debug)]
struct PerfMap {
    start_time: u64,
    looked: Instant,
    /// The file's device and inode, and how much of it was read.
    file: Option<(u64, u64)>,
    read: u64,
    names: Names,
}

impl PerfMaps {
    pub(super) fn new(limit: usize) -> Self {
        Self { maps: HashMap::new(), limit }
    }

    pub(super) fn find(&mut self, pid: u32, address: u64) -> Option<&str> {
        let is_due = self.maps.get(&pid).is_none_or(|map| {
            let age = map.looked.elapsed();
            age >= TRUST || age >= LOOK_AGAIN && map.names.find(address).is_none()
        });
        if is_due {
            self.look(pid);
        }
        self.maps.get(&pid)?.names.find(address)
    }

    fn look(&mut self, pid: u32) {
        let Ok(start_time) = start_time(pid) else {
            // Its names are good for what was sampled before it ended.
            if let Some(map) = self.maps.get_mut(&pid) {
                map.looked = Instant::now();
            }
            return;
        };
        let before = self.maps.remove(&pid).filter(|map| map.start_time == start_time);
        let mut map = before.unwrap_or_else(|| PerfMap::new(start_time));
        let limit = self.limit / 2;
        if map.update(pid, limit).is_err() {
            map = PerfMap::new(start_time);
        }
        map.looked = Instant::now();
        self.make_room(map.names.footprint());
        self.maps.insert(pid, map);
    }

    fn make_room(&mut self, footprint: usize) {
        let held: usize = self.maps.values().map(|map| map.names.footprint()).sum();
        let mut over = held.saturating_add(footprint).saturating_sub(self.limit);
        while over > 0 || self.maps.len() >= MAX_PROCESSES {
            let Some(pid) = self.maps.iter().min_by_key(|(_, map)| map.looked).map(|(pid, _)| *pid) else { break };
            let gone = self.maps.remove(&pid).map_or(0, |map| map.names.footprint());
            over = over.saturating_sub(gone);
        }
    }
}

impl PerfMap {
    fn new(start_time: u64) -> Self {
        Self { start_time, looked: Instant::now(), file: None, read: 0, names: Names::default() }
    }

    /// Reads what was written since.
    fn update(&mut self, pid: u32, limit: usize) -> io::Result<()> {
        let owner = Owner::of(pid)?;
        let root = Root::of(pid)?;
        let file = root.open_itself(&format!("tmp/perf-{}.map", owner.pid_inside))?;
        let metadata = file.metadata()?;
        owner.check(&metadata)?;
        let identity = Some((metadata.dev(), metadata.ino()));
        if self.file != identity || metadata.len() < self.read {
            (self.file, self.read, self.names) = (identity, 0, Names::default());
        }
        self.read += self.names.read_from(file, self.read, limit)?;
        Ok(())
    }
}

/// Whose map it has to be.
struct Owner {
    uid: u32,
    /// Its pid as it sees it itself.
    pid_inside: u32,
}

impl Owner {
    fn of(pid: u32) -> io::Result<Self> {
        const LONGEST: u64 = 64 << 10;
        let mut status = String::new();
        File::open(format!("/proc/{pid}/status"))?.take(LONGEST).read_to_string(&mut status)?;
        Self::parse(&status).ok_or_else(|| io::Error::other("its status has neither pid nor user"))
    }

    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        // Real, effective, saved, of the file system.
        let uid = field("Uid")?.split_ascii_whitespace().nth(1)?.parse().ok()?;
        // Kernels without namespaces of pids have no such field.
        let pid = field("NSpid").or_else(|| field("Pid"))?.split_ascii_whitespace().next_back()?.parse().ok()?;
        Some(Self { uid, pid_inside: pid })
    }

    /// Anybody may write into the folder, under any name.
    fn check(&self, metadata: &Metadata) -> io::Result<()> {
        if metadata.is_file() && [self.uid, 0].contains(&metadata.uid()) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is no file of the process' own user"))
    }
}

/// The names in a map.
#[derive(Debug, Default)]
struct Names {
    /// By first address: the address behind it, and where its name ends and begins.
    entries: BTreeMap<u64, (u64, u32, u32)>,
    texts: String,
}

impl Names {
    fn find(&self, address: u64) -> Option<&str> {
        let (_, (end, from, to)) = self.entries.range(..=address).next_back()?;
        if address >= *end {
            return None;
        }
        self.texts.get(usize::try_from(*from).ok()?..usize::try_from(*to).ok()?)
    }

    fn footprint(&self) -> usize {
        self.entries.len() * ENTRY + self.texts.capacity()
    }

    /// Adds whole lines from a place in the file on, until they take more than `limit` bytes, and says how many bytes
    /// those were: the last line may not be finished yet.
    fn read_from(&mut self, mut file: File, place: u64, limit: usize) -> io::Result<u64> {
        file.seek(SeekFrom::Start(place))?;
        self.add_lines(BufReader::with_capacity(1 << 16, file.take(MAX_MAP.saturating_sub(place))), limit)
    }

    fn add_lines(&mut self, mut lines: impl BufRead, limit: usize) -> io::Result<u64> {
        let mut read = 0;
        let mut line = Vec::new();
        while self.footprint() < limit {
            line.clear();
            let length = lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
            if length == 0 || !line.ends_with(b"\n") && u64::try_from(length) != Ok(LONGEST_LINE) {
                break;
            }
            read += u64::try_from(length).map_err(io::Error::other)?;
            self.add_line(&line);
        }
        Ok(read)
    }

    /// A line is `START SIZE name`, with numbers in hexadecimal digits; what is none is passed over.
    fn add_line(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line.trim_ascii());
        let mut fields = line.splitn(3, ' ');
        let number = |digits: &str| u64::from_str_radix(digits.strip_prefix("0x").unwrap_or(digits), 16).ok();
        let (Some(start), Some(size)) = (fields.next().and_then(number), fields.next().and_then(number)) else {
            return;
        };
        let name = fields.next().unwrap_or_default().trim();
        let name = name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or_default();
        let end = start.saturating_add(size);
        let from = u32::try_from(self.texts.len());
        let to = u32::try_from(self.texts.len() + name.len());
        if let (Ok(from), Ok(to)) = (from, to)
            && !name.is_empty()
            && start < end
        {
            self.texts.push_str(name);
            self.put(start, end, (from, to));
        }
    }

    /// What is written later counts.
    fn put(&mut self, start: u64, end: u64, (from, to): (u32, u32)) {
        while let Some((&other, &(other_end, other_from, other_to))) = self.entries.range(..end).next_back() {
            if other_end <= start {
                break;
            }
            self.entries.remove(&other);
            if other < start {
                self.entries.insert(other, (start, other_from, other_to));
            }
            if other_end > end {
                self.entries.insert(end, (other_end, other_from, other_to));
            }
        }
        self.entries.insert(start, (end, from, to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Names {
        let mut names = Names::default();
        names.add_lines(text.as_bytes(), usize::MAX).unwrap();
        names
    }

    #[test]
    fn what_is_written_later_counts() {
        let names = names(
            "1000 100 first one\n0x1010 10 inside\n1080 100 over the end\n2000 0 nothing\n3000 10 \nxyz 10 a\n5000 10 b\n5000 8 c\n",
        );
        let cases = [
            (0xfff, None),
            (0x1000, Some("first one")),
            (0x1010, Some("inside")),
            (0x1020, Some("first one")),
            (0x1080, Some("over the end")),
            (0x117f, Some("over the end")),
            (0x1180, None),
            (0x2000, None),
            (0x3000, None),
            (0x5007, Some("c")),
            (0x5008, Some("b")),
        ];
        for (address, expected) in cases {
            assert_eq!(names.find(address), expected, "{address:x}");
        }
    }

    #[test]
    fn a_line_that_is_not_finished_waits() {
        let mut names = Names::default();
        assert_eq!(names.add_lines(&b"1000 10 first\n2000 10 sec"[..], usize::MAX).unwrap(), 14);
        assert_eq!((names.find(0x1000), names.find(0x2000)), (Some("first"), None));
    }

    #[test]
    fn lines_that_no_runtime_writes_harm_nothing() {
        let long = format!("1000 10 {}\n2000 10 x\n", "n".repeat(200_000));
        for text in ["", "\n", "1\n", "1 2\n", "ffffffffffffffff ff x\n", "1 ffffffffffffffff x\n", &long] {
            let names = names(text);
            assert!(names.entries.len() <= 4, "{}", text.len());
        }
        assert_eq!(names(&long).find(0x2000), Some("x"));
    }

    #[test]
    fn a_map_takes_no_more_than_its_limit() {
        let mut names = Names::default();
        let text: String = (0..10_000).map(|line| format!("{line:x}00 80 name of {line}\n")).collect();
        names.add_lines(text.as_bytes(), 10_000).unwrap();
        assert!(names.footprint() < 20_000, "{}", names.footprint());
    }

    #[test]
    fn the_owner_is_the_effective_user() {
        let owner = Owner::parse("Name:\tx\nPid:\t10\nUid:\t1\t2\t3\t4\nNSpid:\t10\t7\n").unwrap();
        assert_eq!((owner.uid, owner.pid_inside), (2, 7));
    }
}
