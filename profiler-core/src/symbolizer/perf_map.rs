//! The maps of processes: where they are, whose they have to be, and when to read them again.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use crate::native::perf_map::PerfMap;
use crate::process::{Root, start_time};

/// Most bytes of a map; what was written behind them is not read.
const MAX_MAP: u64 = 256 << 20;
/// Processes whose maps are held, or known not to be there.
const MAX_PROCESSES: usize = 4096;
/// After an address that is not known it is looked whether the map grew, but no sooner than this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Code may be written over.
const TRUST: Duration = Duration::from_secs(10);

/// The maps of all processes.
#[derive(Debug)]
pub(super) struct PerfMaps {
    maps: HashMap<u32, Known>,
    /// Of all together, in bytes.
    limit: usize,
}

#[derive(Debug)]
struct Known {
    start_time: u64,
    looked: Instant,
    /// The file's device and inode, and how much of it was read.
    file: Option<(u64, u64)>,
    read: u64,
    names: PerfMap,
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
        let mut map = before.unwrap_or_else(|| Known::new(start_time));
        let limit = self.limit / 2;
        if map.update(pid, limit).is_err() {
            map = Known::new(start_time);
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

impl Known {
    fn new(start_time: u64) -> Self {
        Self { start_time, looked: Instant::now(), file: None, read: 0, names: PerfMap::default() }
    }

    /// Reads what was written since.
    fn update(&mut self, pid: u32, limit: usize) -> io::Result<()> {
        let owner = Owner::of(pid)?;
        let root = Root::of(pid)?;
        let mut file = root.open_itself(&format!("tmp/perf-{}.map", owner.pid_inside))?;
        let metadata = file.metadata()?;
        owner.check(&metadata)?;
        let identity = Some((metadata.dev(), metadata.ino()));
        if self.file != identity || metadata.len() < self.read {
            (self.file, self.read, self.names) = (identity, 0, PerfMap::default());
        }
        file.seek(SeekFrom::Start(self.read))?;
        let rest = file.take(MAX_MAP.saturating_sub(self.read));
        self.read += self.names.add_lines(BufReader::with_capacity(1 << 16, rest), limit)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_the_effective_user() {
        let owner = Owner::parse("Name:\tx\nPid:\t10\nUid:\t1\t2\t3\t4\nNSpid:\t10\t7\n").unwrap();
        assert_eq!((owner.uid, owner.pid_inside), (2, 7));
    }
}
