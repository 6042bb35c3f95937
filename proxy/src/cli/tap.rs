//! `flamegate tap`: the profiles that pass a component of a running process, as they pass.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use bytes::BytesMut;
use bytesize::ByteSize;
use clap::Args;
use form_urlencoded::Serializer;
use http_body_util::BodyExt;

use super::server::ServerFlags;
use super::{fail, tls_client};
use crate::kept::Selector;
use crate::tap::{Ended, Line, Row};

/// Bytes of one line of the stream: two label sets of a mebibyte, each of their letters escaped.
const LONGEST_LINE: usize = 32 << 20;
/// A process says at least this often that it is still there.
const SILENCE: Duration = Duration::from_secs(60);
/// Letters of a label's name or value that are shown.
const LETTERS: usize = 200;

/// Flags of `tap`.
#[derive(Debug, Args)]
pub struct TapFlags {
    /// The component, by its path: pyroscope.relabel.default. One with others inside stands for all of them; none for all
    /// there are
    component: Option<String>,
    #[command(flatten)]
    server: ServerFlags,
    /// Which profiles, by their labels before or after: '{service_name="shop", pod!="a"}'
    #[arg(long, value_name = "LABELS")]
    selector: Option<Selector>,
    /// Prints one JSON object a line, with all labels whole
    #[arg(long)]
    json: bool,
    /// Ends after so many profiles
    #[arg(short = 'n', long = "count", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// Does it.
pub(super) fn run(flags: &TapFlags) -> ExitCode {
    match tls_client::block_on(tap(flags)).flatten() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&format!("{message}\n")),
    }
}

async fn tap(flags: &TapFlags) -> Result<(), String> {
    let server = flags.server.server().map_err(|error| error.to_string())?;
    let mut body = server.open(&path(flags)).await.map_err(|error| error.to_string())?;
    let mut printer = Printer { json: flags.json, left: flags.count };
    let mut read = BytesMut::new();
    loop {
        let Ok(frame) = tokio::time::timeout(SILENCE, body.frame()).await else {
            return Err(format!("the process said nothing for {SILENCE:?}"));
        };
        let frame = match frame {
            None => return Err("the process ended the stream: it stops, or nobody may look any more".to_owned()),
            Some(frame) => frame.map_err(|error| format!("the stream broke off: {error}"))?,
        };
        let searched = read.len();
        if let Some(data) = frame.data_ref() {
            read.extend_from_slice(data);
        }
        // Before where it was searched last there is no end of a line.
        let mut from = searched;
        while let Some(end) = read.get(from..).and_then(|new| memchr::memchr(b'\n', new)) {
            let line = read.split_to(from + end + 1);
            from = 0;
            if !printer.print(&line)? {
                return Ok(());
            }
        }
        if read.len() > LONGEST_LINE {
            return Err(format!("a line of more than {LONGEST_LINE} bytes: this is no Flamegate"));
        }
    }
}

fn path(flags: &TapFlags) -> String {
    let mut query = Serializer::new(String::new());
    if let Some(component) = &flags.component {
        query.append_pair("component", component);
    }
    if let Some(selector) = &flags.selector {
        query.append_pair("labels", &selector.to_string());
    }
    format!("/api/v0/web/tap?{}", query.finish())
}

struct Printer {
    json: bool,
    /// Profiles that are still to be printed, where that is bounded.
    left: Option<u64>,
}

impl Printer {
    /// Whether there is more to be printed, and somebody who reads it.
    fn print(&mut self, line: &[u8]) -> Result<bool, String> {
        if line.trim_ascii().is_empty() {
            return Ok(true);
        }
        let read: Line = serde_json::from_slice(line).map_err(|error| format!("the stream cannot be read: {error}"))?;
        if let (Line::Row(_), Some(left)) = (&read, &mut self.left) {
            *left -= 1;
        }
        let text = match &read {
            _ if self.json => String::from_utf8_lossy(line).into_owned(),
            Line::Row(row) => text(row),
            Line::Missed { missed } => format!("{missed} passed faster than they were read\n"),
        };
        let mut stdout = std::io::stdout().lock();
        // Where it is closed, as behind `| head`, nobody reads.
        let is_read = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_ok();
        Ok(is_read && self.left != Some(0))
    }
}

/// A line about the profile, and one for its labels or two.
fn text(row: &Row) -> String {
    let clock = row.time.get(11..23).unwrap_or(&row.time);
    let outcome = row.outcome.name();
    let types: Vec<String> = row.sample_types.iter().map(|kind| printable(kind)).collect();
    let format = if types.is_empty() {
        printable(&row.format)
    } else {
        format!("{} {}", printable(&row.format), types.join(","))
    };
    let size = ByteSize::b(row.bytes as u64);
    let took = Duration::from_micros((row.seconds.clamp(0.0, 1e9) * 1e6) as u64);
    let mut text =
        format!("{}  {}  {outcome}  {format}  {size}  {took:?}\n", printable(clock), printable(&row.component));
    let labels = |labels: &std::collections::BTreeMap<String, String>| {
        let pairs: Vec<String> =
            labels.iter().map(|(name, value)| format!("{}={}", printable(name), quoted(value))).collect();
        format!("{{{}}}", pairs.join(", "))
    };
    if let Some(before) = &row.before {
        text += &format!("    {}\n", labels(before));
    }
    if let Some(after) = row.after.as_ref().filter(|after| row.before.as_ref() != Some(after)) {
        text += &format!("  → {}\n", labels(after));
    }
    if row.outcome != Ended::Passed {
        text += &format!("  → {outcome}: {}\n", printable(row.reason.as_deref().unwrap_or_default()));
    }
    text
}

/// What could control a terminal, or turn the direction of what follows, is shown by its number.
fn printable(text: &str) -> String {
    let mut letters = text.chars();
    let mut shown = String::new();
    for letter in letters.by_ref().take(LETTERS) {
        match letter {
            '"' | '\'' | '\\' => shown.push(letter),
            other => shown.extend(other.escape_debug()),
        }
    }
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

fn quoted(value: &str) -> String {
    let short: String = value.chars().take(LETTERS).collect();
    if short.len() < value.len() { format!("{short:?}…") } else { format!("{short:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Row {
        serde_json::from_str(json).unwrap()
    }

    const PASSED: &str = r#"{"time":"2026-01-02T03:04:05.678Z","component":"pyroscope.relabel.a","before":{"a":"1"},"after":{"a":"2"},
        "format":"pprof","sample_types":["cpu"],"bytes":1536,"profiles":1,"seconds":0.0015,"outcome":"passed","taken":1}"#;

    #[test]
    fn a_profile_is_told_with_its_labels_before_and_after() {
        let expected =
            "03:04:05.678  pyroscope.relabel.a  passed  pprof cpu  1.5 KiB  1.5ms\n    {a=\"1\"}\n  → {a=\"2\"}\n";
        assert_eq!(text(&row(PASSED)), expected);
        let same = Row { after: row(PASSED).before, ..row(PASSED) };
        assert!(text(&same).ends_with("1.5ms\n    {a=\"1\"}\n"));
        let dropped =
            Row { after: None, outcome: Ended::Dropped, reason: Some("no \"rule\"".to_owned()), ..row(PASSED) };
        assert!(text(&dropped).ends_with("  → dropped: no \"rule\"\n"));
    }

    #[test]
    fn hostile_labels_cannot_touch_the_terminal() {
        let mut hostile = row(PASSED);
        let value = format!("\u{1b}[2J\u{202e}\n{}", "x".repeat(10_000));
        hostile.before = Some([("\u{7}name".to_owned(), value)].into());
        let text = text(&hostile);
        assert_eq!(text.lines().count(), 3);
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']) && text.len() < 1000, "{text}");
    }

    #[test]
    fn a_count_bounds_profiles_and_not_lines() {
        let mut printer = Printer { json: true, left: Some(2) };
        let line = PASSED.replace('\n', "");
        assert_eq!(printer.print(b"\n"), Ok(true));
        assert_eq!(printer.print(br#"{"missed":3}"#), Ok(true));
        assert_eq!(printer.print(line.as_bytes()), Ok(true));
        assert_eq!(printer.print(line.as_bytes()), Ok(false));
        assert!(printer.print(b"<html>").is_err());
    }
}
