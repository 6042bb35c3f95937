//! The two questions to a Docker Engine.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::targets::TargetsError;
use crate::upstream::http_client::{HttpClient, HttpError};

/// Most bytes of an answer.
const MAX_ANSWER: usize = 16 << 20;
/// Most characters of a daemon's message that are shown.
const MESSAGE: usize = 200;

/// A container, as the list of them has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) names: Option<Vec<String>>,
    pub(super) ports: Option<Vec<Port>>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    /// Podman before version 5 tells none.
    #[serde(default)]
    pub(super) host_config: HostConfig,
    #[serde(default)]
    pub(super) network_settings: NetworkSettings,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Port {
    #[serde(default, rename = "IP")]
    pub(super) ip: String,
    pub(super) private_port: u16,
    #[serde(default)]
    pub(super) public_port: u16,
    #[serde(rename = "Type")]
    pub(super) protocol: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HostConfig {
    #[serde(default)]
    pub(super) network_mode: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NetworkSettings {
    /// By the names of the networks.
    pub(super) networks: Option<BTreeMap<String, Option<Endpoint>>>,
}

/// A container's place in a network.
#[derive(Debug, Deserialize)]
pub(super) struct Endpoint {
    /// Podman has the network's name here.
    #[serde(default, rename = "NetworkID")]
    pub(super) network: String,
    #[serde(default, rename = "IPAddress")]
    pub(super) ip: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Network {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) scope: String,
    #[serde(default)]
    pub(super) internal: bool,
    #[serde(default)]
    pub(super) ingress: bool,
    pub(super) labels: Option<BTreeMap<String, String>>,
}

/// Why the containers are not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    #[error("cannot list the {0}: {1}")]
    Http(&'static str, HttpError),
    #[error("cannot list the {0}: the daemon answered {1}: {2}")]
    Status(&'static str, StatusCode, String),
    #[error("cannot list the {0}: the answer is no such list: {1}")]
    Json(&'static str, serde_json::Error),
    #[error(transparent)]
    Targets(#[from] TargetsError),
}

/// A daemon that can be asked.
pub(super) struct Engine {
    client: HttpClient,
    containers: Uri,
    networks: Uri,
}

impl Engine {
    /// `base` has no slash at its end; filters are names with values.
    ///
    /// # Errors
    /// A base that no path fits behind.
    pub(super) fn new<'a>(
        client: HttpClient,
        base: &str,
        filters: impl Iterator<Item = (&'a str, &'a [String])>,
    ) -> Result<Self, http::uri::InvalidUri> {
        let mut conditions: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
        for (name, values) in filters {
            conditions.entry(name).or_default().extend(values.iter().map(|value| (value.as_str(), true)));
        }
        conditions.retain(|_, values| !values.is_empty());
        let mut containers = format!("{base}/containers/json");
        if !conditions.is_empty() {
            let json = serde_json::json!(conditions).to_string();
            containers.push_str("?filters=");
            containers.extend(form_urlencoded::byte_serialize(json.as_bytes()));
        }
        Ok(Self { client, containers: containers.parse()?, networks: format!("{base}/networks").parse()? })
    }

    /// The containers that run, and all networks.
    pub(super) async fn ask(&self) -> Result<(Vec<Container>, Vec<Network>), EngineError> {
        Ok((self.list("containers", &self.containers).await?, self.list("networks", &self.networks).await?))
    }

    async fn list<T: DeserializeOwned>(&self, what: &'static str, uri: &Uri) -> Result<Vec<T>, EngineError> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri.clone();
        let answer = self.client.send(request, MAX_ANSWER).await.map_err(|error| EngineError::Http(what, error))?;
        if answer.status() != StatusCode::OK {
            return Err(EngineError::Status(what, answer.status(), message(answer.body())));
        }
        let list: Option<Vec<T>> =
            serde_json::from_slice(answer.body()).map_err(|error| EngineError::Json(what, error))?;
        Ok(list.unwrap_or_default())
    }
}

/// What a daemon says is wrong.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    let text = match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { message }) => message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    text.trim().chars().take(MESSAGE).collect()
}
