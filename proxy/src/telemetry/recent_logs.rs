//! The last log lines, kept only while someone collects them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most bytes that are kept.
const MOST_BYTES: usize = 1 << 20;

/// Logs are the process', as the subscriber that writes them is.
static RECENT: Recent = Recent { collecting: AtomicBool::new(false), ring: Mutex::new(Ring::new()) };

/// Keeps a line, as it is written elsewhere too, if someone collects them.
pub fn keep(line: &[u8]) {
    if RECENT.collecting.load(Ordering::Relaxed) {
        RECENT.ring().push(line);
    }
}

/// Keeps the lines that are logged from now on, until the guard is dropped. What was kept for an earlier guard is
/// thrown away.
pub fn collect() -> Collecting {
    *RECENT.ring() = Ring::new();
    RECENT.collecting.store(true, Ordering::Relaxed);
    Collecting(())
}

/// Someone collects lines.
pub struct Collecting(());

impl Collecting {
    /// The lines by now, at most the last mebibyte of them.
    pub fn text(&self) -> String {
        RECENT.ring().text()
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        RECENT.collecting.store(false, Ordering::Relaxed);
        *RECENT.ring() = Ring::new();
    }
}

struct Recent {
    collecting: AtomicBool,
    ring: Mutex<Ring>,
}

impl Recent {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Ring {
    bytes: VecDeque<u8>,
    /// Whether some had to go.
    cut: bool,
}

impl Ring {
    const fn new() -> Self {
        Self { bytes: VecDeque::new(), cut: false }
    }

    fn push(&mut self, line: &[u8]) {
        let tail = line.get(line.len().saturating_sub(MOST_BYTES)..).unwrap_or_default();
        let excess = (self.bytes.len() + tail.len()).saturating_sub(MOST_BYTES);
        self.cut |= excess > 0 || tail.len() < line.len();
        self.bytes.drain(..excess);
        self.bytes.extend(tail);
    }

    /// Whole lines only.
    fn text(&self) -> String {
        let mut bytes = self.bytes.iter().copied();
        if self.cut {
            bytes.by_ref().find(|&byte| byte == b'\n');
        }
        String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_whole() {
        let mut ring = Ring::new();
        ring.push(b"first\n");
        assert_eq!(ring.text(), "first\n");
        let long = "x".repeat(MOST_BYTES / 2) + "\n";
        ring.push(long.as_bytes());
        ring.push(b"between\n");
        ring.push(long.as_bytes());
        assert_eq!(ring.bytes.len(), MOST_BYTES);
        assert_eq!(ring.text(), format!("between\n{long}"));
        ring.push(&[b'y'; MOST_BYTES + 1]);
        assert_eq!((ring.bytes.len(), ring.text().as_str()), (MOST_BYTES, ""), "no whole line is left");
    }
}
