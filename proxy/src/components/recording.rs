//! Recordings of Java that came by `/ingest`, for stages that look into profiles: they see the series that servers make of
//! one, each with its pprof messages. A recording of which nothing was changed goes on as it came.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use profiler_core::jfr::{self, Converted, Options};
use profiler_core::labels::{LabelError, Labels, LabelsBuilder, NAME, SERVICE_NAME};
use profiler_core::pprof::{Packing, is_gzip};

use super::edit_body::{NO_SAMPLES, no_memory};
use super::sift::Fate;
use crate::filters::FilterHost;
use crate::ingest::{DecompressError, gunzip};
use crate::pipeline::{Body, IngestBody, Origin, Profile, PushError, RawSample, Share};
use crate::wire::ingest::{Samples, parameter};
use crate::wire::jfr_labels::{DECODED, LabelsSnapshot};
use crate::wire::multipart::Form;

/// The most bytes of a recording after decompression: what `pyroscope.receive_http` takes at most unless told otherwise.
const MAX_BYTES: usize = 64 << 20;
/// What the reader may keep of a recording, for each byte of it: of short stacks the tables take more than the bytes.
const KEPT: usize = 4;
/// What it may keep of any recording, at least and at most.
const LEAST_KEPT: usize = 1 << 20;
const MOST_KEPT: usize = 128 << 20;
/// The one label of those that begin with `__` that servers take from a name.
const SESSION_ID: &str = "__session_id__";

/// Why a recording cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unopened {
    /// It goes on as it is, or is refused.
    #[error("it is a JFR recording that cannot be read: {0}")]
    Unreadable(String),
    /// The sender is to come again.
    #[error(transparent)]
    Busy(#[from] PushError),
}

impl From<LabelError> for Unopened {
    fn from(error: LabelError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// What a request holds, unpacked.
struct Parts {
    recording: Bytes,
    contexts: jfr::Contexts,
}

/// What a recording holds: of each name its messages.
struct Series {
    event: String,
    named: Vec<(&'static str, Vec<RawSample>)>,
}

/// Whether a recording is what came.
pub(super) fn is_one(body: &Body) -> bool {
    matches!(body, Body::Ingest(body) if matches!(samples(body), Samples::Jfr | Samples::JfrForm))
}

/// The series that servers make of a recording: its own labels, the name of the kind of profile, and what took it. Labels
/// that came beside it are those of samples. Reading is done by the threads for slow calls.
pub(super) async fn open(profile: &Profile, host: &FilterHost) -> Result<Vec<Profile>, Unopened> {
    let Body::Ingest(body) = &profile.body else { return Ok(Vec::new()) };
    let origin = &profile.origin;
    let mut held = origin.memory.another();
    let Parts { recording, contexts } = parts(body, &mut held).await?;
    let kept = recording.len().saturating_mul(KEPT).clamp(LEAST_KEPT, MOST_KEPT);
    take(&mut held, body.bytes.len(), kept)?;
    let began = began(&body.query, origin.arrived);
    let mut memory = origin.memory.another();
    let reading = host.aside(move || {
        let options = Options { contexts: Some(contexts), memory: kept as u64, ..Options::default() };
        let series = Series::read(&recording, &options, began, &mut memory);
        drop(held);
        series.map(|series| (series, memory))
    });
    let busy = || PushError::busy("too many large profiles wait for their turn; send again later");
    let (Series { event, named }, memory) = reading.await.ok_or_else(busy)??;

    let spy = parameter(&body.query, "spyName").filter(|spy| !spy.is_empty()).unwrap_or(b"unknown".into());
    let spy = String::from_utf8_lossy(&spy);
    let (arrived, trace, forwarded) = (origin.arrived, origin.trace.clone(), origin.forwarded.clone());
    let origin = Arc::new(Origin { arrived, trace, forwarded, memory });
    let series = named.into_iter().map(|(name, messages)| -> Result<Profile, Unopened> {
        let labels = labels(&profile.labels, name, &spy, &event)?;
        let taken = profile.taken.clone();
        Ok(Profile { taken, ..Profile::new(labels, Body::Pprof(messages.into()), origin.clone()) })
    });
    series.collect()
}

/// What is left of the series of one recording.
#[derive(Default)]
pub(super) struct Left {
    kept: Vec<Profile>,
    is_changed: bool,
    /// Why the last one that is gone was dropped.
    dropped: Option<Arc<str>>,
}

impl Left {
    /// Adds what a stage made of a series.
    ///
    /// # Errors
    /// Those of the stage: a recording fails as a whole.
    pub(super) fn add(&mut self, before: &Profile, after: Profile, fate: Fate) -> Result<(), PushError> {
        match fate {
            Fate::Passed => {
                self.is_changed |= before.labels != after.labels || !before.body.is(&after.body);
                self.kept.push(after);
            }
            Fate::Became(series) => {
                self.is_changed = true;
                self.kept.extend(series);
            }
            Fate::Dropped(reason) => {
                self.is_changed = true;
                self.dropped = Some(reason);
            }
            Fate::Failed(error) => return Err(error),
        }
        Ok(())
    }

    /// What becomes of the recording.
    pub(super) fn fate(self) -> Fate {
        match (self.is_changed, self.kept.is_empty()) {
            (false, _) => Fate::Passed,
            (true, true) => Fate::Dropped(self.dropped.unwrap_or_else(|| NO_SAMPLES.clone())),
            (true, false) => Fate::Became(self.kept),
        }
    }
}

fn samples(body: &IngestBody) -> Samples {
    Samples::of(&body.query, content_type(body))
}

fn content_type(body: &IngestBody) -> &[u8] {
    body.content_types.first().map_or(&b""[..], |value| value.as_bytes())
}

/// Paid for as they come out.
async fn parts(body: &IngestBody, held: &mut Share) -> Result<Parts, Unopened> {
    let unreadable = |error: &dyn std::fmt::Display| Unopened::Unreadable(error.to_string());
    if samples(body) == Samples::Jfr {
        let recording = unpacked(&body.bytes, held).await?;
        return Ok(Parts { recording, contexts: jfr::Contexts::default() });
    }
    // The parts are copied out of the body.
    take(held, body.bytes.len(), body.bytes.len())?;
    let mut form = Form::read(content_type(body), &body.bytes).await.map_err(|error| unreadable(&error))?;
    let (mut recording, mut labels) = (None, None);
    for part in form.parts_mut() {
        // Of several of one name servers take the first.
        match part.name() {
            "jfr" => recording = recording.or(Some(part.bytes.clone())),
            "labels" => labels = labels.or(Some(part.bytes.clone())),
            _ => {}
        }
    }
    let recording = recording.ok_or_else(|| unreadable(&"the form has no part `jfr`"))?;
    let recording = unpacked(&recording, held).await?;
    let Some(labels) = labels.filter(|labels| !labels.is_empty()) else {
        return Ok(Parts { recording, contexts: jfr::Contexts::default() });
    };
    let labels = unpacked(&labels, held).await?;
    take(held, body.bytes.len(), labels.len().saturating_mul(DECODED))?;
    let snapshot = LabelsSnapshot::read(&labels).map_err(|error| unreadable(&format!("labels beside it: {error}")))?;
    Ok(Parts { recording, contexts: snapshot.into_contexts() })
}

async fn unpacked(bytes: &Bytes, held: &mut Share) -> Result<Bytes, Unopened> {
    if !is_gzip(bytes) {
        return Ok(bytes.clone());
    }
    gunzip(bytes, MAX_BYTES, held).await.map_err(|error| match error {
        DecompressError::Busy => Unopened::Busy(no_memory()),
        // It speaks of a setting that this limit is not.
        DecompressError::TooLarge(limit) => Unopened::Unreadable(format!("unpacked it has more than {limit} bytes")),
        DecompressError::Damaged(..) => Unopened::Unreadable(error.to_string()),
    })
}

/// Takes more, beside the body that owns its own. Where it could never be had, coming again would not help.
fn take(held: &mut Share, body: usize, bytes: usize) -> Result<(), Unopened> {
    if body.saturating_add(held.bytes()).saturating_add(bytes) > held.limit() {
        return Err(Unopened::Unreadable("opened it would take more than all of max_inflight_bytes".to_owned()));
    }
    if held.grow(bytes) { Ok(()) } else { Err(Unopened::Busy(no_memory())) }
}

impl Series {
    /// Takes its time.
    fn read(recording: &Bytes, options: &Options, began: u64, memory: &mut Share) -> Result<Self, Unopened> {
        let mut converted =
            jfr::convert(recording, options).map_err(|error| Unopened::Unreadable(error.to_string()))?;
        // What was read before the damage would go on alone, and nobody would miss the rest.
        if let Some(damage) = &converted.broken {
            return Err(Unopened::Unreadable(damage.to_string()));
        }
        converted.start_nanos = began;
        let mut named: Vec<(&str, Vec<RawSample>)> = Vec::new();
        for profile in converted.profiles(Packing::Gzip) {
            let profile = profile.map_err(|error| Unopened::Unreadable(error.to_string()))?;
            take(memory, 0, profile.pprof.len())?;
            let message = RawSample { id: Bytes::new(), profile: profile.pprof.into() };
            // All kinds of one name are one series, and stay together.
            match named.iter_mut().find(|(name, _)| *name == profile.kind.metric()) {
                Some((_, messages)) => messages.push(message),
                None => named.push((profile.kind.metric(), vec![message])),
            }
        }
        Ok(Self { event: event(&converted), named })
    }
}

fn event(converted: &Converted) -> String {
    converted.settings.event.clone().unwrap_or_default()
}

/// When servers have a recording begin, in nanoseconds since 1970: at `from`, in seconds, else when it came. What it says of
/// itself is another host's clock, and pushed profiles that are too old are refused.
fn began(query: &str, arrived: SystemTime) -> u64 {
    let from = parameter(query, "from").and_then(|from| str::from_utf8(&from).ok()?.parse().ok());
    let from = from.and_then(|seconds: u64| seconds.checked_mul(1_000_000_000));
    let came =
        || arrived.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
    from.unwrap_or_else(came)
}

/// As servers label the profiles of a recording; the name before the braces of `/ingest` is that of the service.
fn labels(series: &Labels, name: &str, spy: &str, event: &str) -> Result<Labels, LabelError> {
    let public = |(name, _): &(&str, &str)| !name.starts_with("__") || *name == SESSION_ID;
    let mut labels: LabelsBuilder<'_> = series.iter().filter(public).collect();
    match (series.value(SERVICE_NAME), series.value("app_name")) {
        (None, _) => labels.set(SERVICE_NAME, series.value(NAME).unwrap_or_default()),
        (Some(service), None) => labels.set("app_name", service),
        (Some(_), Some(_)) => {}
    }
    labels.set(NAME, name);
    labels.set("jfr_event", event);
    labels.set("pyroscope_spy", spy);
    // What is recorded is the difference already.
    labels.set("__delta__", "false");
    labels.build()
}
