//! What a child process writes, line by line, while it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::sync::watch;

/// A process that writes more than this in a test is broken: what follows is dropped.
const MAX_LINES: usize = 200_000;

/// Standard output and error of a process.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    /// Closed once both streams are.
    written: watch::Receiver<()>,
}

impl Output {
    /// Takes both streams, which must be piped, and reads them to their ends.
    pub(crate) fn of(child: &mut Child) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (writer, written) = watch::channel(());
        let writer = Arc::new(writer);
        if let Some(stream) = child.stdout.take() {
            tokio::spawn(read(stream, Arc::clone(&lines), Arc::clone(&writer)));
        }
        if let Some(stream) = child.stderr.take() {
            tokio::spawn(read(stream, Arc::clone(&lines), writer));
        }
        Self { lines, written }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        locked(&self.lines).clone()
    }

    pub(crate) fn text(&self) -> String {
        locked(&self.lines).join("\n")
    }

    /// Whether more can come.
    pub(crate) fn is_open(&self) -> bool {
        self.written.has_changed().is_ok()
    }

    /// The first line for which there is something, one already written or one to come; `None` at the end of both streams.
    pub(crate) async fn wait_for<T>(&self, look: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut written = self.written.clone();
        let mut seen = 0;
        loop {
            written.mark_unchanged();
            let open = self.is_open();
            let fresh: Vec<String> = locked(&self.lines).iter().skip(seen).cloned().collect();
            seen += fresh.len();
            if let Some(found) = fresh.iter().find_map(|line| look(line)) {
                return Some(found);
            }
            if !open {
                return None;
            }
            // Closing wakes it, too: the next round finds that out.
            let _ = written.changed().await;
        }
    }

    /// Waits for the end of both streams.
    pub(crate) async fn closed(&self) {
        let _ = self.wait_for(|_| None::<()>).await;
    }
}

async fn read(stream: impl AsyncRead + Unpin, lines: Arc<Mutex<Vec<String>>>, writer: Arc<watch::Sender<()>>) {
    let mut reader = BufReader::new(stream).split(b'\n');
    while let Ok(Some(line)) = reader.next_segment().await {
        {
            let mut lines = locked(&lines);
            if lines.len() < MAX_LINES {
                lines.push(String::from_utf8_lossy(&line).into_owned());
            }
        }
        writer.send_replace(());
    }
}

/// The value of a logfmt field, without its quotes.
pub(crate) fn logfmt_field(line: &str, name: &str) -> Option<String> {
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let (key, after) = rest.split_once('=')?;
        let (value, after) = value_and_rest(after);
        // A word without a value stands before the key.
        let key = key.rsplit(' ').next().unwrap_or(key);
        if key == name {
            return Some(value);
        }
        rest = after;
    }
}

fn value_and_rest(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(' ').unwrap_or((text, ""));
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    (value, "")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn logfmt() {
        let line = r#"ts=1 level=info msg="admin \"listening\"" component_id=a.b.c addr=127.0.0.1:40123"#;
        let cases = [
            ("ts", Some("1")),
            ("msg", Some("admin \"listening\"")),
            ("component_id", Some("a.b.c")),
            ("addr", Some("127.0.0.1:40123")),
            ("id", None),
            ("listening", None),
        ];
        for (name, value) in cases {
            assert_eq!(logfmt_field(line, name).as_deref(), value, "{name}");
        }
        assert_eq!(logfmt_field("no fields here", "here"), None);
        assert_eq!(logfmt_field("a=\"open", "a").as_deref(), Some("open"));
    }

    #[tokio::test]
    async fn lines_of_both_streams_and_their_end() {
        let mut child = tokio::process::Command::new("sh")
            .args(["-c", "echo first; echo second >&2; printf third"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Output::of(&mut child);
        let third = output.wait_for(|line| line.contains("third").then_some(())).await;
        assert_eq!(third, Some(()));
        assert_eq!(output.wait_for(|line| line.contains("fourth").then_some(())).await, None);
        let mut lines = output.lines();
        lines.sort();
        assert_eq!(lines, ["first", "second", "third"]);
        child.wait().await.unwrap();
    }
}
