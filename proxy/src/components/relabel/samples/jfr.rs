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
use crate::wire::jfr_labels::{LabelsSnapshot, NewLabels};

/// Bytes that an entry takes once it is decoded, for each of its own: the shortest text of four bytes becomes 48.
const DECODED: usize = 16;

impl SampleRules {
    /// Events of the JFR refer to contexts, so that none can be dropped: it keeps its labels then.
    pub(super) async fn edit_jfr_labels(&self, bytes: &Bytes, memory: &Share) -> Result<Edited, PushError> {
        let mut held = memory.another();
        let Some(message) = self.decompressed(bytes, &mut held).await? else { return Ok(Edited::Unchanged) };
        take(&mut held, message.len().saturating_mul(DECODED))?;
        let length = message.len();
        let read = self.work(length, move || LabelsSnapshot::read(&message)).await?;
        let mut snapshot = match read {
            Ok(snapshot) => snapshot,
            Err(error) => return Ok(self.damaged(&error)),
        };
        let sets = snapshot.contexts().map(|(_, labels)| first_of_each(labels));
        let sets: Vec<Labels> = match sets.collect::<Result<_, LabelError>>() {
            Ok(sets) => sets,
            Err(error) => return Ok(self.damaged(&error)),
        };
        let verdicts = self.judge(&sets).await?;

        let mut changes = NewLabels::new();
        for ((context, labels), (verdict, before)) in snapshot.contexts().zip(verdicts.iter().zip(&sets)) {
            match verdict {
                SampleVerdict::Unchanged => {}
                SampleVerdict::Drop => {
                    self.count_skipped(SkippedKind::Context, &"a context of a JFR cannot be dropped");
                }
                SampleVerdict::Replace(after) => {
                    let kept = labels.into_iter().filter(|(name, _)| stays(name, before, after));
                    let labels = kept.chain(written(before, after));
                    changes.insert(context, labels.map(|(name, value)| (name.into(), value.into())).collect());
                }
            }
        }
        if changes.is_empty() {
            return Ok(Edited::Unchanged);
        }
        let gzipped = is_gzip(bytes);
        let written = self.work(length, move || {
            snapshot.change(changes);
            let message = snapshot.to_bytes();
            if gzipped { gzip(&message) } else { Ok(message) }
        });
        let written = written.await?.map_err(|error| PushError::internal(format!("labels beside a JFR: {error}")))?;
        Ok(Edited::Changed(written.into()))
    }

    fn damaged(&self, error: &dyn std::fmt::Display) -> Edited {
        self.count_skipped(SkippedKind::Damaged, &format!("labels beside a JFR: {error}"));
        Edited::Unchanged
    }
}

fn gzip(message: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(message)?;
    encoder.finish()
}
