//! What arrived, decoded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use http::HeaderMap;

use crate::jfr::Recording;
use crate::pprof::{self, Profile};

/// The two APIs through which profiles arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `push.v1.PusherService/Push`.
    Push,
    /// `/ingest`.
    Ingest,
}

/// One series of a request that was taken; an `/ingest` request is one series.
#[derive(Debug, Clone)]
pub struct Received {
    /// How it came.
    pub api: Api,
    /// Path of the request, with the base path.
    pub path: String,
    /// Decoded query parameters, in order.
    pub query: Vec<(String, String)>,
    /// Headers of the request.
    pub headers: HeaderMap,
    /// Labels of the series, or those in `name`.
    pub labels: BTreeMap<String, String>,
    /// Body of the request as it came.
    pub body: Bytes,
    /// The profiles of the series.
    pub profiles: Vec<Decoded>,
}

/// A profile, whatever its format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decoded {
    /// pprof: `kind:unit` of each sample type. JFR: the types of the events that carry stacks. Folded stacks: `units`.
    pub sample_types: Vec<String>,
    /// Functions of the sampled stacks.
    pub functions: BTreeSet<String>,
    /// Text labels of the samples.
    pub sample_labels: BTreeSet<(String, String)>,
    /// The bytes as they stood in the request, gzip or not.
    pub raw: Bytes,
    /// ID of the sample (Push).
    pub id: String,
}

impl Received {
    /// The service under which the server stores the series.
    #[must_use]
    pub fn service_name(&self) -> &str {
        let label = |name: &str| self.labels.get(name).map(String::as_str);
        label("service_name").or_else(|| label("__name__")).unwrap_or_default()
    }

    /// Whether some profile's stacks hold a function whose name contains this.
    #[must_use]
    pub fn has_function(&self, part: &str) -> bool {
        self.profiles.iter().any(|profile| profile.has_function(part))
    }

    /// The first value of a query parameter.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Decoded {
    /// From a pprof.
    #[must_use]
    pub fn from_pprof(profile: &Profile, raw: Bytes) -> Self {
        Self {
            sample_types: pprof::sample_type_names(profile),
            functions: pprof::sampled_functions(profile),
            sample_labels: pprof::sample_labels(profile),
            raw,
            id: String::new(),
        }
    }

    /// From a JFR.
    #[must_use]
    pub fn from_jfr(recording: Recording, raw: Bytes) -> Self {
        let sample_types = recording.sampled.into_iter().collect();
        Self { sample_types, functions: recording.functions, raw, ..Self::default() }
    }

    /// Whether a function's name contains this.
    #[must_use]
    pub fn has_function(&self, part: &str) -> bool {
        self.functions.iter().any(|function| function.contains(part))
    }
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}, {} profiles", self.api, self.labels, self.profiles.len())?;
        for profile in &self.profiles {
            let shown: Vec<_> = profile.functions.iter().take(40).collect();
            write!(f, "\n      {:?}: {} functions, such as {shown:?}", profile.sample_types, profile.functions.len())?;
            if !profile.sample_labels.is_empty() {
                let shown: Vec<_> = profile.sample_labels.iter().take(10).collect();
                write!(f, "\n        sample labels such as {shown:?}")?;
            }
        }
        Ok(())
    }
}
