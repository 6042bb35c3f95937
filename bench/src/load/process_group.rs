//! A program under load with all that it starts: one process group, ended together, measured together.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use procfs::process::{Process, all_processes};
use rustix::process::{Pid, Signal, kill_process_group};

/// How much of a log an error quotes, in bytes.
const QUOTED_LOG: usize = 2000;

/// Ended with all its members when dropped.
pub(crate) struct ProcessGroup {
    leader: Child,
    log: PathBuf,
}

/// Memory in bytes. Pages that members share count for each of them.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(crate) struct Memory {
    /// In physical memory now.
    pub(crate) resident: u64,
    /// The most there ever was of each member.
    pub(crate) peak: u64,
}

impl ProcessGroup {
    /// Starts `command` with its output in the file `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let leader = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { leader, log: log.to_owned() })
    }

    /// Fails, with the end of its log, if the program has ended.
    pub(crate) fn check_running(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.leader.try_wait()? {
            bail!("the program ended ({status})\n{}", self.log_end());
        }
        Ok(())
    }

    /// The last lines that the program wrote, for an error.
    pub(crate) fn log_end(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let end = log.get(log.len().saturating_sub(QUOTED_LOG)..).unwrap_or_default();
        match String::from_utf8_lossy(end).trim_end() {
            "" => "it has written nothing".to_owned(),
            end => format!("its last output:\n{end}"),
        }
    }

    /// Seconds of CPU that the members have used, user and system, with those of their children that have ended.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let mut ticks = 0;
        for stat in self.members()?.iter().filter_map(|process| process.stat().ok()) {
            // The kernel gives the children's time as signed numbers; it is never negative.
            let children = stat.cutime.max(0).unsigned_abs() + stat.cstime.max(0).unsigned_abs();
            ticks += stat.utime + stat.stime + children;
        }
        Ok(ticks as f64 / procfs::ticks_per_second() as f64)
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let mut memory = Memory::default();
        for status in self.members()?.iter().filter_map(|process| process.status().ok()) {
            memory.resident += status.vmrss.unwrap_or(0) * 1024;
            memory.peak += status.vmhwm.unwrap_or(0) * 1024;
        }
        Ok(memory)
    }

    /// What the members have in physical memory, in bytes; pages that several processes share count in parts.
    pub(crate) fn proportional_memory(&self) -> anyhow::Result<u64> {
        let mut bytes = 0;
        for process in self.members()? {
            let rollup = process.smaps_rollup().context("cannot read smaps_rollup of a program")?;
            let maps = rollup.memory_map_rollup.0;
            bytes += maps.iter().filter_map(|map| map.extension.map.get("Pss")).sum::<u64>();
        }
        Ok(bytes)
    }

    /// The members' pids.
    pub(crate) fn pids(&self) -> anyhow::Result<Vec<i32>> {
        Ok(self.members()?.iter().map(Process::pid).collect())
    }

    /// Those that end while they are looked at are left out.
    fn members(&self) -> anyhow::Result<Vec<Process>> {
        let group = i32::try_from(self.leader.id())?;
        let processes = all_processes().context("cannot list the processes of this machine")?;
        Ok(processes
            .filter_map(Result::ok)
            .filter(|process| process.stat().is_ok_and(|stat| stat.pgrp == group))
            .collect())
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let killed = Pid::from_raw(self.leader.id().cast_signed()).map(|group| kill_process_group(group, Signal::KILL));
        // Nothing is left to wait for if there was no one to be ended.
        if killed.is_some_and(|killed| killed.is_ok()) {
            let _ended = self.leader.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn shell(script: &str, folder: &Path) -> ProcessGroup {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        ProcessGroup::start(command, &folder.join("log")).unwrap()
    }

    fn until(what: &str, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !done() {
            assert!(Instant::now() < deadline, "never: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn counts_and_ends_what_a_program_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let group = shell("sh -c 'while :; do :; done' & wait", folder.path());
        until("two members", || group.members().unwrap().len() == 2);
        until("CPU time of the child", || group.cpu_seconds().unwrap() > 0.0);
        let memory = group.memory().unwrap();
        assert!(memory.resident > 0 && memory.peak >= memory.resident, "{memory:?}");

        let members: Vec<i32> = group.members().unwrap().iter().map(Process::pid).collect();
        drop(group);
        until("all ended", || {
            members.iter().all(|pid| {
                // A process that nobody has waited for yet is a zombie.
                Process::new(*pid).and_then(|process| process.stat()).is_ok_and(|stat| stat.state == 'Z')
                    || Process::new(*pid).is_err()
            })
        });
    }

    #[test]
    fn a_program_that_ends_is_reported_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut group = shell("echo no such flag >&2; exit 3", folder.path());
        let mut error = None;
        until("ended", || {
            error = group.check_running().err();
            error.is_some()
        });
        let text = error.unwrap().to_string();
        assert!(text.contains("exit status: 3") && text.contains("no such flag"), "{text}");
    }
}
