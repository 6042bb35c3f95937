//! Places at which threads are sampled when they come there.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A place in a program or in the kernel. As text: `uprobe:PATH:SYMBOL`, `uprobe:PATH:0xOFFSET`, `kprobe:FUNCTION`, and
/// the same with `uretprobe` and `kretprobe`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Probe {
    /// Where.
    pub place: Place,
    /// When the function returns, not when it is called. Stacks that are walked through the function meanwhile end at
    /// it: the kernel puts another return address into them.
    pub is_return: bool,
}

/// Where a probe is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a program or library.
    Program {
        /// Its file, as this process sees it.
        path: PathBuf,
        /// Where in it.
        at: Location,
    },
    /// At a function of the kernel.
    Kernel {
        /// Its name.
        symbol: String,
    },
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Location {
    /// Where a function begins.
    Symbol(String),
    /// Bytes from the file's beginning.
    Offset(u64),
}

/// What is no probe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no probe: write uprobe:PATH:SYMBOL, uprobe:PATH:0xOFFSET or kprobe:FUNCTION, or the same with \
     uretprobe or kretprobe"
)]
pub struct ProbeSyntaxError {
    text: String,
}

impl FromStr for Probe {
    type Err = ProbeSyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ProbeSyntaxError { text: text.to_owned() })
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_return { "retprobe" } else { "probe" };
        match &self.place {
            Place::Kernel { symbol } => write!(formatter, "k{kind}:{symbol}"),
            Place::Program { path, at: Location::Symbol(symbol) } => {
                write!(formatter, "u{kind}:{}:{symbol}", path.display())
            }
            Place::Program { path, at: Location::Offset(offset) } => {
                write!(formatter, "u{kind}:{}:{offset:#x}", path.display())
            }
        }
    }
}

fn parse(text: &str) -> Option<Probe> {
    let (kind, target) = text.split_once(':')?;
    let is_return = matches!(kind, "uretprobe" | "kretprobe");
    let place = match kind {
        "kprobe" | "kretprobe" => Place::Kernel { symbol: named(target)? },
        "uprobe" | "uretprobe" => {
            let (path, at) = target.rsplit_once(':')?;
            let at = match at.strip_prefix("0x") {
                Some(digits) => Location::Offset(u64::from_str_radix(digits, 16).ok()?),
                None => Location::Symbol(named(at)?),
            };
            Place::Program { path: named(path)?.into(), at }
        }
        _ => return None,
    };
    Some(Probe { place, is_return })
}

/// The kernel is told paths and names that end with a zero.
fn named(text: &str) -> Option<String> {
    (!text.is_empty() && !text.contains('\0')).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_read_as_they_are_shown() {
        for text in
            ["uprobe:/usr/lib/libc.so.6:malloc", "uretprobe:/a:b:0x1f40", "kprobe:do_exit", "kretprobe:vfs_read"]
        {
            let probe: Probe = text.parse().unwrap();
            assert_eq!(probe.to_string(), text);
            assert_eq!(probe.is_return, text.contains("ret"));
        }
        let Place::Program { path, at } = "uprobe:/a:b:0x1f40".parse::<Probe>().unwrap().place else { panic!() };
        assert_eq!((path, at), (PathBuf::from("/a:b"), Location::Offset(0x1f40)));
    }

    #[test]
    fn what_is_no_probe_is_said() {
        for text in [
            "",
            "malloc",
            "uprobe:malloc",
            "uprobe::malloc",
            "uprobe:/a:",
            "uprobe:/a:0xg",
            "kprobe:",
            "probe:a:b",
            "kprobe:a\0",
        ] {
            let error = text.parse::<Probe>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text:?} is no probe: ")), "{error}");
        }
    }
}
