//! `/tmp/perf-PID.map`: what runtimes that write code while they run say of it, as `perf` reads it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

/// Longest name, in bytes; the rest of it is left out.
const MAX_NAME: usize = 4 << 10;
/// A line with a name that is too long.
const LONGEST_LINE: u64 = 64 << 10;
/// What an entry takes beside its name, in bytes: three words in the tree, which is two thirds full.
const ENTRY: usize = 40;

/// The names in a map, by addresses in memory.
#[derive(Debug, Default)]
pub struct PerfMap {
    /// By first address: the address behind it, and where its name ends and begins.
    entries: BTreeMap<u64, (u64, u32, u32)>,
    texts: String,
}

impl PerfMap {
    /// The name of the code at an address.
    pub fn find(&self, address: u64) -> Option<&str> {
        let (_, (end, from, to)) = self.entries.range(..=address).next_back()?;
        if address >= *end {
            return None;
        }
        self.texts.get(usize::try_from(*from).ok()?..usize::try_from(*to).ok()?)
    }

    /// What it takes, in bytes.
    pub fn footprint(&self) -> usize {
        self.entries.len() * ENTRY + self.texts.capacity()
    }

    /// Adds whole lines until the map takes more than `limit` bytes, and says how many bytes those were: the last line
    /// may not be finished yet. Lines that say nothing are passed over.
    ///
    /// # Errors
    /// What the reader says.
    pub fn add_lines(&mut self, mut lines: impl BufRead, limit: usize) -> io::Result<u64> {
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

    fn names(text: &str) -> PerfMap {
        let mut names = PerfMap::default();
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
        let mut names = PerfMap::default();
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
        let mut names = PerfMap::default();
        let text: String = (0..10_000).map(|line| format!("{line:x}00 80 name of {line}\n")).collect();
        names.add_lines(text.as_bytes(), 10_000).unwrap();
        assert!(names.footprint() < 20_000, "{}", names.footprint());
    }
}
