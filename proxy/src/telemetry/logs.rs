//! Logs in logfmt, as the reference writes them: `ts=… level=info msg="…" key=value`.

use std::fmt;
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes logs of level info and above to standard error; `RUST_LOG` changes what is written.
pub fn install() {
    // Pingora tells of every broken connection; the counters do too.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,pingora_core=off"));
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).event_format(Logfmt);
    // Fails where a test has installed one: then that one stays.
    let _installed = subscriber.try_init();
}

struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => "error",
            tracing::Level::WARN => "warn",
            tracing::Level::INFO => "info",
            _ => "debug",
        };
        write!(writer, "ts={} level={level}", humantime::format_rfc3339_nanos(SystemTime::now()))?;
        let mut pairs = Pairs { writer: &mut writer, result: Ok(()) };
        event.record(&mut pairs);
        pairs.result?;
        writeln!(writer)
    }
}

struct Pairs<'a, 'w> {
    writer: &'a mut Writer<'w>,
    result: fmt::Result,
}

impl Visit for Pairs<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.pair(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.pair(field, value);
    }
}

impl Pairs<'_, '_> {
    fn pair(&mut self, field: &Field, value: &str) {
        let name = match field.name() {
            "message" => "msg",
            name => name,
        };
        let plain = !value.is_empty()
            && value.chars().all(|c| c > ' ' && !c.is_control() && !matches!(c, '"' | '=' | '\u{7f}'));
        let written =
            if plain { write!(self.writer, " {name}={value}") } else { write!(self.writer, " {name}={value:?}") };
        self.result = self.result.and(written);
    }
}
