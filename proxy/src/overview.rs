//! What comes in, what goes out, what is lost and why, and what is wrong, at one glance: what the web UI shows first,
//! `/api/v0/web/overview` says as JSON (docs/overview.md) and `flamegate top` draws in a terminal.
//!
//! Lists are bounded, and say how much there is beside what they hold.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::component::HealthState;
use crate::graph::Detail;
use crate::web::ui::format::cut;

/// Letters of a reason.
const REASON: usize = 2000;
/// Of those that a component sends to.
const MOST_RECEIVERS: usize = 50;

/// All of it, at one time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// Components with which something is wrong, the worst first.
    pub failing: First<Component>,
    /// What passes through the process.
    pub flow: Flow,
    /// The series that sent most bytes in the last five minutes, by the components that keep them; none where who asks
    /// may not see labels.
    pub busiest: Option<Vec<View>>,
    /// What did not go on, and why: first what nobody wanted so, most of it first.
    pub losses: First<Loss>,
    /// Where profiles go.
    pub endpoints: First<Endpoint>,
    /// All that runs.
    pub components: First<Component>,
}

/// The beginning of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct First<T> {
    /// How long the list is.
    pub of: usize,
    /// How it begins.
    pub first: Vec<T>,
}

/// What passes through the process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// Profiles that components took and sent on into the pipeline.
    #[serde(rename = "in")]
    pub came: Stream,
    /// Profiles that endpoints took.
    #[serde(rename = "out")]
    pub sent: Stream,
    /// Requests that wait in queues on disk.
    pub waiting: Waiting,
    /// All losses together; they have no bytes.
    pub dropped: Stream,
}

/// Something that passes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stream {
    /// Over the last ten seconds; none before figures were taken twice.
    pub per_second: Option<f64>,
    /// Likewise.
    pub bytes_per_second: Option<f64>,
    /// Since the process began.
    pub total: u64,
    /// How many a second there were from one look to the next over the last five minutes, the last one last.
    pub line: Vec<f64>,
}

/// What waits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Requests.
    pub records: u64,
    /// Their bytes on disk.
    pub bytes: u64,
    /// How many waited over the last five minutes, the last one last.
    pub line: Vec<f64>,
}

/// A component that keeps profiles, and its busiest series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// The component's path.
    pub component: String,
    /// Those that sent most bytes first.
    pub series: First<Series>,
}

/// A series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// Its labels: the first of them, and of each value the beginning.
    pub labels: BTreeMap<String, String>,
    /// As they came.
    pub bytes_per_minute: f64,
    /// Over the last five minutes.
    pub profiles_per_minute: f64,
    /// Since the last one came.
    pub seconds_ago: u64,
}

/// A kind of loss of a component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Loss {
    /// The component's path.
    pub component: String,
    /// What happened.
    pub why: String,
    /// The reason, the endpoint, or what else tells it from others; may be empty.
    pub detail: String,
    /// Whether somebody wanted it so, as with a rule that drops.
    pub wanted: bool,
    /// Over the last ten seconds; none before figures were taken twice.
    pub per_second: Option<f64>,
    /// Since the process began.
    pub total: u64,
}

/// An endpoint of a component that writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The component's path.
    pub component: String,
    /// Its name, or its URL where it has none.
    pub endpoint: String,
    /// Profiles, over the last ten seconds; none before figures were taken twice.
    pub sent_per_second: Option<f64>,
    /// Likewise.
    pub retries_per_second: Option<f64>,
    /// Profiles that were given up since the process began.
    pub given_up: u64,
    /// Where it has one.
    pub queue: Option<Queue>,
    /// Where it has several.
    pub backends: Vec<Backend>,
}

/// A queue on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// Requests that wait.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// For how long the oldest has waited.
    pub oldest_seconds: u64,
}

/// One of the servers of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backend {
    /// Its address.
    pub backend: String,
    /// Whether it is asked.
    pub state: BackendState,
}

/// Whether a backend is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendState {
    /// It is.
    Up,
    /// It is left alone for a while, after failures.
    Ejected,
    /// Its health check fails.
    Down,
}

/// A component at one glance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// The modules that it stands in and its id.
    pub path: String,
    /// How it is.
    pub condition: Condition,
    /// What is wrong, where something is.
    pub wrong: Option<Wrong>,
    /// Profiles that it sends on, over the last ten seconds; none where it sends none, or that is not known yet.
    pub profiles_per_second: Option<f64>,
    /// Whether it sends profiles to others.
    pub sends: bool,
    /// The paths of these.
    pub sends_to: Vec<String>,
}

/// How a component is, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// It does what it should.
    Healthy,
    /// It does what it can, and what it needs fails.
    Failing,
    /// Not known yet.
    Unknown,
    /// It runs, and something is wrong with it.
    Unhealthy,
    /// It does not run any more.
    Exited,
}

/// What is wrong with a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wrong {
    /// What.
    pub reason: String,
    /// For how long.
    pub for_seconds: u64,
}

impl<T> Default for First<T> {
    fn default() -> Self {
        Self { of: 0, first: Vec::new() }
    }
}

impl<T> First<T> {
    /// The first `most` of a list.
    pub fn cut(list: impl ExactSizeIterator<Item = T>, most: usize) -> Self {
        Self { of: list.len(), first: list.take(most).collect() }
    }

    /// How many are left out.
    pub fn left_out(&self) -> usize {
        self.of.saturating_sub(self.first.len())
    }
}

/// How bad something is, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// All is well.
    Good,
    /// Not known yet.
    Unknown,
    /// Something is wrong, and the rest goes on.
    Poor,
    /// It does not do what it should.
    Bad,
}

impl Severity {
    /// As style sheets call it.
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Unknown => "unknown",
            Self::Poor => "poor",
            Self::Bad => "bad",
        }
    }
}

impl Component {
    /// Of all that a component tells, but not how much it sends.
    pub fn of(detail: &Detail) -> Self {
        let (flow, health) = (detail.flow(), &detail.health);
        let wrong = |reason: &str, since: SystemTime| Wrong {
            reason: cut(reason, REASON),
            for_seconds: since.elapsed().unwrap_or_default().as_secs(),
        };
        let wrong = if health.state > HealthState::Unknown {
            Some(wrong(&health.message, health.since))
        } else {
            detail.trouble().map(|trouble| wrong(&trouble.reason, trouble.since))
        };
        let to = flow.as_ref().map_or(&[][..], |flow| &flow.to);
        Self {
            path: detail.path(),
            condition: Condition::of(health.state, wrong.is_some()),
            wrong,
            profiles_per_second: None,
            sends: flow.is_some(),
            sends_to: to.iter().take(MOST_RECEIVERS).map(ToString::to_string).collect(),
        }
    }

    /// How it is, in one word.
    pub fn word(&self) -> &'static str {
        self.condition.word()
    }

    /// How bad it is, as style sheets call it.
    pub fn class(&self) -> &'static str {
        self.severity().class()
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match (self.condition, &self.wrong) {
            (Condition::Unhealthy | Condition::Exited, _) => Severity::Bad,
            (Condition::Failing, _) | (_, Some(_)) => Severity::Poor,
            (Condition::Unknown, None) => Severity::Unknown,
            (Condition::Healthy, None) => Severity::Good,
        }
    }
}

impl Condition {
    /// Of a component in this state, with which something is wrong or not.
    pub fn of(state: HealthState, is_failing: bool) -> Self {
        match state {
            HealthState::Healthy if is_failing => Self::Failing,
            HealthState::Healthy => Self::Healthy,
            HealthState::Unknown => Self::Unknown,
            HealthState::Unhealthy => Self::Unhealthy,
            HealthState::Exited => Self::Exited,
        }
    }

    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Failing => "failing",
            Self::Unknown => "unknown",
            Self::Unhealthy => "unhealthy",
            Self::Exited => "exited",
        }
    }
}

impl BackendState {
    /// As the metric has it.
    pub fn of_metric(state: f64) -> Self {
        match state as u8 {
            0 => Self::Up,
            1 => Self::Ejected,
            _ => Self::Down,
        }
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::Up => Severity::Good,
            Self::Ejected => Severity::Poor,
            Self::Down => Severity::Bad,
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Ejected => "left alone after failures",
            Self::Down => "down by its health check",
        }
    }
}
