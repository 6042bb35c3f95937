//! What a listener says to senders that speak HTTP/2.

use std::time::Duration;

use pingora_core::protocols::http::v2::server::{H2Options, default_h2_options};

/// How a listener speaks HTTP/2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http2 {
    /// Whether it is spoken without TLS, with those that begin with its preface. Over TLS it is what ALPN agrees upon.
    pub without_tls: bool,
    /// Requests at once on one connection.
    pub streams: u32,
    /// Bytes of the table that headers of senders refer to.
    pub header_table: u32,
    /// Bytes of a frame that is received: 16 KiB to 16 MiB less one. None: the 16 KiB that every sender knows of.
    pub frame: Option<u32>,
    /// How long a connection may be without a request, where that is not as long as for HTTP/1.1.
    pub idle_timeout: Option<Duration>,
    /// How long a connection may take nothing of what is to be written.
    pub write_timeout: Option<Duration>,
    /// Bytes of one body that may be under way: at most 2 GiB less one.
    pub stream_window: u32,
    /// Bytes of all bodies of a connection that may be under way: at most 2 GiB less one.
    pub connection_window: u32,
}

impl Default for Http2 {
    /// The reference's number of streams and table; windows wide enough that a profile of usual size needs no round trip of
    /// its own.
    fn default() -> Self {
        Self {
            without_tls: true,
            streams: 100,
            header_table: 4096,
            frame: None,
            idle_timeout: None,
            write_timeout: None,
            stream_window: 1 << 20,
            connection_window: 4 << 20,
        }
    }
}

impl Http2 {
    pub(super) fn options(&self) -> H2Options {
        let mut options = default_h2_options();
        options
            .initial_window_size(self.stream_window)
            .initial_connection_window_size(self.connection_window)
            .max_concurrent_streams(self.streams)
            .header_table_size(self.header_table);
        if let Some(bytes) = self.frame {
            options.max_frame_size(bytes);
        }
        options
    }
}
