//! The kernel's own names: its functions, those of its modules, and BPF programs.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::time::{Duration, Instant};

/// What is known of the kernel's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KernelNames {
    /// Nobody has asked for one yet.
    Unread,
    /// So many functions are known.
    Known(usize),
    /// The kernel shows no addresses (`kernel.kptr_restrict`): they need CAP_SYSLOG.
    Hidden,
    /// `/proc/kallsyms` cannot be read.
    Unreadable,
}

/// Most lines that are read; kernels have some 200,000, and each BPF program adds one.
const MAX_LINES: usize = 2_000_000;
/// The kernel's own limit is 512 bytes for a name.
const LONGEST_LINE: u64 = 2048;
/// No function is longer, in bytes: what is so far from the symbol before it is of something that came later.
const LONGEST_FUNCTION: u64 = 1 << 20;
/// After an address that is not known all is read again, which takes some milliseconds, but no sooner than this.
const READ_AGAIN: Duration = Duration::from_secs(10);
/// BPF programs come and go, and lie side by side without an end of their own.
const TRUST_BPF: Duration = Duration::from_secs(30);
/// Where names are hidden it is looked whether they still are.
const HIDDEN_AGAIN: Duration = Duration::from_secs(600);
const BPF: &str = "bpf";

/// The kernel's symbols as of some time.
#[derive(Debug)]
pub(super) struct KernelSymbols {
    symbols: Symbols,
    state: KernelNames,
    read_at: Option<Instant>,
}

impl KernelSymbols {
    pub(super) fn new() -> Self {
        Self { symbols: Symbols::default(), state: KernelNames::Unread, read_at: None }
    }

    pub(super) fn state(&self) -> KernelNames {
        self.state
    }

    /// The function at an address, and the module it is of.
    pub(super) fn find(&mut self, address: u64) -> Option<(&str, Option<&str>)> {
        let age = self.read_at.map(|read| read.elapsed());
        let is_due = match (self.symbols.find(address), age) {
            (_, None) => true,
            (_, Some(age)) if self.state == KernelNames::Hidden => age >= HIDDEN_AGAIN,
            (None, Some(age)) => age >= READ_AGAIN,
            (Some((_, module)), Some(age)) => module == Some(BPF) && age >= TRUST_BPF,
        };
        if is_due {
            self.read();
        }
        self.symbols.find(address)
    }

    fn read(&mut self) {
        self.read_at = Some(Instant::now());
        let read = File::open("/proc/kallsyms").and_then(|file| Symbols::read(BufReader::with_capacity(1 << 16, file)));
        let Ok(symbols) = read else {
            self.state = KernelNames::Unreadable;
            return;
        };
        self.state = match symbols.named() {
            0 => KernelNames::Hidden,
            functions => KernelNames::Known(functions),
        };
        self.symbols = symbols;
    }
}

/// By rising addresses. A symbol that is no function is an end without a name.
#[derive(Debug, Default)]
struct Symbols {
    addresses: Vec<u64>,
    /// By place: where the name is in all names, and of which module it is.
    names: Vec<(u32, u16)>,
    /// Each with a zero behind it; the first is empty.
    texts: Vec<u8>,
    /// The first is the kernel itself.
    modules: Vec<Box<str>>,
}

impl Symbols {
    fn read(mut lines: impl BufRead) -> io::Result<Self> {
        let mut texts = vec![0];
        let mut modules: Vec<Box<str>> = vec![Box::default()];
        let mut known: HashMap<Box<str>, u16> = HashMap::new();
        let mut found: Vec<(u64, u32, u16)> = Vec::new();
        let mut line = Vec::new();
        for _ in 0..MAX_LINES {
            line.clear();
            if lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let Some(symbol) = std::str::from_utf8(&line).ok().and_then(Symbol::parse) else { continue };
            let place = u32::try_from(texts.len()).map_err(io::Error::other)?;
            if !symbol.is_function {
                found.push((symbol.address, 0, 0));
                continue;
            }
            texts.extend(symbol.name.as_bytes());
            texts.push(0);
            let module = match (symbol.module, known.get(symbol.module)) {
                ("", _) => 0,
                (_, Some(known)) => *known,
                (name, None) => {
                    let number = u16::try_from(modules.len()).unwrap_or_default();
                    if number > 0 {
                        modules.push(name.into());
                        known.insert(name.into(), number);
                    }
                    number
                }
            };
            found.push((symbol.address, place, module));
        }
        // Of several names for one address the first that the kernel tells is the one.
        found.sort_by_key(|(address, place, _)| (*address, *place == 0));
        found.dedup_by_key(|(address, ..)| *address);
        found.dedup_by(|next, before| next.1 == 0 && before.1 == 0);
        texts.shrink_to_fit();
        Ok(Self {
            addresses: found.iter().map(|(address, ..)| *address).collect(),
            names: found.into_iter().map(|(_, place, module)| (place, module)).collect(),
            texts,
            modules,
        })
    }

    fn named(&self) -> usize {
        self.names.iter().filter(|(place, _)| *place != 0).count()
    }

    fn find(&self, address: u64) -> Option<(&str, Option<&str>)> {
        let place = self.addresses.partition_point(|start| *start <= address).checked_sub(1)?;
        if address - self.addresses.get(place)? > LONGEST_FUNCTION {
            return None;
        }
        let (name, module) = *self.names.get(place)?;
        let rest = self.texts.get(usize::try_from(name).ok()?..)?;
        let name = rest.split(|byte| *byte == 0).next().filter(|name| !name.is_empty())?;
        let module = self.modules.get(usize::from(module)).map(|module| &**module).filter(|module| !module.is_empty());
        Some((std::str::from_utf8(name).ok()?, module))
    }
}

struct Symbol<'a> {
    address: u64,
    is_function: bool,
    name: &'a str,
    /// Empty for the kernel itself.
    module: &'a str,
}

impl<'a> Symbol<'a> {
    /// A line is `ffffffff81000000 T name` and a module's `\t[name]`.
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let address = u64::from_str_radix(fields.next()?, 16).ok().filter(|address| *address != 0)?;
        let kind = fields.next()?;
        let name = fields.next()?;
        let module = fields.next().and_then(|module| module.strip_prefix('[')?.strip_suffix(']')).unwrap_or_default();
        Some(Self { address, is_function: matches!(kind, "t" | "T" | "w" | "W"), name, module })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_reach_to_the_next_symbol() {
        let text = "\
ffffffff81000010 T first
ffffffff81000000 T _text
ffffffff81000000 T startup_64
ffffffff81000100 t second
ffffffff81000200 D data
ffffffffc0000000 t in_module\t[ext4]
ffffffffc0000080 t bpf_prog_6deef7357e7b4530_name\t[bpf]
0000000000000000 A absolute
nonsense
";
        let symbols = Symbols::read(text.as_bytes()).unwrap();
        let cases = [
            (0xffff_ffff_80ff_ffff, None),
            (0xffff_ffff_8100_0000, Some(("_text", None))),
            (0xffff_ffff_8100_000f, Some(("_text", None))),
            (0xffff_ffff_8100_00ff, Some(("first", None))),
            (0xffff_ffff_8100_0100, Some(("second", None))),
            (0xffff_ffff_8100_0200, None),
            (0xffff_ffff_c000_0001, Some(("in_module", Some("ext4")))),
            (0xffff_ffff_c000_0090, Some(("bpf_prog_6deef7357e7b4530_name", Some("bpf")))),
            (0xffff_ffff_c020_0090, None),
        ];
        for (address, expected) in cases {
            assert_eq!(symbols.find(address), expected, "{address:x}");
        }
        assert_eq!(symbols.named(), 5);
    }

    #[test]
    fn names_that_are_hidden_are_none() {
        let symbols = Symbols::read("0000000000000000 T _text\n0000000000000000 t second\n".as_bytes()).unwrap();
        assert_eq!((symbols.named(), symbols.find(0)), (0, None));
    }
}
