//! Lines as they are written, by way of `tracing` itself.

use std::sync::{Arc, Mutex};

use super::*;
use crate::config_blocks::LogFormat;

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    /// The lines by now, each without its time, which is checked.
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let without_time = |line: &str| {
            let (before, rest) = line.split_once("20").unwrap();
            let (time, rest) = rest.split_once('Z').unwrap();
            humantime::parse_rfc3339(&format!("20{time}Z")).unwrap();
            format!("{before}{rest}")
        };
        text.lines().map(without_time).collect()
    }
}

/// Runs with a log of its own.
fn with_log(rust_log: Option<&str>, run: impl FnOnce(&Logs, &Written)) {
    let written = Written::default();
    let into = written.clone();
    let sink: Sink = Box::new(move |line| into.0.lock().unwrap().extend_from_slice(line));
    let (logs, subscriber) = Logs::new(sink, rust_log.map(|directives| directives.parse().unwrap()));
    tracing::subscriber::with_default(subscriber, || run(&logs, &written));
}

fn logging(level: LogLevel, format: LogFormat) -> LoggingArguments {
    LoggingArguments { level, format, ..LoggingArguments::default() }
}

fn one_of_each_level() {
    tracing::error!("e");
    tracing::warn!("w");
    tracing::info!("i");
    tracing::debug!("d");
    tracing::trace!("t");
    tracing::debug!(target: "library", "theirs");
    tracing::error!(target: "pingora_core::server", "broken pipe");
}

#[test]
fn both_formats_say_the_same() {
    with_log(None, |logs, written| {
        logs.apply(&logging(LogLevel::Info, LogFormat::Logfmt));
        let say = || {
            let series = "{a=\"b c\"}";
            tracing::warn!(%series, n = 3, ok = true, share = 0.5, nothing = None::<u64>, empty = "", err = "a\tb\u{7f}", "not delivered");
            tracing::info!(plain = "http://a/b?c", link = "http://a/b?c=d", "said");
        };
        say();
        logs.apply(&logging(LogLevel::Info, LogFormat::Json));
        say();
        assert_eq!(
            written.lines(),
            [
                r#"ts= level=warn msg="not delivered" series="{a=\"b c\"}" n=3 ok=true share=0.5 empty="" err="a\tb\x7f""#,
                r#"ts= level=info msg=said plain=http://a/b?c link="http://a/b?c=d""#,
                "{\"ts\":\"\",\"level\":\"warn\",\"msg\":\"not delivered\",\"series\":\"{a=\\\"b c\\\"}\",\"n\":3,\
                 \"ok\":true,\"share\":0.5,\"empty\":\"\",\"err\":\"a\\tb\u{7f}\"}",
                r#"{"ts":"","level":"info","msg":"said","plain":"http://a/b?c","link":"http://a/b?c=d"}"#,
            ]
        );
        for line in written.lines().iter().skip(2) {
            assert!(serde_json::from_str::<serde_json::Value>(line).unwrap().is_object());
        }
    });
}

#[test]
fn a_reload_changes_the_level() {
    let messages = |written: &Written| -> Vec<String> {
        written.lines().iter().map(|line| line.split("msg=").nth(1).unwrap().to_owned()).collect()
    };
    with_log(None, |logs, written| {
        for (level, expected) in [
            (LogLevel::Info, &["e", "w", "i"][..]),
            (LogLevel::Debug, &["e", "w", "i", "d"]),
            (LogLevel::Error, &["e"]),
            (LogLevel::Warn, &["e", "w"]),
        ] {
            written.0.lock().unwrap().clear();
            logs.apply(&logging(level, LogFormat::Logfmt));
            one_of_each_level();
            assert_eq!(messages(written), expected, "{level:?}");
        }
    });
    with_log(Some("error,library=debug"), |logs, written| {
        logs.apply(&logging(LogLevel::Debug, LogFormat::Logfmt));
        one_of_each_level();
        assert_eq!(messages(written), ["e", "theirs", "\"broken pipe\""]);
    });
}

#[test]
fn what_comes_before_the_configuration_waits_for_it() {
    with_log(None, |logs, written| {
        one_of_each_level();
        assert!(written.lines().is_empty());
        logs.apply(&logging(LogLevel::Warn, LogFormat::Json));
        tracing::warn!("later");
        logs.release();
        let expected = ["error\",\"msg\":\"e", "warn\",\"msg\":\"w", "warn\",\"msg\":\"later"];
        assert_eq!(written.lines(), expected.map(|rest| format!("{{\"ts\":\"\",\"level\":\"{rest}\"}}")));
    });
    with_log(None, |logs, written| {
        one_of_each_level();
        // There is no configuration.
        logs.release();
        assert_eq!(written.lines(), ["ts= level=error msg=e", "ts= level=warn msg=w", "ts= level=info msg=i"]);
    });
}

#[test]
fn what_waits_is_bounded_and_so_is_a_value() {
    with_log(None, |logs, written| {
        for number in 0..1000 {
            tracing::info!(number, text = "x".repeat(1 << 20), "long");
        }
        logs.release();
        let lines = written.lines();
        let total: usize = lines.iter().map(String::len).sum();
        assert!((900_000..1_100_000).contains(&total), "{total}");
        assert!(lines[0].contains("number=0 text=xxx") && lines[0].ends_with("x…"), "{}", &lines[0][..80]);
        let last = lines.last().unwrap();
        let left_out: usize = last.rsplit_once("left_out=").unwrap().1.parse().unwrap();
        assert_eq!(left_out + lines.len() - 1, 1000, "{last}");
    });
}

#[test]
fn lines_of_many_threads_are_whole_and_none_is_lost() {
    with_log(None, |logs, written| {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let dispatch = dispatch.clone();
                scope.spawn(move || {
                    tracing::dispatcher::with_default(&dispatch, || {
                        (0..500).for_each(|number| tracing::info!(thread, number, "said"));
                    });
                });
            }
            logs.apply(&logging(LogLevel::Info, LogFormat::Logfmt));
        });
        let lines = written.lines();
        assert_eq!(lines.len(), 2000);
        for thread in 0..4 {
            let of_thread = lines.iter().filter(|line| line.contains(&format!("thread={thread} ")));
            let numbers: Vec<usize> =
                of_thread.map(|line| line.rsplit_once("number=").unwrap().1.parse().unwrap()).collect();
            assert!(numbers.iter().copied().eq(0..500), "{thread}: {numbers:?}");
        }
    });
}
