//! A function whose calls are profiled.

use alloy_syntax::TextValue;

/// Where a probe is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProbeLink {
    pub(super) at: Attachment,
    /// When the function returns, not when it is called.
    pub(super) on_return: bool,
    pub(super) symbol: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attachment {
    /// In the kernel.
    Kernel,
    /// In a file that programs execute.
    File(String),
}

impl TextValue for ProbeLink {
    fn parse_text(text: &str) -> Result<Self, String> {
        let wrong = || {
            let forms = "uprobe:/path:symbol, uretprobe:/path:symbol, kprobe:symbol or kretprobe:symbol";
            format!("{text:?} is no probe: write {forms}")
        };
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        let (at, symbol) = match kind {
            "kprobe" | "kretprobe" => (Attachment::Kernel, rest),
            "uprobe" | "uretprobe" => {
                let (path, symbol) = rest.rsplit_once(':').ok_or_else(wrong)?;
                if !path.starts_with('/') {
                    return Err(wrong());
                }
                (Attachment::File(path.to_owned()), symbol)
            }
            _ => return Err(wrong()),
        };
        if symbol.is_empty() || symbol.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(Self { at, on_return: kind.ends_with("retprobe"), symbol: symbol.to_owned() })
    }

    fn to_text(&self) -> String {
        let ret = if self.on_return { "ret" } else { "" };
        match &self.at {
            Attachment::Kernel => format!("k{ret}probe:{}", self.symbol),
            Attachment::File(path) => format!("u{ret}probe:{path}:{}", self.symbol),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_shown_as_they_were_written() {
        for text in ["kprobe:do_sys_open", "kretprobe:x", "uprobe:/usr/lib/libc.so.6:malloc", "uretprobe:/a:b:c"] {
            assert_eq!(ProbeLink::parse_text(text).unwrap().to_text(), text);
        }
        let Attachment::File(path) = ProbeLink::parse_text("uprobe:/a:b:c").unwrap().at else { panic!("no file") };
        assert_eq!(path, "/a:b");
    }

    #[test]
    fn what_is_no_link_is_refused_with_its_text() {
        for text in ["", "malloc", "uprobe:malloc", "uprobe:lib.so:malloc", "uprobe:/a:", "kprobe:", "tracepoint:a:b"] {
            assert!(ProbeLink::parse_text(text).unwrap_err().starts_with(&format!("{text:?} is no probe")), "{text}");
        }
    }
}
