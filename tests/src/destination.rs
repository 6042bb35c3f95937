//! Where the profiles of a scenario end: our own backend, and a real Pyroscope server as well where one is named.
//! A scenario says what it expects and does not know which it is.

use std::env;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::backend::{Answer, Backend, Received, Script};
use crate::pyroscope::{Pyroscope, PyroscopeError};

/// Between two queries of a real server, which tells nobody what arrives.
const POLL: Duration = Duration::from_millis(250);

/// A server that takes profiles.
#[derive(Debug)]
pub enum Destination {
    /// Our own.
    Backend(Backend),
    /// A real one.
    Pyroscope(Box<Pyroscope>),
}

/// What a profile is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// CPU time.
    Cpu,
    /// Memory in use, by bytes.
    Heap,
    /// Any other, by the name of its sample type.
    Named(&'static str),
}

/// A profile that is to arrive.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'e> {
    /// The service under which it is stored.
    pub service: &'e str,
    /// Labels that the series must have.
    pub labels: &'e [(&'e str, &'e str)],
    /// Labels that the series must not have.
    pub absent: &'e [&'e str],
    /// Text labels that the samples must have.
    pub sample_labels: &'e [(&'e str, &'e str)],
    /// What it is about.
    pub kind: Kind,
    /// Part of the name of a function in it.
    pub function: &'e str,
}

/// No destination, or nothing arrived there.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// Our own backend cannot be started.
    #[error("start the backend: {0}")]
    Backend(#[from] std::io::Error),
    /// The real server cannot be started or asked.
    #[error(transparent)]
    Pyroscope(#[from] PyroscopeError),
    /// The deadline passed.
    #[error("expected {expected}, which did not arrive within {deadline:?}. What did:{arrived}")]
    NotArrived {
        /// What was expected.
        expected: String,
        /// For how long.
        deadline: Duration,
        /// What the destination has.
        arrived: String,
    },
}

impl Destination {
    /// Our own backend, which takes its time before it answers; and a real server where `PYROSCOPE_BIN` names its
    /// binary, which answers when it does.
    ///
    /// # Errors
    /// When one of them cannot be started.
    pub async fn start_all(answer_after: Duration) -> Result<Vec<Self>, DestinationError> {
        let slowly = Script::always(Answer::Judge.after(answer_after));
        let mut all = vec![Self::Backend(Backend::start_with(slowly).await?)];
        if let Some(binary) = env::var_os("PYROSCOPE_BIN") {
            let server = Pyroscope::start(Path::new(&binary)).await?;
            all.push(Self::Pyroscope(Box::new(server)));
        }
        Ok(all)
    }

    /// URL for `endpoint { url = … }`.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Backend(backend) => backend.url(),
            Self::Pyroscope(server) => server.url(),
        }
    }

    /// Waits until such a profile has arrived.
    ///
    /// # Errors
    /// When the deadline passes first: with what did arrive.
    pub async fn wait_for(&self, expected: &Expected<'_>, deadline: Duration) -> Result<(), DestinationError> {
        match self {
            Self::Backend(backend) => {
                let arrived = backend.wait_for(|series| expected.is_in(series), deadline).await;
                arrived.map(|_| ()).map_err(|error| expected.not_arrived(deadline, error.arrived))
            }
            Self::Pyroscope(server) => {
                let started = Instant::now();
                loop {
                    let functions = server.functions(expected.kind.name(), &expected.selector()).await?;
                    if functions.iter().any(|function| function.contains(expected.function)) {
                        return Ok(());
                    }
                    if started.elapsed() > deadline {
                        let arrived = format!("\n  series {}\n  functions {functions:?}", server.series().await?);
                        return Err(expected.not_arrived(deadline, arrived));
                    }
                    sleep(POLL).await;
                }
            }
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Heap => "inuse_space",
            Self::Named(name) => name,
        }
    }

    fn is_in(self, sample_types: &[String]) -> bool {
        sample_types.iter().any(|sample_type| {
            let kind = sample_type.split(':').next().unwrap_or_default();
            // A JFR is not converted here: the server makes cpu of this event.
            kind == self.name() || (self == Self::Cpu && kind == "jdk.ExecutionSample")
        })
    }
}

impl Expected<'_> {
    fn is_in(&self, series: &Received) -> bool {
        let labelled = |&(name, value): &(&str, &str)| series.labels.get(name).is_some_and(|given| given == value);
        series.service_name() == self.service
            && self.labels.iter().all(labelled)
            && !self.absent.iter().any(|&name| series.labels.contains_key(name))
            && series.profiles.iter().any(|profile| {
                let sampled = |&(name, value): &(&str, &str)| {
                    profile.sample_labels.contains(&(name.to_owned(), value.to_owned()))
                };
                self.kind.is_in(&profile.sample_types)
                    && profile.has_function(self.function)
                    && self.sample_labels.iter().all(sampled)
            })
    }

    /// The server makes labels of the series of the samples' labels.
    fn selector(&self) -> String {
        let mut selector = format!("{{service_name={:?}", self.service);
        for (name, value) in self.labels.iter().chain(self.sample_labels) {
            // Writing to a String does not fail.
            let _ = write!(selector, ",{name}={value:?}");
        }
        for name in self.absent {
            let _ = write!(selector, ",{name}=\"\"");
        }
        selector.push('}');
        selector
    }

    fn not_arrived(&self, deadline: Duration, arrived: String) -> DestinationError {
        DestinationError::NotArrived { expected: format!("{self:?}"), deadline, arrived }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_client::post;
    use crate::pprof::ProfileBuilder;

    const EXPECTED: Expected<'_> = Expected {
        service: "svc",
        labels: &[("edge", "flamegate"), ("zone", "eu")],
        absent: &["region"],
        sample_labels: &[("thread", "worker")],
        kind: Kind::Cpu,
        function: "leaf",
    };

    #[test]
    fn selector() {
        let selector = r#"{service_name="svc",edge="flamegate",zone="eu",thread="worker",region=""}"#;
        assert_eq!(EXPECTED.selector(), selector);
    }

    #[tokio::test]
    async fn every_part_of_the_expectation_counts() {
        let backend = Backend::start().await.unwrap();
        let name = "svc%7Bedge=flamegate,zone=eu%7D";
        let url = format!("{}/ingest?format=pprof&name={name}", backend.url());
        let profile = ProfileBuilder::cpu().sample(&["leaf"], &[1], &[("thread", "worker")]).encode();
        assert_eq!(post(&url, &[], profile).await.unwrap().status, 200);
        let destination = Destination::Backend(backend);
        let soon = Duration::from_millis(50);
        destination.wait_for(&EXPECTED, soon).await.unwrap();
        for others in [
            Expected { service: "other", ..EXPECTED },
            Expected { labels: &[("edge", "other")], ..EXPECTED },
            Expected { absent: &["zone"], ..EXPECTED },
            Expected { sample_labels: &[("thread", "main")], ..EXPECTED },
            Expected { kind: Kind::Heap, ..EXPECTED },
            Expected { function: "branch", ..EXPECTED },
        ] {
            let error = destination.wait_for(&others, soon).await.unwrap_err().to_string();
            assert!(error.contains("edge") && error.contains("leaf"), "{error}");
        }
    }
}
