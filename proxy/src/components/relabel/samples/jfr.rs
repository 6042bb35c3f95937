//! The labels that come beside a JFR.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use profiler_core::labels::{LabelError, Labels};
use profiler_core::pprof::edit::Edited;
use profiler_core::pprof::is_gzip;

use super::{SampleRules, SampleVerdict, first_of_each, stays, take, written};
use crate::pipeline::{PushError, Share};
use crate::telemetry::metrics::SkippedKind;
use crate::wire::jfr_labels::{DECODED, LabelsSnapshot, NewLabels};

/// They are as before, and no context is to be dropped.
const KEPT: (Edited, bool) = (Edited::Unchanged, false);

impl SampleRules {
    /// Says as well whether a context is to be dropped. Events of the JFR refer to contexts: here such a one keeps its labels.
    pub(super) async fn edit_jfr_labels(&self, bytes: &Bytes, memory: &Share) -> Result<(Edited, bool), PushError> {
        let mut held = memory.another();
        let Some(message) = self.decompressed(bytes, &mut held).await? else { return Ok(KEPT) };
        take(&mut held, message.len().saturating_mul(DECODED))?;
        let length = message.len();
        let read = self.work(length, move || LabelsSnapshot::read(&message)).await?;
        let mut snapshot = match read {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.count_damaged(&error);
                return Ok(KEPT);
            }
        };
        let sets = snapshot.contexts().map(|(_, labels)| first_of_each(labels));
        let sets: Vec<Labels> = match sets.collect::<Result<_, LabelError>>() {
            Ok(sets) => sets,
            Err(error) => {
                self.count_damaged(&error);
                return Ok(KEPT);
            }
        };
        let verdicts = self.judge(&sets).await?;

        let mut changes = NewLabels::new();
        let mut drops = false;
        for ((context, labels), (verdict, before)) in snapshot.contexts().zip(verdicts.iter().zip(&sets)) {
            match verdict {
                SampleVerdict::Unchanged => {}
                SampleVerdict::Drop => drops = true,
                SampleVerdict::Replace(after) => {
                    let kept = labels.into_iter().filter(|(name, _)| stays(name, before, after));
                    let labels = kept.chain(written(before, after));
                    changes.insert(context, labels.map(|(name, value)| (name.into(), value.into())).collect());
                }
            }
        }
        if changes.is_empty() {
            return Ok((Edited::Unchanged, drops));
        }
        let gzipped = is_gzip(bytes);
        let written = self.work(length, move || {
            snapshot.change(changes);
            let message = snapshot.to_bytes();
            if gzipped { gzip(&message) } else { Ok(message) }
        });
        let written = written.await?.map_err(|error| PushError::internal(format!("labels beside a JFR: {error}")))?;
        Ok((Edited::Changed(written.into()), drops))
    }

    fn count_damaged(&self, error: &dyn std::fmt::Display) {
        self.count_skipped(SkippedKind::Damaged, &format!("labels beside a JFR: {error}"));
    }
}

fn gzip(message: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(message)?;
    encoder.finish()
}
