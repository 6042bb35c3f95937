//! What makes a process one of a container to whoever looks: a cgroup of that name.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// As long as any runtime's.
const DIGITS: usize = 64;
/// The kernel takes this long at most to forget a process that has ended.
const PATIENCE: Duration = Duration::from_secs(10);

/// A folder among the cgroups; removed when it is dropped, for which its processes must have ended.
pub(crate) struct Container {
    pub(crate) id: String,
    folder: PathBuf,
}

impl Container {
    pub(crate) fn new() -> Self {
        // Other than that of any test that runs beside.
        let unique = tempfile::tempdir().unwrap();
        let name = unique.path().to_str().unwrap().bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let start = name.len().saturating_sub(DIGITS);
        let id = format!("{:0>DIGITS$}", &name[start..]);
        let folder = mounted_cgroups().join(format!("docker-{id}.scope"));
        fs::create_dir(&folder).unwrap();
        Self { id, folder }
    }

    /// The file that takes pids.
    pub(crate) fn processes(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let began = Instant::now();
        while fs::remove_dir(&self.folder).is_err() {
            assert!(began.elapsed() < PATIENCE, "{} cannot be removed", self.folder.display());
            sleep(Duration::from_millis(10));
        }
    }
}

/// Cgroups of version 2, or those of version 1 that only count processes.
fn mounted_cgroups() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let found = mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let [_, folder, kind, options, ..] = fields[..] else { return None };
        let counts = kind == "cgroup" && options.split(',').any(|option| option == "pids");
        (kind == "cgroup2" || counts).then(|| PathBuf::from(folder))
    });
    found.unwrap_or_else(|| panic!("this test needs a cgroup file system that is mounted"))
}
