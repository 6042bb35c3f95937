//! Logs on standard error, as the reference writes them: in logfmt or as JSON, from a level on that a reload may change.
//!
//! Until the configuration says how, lines wait in memory. `RUST_LOG` (`warn,flamegate=debug`) overrules the level, not
//! the format.

use std::io::Write;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use self::output::{Output, Sink};
use self::record::Record;
use crate::config_blocks::{LogLevel, LoggingArguments};

mod output;
mod record;

/// The process' log.
#[derive(Clone)]
pub struct Logs {
    levels: reload::Handle<Targets, Registry>,
    output: Arc<Output>,
    overruled: Option<Targets>,
}

/// Takes every line from now on. Lines wait until [`Logs::apply`] or [`Logs::release`].
pub fn install() -> Logs {
    let overruling = std::env::var("RUST_LOG").ok().filter(|directives| !directives.is_empty());
    let parsed = overruling.as_deref().map(str::parse::<Targets>).transpose();
    let stderr: Sink = Box::new(|lines| {
        // Where standard error is closed there is no one to tell.
        let _written = std::io::stderr().write_all(lines);
        super::recent_logs::keep(lines);
    });
    let (logs, subscriber) = Logs::new(stderr, parsed.as_ref().ok().cloned().flatten());
    // Fails where a test has installed one: then that one stays.
    let _installed = subscriber.try_init();
    if let Err(error) = parsed {
        tracing::warn!(err = %error, "RUST_LOG cannot be read and has no effect: write it as \"info,flamegate=debug\"");
    }
    logs
}

impl Logs {
    /// Levels and format are these from now on, and what waits is written by them.
    pub fn apply(&self, logging: &LoggingArguments) {
        let levels = self.overruled.clone().unwrap_or_else(|| levels(logging.level));
        // Fails where no one writes to this log any more.
        let _changed = self.levels.reload(levels.clone());
        self.output.open(logging.format, &levels);
    }

    /// Writes what waits, in the format and from the level that there are without a configuration: there will be none.
    /// Does nothing after [`apply`](Self::apply).
    pub fn release(&self) {
        if self.output.waits() {
            self.apply(&LoggingArguments::default());
        }
    }

    fn new(sink: Sink, overruled: Option<Targets>) -> (Self, impl Subscriber + Send + Sync) {
        // While lines wait, all that the configuration may ask for.
        let wanted = overruled.clone().unwrap_or_else(|| levels(LogLevel::Debug));
        let (filter, handle) = reload::Layer::new(wanted);
        let output = Arc::new(Output::new(sink));
        let subscriber = tracing_subscriber::registry().with(filter).with(ToOutput(output.clone()));
        (Self { levels: handle, output, overruled }, subscriber)
    }
}

/// What is logged from a level on. Libraries say nothing below info: it would be said to their authors.
fn levels(level: LogLevel) -> Targets {
    let (own, others) = match level {
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
        LogLevel::Info => (LevelFilter::INFO, LevelFilter::INFO),
        LogLevel::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
    };
    // Pingora tells of every broken connection; the counters do too. What kube tells is told by `discovery.kubernetes`.
    let silent = ["pingora_core", "kube_client", "kube_runtime"].map(|target| (target, LevelFilter::OFF));
    Targets::new().with_default(others).with_target("flamegate", own).with_targets(silent)
}

struct ToOutput(Arc<Output>);

impl<S: Subscriber> Layer<S> for ToOutput {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.write(Record::of(event));
    }
}

#[cfg(test)]
mod tests;
