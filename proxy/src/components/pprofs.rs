//! Changing the pprof profiles in a body, whatever it came as.

use std::sync::Arc;

use bytes::Bytes;

use crate::pipeline::{Body, RawSample};

/// Who changes profiles.
pub(super) trait PprofEditor: Sync {
    /// Why a profile cannot be changed.
    type Error: Send;

    /// What becomes of a profile, which is gzipped or not.
    fn edit(&self, pprof: &Bytes) -> impl Future<Output = Result<EditedPprof, Self::Error>> + Send;
}

/// What became of a profile.
pub(super) enum EditedPprof {
    Unchanged,
    Changed(Bytes),
    /// It does not go on, for this reason, or since nothing is left of it.
    Dropped(Option<Arc<str>>),
}

/// What became of a body.
pub(super) enum EditedBody {
    Unchanged,
    Changed(Body),
    /// No profile of it is left; the reason is that of the last.
    Empty(Option<Arc<str>>),
}

/// Why a body is not changed.
pub(super) enum BodyError<E> {
    /// It is of a format that is not pprof, or damaged.
    Unsupported(String),
    /// The editor's word.
    Editor(E),
}

/// Shows each profile of a body to an editor.
pub(super) async fn edit_pprofs<E: PprofEditor>(body: &Body, editor: &E) -> Result<EditedBody, BodyError<E::Error>> {
    match body {
        Body::Pprof(samples) => edit_samples(samples, editor).await.map_err(BodyError::Editor),
        Body::Ingest(_) => Err(BodyError::Unsupported("it is no pprof".to_owned())),
    }
}

async fn edit_samples<E: PprofEditor>(samples: &[RawSample], editor: &E) -> Result<EditedBody, E::Error> {
    let (mut kept, mut changed, mut dropped) = (Vec::with_capacity(samples.len()), false, None);
    for sample in samples {
        match editor.edit(&sample.profile).await? {
            EditedPprof::Unchanged => kept.push(sample.clone()),
            EditedPprof::Changed(profile) => {
                changed = true;
                kept.push(RawSample { id: sample.id.clone(), profile });
            }
            EditedPprof::Dropped(reason) => (changed, dropped) = (true, reason),
        }
    }
    Ok(match (changed, kept.is_empty()) {
        (false, _) => EditedBody::Unchanged,
        (true, true) => EditedBody::Empty(dropped),
        (true, false) => EditedBody::Changed(Body::Pprof(kept.into())),
    })
}
