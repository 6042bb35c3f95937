//! Requests to `/ingest` that can go out by the push API, where the labels cannot stand in a `name`.
//!
//! Servers turn a single pprof on `/ingest` into such a push themselves: the same labels, the profile's type as its name. Where
//! they do more to it than that, it cannot go this way: function names of scripting languages are written anew, types are
//! renamed by a part beside the profile, times that are none are taken from the query.

use bytes::Bytes;
use memchr::memmem;
use profiler_core::pprof::{Outline, is_gzip};

use crate::components::edit_body::no_memory;
use crate::ingest::{DecompressError, gunzip};
use crate::pipeline::{IngestBody, PushError, Share};
use crate::wire::ingest::{self, Samples};
use crate::wire::multipart::Form;

/// Bytes of a profile once it is unpacked, to be looked at.
const MAX_BYTES: usize = 64 << 20;
/// Whose profiles servers change on `/ingest` and not on the push API.
const CHANGED_SPIES: [&[u8]; 4] = [b"pyspy", b"rbspy", b"scripting", b"dotnetspy"];
/// A time before it is one in another unit, or none: servers do not believe it.
const YEAR_1971: i64 = 365 * 24 * 3600 * 1_000_000_000;

/// A profile for the push API.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pushable {
    /// The pprof, gzipped or not.
    pub profile: Bytes,
    /// What the server would call it.
    pub name: &'static str,
    /// What took it.
    pub spy: String,
}

/// The profile of a request, if it can go out by the push API. What is read for that is paid for beside `memory`.
///
/// # Errors
/// When there is no memory for it now.
pub(super) async fn pushable(received: &IngestBody, memory: &Share) -> Result<Option<Pushable>, PushError> {
    let spy = ingest::parameter(&received.query, "spyName").filter(|spy| !spy.is_empty()).unwrap_or(b"unknown".into());
    if CHANGED_SPIES.contains(&&*spy) {
        return Ok(None);
    }
    let content_type = received.content_types.first().map_or(&b""[..], |value| value.as_bytes());
    let mut held = memory.another();
    let profile = match Samples::of(&received.query, content_type) {
        Samples::Pprof => received.bytes.clone(),
        Samples::PprofForm => {
            // The part is copied out of the body to be read, and sent as a piece of the body.
            if !held.grow(received.bytes.len()) {
                return Err(no_memory());
            }
            let Ok(mut form) = Form::read(content_type, &received.bytes).await else { return Ok(None) };
            let mut parts = form.parts_mut();
            match (parts.next(), parts.next()) {
                (Some(only), None) if only.name() == "profile" => match memmem::find(&received.bytes, &only.bytes) {
                    Some(place) => received.bytes.slice(place..place + only.bytes.len()),
                    None => return Ok(None),
                },
                _ => return Ok(None),
            }
        }
        Samples::JfrForm | Samples::Jfr | Samples::Other => return Ok(None),
    };
    let message = if is_gzip(&profile) {
        match gunzip(&profile, MAX_BYTES, &mut held).await {
            Ok(message) => message,
            Err(DecompressError::Busy) => return Err(no_memory()),
            Err(DecompressError::TooLarge(_) | DecompressError::Damaged(..)) => return Ok(None),
        }
    } else {
        profile.clone()
    };
    let outline = Outline::read(&message).ok().filter(|outline| !(0..YEAR_1971).contains(&outline.time_nanos));
    let name = outline.and_then(|outline| name(&outline.sample_types));
    Ok(name.map(|name| Pushable { profile, name, spy: String::from_utf8_lossy(&spy).into_owned() }))
}

/// What servers call a profile of these types; none where they would not know either.
fn name(sample_types: &[String]) -> Option<&'static str> {
    if sample_types.iter().any(|kind| kind == "wall") {
        return Some("wall");
    }
    sample_types.iter().find_map(|kind| match kind.as_str() {
        "samples" => Some("process_cpu"),
        "contentions" | "delay" => Some("mutex"),
        "goroutine" => Some("goroutines"),
        "space" | "objects" => Some("memory"),
        cpu if cpu.contains("cpu") => Some("process_cpu"),
        memory if memory.contains("alloc_") || memory.contains("inuse_") => Some("memory"),
        mutex if mutex.contains("mutex_") => Some("mutex"),
        block if block.contains("block_") => Some("block"),
        goroutines if goroutines.contains("goroutines") => Some("goroutines"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_servers_give() {
        for (types, expected) in [
            (&["samples", "cpu"][..], Some("process_cpu")),
            (&["cpu"], Some("process_cpu")),
            (&["samples", "wall"], Some("wall")),
            (&["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"], Some("memory")),
            (&["objects", "space"], Some("memory")),
            (&["contentions", "delay"], Some("mutex")),
            (&["block_count"], Some("block")),
            (&["goroutine"], Some("goroutines")),
            (&["exception"], None),
            (&[], None),
        ] {
            let types: Vec<String> = types.iter().map(|&kind| kind.to_owned()).collect();
            assert_eq!(name(&types), expected, "{types:?}");
        }
    }
}
