//! What can be drawn of a profile that is kept.

use bytes::Bytes;
use profiler_core::flame::{PprofMessage, SampleType, Side, TreeBuilder, Unreadable};
use profiler_core::jfr;
use profiler_core::pprof::{Packing, decompress};
use prost::Message;

use crate::pipeline::Body;
use crate::wire::ingest::{Samples, format};
use crate::wire::multipart::Form;

/// Bytes of a profile once it is unpacked: half a million samples of 30 functions take 64 MiB. While it is read it may take
/// six times as much, of one profile at a time.
const MAX_BYTES: usize = 128 << 20;

/// Why a profile cannot be drawn.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NotDrawable {
    /// In a format that is not read here.
    #[error("{0} is not drawn yet: download it from the backend that it is sent to")]
    Format(String),
    /// It cannot be read.
    #[error("damaged: {0}")]
    Damaged(String),
}

/// Opens a body and hands over each profile of it; why others cannot be drawn. This unpacks, and takes a while for a large
/// one. Here each format has its one place.
pub async fn open<F>(body: &Body, draw: F) -> Vec<NotDrawable>
where
    F: FnMut(&PprofMessage<'_>) -> Result<(), Unreadable>,
{
    let mut opening = Opening { draw, not_drawable: Vec::new() };
    match body {
        Body::Pprof(samples) => samples.iter().for_each(|sample| opening.pprof(&sample.profile)),
        Body::Ingest(ingest) => {
            let content_type = ingest.content_types.first().map_or(&b""[..], |value| value.as_bytes());
            match Samples::of(&ingest.query, content_type) {
                Samples::Pprof => opening.pprof(&ingest.bytes),
                Samples::Jfr => opening.jfr(&ingest.bytes),
                samples @ (Samples::PprofForm | Samples::JfrForm) => {
                    opening.form(samples, content_type, &ingest.bytes).await;
                }
                Samples::Other => match format(&ingest.query).as_deref() {
                    Some(b"lines") => opening.message(&stacks(&ingest.bytes, |line| Some((line, 1)))),
                    None | Some(b"" | b"groups" | b"folded") => {
                        opening.message(&stacks(&ingest.bytes, |line| {
                            let (stack, value) = line.rsplit_once(' ')?;
                            Some((stack, value.parse().ok()?))
                        }));
                    }
                    Some(other) => {
                        let name = String::from_utf8_lossy(other).chars().take(40).collect();
                        opening.not_drawable.push(NotDrawable::Format(name));
                    }
                },
            }
        }
    }
    opening.not_drawable
}

struct Opening<F> {
    draw: F,
    not_drawable: Vec<NotDrawable>,
}

impl<F: FnMut(&PprofMessage<'_>) -> Result<(), Unreadable>> Opening<F> {
    async fn form(&mut self, samples: Samples, content_type: &[u8], form: &Bytes) {
        match Form::read(content_type, form).await {
            Ok(mut form) => form.parts_mut().for_each(|part| match (samples, part.name()) {
                // `prev_profile` is what is to be subtracted from cumulative ones; what it holds is not of this time.
                (Samples::PprofForm, "profile") => self.pprof(&part.bytes),
                (Samples::JfrForm, "jfr") => self.jfr(&part.bytes),
                _ => {}
            }),
            Err(error) => self.damaged(&error),
        }
    }

    fn pprof(&mut self, bytes: &Bytes) {
        match decompress(bytes, MAX_BYTES) {
            Ok(message) => self.message(&message),
            Err(error) => self.damaged(&error),
        }
    }

    fn message(&mut self, message: &[u8]) {
        if let Err(error) = PprofMessage::read(message).and_then(|message| (self.draw)(&message)) {
            self.damaged(&error);
        }
    }

    /// A recording, gzipped or not, is a profile for each kind of what was recorded.
    fn jfr(&mut self, bytes: &Bytes) {
        let recording = match decompress(bytes, MAX_BYTES) {
            Ok(recording) => recording,
            Err(error) => return self.damaged(&error),
        };
        match jfr::convert(&recording, &jfr::Options { memory: MAX_BYTES as u64, ..jfr::Options::default() }) {
            Ok(converted) => {
                converted.profiles(Packing::Plain).for_each(|profile| match profile {
                    Ok(profile) => self.pprof(&profile.pprof.into()),
                    Err(error) => self.damaged(&error),
                });
                converted.broken.iter().for_each(|error| self.damaged(error));
            }
            Err(error) => self.damaged(&error),
        }
    }

    fn damaged(&mut self, error: &dyn std::error::Error) {
        self.not_drawable.push(NotDrawable::Damaged(error.to_string()));
    }
}

/// The message of a profile of text: a stack a line, the outermost function first. What is no stack is left out, as servers do.
fn stacks<'a>(text: &'a [u8], read: impl Fn(&'a str) -> Option<(&'a str, u64)>) -> Vec<u8> {
    let mut tree = TreeBuilder::default();
    for line in text.split(|byte| *byte == b'\n') {
        let line = str::from_utf8(line).ok().map(str::trim_end).filter(|line| !line.is_empty());
        if let Some((stack, value)) = line.and_then(&read) {
            tree.add(stack.split(';'), value, Side::Shown);
        }
    }
    let of = SampleType { kind: "samples".to_owned(), unit: "count".to_owned() };
    tree.finish().to_pprof(&of, Side::Shown).encode_to_vec()
}
