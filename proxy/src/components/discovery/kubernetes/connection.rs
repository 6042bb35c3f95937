//! How the API server is reached: as it says here, as a kubeconfig says, or as every pod is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_syntax::{Invalid, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use kube::client::ConfigExt as _;
use kube::client::middleware::{AuthLayer, ExtraHeadersLayer};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use secrecy::ExposeSecret;
use tower_layer::Layer as _;

use super::transport::{Ask, Heard, Transport, over_http};
use crate::upstream::UrlError;
use crate::upstream::http_client::{HttpClient, HttpClientArguments, TlsConfigArguments, parse_url, read_secret_file};

/// Where a kubelet puts what a pod needs.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Which API server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// This one.
    Server(Uri),
    /// That of the current context of a kubeconfig.
    Kubeconfig(PathBuf),
    /// That of the cluster in which this is a pod.
    InCluster(Surroundings),
}

/// What a pod is told of its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// Host and port of the API server.
    pub(super) server: Option<(String, String)>,
    /// Token, authority and namespace.
    pub(super) folder: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    pub(super) fn of_process() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let server = variable("KUBERNETES_SERVICE_HOST").zip(variable("KUBERNETES_SERVICE_PORT"));
        Self { server, folder: SERVICE_ACCOUNT.into() }
    }
}

/// Why the API server cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error(
        "this is not in a cluster, for KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: give api_server \
         or kubeconfig_file"
    )]
    NotInCluster,
    #[error("the namespace of this pod is not known: {}: {error}", path.display())]
    Namespace { path: PathBuf, error: std::io::Error },
    #[error("the namespace of this pod is not known: {} is empty", .0.display())]
    NoNamespace(PathBuf),
    #[error("kubeconfig_file {}: {error}", path.display())]
    Kubeconfig { path: PathBuf, error: KubeconfigError },
    #[error("kubeconfig_file {} is no kubeconfig: {why}", path.display())]
    Yaml { path: PathBuf, why: String },
    #[error("kubeconfig_file {}: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("kubeconfig_file {}: the credentials of the user cannot be used: {error}", path.display())]
    Credentials { path: PathBuf, error: kube::Error },
    #[error(
        "kubeconfig_file {}: the program of the user gives no token: certificates of such programs are not supported",
        .0.display()
    )]
    NoToken(PathBuf),
    #[error("kubeconfig_file {}: {what} is not base64", path.display())]
    Base64 { path: PathBuf, what: &'static str },
    #[error("the URL of the API server: {0}")]
    Url(#[from] UrlError),
    #[error("the connection cannot be made so: {}", .0.message)]
    Options(Invalid),
    #[error("reading the files broke off: {0}")]
    Aborted(#[from] tokio::task::JoinError),
}

/// A way to the API server.
pub(super) struct Connection {
    ask: Ask,
    server: Uri,
    /// Tokens of a kubeconfig's user.
    user: Option<(AuthLayer, ExtraHeadersLayer)>,
}

impl Connection {
    /// Reads what has to be read; what `options` say holds before that.
    pub(super) async fn open(way: &Way, options: &HttpClientArguments) -> Result<Self, ConnectionError> {
        match way {
            Way::Server(server) => Self::new(server.clone(), options, None),
            Way::InCluster(surroundings) => {
                let (host, port) = surroundings.server.as_ref().ok_or(ConnectionError::NotInCluster)?;
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                let server = parse_url(&format!("https://{host}:{port}"))?;
                let file = |name| surroundings.folder.join(name).to_string_lossy().into_owned();
                let mut options = options.clone();
                if !has_credentials(&options) {
                    options.bearer_token_file = file("token");
                }
                if options.tls_config == TlsConfigArguments::default() {
                    options.tls_config.ca_file = file("ca.crt");
                }
                Self::new(server, &options, None)
            }
            Way::Kubeconfig(path) => Self::of_kubeconfig(path, options.clone()).await,
        }
    }

    async fn of_kubeconfig(path: &Path, mut options: HttpClientArguments) -> Result<Self, ConnectionError> {
        let refused = |error| ConnectionError::Kubeconfig { path: path.to_owned(), error };
        let file = path.to_owned();
        let read = tokio::task::spawn_blocking(move || {
            // Is bounded, unlike the library's.
            read_secret_file(&file).map_err(|error| ConnectionError::Io { path: file.clone(), error })?;
            Kubeconfig::read_from(&file).map_err(|error| match error {
                // The library's own text shows lines of the file, and secrets with them.
                KubeconfigError::Parse(error) => {
                    ConnectionError::Yaml { path: file, why: error.without_snippet().to_string() }
                }
                error => ConnectionError::Kubeconfig { path: file, error },
            })
        });
        let config = Config::from_custom_kubeconfig(read.await??, &KubeConfigOptions::default()).await;
        let config = config.map_err(refused)?;
        let server = parse_url(&config.cluster_url.to_string())?;
        if options.proxy_url.is_empty() && !options.proxy_from_environment {
            options.proxy_url = config.proxy_url.as_ref().map(Uri::to_string).unwrap_or_default();
        }
        if options.tls_config == TlsConfigArguments::default() {
            options.tls_config = tls(path, &config)?;
        }
        if has_credentials(&options) {
            return Self::new(server, &options, None);
        }
        let file = path.to_owned();
        // May run a program.
        let layers = tokio::task::spawn_blocking(move || {
            let refused = |error| ConnectionError::Credentials { path: file.clone(), error };
            let tokens = config.auth_layer().map_err(refused)?;
            if tokens.is_none() && config.auth_info.exec.is_some() {
                return Err(ConnectionError::NoToken(file));
            }
            let headers = config.extra_headers_layer().map_err(refused)?;
            Ok(tokens.map(|tokens| (tokens, headers)))
        });
        Self::new(server, &options, layers.await??)
    }

    fn new(
        server: Uri,
        options: &HttpClientArguments,
        user: Option<(AuthLayer, ExtraHeadersLayer)>,
    ) -> Result<Self, ConnectionError> {
        options.validate().and_then(|()| options.tls_config.validate()).map_err(ConnectionError::Options)?;
        let client = HttpClient::new(options).map_err(ConnectionError::Options)?;
        Ok(Self { user, ..Self::over(over_http(client), server) })
    }

    /// A server that is asked so.
    pub(super) fn over(ask: Ask, server: Uri) -> Self {
        Self { ask, server, user: None }
    }

    /// A client for one part of the cluster. Runs on the runtime.
    pub(super) fn client(&self, heard: Arc<Heard>) -> Client {
        let transport = Transport::new(self.ask.clone(), self.server.clone(), heard);
        match &self.user {
            Some((tokens, headers)) => Client::new(headers.layer(tokens.layer(transport)), "default"),
            None => Client::new(transport, "default"),
        }
    }
}

/// The namespace of this pod.
pub(super) async fn own_namespace(surroundings: &Surroundings) -> Result<String, ConnectionError> {
    let path = surroundings.folder.join("namespace");
    let file = path.clone();
    let read = tokio::task::spawn_blocking(move || read_secret_file(&file)).await?;
    let read = read.and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other));
    match read {
        Ok(text) if text.trim().is_empty() => Err(ConnectionError::NoNamespace(path)),
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => Err(ConnectionError::Namespace { path, error }),
    }
}

fn has_credentials(options: &HttpClientArguments) -> bool {
    options.basic_auth.is_some()
        || options.authorization.is_some()
        || options.oauth2.is_some()
        || !options.bearer_token.is_empty()
        || !options.bearer_token_file.is_empty()
}

/// Whom a kubeconfig trusts, and the certificate of its user.
fn tls(path: &Path, config: &Config) -> Result<TlsConfigArguments, ConnectionError> {
    let decode = |what: &'static str, text: &str| {
        let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        decoded.ok_or_else(|| ConnectionError::Base64 { path: path.to_owned(), what })
    };
    let user = &config.auth_info;
    let certificate = user.client_certificate_data.as_deref().map(|text| decode("client-certificate-data", text));
    let key = user.client_key_data.as_ref().map(|text| decode("client-key-data", text.expose_secret()));
    let (cert_pem, key_pem) = (certificate.transpose()?, key.transpose()?);
    Ok(TlsConfigArguments {
        ca_pem: config.root_cert.iter().flatten().map(|authority| pem(authority)).collect(),
        // As the reference: what is written in the file itself counts.
        cert_file: user.client_certificate.clone().filter(|_| cert_pem.is_none()).unwrap_or_default(),
        key_file: user.client_key.clone().filter(|_| key_pem.is_none()).unwrap_or_default(),
        cert_pem: cert_pem.unwrap_or_default(),
        key_pem: Secret::new(key_pem.unwrap_or_default()),
        server_name: config.tls_server_name.clone().unwrap_or_default(),
        insecure_skip_verify: config.accept_invalid_certs,
        ..TlsConfigArguments::default()
    })
}

fn pem(certificate: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(certificate))
}
