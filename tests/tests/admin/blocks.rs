//! The blocks that say how the process behaves, put in place and taken away by reloads.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flamegate_tests::flamegate::{Flamegate, Signal};
use flamegate_tests::http_client::{get, send};
use flamegate_tests::polling::{DEADLINE, eventually};
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const AUTH: &str = "http {\n  auth {\n    basic {\n      username = \"ops\"\n      password = \"open sesame\"\n    }\n    \
                    filter {\n      paths = [\"/metrics\"]\n      authenticate_matching_paths = true\n    }\n  }\n}\n";

#[tokio::test]
async fn a_user_is_asked_for_where_the_block_says() {
    let flamegate = Flamegate::start(AUTH, &[]).await.unwrap();
    let url = |path: &str| format!("http://{}{path}", flamegate.admin());
    let login = format!("Basic {}", BASE64_STANDARD.encode("ops:open sesame"));
    let wrong = format!("Basic {}", BASE64_STANDARD.encode("ops:open"));
    for (headers, status) in
        [(vec![], 401), (vec![("authorization", &*wrong)], 401), (vec![("authorization", &*login)], 200)]
    {
        let reply = send(Method::GET, &url("/metrics"), &headers, "".into()).await.unwrap();
        assert_eq!(reply.status, status, "{headers:?}");
        assert_eq!(reply.headers.contains_key("www-authenticate"), status == 401);
    }
    assert_eq!(get(&url("/-/ready")).await.unwrap().status, 200, "no filter names it");
    flamegate.reload("").await.unwrap();
    assert_eq!(get(&url("/metrics")).await.unwrap().status, 200, "the block is gone");
    flamegate.reload(AUTH).await.unwrap();
    assert_eq!(get(&url("/metrics")).await.unwrap().status, 401);
}

#[tokio::test]
async fn the_admin_listener_changes_to_tls_and_back() {
    let flamegate = Flamegate::start("", &[]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let block = |cert: &std::path::Path| {
        format!("http {{\n  tls {{\n    cert_file = {cert:?}\n    key_file = {key:?}\n  }}\n}}\n")
    };

    let missing = flamegate.reload(&block(&folder.path().join("none.pem"))).await.unwrap_err().to_string();
    assert!(missing.contains("none.pem") && missing.contains("config.alloy:2:3"), "{missing}");

    flamegate.reload(&block(&cert)).await.unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    assert!(over_tls(flamegate.admin(), roots.clone()).await.unwrap().contains("Flamegate is ready."));
    assert!(over_tls(flamegate.admin(), RootCertStore::empty()).await.is_err(), "no one has signed it");

    flamegate.replace_configuration("").unwrap();
    flamegate.signal(Signal::SIGHUP).unwrap();
    flamegate.wait_for_log("config reloaded", DEADLINE).await.unwrap();
    let ready = format!("http://{}/-/ready", flamegate.admin());
    eventually("the listener speaks in plain text again", async || {
        get(&ready).await.ok().filter(|reply| reply.status == 200)
    })
    .await
    .unwrap();
}

async fn over_tls(address: SocketAddr, roots: RootCertStore) -> std::io::Result<String> {
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        stream.write_all(b"GET /-/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    timeout(DEADLINE, exchange).await.unwrap()
}

#[tokio::test]
async fn what_is_logged_and_how_changes_with_the_block() {
    let flamegate = Flamegate::start("", &[]).await.unwrap();
    flamegate.reload("logging {\n  format = \"json\"\n}\n").await.unwrap();
    let line = flamegate.wait_for_log("\"msg\":\"config reloaded\"", DEADLINE).await.unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["level"], &line["msg"]), (&"info".into(), &"config reloaded".into()));
    assert!(line["ts"].is_string(), "{line}");

    flamegate.reload("logging {\n  level = \"error\"\n}\n").await.unwrap();
    let before = flamegate.logs().len();
    flamegate.reload("logging {\n  level = \"error\"\n}\npyroscope.write \"x\" { }\n").await.unwrap();
    assert!(flamegate.reload("broken").await.is_err());
    flamegate.wait_for_log("level=error msg=\"failed to reload config\"", DEADLINE).await.unwrap();
    let said = flamegate.logs().split_off(before);
    assert_eq!(said.len(), 1, "only what is wrong: {said:?}");
}
