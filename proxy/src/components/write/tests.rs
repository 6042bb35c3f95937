//! The component on real sockets of loopback: TLS, proxies, redirects.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};
use bytes::Bytes;
use http::Version;
use profiler_core::labels::Labels;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use self::backend::{Answers, Backend};
use super::*;
use crate::component::Services;
use crate::filters::FilterHost;
use crate::pipeline::{Batch, Body, IngestBody, Origin, Profile, PushError, Retry, Share, Stage};
use crate::telemetry::traces::Trace;
use crate::tls::tests::certificates::{Authority, Identity};
use crate::upstream::http_client::tests::server::Server;

pub(super) mod backend;
mod backends;

/// A component with one endpoint, or why there is none.
fn build(url: &str, endpoint: &str, previous: Option<&Write>) -> Result<Write, String> {
    let once = if endpoint.contains("max_backoff_retries") { "" } else { "max_backoff_retries = 1" };
    let text = format!("write \"test\" {{\nendpoint {{\nurl = \"{url}\"\n{once}\n{endpoint}\n}}\n}}");
    let file = parse_file("test", &text).map_err(|error| error.to_string())?;
    let block = file.body.blocks().next().unwrap();
    let scope = Scope::stdlib(&StdlibOptions::default());
    let arguments: WriteArguments = decode_block(block, &scope).map_err(|error| error.to_string())?;
    let services = Services::new(std::env::temp_dir(), FilterHost::default());
    let context = Context { component: ComponentLabels::top_level(Write::NAME.into()), services: &services };
    Write::build(&arguments, &context, previous)
        .map_err(|invalid| format!("{:?}: {}", invalid.attribute, invalid.message))
}

fn write(url: &str, endpoint: &str) -> Write {
    build(url, endpoint, None).unwrap()
}

/// Sends a profile to `/ingest`.
async fn send(write: &Write) -> Result<(), PushError> {
    send_of(write, "shop").await
}

/// Sends a profile of a service to `/ingest`.
async fn send_of(write: &Write, service: &str) -> Result<(), PushError> {
    let labels = Labels::from_pairs([("service_name", service)]).unwrap();
    let body = Arc::new(IngestBody { query: String::new(), content_types: Vec::new(), bytes: Bytes::from("main 1\n") });
    let origin = Arc::new(Origin {
        arrived: std::time::SystemTime::now(),
        trace: Trace::default(),
        forwarded: http::HeaderMap::new(),
        memory: Share::unbounded(),
    });
    let profile = Profile::new(labels, Body::Ingest(body), origin);
    let outcome = write.stage.push(Batch { profiles: vec![profile] }).await;
    outcome.worst().cloned().map_or(Ok(()), Err)
}

async fn refusal(write: &Write) -> String {
    send(write).await.unwrap_err().to_string()
}

fn listener(identity: &Identity) -> String {
    format!("cert_pem = `{}`\nkey_pem = `{}`\n", identity.certificate, identity.key)
}

#[tokio::test]
async fn tls_with_whom_is_trusted() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let backend = Backend::start_tls(&listener(&ours.server())).await;
    let by_address = format!("https://{}", backend.address);
    let trusting = |authority: &Authority| format!("ca_pem = `{}`", authority.pem);
    let named = format!("{}\nserver_name = \"localhost\"", trusting(&ours));
    let newest = format!("{}\nmin_version = \"TLS13\"", trusting(&ours));
    for (url, tls, taken) in [
        (&backend.https(), trusting(&ours), true),
        (&backend.https(), trusting(&theirs), false),
        (&backend.https(), String::new(), false),
        (&backend.https(), "insecure_skip_verify = true".to_owned(), true),
        (&backend.https(), newest, true),
        // The certificate is for the name alone.
        (&by_address, trusting(&ours), false),
        (&by_address, named, true),
    ] {
        let sent = send(&write(url, &format!("tls_config {{\n{tls}\n}}"))).await;
        assert_eq!(sent.is_ok(), taken, "{url}, {tls}: {sent:?}");
        assert!(sent.is_ok() || sent.unwrap_err().to_string().contains("certificate"));
    }
    let old = Backend::start_tls(&(listener(&ours.server()) + "max_version = \"TLS12\"")).await;
    send(&write(&old.https(), &format!("tls_config {{\n{}\n}}", trusting(&ours)))).await.unwrap();
    let newest = format!("tls_config {{\n{}\nmin_version = \"TLS13\"\n}}", trusting(&ours));
    assert!(send(&write(&old.https(), &newest)).await.is_err());
}

#[tokio::test]
async fn http2_is_spoken_unless_it_may_not_be() {
    let ours = Authority::new("ours");
    let backend = Backend::start_tls(&listener(&ours.server())).await;
    let tls = format!("tls_config {{\nca_pem = `{}`\n}}\n", ours.pem);
    for (more, version) in [("", Version::HTTP_2), ("enable_http2 = false", Version::HTTP_11)] {
        send(&write(&backend.https(), &format!("{tls}{more}"))).await.unwrap();
        let asked = backend.last();
        assert_eq!((asked.version, &asked.body[..]), (version, &b"main 1\n"[..]));
    }
}

fn put(folder: &Path, authority: &Authority, identity: &Identity) {
    for (name, text) in [("ca", &authority.pem), ("cert", &identity.certificate), ("key", &identity.key)] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

#[tokio::test]
async fn certificates_in_files_are_read_again() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let knowing = |authority: &Authority| {
        let asking =
            format!("client_auth_type = \"RequireAndVerifyClientCert\"\nclient_ca_pem = `{}`\n", authority.pem);
        listener(&authority.server()) + &asking
    };
    let (first, second) = (Backend::start_tls(&knowing(&ours)).await, Backend::start_tls(&knowing(&theirs)).await);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let tls =
        format!("tls_config {{\nca_file = \"{path}/ca\"\ncert_file = \"{path}/cert\"\nkey_file = \"{path}/key\"\n}}");

    let missing = build(&first.https(), &tls, None).err().unwrap();
    assert!(missing.contains("tls_config: cannot read ca_file") && missing.contains("/ca"), "{missing}");
    put(folder.path(), &ours, &ours.client());
    let (to_first, to_second) = (write(&first.https(), &tls), write(&second.https(), &tls));
    send(&to_first).await.unwrap();
    assert!(send(&to_second).await.is_err());

    put(folder.path(), &theirs, &theirs.client());
    let renewed = async { while send(&to_second).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(30), renewed).await.unwrap();
    let gone = async { while send(&to_first).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
}

#[tokio::test]
async fn through_proxies() {
    let ours = Authority::new("ours");
    let backend = Backend::start_tls(&listener(&ours.server())).await;
    // A name that only the proxy can look up is not needed: what it was asked tells enough.
    let tunnel = Server::start_proxy().await;
    let endpoint = format!(
        "proxy_url = \"{}\"\nproxy_connect_header = {{ \"X-Pass\" = [\"p\"] }}\nbearer_token = \"t\"\ntls_config {{\nca_pem = `{}`\n}}",
        tunnel.url("").replace("http://", "http://me:pass@"),
        ours.pem
    );
    send(&write(&backend.https(), &endpoint)).await.unwrap();
    let asked = tunnel.last();
    assert!(asked.starts_with(&format!("CONNECT localhost:{} HTTP/1.1", backend.address.port())), "{asked}");
    assert!(asked.contains("x-pass: p") && asked.contains("Basic bWU6cGFzcw=="), "{asked}");
    assert!(!asked.contains("Bearer"), "{asked}");
    let received = backend.last().headers;
    assert!(received.contains_key("authorization") && !received.contains_key("proxy-authorization"), "{received:?}");

    // Without TLS the proxy reads the request.
    let proxy = Backend::start(Answers::new()).await;
    let url = proxy.url().replace("http://", "http://me:pass@");
    send(&write("http://backend.invalid:4040/base", &format!("proxy_url = \"{url}\""))).await.unwrap();
    let asked = proxy.last();
    assert!(asked.target.starts_with("http://backend.invalid:4040/base/ingest?"), "{asked:?}");
    assert_eq!(asked.headers["proxy-authorization"], "Basic bWU6cGFzcw==");

    let direct = Backend::start(Answers::new()).await;
    let count = proxy.asked().len();
    let port = direct.address.port();
    for exception in ["127.0.0.0/8".to_owned(), format!("example.com, 127.0.0.1:{port}")] {
        let endpoint = format!("proxy_url = \"{url}\"\nno_proxy = \"{exception}\"");
        send(&write(&direct.url(), &endpoint)).await.unwrap();
        assert!(!direct.last().headers.contains_key("proxy-authorization"));
    }
    assert_eq!((direct.asked().len(), proxy.asked().len()), (2, count));
    let exception = format!("proxy_url = \"{url}\"\nno_proxy = \"backend.invalid:81\"");
    send(&write("http://backend.invalid", &exception)).await.unwrap();
    assert_eq!(proxy.asked().len(), count + 1, "an exception for another port is none");
}

/// A SOCKS proxy for one connection, which goes to this address; tells which it was asked for.
async fn socks(to: SocketAddr) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, [5, 1, 0], "version 5, and nothing but no authentication");
        stream.write_all(&[5, 0]).await.unwrap();
        let mut request = [0; 5];
        stream.read_exact(&mut request).await.unwrap();
        assert_eq!(request[..4], [5, 1, 0, 3], "a connection to a name");
        let mut name = vec![0; usize::from(request[4]) + 2];
        stream.read_exact(&mut name).await.unwrap();
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        let port = name.split_off(usize::from(request[4]));
        let mut server = TcpStream::connect(to).await.unwrap();
        let copying = tokio::io::copy_bidirectional(&mut stream, &mut server);
        // Either side may hang up as it likes.
        drop(copying.await);
        format!("{}:{}", String::from_utf8(name).unwrap(), u16::from_be_bytes([port[0], port[1]]))
    });
    (address, serving)
}

#[tokio::test]
async fn through_socks() {
    let backend = Backend::start(Answers::new()).await;
    let (proxy, serving) = socks(backend.address).await;
    let write = write("http://backend.invalid:4040", &format!("proxy_url = \"socks5://{proxy}\""));
    send(&write).await.unwrap();
    assert!(backend.last().target.starts_with("/ingest?"), "{:?}", backend.last());
    drop(write);
    assert_eq!(serving.await.unwrap(), "backend.invalid:4040");
}

#[tokio::test]
async fn redirects_keep_the_body_and_the_secrets_at_home() {
    let elsewhere = Backend::start(Answers::new()).await;
    let to = |status: u16, location: &str| (status, vec![("location", location.to_owned())]);
    let backend = Backend::start(Answers::from([
        ("/near/ingest", to(307, "/taken")),
        ("/far/ingest", to(308, &format!("{}/taken", elsewhere.url()))),
        ("/round/ingest", to(307, "/round/ingest")),
        ("/found/ingest", to(302, "/taken")),
        ("/nowhere/ingest", to(307, "ftp://host/")),
    ]))
    .await;
    let secrets =
        "bearer_token = \"t\"\nhttp_headers = { \"X-Secret\" = [\"1\", \"2\"] }\nheaders = { \"X-Plain\" = \"x\" }";
    let at = |path: &str| format!("{}/{path}", backend.url());
    send(&write(&at("near"), secrets)).await.unwrap();
    let asked = backend.last();
    assert_eq!((asked.target.as_str(), &asked.body[..]), ("/taken", &b"main 1\n"[..]));
    assert_eq!(asked.headers["authorization"], "Bearer t");
    assert_eq!(asked.headers.get_all("x-secret").iter().collect::<Vec<_>>(), ["1", "2"]);
    send(&write(&at("far"), secrets)).await.unwrap();
    let asked = elsewhere.last();
    assert_eq!((asked.target.as_str(), &asked.body[..]), ("/taken", &b"main 1\n"[..]));
    assert!(!asked.headers.contains_key("authorization") && !asked.headers.contains_key("x-secret"), "{asked:?}");
    assert_eq!(asked.headers["x-plain"], "x");

    let before = backend.asked().len();
    assert!(refusal(&write(&at("round"), "")).await.contains("stopped after 10 redirects"));
    assert_eq!(backend.asked().len() - before, 11);
    assert!(refusal(&write(&at("nowhere"), "")).await.contains("redirected to \"ftp://host/\""));
    // It would become a GET without the profile.
    let found = refusal(&write(&at("found"), "")).await;
    assert!(found.contains("status=302") && found.contains("/taken"), "{found}");
    let stays = refusal(&write(&at("near"), "follow_redirects = false")).await;
    assert!(stays.contains("status=307"), "{stays}");
}

#[tokio::test]
async fn a_pause_that_is_asked_for_is_made() {
    let asks = |pause: &str| (503, vec![("retry-after", pause.to_owned())]);
    let backend = Backend::start(Answers::from([("/short/ingest", asks("1")), ("/long/ingest", asks("301"))])).await;
    let endpoint = "min_backoff_period = \"1ms\"\nmax_backoff_retries = 2";
    let at = |path: &str| write(&format!("{}/{path}", backend.url()), endpoint);
    let began = Instant::now();
    let error = send(&at("short")).await.unwrap_err();
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(error.retry, Retry::Later(Some(Duration::from_secs(1))));
    assert_eq!(backend.asked().len(), 2);
    // Longer than max_backoff_period: the sender has to wait.
    let error = send(&at("long")).await.unwrap_err();
    assert_eq!(error.retry, Retry::Later(Some(Duration::from_secs(301))));
    assert_eq!(backend.asked().len(), 3);
}

#[tokio::test]
async fn a_backend_that_is_down_gets_few_retries() {
    let backend = Backend::start(Answers::from([("/ingest", (503, Vec::new()))])).await;
    let endpoint = "min_backoff_period = \"1ms\"\nmax_backoff_period = \"1ms\"\nmax_backoff_retries = 4";
    let (write, calls, began) = (write(&backend.url(), endpoint), 300, Instant::now());
    for _ in 0..calls {
        assert!(send(&write).await.is_err());
    }
    let retries = backend.asked().len() - calls;
    // A fifth, those in hand at first, and one a second.
    let most = calls / 5 + 20 + 1 + usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!((calls / 5..=most).contains(&retries), "{retries} of at most {most}");
}

#[tokio::test]
async fn connections_outlive_a_reload_of_the_same_options() {
    let backend = Backend::start(Answers::new()).await;
    let first = write(&backend.url(), "");
    send(&first).await.unwrap();
    let second = build(&backend.url(), "bearer_token = \"t\"", Some(&first)).unwrap();
    send(&second).await.unwrap();
    assert_eq!((backend.asked().len(), backend.connections()), (2, 1));
    let third = build(&backend.url(), "enable_http2 = false", Some(&second)).unwrap();
    send(&third).await.unwrap();
    assert_eq!((backend.asked().len(), backend.connections()), (3, 2));
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    for (endpoint, says) in [
        ("bearer_token = \"a\"\nbasic_auth { }", "at most one of basic_auth, authorization, oauth2"),
        ("tls_config {\nca_pem = \"a\"\nca_file = \"b\"\n}", "at most one of ca_pem and ca_file"),
        ("tls_config {\ncert_pem = \"a\"\ncert_file = \"b\"\n}", "at most one of cert_pem and cert_file"),
        ("tls_config {\nkey_pem = \"a\"\nkey_file = \"b\"\n}", "at most one of key_pem and key_file"),
        ("tls_config { cert_file = \"a\" }", "exactly one of key_pem or key_file"),
        ("no_proxy = \"a\"", "proxy_url must also be configured"),
        ("proxy_from_environment = true\nproxy_url = \"http://a\"", "proxy_url must not be configured"),
        ("proxy_connect_header = { \"a\" = [\"b\"] }", "proxy_url or proxy_from_environment must also be configured"),
        ("http_headers = { \"Authorization\" = [\"x\"] }", "setting header \"Authorization\" is not allowed"),
    ] {
        let error = build("http://host", endpoint, None).err().unwrap();
        assert!(error.contains(says), "{endpoint}: {error}");
    }
}
