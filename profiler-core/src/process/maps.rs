//! `/proc/PID/maps`: of a process' memory, what can be executed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

/// Lines that are read of a process' maps: the kernel's own limit (`vm.max_map_count`) is 65,530 unless it was raised.
pub const MAX_LINES: usize = 65_536;
/// A path of 4,096 bytes, each of them escaped as four, and the numbers before it.
const LONGEST_LINE: u64 = 17_000;

/// A stretch of executable memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedMemory {
    /// The first address.
    pub start: u64,
    /// The first address behind it.
    pub end: u64,
    /// What stands behind it.
    pub source: Source,
}

/// What stands behind executable memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, or what was one.
    File {
        /// Where the memory begins in it.
        offset: u64,
        /// The device, as the kernel shows it: major and minor number.
        device: (u32, u32),
        /// The inode.
        inode: u64,
        /// As the process sees it; with ` (deleted)` behind it where it is.
        path: String,
    },
    /// The kernel's own library.
    Vdso,
    /// Nothing: written while the program ran.
    Anonymous,
}

impl Source {
    /// Whether it is memory that processes share and no file gave a name to, of pages of any size (`shmem_zero_setup`,
    /// `hugetlb_file_setup`).
    #[must_use]
    pub fn is_shared_memory(&self) -> bool {
        let names = ["/dev/zero (deleted)", "/anon_hugepage (deleted)"];
        matches!(self, Self::File { path, .. } if names.contains(&path.as_str()))
    }
}

/// The executable memory of a process, in the order of addresses; neighbours that continue each other are one.
///
/// # Errors
/// The process is gone, or may not be looked at.
pub fn executable_memory(pid: u32) -> io::Result<Vec<MappedMemory>> {
    parse(BufReader::new(File::open(format!("/proc/{pid}/maps"))?))
}

fn parse(mut maps: impl BufRead) -> io::Result<Vec<MappedMemory>> {
    let mut found: Vec<MappedMemory> = Vec::new();
    let mut line = Vec::new();
    for _ in 0..MAX_LINES {
        line.clear();
        if maps.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let Some(memory) = parse_line(line.trim_ascii_end()) else { continue };
        match found.last_mut() {
            Some(last) if continues(last, &memory) => last.end = memory.end,
            _ => found.push(memory),
        }
    }
    Ok(found)
}

/// None of memory that is not executable, and of the page that the kernel shows of itself.
fn parse_line(line: &[u8]) -> Option<MappedMemory> {
    let line = String::from_utf8_lossy(line);
    let mut fields = line.splitn(5, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    if fields.next()?.as_bytes().get(2) != Some(&b'x') {
        return None;
    }
    let offset = hexadecimal(fields.next()?)?;
    let (major, minor) = fields.next()?.split_once(':')?;
    let (inode, path) = fields.next()?.split_once(' ').unwrap_or_default();
    let inode = if inode.is_empty() { 0 } else { inode.parse().ok()? };
    let source = match path.trim_start() {
        "[vdso]" => Source::Vdso,
        "[vsyscall]" => return None,
        path if inode != 0 && path.starts_with('/') => {
            let device = (u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
            Source::File { offset, device, inode, path: path.to_owned() }
        }
        _ => Source::Anonymous,
    };
    Some(MappedMemory { start: hexadecimal(start)?, end: hexadecimal(end)?, source })
}

fn hexadecimal(digits: &str) -> Option<u64> {
    u64::from_str_radix(digits, 16).ok()
}

fn continues(before: &MappedMemory, next: &MappedMemory) -> bool {
    before.end == next.start
        && match (&before.source, &next.source) {
            (Source::Anonymous, Source::Anonymous) => true,
            (
                Source::File { offset, device, inode, path },
                Source::File { offset: next_offset, device: next_device, inode: next_inode, path: next_path },
            ) => {
                (device, inode, path) == (next_device, next_inode, next_path)
                    && offset.checked_add(before.end - before.start) == Some(*next_offset)
            }
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<MappedMemory> {
        parse(text.as_bytes()).unwrap()
    }

    fn file(start: u64, end: u64, offset: u64, path: &str) -> MappedMemory {
        let source = Source::File { offset, device: (0xfe, 1), inode: 42, path: path.to_owned() };
        MappedMemory { start, end, source }
    }

    #[test]
    fn only_executable_memory_counts() {
        let maps = "\
55d0c0a00000-55d0c0a02000 r--p 00000000 fe:01 42                         /usr/bin/my program
55d0c0a02000-55d0c0a07000 r-xp 00002000 fe:01 42                         /usr/bin/my program
7f1c00000000-7f1c00021000 rwxp 00000000 00:00 0 
7f1c10000000-7f1c10021000 rw-p 00000000 00:00 0                          [stack]
7f1c20000000-7f1c20001000 r-xp 00000000 fe:01 42                         /tmp/x.so (deleted)
7ffd5b5f2000-7ffd5b5f4000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";
        let anonymous = MappedMemory { start: 0x7f1c_0000_0000, end: 0x7f1c_0002_1000, source: Source::Anonymous };
        let vdso = MappedMemory { start: 0x7ffd_5b5f_2000, end: 0x7ffd_5b5f_4000, source: Source::Vdso };
        assert_eq!(
            parsed(maps),
            [
                file(0x55d0_c0a0_2000, 0x55d0_c0a0_7000, 0x2000, "/usr/bin/my program"),
                anonymous,
                file(0x7f1c_2000_0000, 0x7f1c_2000_1000, 0, "/tmp/x.so (deleted)"),
                vdso,
            ]
        );
    }

    #[test]
    fn neighbours_that_continue_each_other_are_one() {
        let continued = "\
1000-2000 r-xp 00000000 fe:01 42 /a
2000-3000 r-xp 00001000 fe:01 42 /a
3000-4000 r-xp 00009000 fe:01 42 /a
5000-6000 rwxp 00000000 00:00 0 
6000-7000 r-xp 00000000 00:00 0 
";
        let anonymous = MappedMemory { start: 0x5000, end: 0x7000, source: Source::Anonymous };
        assert_eq!(parsed(continued), [file(0x1000, 0x3000, 0, "/a"), file(0x3000, 0x4000, 0x9000, "/a"), anonymous]);
    }

    #[test]
    fn lines_that_no_kernel_writes_are_passed_over() {
        let long = format!("1000-2000 r-xp 00000000 fe:01 42 /{}\n3000-4000 r-xp 0 fe:01 42 /a\n", "x".repeat(40_000));
        for text in ["", "x", "1-2 r-xp", "g-h r-xp 0 0:0 1 /a", "1-2 r-xp 0 0:0 x /a", "\n\n \n", &long] {
            assert!(parsed(text).len() <= 2, "{text}");
        }
        let many = "1-2 r-xp 0 0:0 0 \n".repeat(MAX_LINES + 10);
        assert_eq!(parsed(&many).len(), MAX_LINES);
    }

    #[test]
    fn ones_own_code_is_found() {
        let here = lines_that_no_kernel_writes_are_passed_over as fn() as usize as u64;
        let memory = executable_memory(std::process::id()).unwrap();
        let own = memory.iter().find(|memory| (memory.start..memory.end).contains(&here)).unwrap();
        assert!(matches!(&own.source, Source::File { path, .. } if path.contains("profiler_core")), "{own:?}");
    }
}
