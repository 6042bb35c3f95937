//! The `http2` block.

use std::time::Duration;

use alloy_syntax::{Arguments, Invalid};

use crate::ingest::Http2;

/// What HTTP/2 allows for a frame (RFC 9113, section 4.2).
const FRAMES: std::ops::RangeInclusive<i64> = 1 << 14..=(1 << 24) - 1;
/// What it allows for a window; a connection's cannot be smaller than it is at first (section 6.9.2).
const WIDEST: i64 = (1 << 31) - 1;
const FIRST_WINDOW: i64 = (1 << 16) - 1;
/// Go's own number of streams, where it is told 0.
const GO_STREAMS: u32 = 250;

/// More is memory of each connection that its sender fills: as much as all headers of a request may take.
const MOST_TABLE: i64 = 64 * 1024;

/// How HTTP/2 is spoken, over TLS or without.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = Http2Arguments::validate)]
// Go does nothing with `max_handlers`; the library has no size of its own for the table of answers and asks no sender
// whether it lives; and no cipher suite that is prohibited for HTTP/2 is spoken.
#[alloy(ignored(
    "max_handlers",
    "max_encoder_header_table_size",
    "permit_prohibited_ciphers",
    "read_idle_timeout",
    "ping_timeout",
))]
pub(super) struct Http2Arguments {
    /// Whether it is spoken without TLS; it is unless this is `false`.
    #[alloy(attr, optional)]
    enabled: Option<bool>,
    /// Requests at once on one connection; 0 for 250.
    #[alloy(attr, default = 100)]
    max_concurrent_streams: i64,
    /// Bytes of the table that headers of requests refer to.
    #[alloy(attr, default = 4096)]
    max_decoder_header_table_size: i64,
    /// Bytes of a frame that is received; 0 for 16384.
    #[alloy(attr, optional)]
    max_read_frame_size: i64,
    /// How long a connection may be without a request; 0 for `server_idle_timeout`.
    #[alloy(attr, optional)]
    idle_timeout: Duration,
    /// How long a connection may take nothing of what is to be written; 0 for as long as `server_write_timeout` allows.
    #[alloy(attr, optional)]
    write_byte_timeout: Duration,
    /// Bytes of all bodies of a connection that may be under way; 0 for 4 MiB.
    #[alloy(attr, optional)]
    max_upload_buffer_per_connection: i64,
    /// Bytes of one body that may be under way; 0 for 1 MiB.
    #[alloy(attr, optional)]
    max_upload_buffer_per_stream: i64,
}

impl Http2Arguments {
    /// What the listener is to do.
    ///
    /// # Errors
    /// A number that HTTP/2 does not allow.
    pub(super) fn settings(&self) -> Result<Http2, Invalid> {
        let usual = Http2::default();
        let given = |limit: Duration| (!limit.is_zero()).then_some(limit);
        let window = |name, bytes, smallest: i64| match bytes {
            0 => Ok(None),
            bytes => within(name, bytes, smallest..=WIDEST, "; 0 is the usual one").map(Some),
        };
        let connection = ("max_upload_buffer_per_connection", self.max_upload_buffer_per_connection);
        let stream = ("max_upload_buffer_per_stream", self.max_upload_buffer_per_stream);
        let streams = within("max_concurrent_streams", self.max_concurrent_streams, 0..=i64::from(u32::MAX), "")?;
        let table = ("max_decoder_header_table_size", self.max_decoder_header_table_size);
        Ok(Http2 {
            without_tls: self.enabled.unwrap_or(true),
            streams: if streams == 0 { GO_STREAMS } else { streams },
            header_table: within(table.0, table.1, 0..=MOST_TABLE, "")?,
            frame: match self.max_read_frame_size {
                0 => None,
                bytes => Some(within("max_read_frame_size", bytes, FRAMES, "; 0 is 16384")?),
            },
            idle_timeout: given(self.idle_timeout),
            write_timeout: given(self.write_byte_timeout),
            stream_window: window(stream.0, stream.1, 1)?.unwrap_or(usual.stream_window),
            connection_window: window(connection.0, connection.1, FIRST_WINDOW)?.unwrap_or(usual.connection_window),
        })
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.settings().map(drop)
    }
}

fn within(name: &'static str, number: i64, allowed: std::ops::RangeInclusive<i64>, zero: &str) -> Result<u32, Invalid> {
    let (first, last) = (*allowed.start(), *allowed.end());
    let fits = allowed.contains(&number).then(|| u32::try_from(number).ok()).flatten();
    fits.ok_or_else(|| Invalid::attribute(name, format!("must be between {first} and {last}{zero}")))
}

#[cfg(test)]
mod tests {
    use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};

    use super::*;

    fn settings(body: &str) -> Result<Http2, String> {
        let file = parse_file("test", &format!("http2 {{\n{body}\n}}")).unwrap();
        let arguments: Result<Http2Arguments, _> =
            decode_block(file.body.blocks().next().unwrap(), &Scope::stdlib(&StdlibOptions::default()));
        arguments.map(|arguments| arguments.settings().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_block_changes_nothing() {
        assert_eq!(settings(""), Ok(Http2::default()));
        assert_eq!(settings("max_concurrent_streams = 0").unwrap().streams, 250);
        assert_eq!(settings("idle_timeout = \"1s\"").unwrap().idle_timeout, Some(Duration::from_secs(1)));
        assert!(!settings("enabled = false").unwrap().without_tls);
    }

    #[test]
    fn what_http2_does_not_allow_is_refused() {
        for (body, says) in [
            ("max_read_frame_size = 1000", "must be between 16384 and 16777215; 0 is 16384"),
            ("max_read_frame_size = 16777216", "must be between 16384 and 16777215"),
            ("max_upload_buffer_per_connection = 65534", "must be between 65535 and 2147483647; 0 is the usual one"),
            ("max_upload_buffer_per_stream = -1", "must be between 1 and 2147483647"),
            ("max_concurrent_streams = -1", "must be between 0 and 4294967295"),
            ("max_decoder_header_table_size = 65537", "must be between 0 and 65536"),
        ] {
            let refused = settings(body).unwrap_err();
            assert!(refused.contains(says), "{body}: {refused}");
        }
    }
}
