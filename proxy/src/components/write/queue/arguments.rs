//! The `queue` block.

use std::time::Duration;

use alloy_syntax::{Arguments, Invalid, TextValue};
use bytesize::ByteSize;
use durable_queue::{Limits, MIN_SIZE, WhenFull};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::components::size::Size;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = QueueArguments::validate)]
pub(in crate::components::write) struct QueueArguments {
    /// The most that its files take on disk; at least 1MiB.
    #[alloy(attr, default = Size(ByteSize::gib(1)))]
    max_size: Size,
    /// How long profiles are tried to be sent; older ones are dropped.
    #[alloy(attr, default = Duration::from_secs(24 * 60 * 60))]
    max_age: Duration,
    /// What happens to profiles for which there is no room: "reject" refuses them, "drop_oldest" drops others for them.
    #[alloy(attr, default = WhenFullArgument(WhenFull::Reject))]
    when_full: WhenFullArgument,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WhenFullArgument(WhenFull);

impl TextValue for WhenFullArgument {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text {
            "reject" => Ok(Self(WhenFull::Reject)),
            "drop_oldest" => Ok(Self(WhenFull::DropOldest)),
            _ => Err(format!("{text:?} is no way to make room: write \"reject\" or \"drop_oldest\"")),
        }
    }

    fn to_text(&self) -> String {
        match self.0 {
            WhenFull::Reject => "reject",
            WhenFull::DropOldest => "drop_oldest",
        }
        .to_owned()
    }
}

impl QueueArguments {
    pub(super) fn limits(&self) -> Limits {
        let Self { max_size, max_age, when_full } = *self;
        Limits { max_size: max_size.bytes() as u64, max_age, when_full: when_full.0, ..Limits::default() }
    }

    fn validate(&self) -> Result<(), Invalid> {
        if (self.max_size.bytes() as u64) < MIN_SIZE {
            return Err(Invalid::attribute("max_size", "must be at least 1MiB"));
        }
        if self.max_age.is_zero() {
            return Err(Invalid::attribute("max_age", "must be longer than 0s: nothing could be sent"));
        }
        Ok(())
    }
}

/// What stands for itself in the name of a folder.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
/// File systems take 255 bytes.
const LONGEST: usize = 200;

/// The folder of an endpoint's queue: its name, or what stands for its URL.
pub(in crate::components::write) fn folder_name(name: &str, url: &str) -> Result<String, Invalid> {
    if name.is_empty() {
        let digest = Sha256::digest(url.as_bytes());
        let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        // No name is escaped so.
        return Ok(format!("url.{digits}"));
    }
    let folder = utf8_percent_encode(name, ESCAPED).to_string();
    if folder.len() > LONGEST {
        return Err(Invalid::attribute("name", "is too long: it names the folder of the queue"));
    }
    Ok(folder)
}
