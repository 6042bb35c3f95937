//! Changing the profiles in a body, whatever it came as.

use std::fmt;
use std::future::ready;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use profiler_core::pprof::edit::Edited;

use crate::pipeline::{Body, IngestBody, PushError, RawSample, Share};
use crate::wire::ingest::Samples;
use crate::wire::multipart::Form;

/// The reason for which profiles are dropped that nothing was left of.
pub(super) static NO_SAMPLES: LazyLock<Arc<str>> = LazyLock::new(|| "no samples".into());

/// Who changes profiles.
pub(super) trait BodyEditor: Sync {
    /// Why it cannot.
    type Error: From<PushError> + Send;

    /// What becomes of a profile, gzipped or not.
    fn pprof(&self, pprof: &Bytes) -> impl Future<Output = Result<Edited, Self::Error>> + Send;

    /// What becomes of the labels that come beside a JFR. The recording itself is opened by `recording` alone.
    fn jfr_labels(&self, _labels: &Bytes) -> impl Future<Output = Result<Edited, Self::Error>> + Send {
        ready(Ok(Edited::Unchanged))
    }

    /// What becomes of a body that cannot be opened, for this reason: it is left as it is, or refused.
    fn unopened(&self, why: Unopened, detail: &dyn fmt::Display) -> Result<(), Self::Error>;
}

/// Why a body cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unopened {
    /// Its format is another one.
    Format,
    /// It is not what it says it is.
    Damaged,
}

/// What became of a body.
pub(super) enum EditedBody {
    /// It stays as it is.
    Unchanged,
    /// It becomes this one.
    Changed(Body),
    /// Nothing of it is left.
    Empty,
}

/// Hands each profile of a body to an editor. The memory is that of the body, for copies that are made of it.
pub(super) async fn edit_body<E: BodyEditor>(body: &Body, memory: &Share, editor: &E) -> Result<EditedBody, E::Error> {
    match body {
        Body::Pprof(samples) => edit_samples(samples, editor).await,
        Body::Ingest(body) => {
            let content_type = body.content_types.first().map_or(&b""[..], |value| value.as_bytes());
            let edited = match Samples::of(&body.query, content_type) {
                Samples::Pprof => editor.pprof(&body.bytes).await?,
                // It has no labels of its own.
                Samples::Jfr => Edited::Unchanged,
                samples @ (Samples::PprofForm | Samples::JfrForm) => {
                    // The parts are copied out of the body.
                    let mut held = memory.another();
                    if !held.grow(body.bytes.len()) {
                        return Err(no_memory().into());
                    }
                    edit_form(samples, content_type, &body.bytes, editor).await?
                }
                Samples::Other => unopened(editor, Unopened::Format, &"samples of this format cannot be read here")?,
            };
            Ok(match edited {
                Edited::Unchanged => EditedBody::Unchanged,
                Edited::Empty => EditedBody::Empty,
                Edited::Changed(bytes) => {
                    let (query, content_types) = (body.query.clone(), body.content_types.clone());
                    EditedBody::Changed(Body::Ingest(Arc::new(IngestBody { query, content_types, bytes })))
                }
            })
        }
    }
}

/// To be answered where copies of a body cannot be had.
pub(super) fn no_memory() -> PushError {
    PushError::busy("the bodies held now own all of max_inflight_bytes; send again later")
}

async fn edit_samples<E: BodyEditor>(samples: &[RawSample], editor: &E) -> Result<EditedBody, E::Error> {
    let (mut kept, mut changed) = (Vec::with_capacity(samples.len()), false);
    for sample in samples {
        match editor.pprof(&sample.profile).await? {
            Edited::Unchanged => kept.push(sample.clone()),
            Edited::Changed(profile) => {
                changed = true;
                kept.push(RawSample { id: sample.id.clone(), profile });
            }
            Edited::Empty => changed = true,
        }
    }
    Ok(match (changed, kept.is_empty()) {
        (false, _) => EditedBody::Unchanged,
        (true, true) => EditedBody::Empty,
        (true, false) => EditedBody::Changed(Body::Pprof(kept.into())),
    })
}

async fn edit_form<E: BodyEditor>(
    samples: Samples,
    content_type: &[u8],
    body: &Bytes,
    editor: &E,
) -> Result<Edited, E::Error> {
    let mut form = match Form::read(content_type, body).await {
        Ok(form) => form,
        Err(error) => return unopened(editor, Unopened::Damaged, &error),
    };
    let (mut changed, mut removed) = (false, None);
    for (place, part) in form.parts_mut().enumerate() {
        let edited = match (samples, part.name()) {
            (Samples::PprofForm, "profile" | "prev_profile") => editor.pprof(&part.bytes).await?,
            (Samples::JfrForm, "labels") => editor.jfr_labels(&part.bytes).await?,
            _ => Edited::Unchanged,
        };
        match edited {
            Edited::Unchanged => {}
            Edited::Changed(bytes) => (changed, part.bytes) = (true, bytes),
            // What a server takes off the profile may be nothing.
            Edited::Empty if part.name() == "prev_profile" => (changed, removed) = (true, Some(place)),
            Edited::Empty => return Ok(Edited::Empty),
        }
    }
    if let Some(place) = removed {
        form.remove(place);
    }
    if !changed {
        return Ok(Edited::Unchanged);
    }
    let bytes = form.to_bytes().map_err(|error| PushError::sender(format!("the changed form: {error}")))?;
    Ok(Edited::Changed(bytes))
}

fn unopened<E: BodyEditor>(editor: &E, why: Unopened, detail: &dyn fmt::Display) -> Result<Edited, E::Error> {
    editor.unopened(why, detail).map(|()| Edited::Unchanged)
}
