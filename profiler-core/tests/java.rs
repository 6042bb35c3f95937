//! async-profiler in real JVMs, and in processes that only look like some. Needs root, JVMs, and the library.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test's own functions cannot do fails the test")]

mod java {
    pub(crate) mod program;
}

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use java::program::{Target, library, versions};
use profiler_core::java::{End, Jvm, Profiler, TmpDir};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn jvms_of_each_version_are_recorded_again_and_again() {
    for java in versions() {
        let target = Target::run(&[], &[java.to_str().unwrap()]);
        let mut profiler = place(&target);
        for options in
            ["event=cpu,interval=1ms", "event=wall,interval=2ms", "event=itimer,interval=1ms,alloc=1k,lock=1us"]
        {
            assert!(records_work(&mut profiler, options), "{}: {options}", java.display());
        }
    }
}

fn place(target: &Target) -> Profiler {
    Profiler::place(Jvm::open(target.pid()).unwrap(), &library(), &tmp()).unwrap()
}

fn tmp() -> TmpDir {
    TmpDir::parse("/tmp").unwrap()
}

/// Records until the program's own method is in what was recorded.
fn records_work(profiler: &mut Profiler, options: &str) -> bool {
    let deadline = Instant::now() + MINUTE;
    while Instant::now() < deadline {
        profiler.start(options, MINUTE).unwrap();
        thread::sleep(Duration::from_millis(100));
        let recording = profiler.stop().unwrap().unwrap();
        assert_eq!(recording.end(), End::Stopped);
        let (size, mut bytes) = (recording.size(), Vec::new());
        recording.into_file().unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, size);
        assert!(bytes.starts_with(b"FLR\0"));
        if bytes.windows(8).any(|window| window == b"burnHere") {
            return true;
        }
    }
    false
}
