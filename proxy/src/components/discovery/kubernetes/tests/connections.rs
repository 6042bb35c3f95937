//! Ways to the API server.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::super::connection::Surroundings;
use super::api_server::ApiServer;
use super::following::finds;
use super::*;
use crate::tls::tests::certificates::{Authority, Identity};

/// Trusts clients of the authority alone, where one is needed.
fn acceptor(server: &Identity, clients: Option<&Authority>) -> TlsAcceptor {
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(certificate(&authority.pem)).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap();
    Arc::new(builder.with_single_cert(vec![certificate(&server.certificate)], key).unwrap()).into()
}

async fn secure(authority: &Authority, clients: Option<&Authority>) -> ApiServer {
    let server = ApiServer::start(Some(acceptor(&authority.server(), clients))).await;
    server.put("pods", pod("a", "10.0.0.1"));
    server
}

#[tokio::test]
async fn a_kubeconfig_with_the_certificate_of_a_client() {
    let authority = Authority::new("cluster");
    let server = secure(&authority, Some(&authority)).await;
    let client = authority.client();
    let data = |text: &str| STANDARD.encode(text);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("authority.pem"), &authority.pem).unwrap();
    let kubeconfig = folder.path().join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\nclusters:\n- name: c\n  cluster:\n    \
         server: https://{}\n    tls-server-name: localhost\n    certificate-authority: authority.pem\n\
         users:\n- name: u\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n\
         contexts:\n- name: here\n  context:\n    cluster: c\n    user: u\n",
        server.address,
        data(&client.certificate),
        data(&client.key),
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let arguments = decode(&format!("role = \"pod\"\nkubeconfig_file = {:?}", kubeconfig.to_str().unwrap())).unwrap();
    let mut search = Kubernetes::new(&arguments, arguments.way().unwrap(), Vec::new()).following();
    finds(&mut search, &["10.0.0.1:80"]).await;
}

#[tokio::test]
async fn a_kubeconfig_whose_program_gives_tokens() {
    let server = ApiServer::start(None).await;
    server.put("pods", pod("a", "10.0.0.1"));
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("config");
    let credential =
        json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "t0k"}});
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\nclusters:\n- name: c\n  cluster:\n    server: {}\n\
         users:\n- name: u\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      \
         command: echo\n      args: ['{credential}']\n      interactiveMode: Never\n\
         contexts:\n- name: here\n  context:\n    cluster: c\n    user: u\n",
        server.url(),
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let arguments = decode(&format!("role = \"pod\"\nkubeconfig_file = {:?}", kubeconfig.to_str().unwrap())).unwrap();
    let mut search = Kubernetes::new(&arguments, arguments.way().unwrap(), Vec::new()).following();
    finds(&mut search, &["10.0.0.1:80"]).await;
    assert_eq!(server.headers()["authorization"], "Bearer t0k");
}

#[tokio::test(start_paused = true)]
async fn a_kubeconfig_that_comes_later() {
    let server = ApiServer::start(None).await;
    server.put("pods", pod("a", "10.0.0.1"));
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("config");
    let arguments = decode(&format!("role = \"pod\"\nkubeconfig_file = {:?}", kubeconfig.to_str().unwrap())).unwrap();
    let mut search = Kubernetes::new(&arguments, arguments.way().unwrap(), Vec::new()).following();
    for (text, says) in [
        (None, "No such file"),
        (Some("users:\n- name: u\n  user:\n    token: s3cret\n  user: [\n".to_owned()), "is no kubeconfig"),
        (Some("clusters: [".to_owned()), "is no kubeconfig"),
        (Some("current-context: nowhere\n".to_owned()), "context"),
    ] {
        if let Some(text) = text {
            std::fs::write(&kubeconfig, text).unwrap();
        }
        let found = soon(search.next()).await;
        let told = matches!(&found.problems[..], [only] if only.contains(says) && only.contains("kubeconfig_file"));
        assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");
        assert!(told, "{says}: {found:?}");
    }
    let text = format!(
        "current-context: here\nclusters:\n- name: c\n  cluster:\n    server: {}\nusers:\n- name: u\n  user:\n    \
         username: jo\n    password: pw\ncontexts:\n- name: here\n  context:\n    cluster: c\n    user: u\n",
        server.url()
    );
    std::fs::write(&kubeconfig, text).unwrap();
    {
        let mut next = std::pin::pin!(search.next());
        assert!(futures_util::poll!(next.as_mut()).is_pending(), "it rests");
        tokio::time::advance(BACKOFF.max).await;
        // The simulated clock would not wait for a socket.
        tokio::time::resume();
        assert_eq!(addresses(&soon(next).await.targets), ["10.0.0.1:80"]);
    }
    assert_eq!(server.headers()["authorization"], format!("Basic {}", STANDARD.encode("jo:pw")));
}

/// The server's certificate is for a name, and a pod is told an address.
#[tokio::test]
async fn a_pod_uses_what_it_is_told() {
    let authority = Authority::new("cluster");
    let server = secure(&authority, None).await;
    let folder = tempfile::tempdir().unwrap();
    let tell = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let surroundings = Surroundings {
        server: Some(("localhost".to_owned(), server.address.port().to_string())),
        folder: folder.path().to_owned(),
    };
    let arguments = decode("role = \"pod\"\nnamespaces {\n own_namespace = true\n}").unwrap();
    let mut search = Kubernetes::new(&arguments, Way::InCluster(surroundings), Vec::new()).following();
    let found = soon(search.next()).await;
    assert!(matches!(&found.problems[..], [only] if only.contains("the namespace of this pod")), "{found:?}");
    tell("namespace", "shop\n");
    tell("ca.crt", &authority.pem);
    tell("token", "t1\n");
    finds(&mut search, &["10.0.0.1:80"]).await;
    assert_eq!(server.headers()["authorization"], "Bearer t1");
    assert!(server.asked()[0].starts_with("/api/v1/namespaces/shop/pods?"));
}

#[tokio::test(start_paused = true)]
async fn outside_of_a_cluster_it_says_what_to_do() {
    let surroundings = Surroundings { server: None, folder: "nowhere".into() };
    let arguments = decode("role = \"pod\"").unwrap();
    let mut search = Kubernetes::new(&arguments, Way::InCluster(surroundings), Vec::new()).following();
    for _ in 0..3 {
        let found = soon(search.next()).await;
        assert!(
            matches!(&found.problems[..], [only] if only.ends_with("give api_server or kubeconfig_file")),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn options_of_the_client_hold() {
    let server = ApiServer::start(None).await;
    let text = format!(
        "role = \"pod\"\napi_server = \"{}/below/\"\nhttp_headers = {{ \"X-Tenant\" = [\"a\"] }}\nbasic_auth {{\n username = \
         \"jo\"\n password = \"pw\"\n}}",
        server.url()
    );
    let arguments = decode(&text).unwrap();
    let found = soon(Kubernetes::new(&arguments, arguments.way().unwrap(), Vec::new()).following().next()).await;
    assert_eq!(found.problems, ["pods: they cannot be listed: 404 page not found (404)"]);
    assert!(server.asked()[0].starts_with("/below/api/v1/pods?"), "{:?}", server.asked());
    let headers = server.headers();
    assert_eq!((&*headers["x-tenant"], &*headers["authorization"]), ("a", "Basic am86cHc="));
    assert!(headers["user-agent"].starts_with("Flamegate/"));
}
