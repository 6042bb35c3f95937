//! What is scraped: a target, and a kind of profile of it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use profiler_core::labels::{LabelError, Labels, LabelsBuilder, NAME, SERVICE_NAME};
use profiler_core::pprof::delta::{Counters, counters_of};

use super::arguments::{DEFAULT_DELTA_DURATION, ScrapeArguments};
use super::identity::{identity, stable_hash};
use super::profile_types::{ProfileType, published_as};
use super::url::{Parameters, names_port, profile_url};
use crate::components::scope::add_scope;
use crate::components::service_name::service_name;
use crate::components::targets::ADDRESS;

const PATH: &str = "__profile_path__";
const PATH_PREFIX: &str = "__profile_path_prefix__";
const SCHEME: &str = "__scheme__";
const PARAMETER: &str = "__param_";
const META: &str = "__meta_";
const JOB: &str = "job";
const INSTANCE: &str = "instance";
const DELTA: &str = "__delta__";
const SECONDS: &str = "seconds";
const SCOPE: &str = "com.grafana.alloy/pyroscope.scrape";

/// What holds for all targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) job_name: String,
    params: Parameters,
    scheme: String,
    path_prefix: String,
    types: Vec<ProfileType>,
    pub(super) interval: Duration,
    timeout: Duration,
    delta_duration: Duration,
    pub(super) max_body_size: usize,
}

/// A target and a kind of profile.
#[derive(Debug)]
pub(super) struct Target {
    /// As it was found: shared with whoever found it.
    source: Labels,
    settings: Arc<Settings>,
    /// Which of the settings' kinds.
    kind: usize,
    /// Of one identity there is one scrape.
    pub(super) identity: u64,
    pub(super) url: Uri,
    /// Whether the request says how long to collect.
    has_seconds: bool,
    /// What its profiles count from the start of the process on, where they do.
    pub(super) counters: Option<&'static Counters>,
}

/// Why a target cannot be scraped.
#[derive(Debug, thiserror::Error)]
pub(super) enum TargetError {
    #[error("no address")]
    NoAddress,
    #[error("invalid scheme: {0:?}")]
    Scheme(String),
    #[error("{0:?} is not a valid hostname")]
    Address(String),
    #[error("{url:?} is no URL: {error}")]
    Url { url: String, error: http::uri::InvalidUri },
    #[error(transparent)]
    Labels(#[from] LabelError),
}

/// Each target once, with its hash: those that differ only in what discovery knows of them are the same.
pub(super) fn distinct(targets: &[Labels]) -> impl Iterator<Item = (u64, &Labels)> {
    let mut seen = HashSet::with_capacity(targets.len());
    let hash = |target: &Labels| stable_hash(target.iter().filter(|(name, _)| !name.starts_with(META)));
    targets.iter().map(move |target| (hash(target), target)).filter(move |(hash, _)| seen.insert(*hash))
}

impl Settings {
    pub(super) fn of(arguments: &ScrapeArguments) -> Self {
        Self {
            job_name: arguments.job_name.clone(),
            params: arguments.params.clone(),
            scheme: arguments.scheme.clone(),
            path_prefix: arguments.profiling_config.path_prefix.clone(),
            types: arguments.profiling_config.all(),
            interval: arguments.scrape_interval,
            timeout: arguments.scrape_timeout,
            delta_duration: arguments.delta_profiling_duration,
            max_body_size: arguments.max_body_size.bytes(),
        }
    }

    /// For how long targets collect.
    fn seconds(&self) -> u64 {
        let of_interval = self.interval.as_secs().saturating_sub(1);
        if self.delta_duration == DEFAULT_DELTA_DURATION { of_interval } else { self.delta_duration.as_secs() }
    }

    fn collects(&self, name: &str) -> bool {
        self.types.iter().any(|kind| kind.name == name && kind.delta)
    }
}

impl Target {
    /// A target with each kind that is asked for.
    ///
    /// # Errors
    /// It cannot be scraped.
    pub(super) fn all_of(source: &Labels, settings: &Arc<Settings>) -> Result<Vec<Self>, TargetError> {
        let kinds = settings.types.iter().enumerate().filter(|(_, kind)| kind.enabled);
        kinds.map(|(kind, _)| Self::new(source, settings, kind)).collect()
    }

    fn new(source: &Labels, settings: &Arc<Settings>, kind: usize) -> Result<Self, TargetError> {
        let described = Described::new(source, settings, kind)?;
        let labels = described.labels.build()?;
        let parameters = parameters(settings, &labels, &described.type_name);
        let of = |name| labels.value(name).unwrap_or_default();
        let url = profile_url(of(SCHEME), of(ADDRESS), [of(PATH_PREFIX), of(PATH)], &parameters);
        let public = labels.iter().filter(|(name, _)| !name.starts_with("__"));
        Ok(Self {
            source: source.clone(),
            settings: settings.clone(),
            kind,
            identity: identity(public, &url),
            url: url.parse().map_err(|error| TargetError::Url { url, error })?,
            has_seconds: parameters.contains_key(SECONDS),
            counters: counters_of(&described.type_name),
        })
    }

    /// The same where the labels lie in another place.
    pub(super) fn of_source(&self, source: &Labels) -> Self {
        Self { source: source.clone(), settings: self.settings.clone(), url: self.url.clone(), ..*self }
    }

    /// The labels, those that begin with `__` included. They are made anew each time: thousands of targets would hold what
    /// discovery knows of them once for each kind.
    ///
    /// # Errors
    /// They are too large.
    pub(super) fn labels(&self) -> Result<Labels, TargetError> {
        Ok(Described::new(&self.source, &self.settings, self.kind)?.labels.build()?)
    }

    /// The labels of its profiles.
    ///
    /// # Errors
    /// They are too large.
    pub(super) fn profile_labels(&self) -> Result<Labels, TargetError> {
        let mut labels = Described::new(&self.source, &self.settings, self.kind)?.labels;
        add_scope(&mut labels, &self.source, SCOPE);
        if self.counters.is_some() {
            // The difference is made here: the backend is not to make it once more.
            labels.set(DELTA, "false");
        }
        Ok(labels.build()?)
    }

    /// The longest that an answer may take.
    pub(super) fn timeout(&self) -> Duration {
        let collects = if self.has_seconds { self.settings.interval } else { Duration::ZERO };
        self.settings.timeout + collects.saturating_sub(Duration::from_secs(1))
    }

    /// The kind, as the configuration calls it.
    pub(super) fn type_name(&self) -> &str {
        self.settings.types.get(self.kind).map_or("", |kind| kind.name.as_str())
    }

    pub(super) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    #[cfg(test)]
    pub(super) fn source(&self) -> &Labels {
        &self.source
    }

    /// Whether the request says how long to collect.
    #[cfg(test)]
    pub(super) fn has_seconds(&self) -> bool {
        self.has_seconds
    }

    /// Whether the target itself makes the difference to the profile before.
    #[cfg(test)]
    pub(super) fn is_delta_already(&self) -> bool {
        let described = Described::new(&self.source, &self.settings, self.kind);
        described.is_ok_and(|described| published_as(&described.type_name).is_some())
    }
}

/// A target with the labels that a kind of profile gives it.
struct Described<'a> {
    labels: LabelsBuilder<'a>,
    /// The kind, as the target or the configuration calls it.
    type_name: Cow<'a, str>,
}

impl<'a> Described<'a> {
    fn new(source: &'a Labels, settings: &'a Settings, kind: usize) -> Result<Self, TargetError> {
        let of = |name| source.value(name).unwrap_or_default();
        let mut labels = source.to_builder();
        let (type_name, path) = settings.types.get(kind).map(|kind| (kind.name.as_str(), kind.path.as_str())).unzip();
        for (name, value) in [
            (PATH, path.unwrap_or_default()),
            (NAME, type_name.unwrap_or_default()),
            (PATH_PREFIX, &settings.path_prefix),
            (JOB, &settings.job_name),
            (SCHEME, &settings.scheme),
        ] {
            if of(name).is_empty() {
                labels.set(name, value);
            }
        }
        for (name, values) in &settings.params {
            if let Some(first) = values.first() {
                labels.set(format!("{PARAMETER}{name}"), first);
            }
        }
        let given_scheme = Some(of(SCHEME)).filter(|scheme| !scheme.is_empty());
        let address = address(of(ADDRESS), given_scheme.unwrap_or(&settings.scheme))?;
        if of(INSTANCE).is_empty() {
            labels.set(INSTANCE, address.clone());
        }
        labels.set(ADDRESS, address);
        if of(SERVICE_NAME).is_empty() {
            labels.set(SERVICE_NAME, service_name(source, ""));
        }
        let type_name = match of(NAME) {
            "" => type_name.unwrap_or_default(),
            given => given,
        };
        if let Some(public) = published_as(type_name) {
            labels.set(NAME, public);
        }
        Ok(Self { labels, type_name: type_name.into() })
    }
}

/// An address with a port.
fn address<'a>(given: &'a str, scheme: &str) -> Result<Cow<'a, str>, TargetError> {
    if given.is_empty() {
        return Err(TargetError::NoAddress);
    }
    let port = match scheme {
        "http" | "" => 80,
        "https" => 443,
        other => return Err(TargetError::Scheme(other.to_owned())),
    };
    if given.contains('/') {
        return Err(TargetError::Address(given.to_owned()));
    }
    Ok(if names_port(given) == Some(false) { format!("{given}:{port}").into() } else { given.into() })
}

/// The parameters of the request: those of a target's labels come in the place of the first of the configuration.
fn parameters(settings: &Settings, labels: &Labels, type_name: &str) -> Parameters {
    let mut parameters: BTreeMap<String, Vec<String>> = settings.params.clone();
    parameters.retain(|_, values| !values.is_empty());
    for (name, value) in labels.iter() {
        let Some(name) = name.strip_prefix(PARAMETER) else { continue };
        let values = parameters.entry(name.to_owned()).or_default();
        match values.first_mut() {
            Some(first) => value.clone_into(first),
            None => values.push(value.to_owned()),
        }
    }
    if settings.collects(type_name) {
        parameters.entry(SECONDS.to_owned()).or_insert_with(|| vec![settings.seconds().to_string()]);
    }
    parameters
}
