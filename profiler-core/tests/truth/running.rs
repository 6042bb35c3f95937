//! Programs that count their own work, while they work.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A busy machine gives a program little time.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that works until its input ends.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Self(Some(child.unwrap_or_else(|error| panic!("this test needs {}: {error}", command.get_program().display()))))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    /// What it says of the work of each function: how often it did it, or for how many nanoseconds.
    pub(crate) fn ask(self) -> BTreeMap<String, u64> {
        let said = self.end();
        let line = |line: &str| line.split_once(' ').map(|(name, did)| (name.to_owned(), did.parse().unwrap()));
        let said: BTreeMap<String, u64> = said.lines().filter_map(line).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        said
    }

    /// Lets it end in order, and returns what it says then.
    pub(crate) fn end(mut self) -> String {
        let output = self.0.take().unwrap().wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn wait_for(mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
