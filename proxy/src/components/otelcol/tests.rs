//! What the blocks take, and in what words they refuse the rest.

use std::net::SocketAddr;
use std::sync::Arc;

use alloy_syntax::{Arguments, DecodeValue, Scope, StdlibOptions, Value, decode_block, parse_file};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::{ExporterOtlp, ExporterOtlpHttp};
use crate::component::{Component, Context, Services};
use crate::filters::FilterHost;
use crate::telemetry::metrics::{ComponentLabels, Metrics};
use crate::telemetry::traces::Consumer;
use crate::tls::tests::certificates::Authority;
use crate::tls::{ServerTls, TlsArguments};

fn decode<A: Arguments>(body: &str, label: &str) -> Result<A, String> {
    let file = parse_file("test", &format!("block {label} {{\n{body}\n}}")).map_err(|error| error.to_string())?;
    let block = file.body.blocks().next().unwrap();
    decode_block(block, &Scope::stdlib(&StdlibOptions::default())).map_err(|error| error.to_string())
}

/// Whether it can be built.
fn build<C: Component>(body: &str) -> Result<C, String> {
    let arguments: C::Arguments = decode(body, "\"test\"")?;
    let services = Services::new(std::env::temp_dir(), FilterHost::default());
    let context = Context { component: ComponentLabels::top_level(C::NAME.into()), services: &services };
    C::build(&arguments, &context, None).map_err(|invalid| format!("{:?}: {}", invalid.attribute, invalid.message))
}

/// Of both: what stands in the block, and a part of the refusal.
const REFUSED: &[(&str, &str)] = &[
    ("", "missing required block \"client\""),
    ("client { }", "missing required attribute \"endpoint\""),
    ("client { endpoint = \"http://\" }", "write it as"),
    ("client { endpoint = ENDPOINT\n compression = \"zstd\" }", "write \"gzip\" or \"none\""),
    ("client { endpoint = ENDPOINT\n compression = \"brotli\" }", "must be \"gzip\" or \"none\""),
    ("client { endpoint = ENDPOINT\n headers = { \"a b\" = \"c\", } }", "\"a b\": no HTTP header has such a name"),
    ("client { endpoint = ENDPOINT\n headers = { \"a\" = \"b\\n\", } }", "no HTTP header has such a value"),
    ("client { endpoint = ENDPOINT\n auth = \"x\" }", "\"auth\" is not supported by this version of Flamegate"),
    ("client { endpoint = ENDPOINT\n tls { min_version = \"1.3\" } }", "\"min_version\" is not supported"),
    ("client { endpoint = ENDPOINT\n tls { ca_pem = \"x\"\n ca_file = \"y\" } }", "at most one of ca_pem and ca_file"),
    ("client { endpoint = ENDPOINT\n tls { cert_pem = \"x\" } }", "exactly one of key_pem or key_file"),
    ("client { endpoint = ENDPOINT\n tls { key_file = \"x\" } }", "exactly one of cert_pem or cert_file"),
    ("client { endpoint = ENDPOINT\n tls { server_name = \"a b\" } }", "neither a DNS name nor an IP address"),
    ("client { endpoint = ENDPOINT }\nretry_on_failure { multiplier = 1 }", "must be greater than 1.0"),
    ("client { endpoint = ENDPOINT }\nretry_on_failure { randomization_factor = 1.5 }", "must be from 0 to 1"),
    ("client { endpoint = ENDPOINT }\nretry_on_failure { initial_interval = \"0s\" }", "must be longer than 0s"),
    (
        "client { endpoint = ENDPOINT }\nretry_on_failure { max_interval = \"1s\" }",
        "not be shorter than initial_interval",
    ),
    ("client { endpoint = ENDPOINT }\nsending_queue { queue_size = 0 }", "must be from 1 to 1000000"),
    ("client { endpoint = ENDPOINT }\nsending_queue { queue_size = 1000001 }", "must be from 1 to 1000000"),
    ("client { endpoint = ENDPOINT }\nsending_queue { num_consumers = -1 }", "must be from 1 to 1000"),
    ("client { endpoint = ENDPOINT }\nsending_queue {\n batch { }\n }", "\"batch\" is not supported"),
    // Found when it is built: files are read then.
    ("client { endpoint = ENDPOINT\n tls { ca_file = \"/no/such/file\" } }", "tls: cannot read ca_file /no/such/file"),
    ("client { endpoint = ENDPOINT\n tls { ca_pem = \"nonsense\" } }", "ca_pem or ca_file: no certificate in it"),
];

#[test]
fn what_cannot_be_is_refused_in_words() {
    for (body, says) in REFUSED {
        let body = body.replace('{', "{\n").replace('}', "\n}");
        let http = build::<ExporterOtlpHttp>(&body.replace("ENDPOINT", "\"https://host:4318\"")).err();
        let grpc = build::<ExporterOtlp>(&body.replace("ENDPOINT", "\"host:4317\"")).err();
        for refusal in [http, grpc] {
            assert!(refusal.as_ref().is_some_and(|refusal| refusal.contains(says)), "{body}\n{says}\n{refusal:?}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_is_a_url_over_http_and_a_host_with_its_port_over_grpc() {
    let client = |endpoint: &str| format!("client {{\n endpoint = \"{endpoint}\"\n tls {{\n insecure = true\n }}\n}}");
    for (endpoint, says) in [
        ("http://host:4318", None),
        ("http://host/base/", None),
        ("host:4318", Some("http://host:4318")),
        ("host", Some("has no scheme")),
        ("ftp://host", Some("has the scheme ftp")),
        ("http://user:secret@host", Some("holds a user name")),
        ("", Some("is no URL")),
    ] {
        let refusal = build::<ExporterOtlpHttp>(&client(endpoint)).err();
        let as_expected = match (&refusal, says) {
            (Some(refusal), Some(says)) => refusal.contains(says) && !refusal.contains("secret"),
            (refusal, says) => refusal.is_none() && says.is_none(),
        };
        assert!(as_expected, "{endpoint}: {refusal:?}");
    }
    for (endpoint, says) in [
        ("host:4317", None),
        ("[::1]:4317", None),
        ("http://host:4317", None),
        ("dns:///host:4317", None),
        ("host", Some("has no port")),
        ("host:4317/path", Some("is not a host and a port")),
        ("user@host:4317", Some("holds a user name")),
        ("unix:///socket", Some("write it as host:4317")),
        ("", Some("write it as host:4317")),
    ] {
        let refusal = build::<ExporterOtlp>(&client(endpoint)).err();
        let as_expected = match (&refusal, says) {
            (Some(refusal), Some(says)) => refusal.contains(says),
            (refusal, says) => refusal.is_none() && says.is_none(),
        };
        assert!(as_expected, "{endpoint}: {refusal:?}");
    }
}

#[tokio::test]
async fn of_one_protocol_alone() {
    let http = |more: &str| build::<ExporterOtlpHttp>(&format!("client {{\n endpoint = \"http://host\"\n}}\n{more}"));
    assert!(http("encoding = \"json\"").err().unwrap().contains("write \"proto\""));
    assert!(http("traces_endpoint = \"host\"").err().unwrap().contains("has no scheme"));
    assert!(http("traces_endpoint = \"http://other/traces\"\nencoding = \"proto\"").is_ok());
    // There are no logs and metrics to be sent there.
    assert!(http("logs_endpoint = \"http://other/logs\"\nmetrics_endpoint = \"http://other/metrics\"").is_ok());
    let zero = "client {\n endpoint = \"http://host\"\n timeout = \"0s\"\n}";
    assert!(build::<ExporterOtlpHttp>(zero).err().unwrap().contains("must be longer than 0s"));
    let zero = "timeout = \"0s\"\nclient {\n endpoint = \"host:1\"\n}";
    assert!(build::<ExporterOtlp>(zero).err().unwrap().contains("must be longer than 0s"));
}

/// A server that speaks TLS and wants to know its clients; tells of each request which call it was, and says that it
/// was unavailable.
async fn tls_server(authority: &Authority) -> (SocketAddr, mpsc::Receiver<String>) {
    let identity = authority.server();
    let pems = format!("cert_pem = `{}`\nkey_pem = `{}`\n", identity.certificate, identity.key);
    let asking = format!("client_auth_type = \"RequireAndVerifyClientCert\"\nclient_ca_pem = `{}`\n", authority.pem);
    let tls = decode::<TlsArguments>(&(pems + &asking), "").unwrap();
    let tls = ServerTls::new(&tls, &["h2", "http/1.1"], "test".into(), Metrics::new().tls(&"test".into())).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (calls, received) = mpsc::channel(10);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = TlsAcceptor::from(tls.config()).accept(stream).await else { continue };
            let calls = calls.clone();
            let service = service_fn(move |request: http::Request<Incoming>| {
                let call = format!("{:?} {}", request.version(), request.uri().path());
                let calls = calls.clone();
                async move {
                    calls.send(call).await.unwrap();
                    let unavailable = http::Response::builder().status(503).header("grpc-status", "14");
                    unavailable.body(Empty::<Bytes>::new())
                }
            });
            let server = http2::Builder::new(TokioExecutor::new());
            // A client that goes away is no matter.
            let _ended = server.serve_connection(TokioIo::new(stream), service).await;
        }
    });
    (address, received)
}

#[tokio::test]
async fn both_protocols_speak_tls_with_whom_they_trust() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let identity = ours.client();
    for (authority, trusted) in [(&ours, true), (&theirs, false)] {
        let tls = format!(
            "tls {{\n server_name = \"localhost\"\n ca_pem = `{}`\n cert_pem = `{}`\n key_pem = `{}`\n}}",
            authority.pem, identity.certificate, identity.key
        );
        let once = "retry_on_failure {\n enabled = false\n}\nsending_queue {\n enabled = false\n}\n";
        let (address, mut calls) = tls_server(&ours).await;
        let http = format!("client {{\n endpoint = \"https://{address}/base/\"\n{tls}\n}}\n{once}");
        let grpc = format!("client {{\n endpoint = \"{address}\"\n{tls}\n}}\n{once}");
        input(&build::<ExporterOtlpHttp>(&http).unwrap()).consume(Arc::new([])).await;
        input(&build::<ExporterOtlp>(&grpc).unwrap()).consume(Arc::new([])).await;
        let received: Vec<String> = std::iter::from_fn(|| calls.try_recv().ok()).collect();
        let both = ["HTTP/2.0 /base/v1/traces", "HTTP/2.0 /opentelemetry.proto.collector.trace.v1.TraceService/Export"];
        assert_eq!(received, if trusted { &both[..] } else { &[] });
    }
}

fn input(exporter: &impl Component) -> Consumer {
    let input = exporter.exports().fields().unwrap().get("input").unwrap().clone();
    DecodeValue::decode_value(&input).unwrap()
}

#[tokio::test]
async fn the_export_is_a_consumer() {
    let exporter: ExporterOtlpHttp = build("client {\n endpoint = \"http://host\"\n}").unwrap();
    let consumer = input(&exporter);
    assert_eq!(format!("{consumer:?}"), "otelcol.exporter.otlphttp.input");
    let refused = Consumer::decode_value(&Value::from("text")).unwrap_err();
    assert_eq!(refused.to_string(), "should be capsule, got string");
}
