//! `POST /ingest` as the server reads it. `Content-Encoding` is ignored, as there: the formats are sniffed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use prost::Message;

use super::labels::{check_series, parse_name, series_of_ingest};
use super::received::{Api, Decoded, Received};
use super::refusal::Refusal;
use super::{Limits, Request, check_time};
use crate::gzip::decompress_if_gzip;
use crate::labels_snapshot::LabelsSnapshot;
use crate::{jfr, pprof};

/// Reads a request.
///
/// # Errors
/// 400 for the name, 422 for a profile that cannot be converted.
pub(super) async fn read(request: &Request, limits: &Limits) -> Result<Vec<Received>, Refusal> {
    let parameter = |name: &str| {
        let found = request.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let labels = parse_name(parameter("name")).map_err(|error| Refusal::bad_name(format!("name: {error}")))?;
    let spy = Some(parameter("spyName")).filter(|spy| !spy.is_empty()).unwrap_or("unknown");
    let content_type = text_of(&request.headers, http::header::CONTENT_TYPE.as_str());
    let form = content_type.contains("multipart/form-data");
    let profiles = match parameter("format") {
        "jfr" if form => jfr_form(request, &content_type, limits).await?,
        "jfr" => vec![recording(&request.body, &request.body)?],
        "pprof" => pprof_profile(&request.body, &request.body, limits)?,
        format @ ("trie" | "tree" | "lines" | "speedscope") => {
            return Err(Refusal::unprocessable(format!("this backend cannot read format={format}")));
        }
        _ if content_type.starts_with("binary/octet-stream+") => {
            return Err(Refusal::unprocessable(format!("this backend cannot read {content_type}")));
        }
        _ if form => pprof_form(request, &content_type, limits).await?,
        _ => vec![folded_stacks(&request.body, parameter("units"))?],
    };
    for metric in profiles.iter().flat_map(metrics) {
        check_series(&series_of_ingest(&labels, &metric, spy))
            .map_err(|error| Refusal::unprocessable(error.to_string()))?;
    }
    Ok(vec![Received {
        api: Api::Ingest,
        path: request.path.clone(),
        query: request.query.clone(),
        headers: request.headers.clone(),
        labels,
        body: request.body.clone(),
        profiles,
    }])
}

/// The `__name__` values under which a profile is stored: only that they are not empty matters to the checks.
fn metrics(profile: &Decoded) -> BTreeSet<String> {
    let kind = |sample_type: &String| sample_type.split(':').next().unwrap_or_default().to_owned();
    profile.sample_types.iter().map(kind).collect()
}

async fn pprof_form(request: &Request, content_type: &str, limits: &Limits) -> Result<Vec<Decoded>, Refusal> {
    let form = Form::read(request, content_type).await?;
    if form.field("prev_profile").is_some() {
        return Err(Refusal::unprocessable("unsupported client version: prev_profile is not taken"));
    }
    if let Some(config) = form.field("sample_type_config") {
        check_sample_type_config(config)?;
    }
    match form.field("profile") {
        Some(profile) => pprof_profile(profile, profile, limits),
        None => Ok(Vec::new()),
    }
}

async fn jfr_form(request: &Request, content_type: &str, limits: &Limits) -> Result<Vec<Decoded>, Refusal> {
    let form = Form::read(request, content_type).await?;
    let raw = form.field("jfr").ok_or_else(|| Refusal::unprocessable("jfr field is required"))?;
    let plain = decompressed("jfr", raw, limits)?;
    let mut decoded = recording(&plain, raw)?;
    if let Some(labels) = form.field("labels").filter(|labels| !labels.is_empty()) {
        decoded.sample_labels = snapshot_labels(&decompressed("labels", labels, limits)?)?;
    }
    Ok(vec![decoded])
}

fn decompressed<'b>(field: &str, raw: &'b Bytes, limits: &Limits) -> Result<Cow<'b, [u8]>, Refusal> {
    if raw.len() < 2 {
        return Err(Refusal::unprocessable(format!("{field}: failed to read magic")));
    }
    decompress_if_gzip(raw, limits.profile_bytes).map_err(|error| Refusal::unprocessable(format!("{field}: {error}")))
}

fn recording(plain: &[u8], raw: &Bytes) -> Result<Decoded, Refusal> {
    let recording = jfr::read(plain).map_err(|error| Refusal::unprocessable(error.to_string()))?;
    Ok(Decoded::from_jfr(recording, raw.clone()))
}

/// An empty profile is taken and ignored, as by the server.
fn pprof_profile(bytes: &[u8], raw: &Bytes, limits: &Limits) -> Result<Vec<Decoded>, Refusal> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let profile =
        pprof::decode(bytes, limits.profile_bytes).map_err(|error| Refusal::unprocessable(error.to_string()))?;
    // Older spies give microseconds: a time in 1970 is replaced by the request's.
    const END_OF_1970: i64 = 31_536_000_000_000_000;
    if profile.time_nanos >= END_OF_1970 {
        check_time(profile.time_nanos).map_err(Refusal::unprocessable)?;
    }
    Ok(vec![Decoded::from_pprof(&profile, raw.clone())])
}

/// `frame;frame count` lines; a line without a space is skipped, as by the server.
fn folded_stacks(body: &Bytes, units: &str) -> Result<Decoded, Refusal> {
    let text = str::from_utf8(body).map_err(|error| Refusal::unprocessable(format!("folded stacks: {error}")))?;
    let mut functions = BTreeSet::new();
    for (number, line) in text.lines().enumerate() {
        let Some((stack, count)) = line.rsplit_once(' ') else { continue };
        count.parse::<i64>().map_err(|error| {
            Refusal::unprocessable(format!("folded stacks, line {}: {count:?}: {error}", number + 1))
        })?;
        functions.extend(stack.split(';').map(str::to_owned));
    }
    let units = if units.is_empty() { "samples" } else { units };
    let sample_types = vec![units.to_owned()];
    Ok(Decoded { sample_types, functions, raw: body.clone(), ..Decoded::default() })
}

fn check_sample_type_config(bytes: &[u8]) -> Result<(), Refusal> {
    let refuse = |what: String| Refusal::unprocessable(format!("sample_type_config: {what}"));
    let config: BTreeMap<String, serde_json::Map<String, serde_json::Value>> =
        serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
    for (sample_type, settings) in &config {
        for (setting, value) in settings {
            let as_expected = match setting.as_str() {
                "units" | "display-name" | "aggregation" => value.is_string(),
                "sampled" | "cumulative" => value.is_boolean(),
                _ => true,
            };
            if !as_expected {
                return Err(refuse(format!("{sample_type}.{setting} is {value}")));
            }
        }
    }
    Ok(())
}

fn snapshot_labels(bytes: &[u8]) -> Result<BTreeSet<(String, String)>, Refusal> {
    let refuse = |what: String| Refusal::unprocessable(format!("labels form field: {what}"));
    let snapshot = LabelsSnapshot::decode(bytes).map_err(|error| refuse(error.to_string()))?;
    let text = |id: &i64| snapshot.strings.get(id).cloned().ok_or_else(|| refuse(format!("string {id} is absent")));
    let pairs = snapshot.contexts.values().flat_map(|context| &context.labels);
    pairs.map(|(name, value)| Ok((text(name)?, text(value)?))).collect()
}

/// A form of multipart/form-data: the first part of each name counts.
struct Form(HashMap<String, Bytes>);

impl Form {
    async fn read(request: &Request, content_type: &str) -> Result<Self, Refusal> {
        let refuse = |error: multer::Error| Refusal::unprocessable(format!("multipart form: {error}"));
        let boundary = multer::parse_boundary(content_type).map_err(refuse)?;
        let body = stream::iter([Ok::<_, std::io::Error>(request.body.clone())]);
        let mut parts = multer::Multipart::new(body, boundary);
        let mut fields = HashMap::new();
        while let Some(part) = parts.next_field().await.map_err(refuse)? {
            let name = part.name().unwrap_or_default().to_owned();
            let bytes = part.bytes().await.map_err(refuse)?;
            fields.entry(name).or_insert(bytes);
        }
        Ok(Self(fields))
    }

    fn field(&self, name: &str) -> Option<&Bytes> {
        self.0.get(name)
    }
}

fn text_of(headers: &HeaderMap, name: &str) -> String {
    let bytes = headers.get(name).map(http::HeaderValue::as_bytes).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}
