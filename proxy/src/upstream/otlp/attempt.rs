//! One attempt to export, and what its answer means: the rules of the OTLP specification.

use std::time::{Duration, SystemTime};

use http::{StatusCode, header};
use percent_encoding::percent_decode_str;

use super::super::Client;
use super::super::client::Answer;
use super::super::retry_after::retry_after;
use super::request::Body;
use super::{OtlpServer, Protocol};
use crate::wire::connect::{Call, Codec, Protocol as Rpc};
use crate::wire::otlp::{self, Taken};

/// Why the spans were not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub(super) struct Failed {
    pub cause: String,
    pub again: Again,
}

/// Whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    Never,
    /// No sooner than the server asks, where it does.
    Later(Option<Duration>),
}

/// Bytes of an answer that are quoted.
const QUOTED: usize = 512;

impl OtlpServer {
    pub(super) async fn attempt(&self, client: &Client, body: &Body) -> Result<Taken, Failed> {
        let request = self.request(body).map_err(|error| never(format!("the request cannot be built: {error}")))?;
        match tokio::time::timeout(self.timeout, client.send(request)).await {
            Err(_) => Err(later(format!("no answer within timeout ({:?})", self.timeout))),
            Ok(Err(error)) => Err(later(error.to_string())),
            Ok(Ok(answer)) => match self.protocol {
                Protocol::Http => http(&answer),
                Protocol::Grpc => grpc(answer),
            },
        }
    }
}

fn http(answer: &Answer) -> Result<Taken, Failed> {
    let protobuf = answer.headers.get(header::CONTENT_TYPE).is_some_and(|value| value == otlp::CONTENT_TYPE);
    if answer.status.is_success() {
        return Ok(if protobuf { otlp::decode_answer(&answer.body) } else { Taken::default() });
    }
    let says = if protobuf { otlp::decode_error(&answer.body) } else { quote(&answer.body) };
    let cause = format!("HTTP status {}: {says}", answer.status);
    Err(if passes(answer.status) {
        Failed { cause, again: Again::Later(retry_after(&answer.headers, SystemTime::now())) }
    } else {
        never(cause)
    })
}

fn grpc(answer: Answer) -> Result<Taken, Failed> {
    if answer.status != StatusCode::OK {
        let cause = format!("no gRPC but HTTP status {}: {}", answer.status, quote(&answer.body));
        return Err(if passes(answer.status) { later(cause) } else { never(cause) });
    }
    // Where there is no message the trailers may stand in the place of the headers.
    let trailer = |name: &str| answer.trailers.get(name).or_else(|| answer.headers.get(name))?.to_str().ok();
    let Some(status) = trailer("grpc-status").and_then(|text| text.parse::<u8>().ok()) else {
        return Err(never(format!("the answer has no grpc-status: {}", quote(&answer.body))));
    };
    if status == 0 {
        let call = Call { protocol: Rpc::Grpc, codec: Codec::Proto };
        let message = call.unwrap_message(answer.body, false);
        return Ok(message.map(|wrapped| otlp::decode_answer(&wrapped.message)).unwrap_or_default());
    }
    let says = percent_decode_str(trailer("grpc-message").unwrap_or_default()).decode_utf8_lossy().into_owned();
    let cause = format!("gRPC status {status}: {}", quote(says.as_bytes()));
    Err(match status {
        // cancelled, deadline_exceeded, aborted, out_of_range, unavailable, data_loss; not resource_exhausted, of which
        // the specification says that without more details it will not pass.
        1 | 4 | 10 | 11 | 14 | 15 => later(cause),
        _ => never(cause),
    })
}

fn passes(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

fn never(cause: String) -> Failed {
    Failed { cause, again: Again::Never }
}

fn later(cause: String) -> Failed {
    Failed { cause, again: Again::Later(None) }
}

fn quote(body: &[u8]) -> String {
    String::from_utf8_lossy(body.get(..QUOTED).unwrap_or(body)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], trailers: &[(&'static str, &str)], body: &[u8]) -> Answer {
        let map = |pairs: &[(&'static str, &str)]| {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map(headers),
            trailers: map(trailers),
            body: Bytes::copy_from_slice(body),
        }
    }

    const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
    const REJECTED: &[u8] = &[0x0a, 0x02, 0x08, 0x03];

    #[test]
    fn over_http_the_status_decides() {
        for status in [200, 202, 204] {
            assert_eq!(http(&answer(status, &[], &[], b"ok")), Ok(Taken::default()), "{status}");
        }
        assert_eq!(http(&answer(200, &[PROTOBUF], &[], REJECTED)).unwrap().rejected, 3);
        for (status, again) in [
            (301, Again::Never),
            (400, Again::Never),
            (404, Again::Never),
            (500, Again::Never),
            (429, Again::Later(None)),
            (502, Again::Later(None)),
            (503, Again::Later(None)),
            (504, Again::Later(None)),
        ] {
            let failed = http(&answer(status, &[], &[], b"why not\n")).unwrap_err();
            assert_eq!(failed.again, again, "{status}");
            assert!(failed.cause.contains(&status.to_string()) && failed.cause.ends_with("why not"), "{failed}");
        }
        let asked = answer(503, &[("retry-after", "7"), PROTOBUF], &[], b"\x08\x0e\x12\x04full");
        let failed = http(&asked).unwrap_err();
        assert_eq!(failed.again, Again::Later(Some(Duration::from_secs(7))));
        assert!(failed.cause.ends_with(": full"), "{failed}");
    }

    #[test]
    fn over_grpc_the_trailers_decide() {
        let taken = answer(200, &[], &[("grpc-status", "0")], &[&[0, 0, 0, 0, 4], REJECTED].concat());
        assert_eq!(grpc(taken).unwrap().rejected, 3);
        assert_eq!(grpc(answer(200, &[], &[("grpc-status", "0")], b"")), Ok(Taken::default()));
        for status in 1..=16 {
            let status = status.to_string();
            let said = [("grpc-status", status.as_str()), ("grpc-message", "100%25 full")];
            for refused in [answer(200, &[], &said, b""), answer(200, &said, &[], b"")] {
                let failed = grpc(refused).unwrap_err();
                let passes = ["1", "4", "10", "11", "14", "15"].contains(&status.as_str());
                assert_eq!(failed.again, if passes { Again::Later(None) } else { Again::Never }, "{status}");
                assert!(failed.cause.ends_with("100% full"), "{failed}");
            }
        }
        assert_eq!(grpc(answer(503, &[], &[], b"")).unwrap_err().again, Again::Later(None));
        assert_eq!(grpc(answer(404, &[], &[], b"")).unwrap_err().again, Again::Never);
        let failed = grpc(answer(200, &[], &[], b"<html>")).unwrap_err();
        assert!(failed.cause.contains("grpc-status") && failed.cause.contains("<html>"), "{failed}");
    }
}
