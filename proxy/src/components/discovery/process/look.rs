//! What /proc says of the processes that there are.

use std::collections::HashMap;
use std::io::{self, ErrorKind};

use nix::unistd::{Uid, User};
use profiler_core::labels::Labels;
use profiler_core::process;

use super::super::super::targets::{CONTAINER, PID};
use super::Details;

const EXE: &str = "__meta_process_exe";
const CWD: &str = "__meta_process_cwd";
const COMMAND_LINE: &str = "__meta_process_commandline";
const UID: &str = "__meta_process_uid";
const USERNAME: &str = "__meta_process_username";
const CGROUP_PATH: &str = "__meta_process_cgroup_path";
/// Most bytes of the labels of all processes.
const MAX_LABELS: usize = 64 << 20;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// By pid.
    pub(super) processes: Vec<Labels>,
    /// The first of which something may not be seen.
    pub(super) refused: Option<String>,
    /// That there are more than can be held.
    pub(super) left_out: Option<String>,
}

/// Looks at every process. One that ends meanwhile is none.
pub(super) fn look(details: Details) -> io::Result<Looked> {
    let (mut looked, mut names, mut size) = (Looked::default(), Names::default(), 0);
    for pid in process::pids()? {
        match describe(pid, details, &mut names) {
            Ok(labels) => {
                size += labels.byte_len();
                if size > MAX_LABELS {
                    looked.left_out = Some(format!(
                        "the labels of all processes take more than {MAX_LABELS} bytes: those from {pid} on are left out"
                    ));
                    break;
                }
                looked.processes.push(labels);
            }
            // The kernel's own have no program; ESRCH has no kind of its own.
            Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(nix::libc::ESRCH) => {}
            Err(error) => drop(looked.refused.get_or_insert_with(|| format!("process {pid}: {error}"))),
        }
    }
    Ok(looked)
}

fn describe(pid: u32, details: Details, names: &mut Names) -> io::Result<Labels> {
    let mut labels = vec![(PID, pid.to_string())];
    if details.exe {
        labels.push((EXE, process::executable(pid)?));
    }
    if details.cwd {
        labels.push((CWD, process::working_folder(pid)?));
    }
    if details.commandline {
        labels.push((COMMAND_LINE, process::command_line(pid)?));
    }
    if details.uid || details.username {
        let uid = process::user_id(pid)?;
        if details.username {
            labels.push((USERNAME, names.of(uid).to_owned()));
        }
        if details.uid {
            labels.push((UID, uid.to_string()));
        }
    }
    if details.cgroup_path {
        let cgroups = process::cgroups(pid)?;
        labels.push((CGROUP_PATH, cgroups.lines().collect::<Vec<_>>().join("|")));
    }
    if details.container_id {
        labels.extend(process::container_id(pid)?.map(|id| (CONTAINER, id)));
    }
    labels.retain(|(_, value)| !value.is_empty());
    Labels::from_pairs(labels).map_err(io::Error::other)
}

/// The names of users, each asked for once.
#[derive(Default)]
struct Names(HashMap<u32, String>);

impl Names {
    /// Empty for a user without a name.
    fn of(&mut self, uid: u32) -> &str {
        self.0.entry(uid).or_insert_with(|| {
            let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
            user.map(|user| user.name).unwrap_or_default()
        })
    }
}
