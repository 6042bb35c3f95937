//! Handshakes over a pipe in memory, with certificates made for the test.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use self::certificates::{Authority, Identity};
use super::{ServerTls, TlsArguments};
use crate::telemetry::metrics::Metrics;

pub(crate) mod certificates;
pub(crate) mod mutual;

fn decode(body: &str) -> Result<TlsArguments, String> {
    let file = parse_file("test", &format!("tls {{\n{body}\n}}")).map_err(|error| error.to_string())?;
    let block = file.body.blocks().next().unwrap();
    decode_block(block, &Scope::stdlib(&StdlibOptions::default())).map_err(|error| error.to_string())
}

fn inline(identity: &Identity, more: &str) -> String {
    format!("cert_pem = `{}`\nkey_pem = `{}`\n{more}", identity.certificate, identity.key)
}

fn server(body: &str) -> Result<ServerTls, String> {
    let metrics = Metrics::new().tls(&"test".into());
    ServerTls::new(&decode(body)?, &["h2", "http/1.1"], "test".into(), metrics).map_err(|error| error.to_string())
}

/// What a client brings to a handshake.
#[derive(Clone, Copy)]
struct Client<'a> {
    trusts: &'a Authority,
    identity: Option<&'a Identity>,
    versions: &'a [&'static SupportedProtocolVersion],
}

/// What a handshake came to.
#[derive(Debug, PartialEq)]
struct Agreed {
    version: ProtocolVersion,
    alpn: Vec<u8>,
    client_certificate: bool,
}

impl<'a> Client<'a> {
    fn trusting(trusts: &'a Authority) -> Self {
        Self { trusts, identity: None, versions: rustls::ALL_VERSIONS }
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.trusts.pem.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
                // What the server hints at is not looked at: a client with the wrong certificate sends it.
                let key = rustls::sign::CertifiedKey::from_der(vec![certificate], key, &ring::default_provider());
                let resolver = rustls::sign::SingleCertAndKey::from(key.unwrap());
                builder.with_client_cert_resolver(Arc::new(resolver))
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    /// The server's view of the handshake; the client's where it failed there alone.
    async fn handshake(&self, config: Arc<rustls::ServerConfig>) -> Result<Agreed, String> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let connector = TlsConnector::from(Arc::new(self.config()));
        let connecting = connector.connect(ServerName::try_from("localhost").unwrap(), near);
        let (connected, accepted) = tokio::join!(connecting, TlsAcceptor::from(config).accept(far));
        let accepted = accepted.map_err(|error| error.to_string())?;
        connected.map_err(|error| error.to_string())?;
        let (_, session) = accepted.get_ref();
        Ok(Agreed {
            version: session.protocol_version().unwrap(),
            alpn: session.alpn_protocol().unwrap_or_default().to_vec(),
            client_certificate: session.peer_certificates().is_some_and(|certificates| !certificates.is_empty()),
        })
    }
}

#[tokio::test]
async fn every_client_auth_type_takes_whom_it_says() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (identity, good, bad) = (ours.server(), ours.client(), theirs.client());
    // Without a certificate, with one of a stranger, with a good one.
    let table = [
        ("NoClientCert", false, [true, true, true]),
        ("RequestClientCert", false, [true, true, true]),
        ("RequestClientCert", true, [true, true, true]),
        ("RequireAnyClientCert", false, [false, true, true]),
        ("RequireAnyClientCert", true, [false, true, true]),
        ("VerifyClientCertIfGiven", true, [true, false, true]),
        ("RequireAndVerifyClientCert", true, [false, false, true]),
    ];
    for (auth, with_authority, expected) in table {
        let authority = if with_authority { format!("client_ca_pem = `{}`", ours.pem) } else { String::new() };
        let server = server(&inline(&identity, &format!("client_auth_type = \"{auth}\"\n{authority}"))).unwrap();
        for versions in [[&rustls::version::TLS12], [&rustls::version::TLS13]] {
            for (brought, expected) in [None, Some(&bad), Some(&good)].into_iter().zip(expected) {
                let client = Client { identity: brought, versions: &versions, ..Client::trusting(&ours) };
                let agreed = client.handshake(server.config()).await;
                let which = brought.map(|brought| std::ptr::eq(brought, &raw const good));
                let at = format!("{auth}, {with_authority}, {versions:?}, good {which:?}: {agreed:?}");
                assert_eq!(agreed.is_ok(), expected, "{at}");
                let asked = auth != "NoClientCert" && brought.is_some();
                assert!(agreed.is_err() || agreed.is_ok_and(|agreed| agreed.client_certificate == asked), "{at}");
            }
        }
    }
}

#[tokio::test]
async fn versions_suites_and_curves_are_those_that_are_named() {
    const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
    const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
    let authority = Authority::new("authority");
    let identity = authority.server();
    // What is written, and whether clients of TLS 1.2 and of TLS 1.3 get through.
    let table = [
        ("", true, true),
        ("min_version = \"TLS12\"", true, true),
        ("min_version = \"VersionTLS13\"", false, true),
        ("max_version = \"TLS12\"", true, false),
        ("curve_preferences = [\"CurveP384\", \"X25519\"]", true, true),
        ("cipher_suites = [\"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\"]", true, true),
        ("cipher_suites = \"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_AES_128_GCM_SHA256\"", true, true),
        // The certificate's key is no RSA key.
        ("cipher_suites = [\"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\"]", false, true),
        ("cipher_suites = [\"TLS_AES_128_GCM_SHA256\"]", false, true),
    ];
    for (written, tls12, tls13) in table {
        let server = server(&inline(&identity, written)).unwrap();
        for (versions, expected) in [(TLS12, tls12), (TLS13, tls13)] {
            let client = Client { versions, ..Client::trusting(&authority) };
            let agreed = client.handshake(server.config()).await;
            assert_eq!(agreed.is_ok(), expected, "{written}, {versions:?}: {agreed:?}");
            if let Ok(agreed) = agreed {
                assert_eq!(agreed.alpn, b"h2", "{written}");
                assert_eq!(agreed.version, versions[0].version, "{written}");
            }
        }
    }
}

#[test]
fn what_cannot_be_meant_is_refused_at_its_place() {
    let authority = Authority::new("authority");
    let identity = authority.server();
    let (given, ca) = (inline(&identity, ""), format!("client_ca_pem = `{}`", authority.pem));
    let table = [
        (String::new(), "test:1:1: must specify either cert_pem or cert_file"),
        ("cert_file = \"a\"".to_owned(), "test:1:1: must specify either key_pem or key_file"),
        (format!("{given}cert_file = \"a\""), "cannot specify both cert_pem and cert_file"),
        (format!("{given}key_file = \"a\""), "cannot specify both key_pem and key_file"),
        (format!("{given}{ca}\nclient_ca_file = \"a\""), "cannot specify both client_ca_pem and client_ca_file"),
        (format!("{given}{ca}\nclient_ca = \"a\""), "cannot specify both client_ca_pem and client_ca"),
        (format!("{given}{ca}"), "client_auth_type = \"NoClientCert\" does not ask for"),
        (format!("{given}client_auth_type = \"VerifyClientCertIfGiven\""), "give client_ca_pem or client_ca_file"),
        (format!("{given}client_auth_type = \"Maybe\""), "must be \"NoClientCert\""),
        (format!("{given}min_version = \"TLS11\""), "does not speak"),
        (format!("{given}max_version = \"TLS10\""), "does not speak"),
        (format!("{given}min_version = \"TLS13\"\nmax_version = \"TLS12\""), "must not be older than min_version"),
        (format!("{given}min_version = \"SSL3\""), "must be \"TLS12\" or \"TLS13\""),
        (format!("{given}curve_preferences = [\"CurveP521\"]"), "is a curve that Flamegate does not have"),
        (format!("{given}curve_preferences = [\"Curve25519\"]"), "must be \"X25519\""),
        (format!("{given}cipher_suites = [\"TLS_RSA_WITH_AES_128_CBC_SHA\"]"), "which Flamegate does not have"),
        (format!("{given}cipher_suites = [\"TLS_NULL\"]"), "no cipher suite"),
        (
            format!("{given}cipher_suites = [\"TLS_AES_128_GCM_SHA256\"]\nmax_version = \"TLS12\""),
            "names no suite of TLS 1.2",
        ),
        (format!("{given}windows_certificate_filter {{ }}"), "is not supported by this version of Flamegate"),
    ];
    for (body, says) in table {
        let refused = decode(&body).unwrap_err();
        assert!(refused.contains(says), "{body}: {refused}");
    }
}

#[test]
fn what_cannot_be_read_or_used_is_told_with_its_file() {
    let authority = Authority::new("authority");
    let (one, other) = (authority.server(), authority.server());
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (certificate, key, empty) = (write("cert", &one.certificate), write("key", &one.key), write("empty", "x\n"));
    let (other_key, missing) = (write("other", &other.key), folder.path().join("missing").display().to_string());
    let (large, broken) = (write("large", &"x".repeat(2 << 20)), write("broken", "-----BEGIN CERTIFICATE-----\n!\n"));
    let directory = folder.path().display().to_string();
    let verify = "client_auth_type = \"RequireAndVerifyClientCert\"\nclient_ca_file =";
    let table = [
        (format!("cert_file = \"{missing}\"\nkey_file = \"{key}\""), format!("cert_file {missing}: cannot be read")),
        (format!("cert_file = \"{directory}\"\nkey_file = \"{key}\""), "it is not a regular file".to_owned()),
        (format!("cert_file = \"{large}\"\nkey_file = \"{key}\""), "it is larger than 1 MiB".to_owned()),
        (format!("cert_file = \"{empty}\"\nkey_file = \"{key}\""), format!("cert_file {empty}: holds no certificate")),
        (format!("cert_file = \"{broken}\"\nkey_file = \"{key}\""), format!("cert_file {broken}: is not in PEM form")),
        (
            format!("cert_file = \"{certificate}\"\nkey_file = \"{empty}\""),
            format!("key_file {empty}: holds no private key"),
        ),
        (
            format!("cert_file = \"{certificate}\"\nkey_file = \"{other_key}\""),
            format!("key_file {other_key}: is not the key of the first certificate in cert_file {certificate}"),
        ),
        (
            format!("cert_file = \"{certificate}\"\nkey_file = \"{key}\"\n{verify} \"{missing}\""),
            format!("client_ca_file {missing}: cannot be read"),
        ),
        ("cert_pem = \"x\"\nkey_pem = \"y\"".to_owned(), "cert_pem: holds no certificate".to_owned()),
    ];
    for (body, says) in table {
        let refused = server(&body).err().unwrap();
        assert!(refused.contains(&says), "{body}: {refused}");
    }
}

#[tokio::test]
async fn certificates_are_read_again_when_their_files_change() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let place = |identity: &Identity| {
        fs::write(&certificate, &identity.certificate).unwrap();
        fs::write(&key, &identity.key).unwrap();
    };
    place(&first.server());
    let metrics = Metrics::new().tls(&"test".into());
    let body = format!("cert_file = \"{}\"\nkey_file = \"{}\"", certificate.display(), key.display());
    let server = ServerTls::new(&decode(&body).unwrap(), &["h2"], "test".into(), metrics.clone()).unwrap();
    let later = |seconds| server.config_at(Instant::now() + Duration::from_secs(seconds));
    let (old, new) = (Client::trusting(&first), Client::trusting(&second));
    assert!(old.handshake(server.config()).await.is_ok());

    // Another certificate without its key, then a file that is gone: what there is stays, and each is counted once.
    fs::write(&certificate, &second.server().certificate).unwrap();
    assert!(old.handshake(later(2)).await.is_ok());
    assert!(old.handshake(later(4)).await.is_ok());
    assert_eq!((metrics.reloads.count(), metrics.reload_failures.count()), (0, 1));
    fs::remove_file(&key).unwrap();
    assert!(old.handshake(later(6)).await.is_ok());
    assert_eq!((metrics.reloads.count(), metrics.reload_failures.count()), (0, 2));

    place(&second.server());
    // Within a second of the last look nothing is looked at.
    assert!(old.handshake(server.config()).await.is_ok());
    assert!(new.handshake(later(8)).await.is_ok());
    assert!(old.handshake(later(10)).await.is_err());
    assert_eq!((metrics.reloads.count(), metrics.reload_failures.count()), (1, 2));
}

#[tokio::test]
async fn authorities_are_read_again_too() {
    let (ours, first, second) = (Authority::new("ours"), Authority::new("first"), Authority::new("second"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clients.pem");
    fs::write(&file, &first.pem).unwrap();
    let verify = format!("client_auth_type = \"RequireAndVerifyClientCert\"\nclient_ca_file = \"{}\"", file.display());
    let server = server(&inline(&ours.server(), &verify)).unwrap();
    let (old, new) = (first.client(), second.client());
    let bringing = |identity| Client { identity: Some(identity), ..Client::trusting(&ours) };
    assert!(bringing(&old).handshake(server.config()).await.is_ok());
    assert!(bringing(&new).handshake(server.config()).await.is_err());
    fs::write(&file, &second.pem).unwrap();
    let config = server.config_at(Instant::now() + Duration::from_secs(2));
    assert!(bringing(&old).handshake(config.clone()).await.is_err());
    assert!(bringing(&new).handshake(config).await.is_ok());
}
