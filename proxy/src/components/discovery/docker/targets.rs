//! What targets containers are: as with Prometheus, one for each TCP port in each network.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use profiler_core::labels::{LabelError, Labels};

use super::super::ADDRESS;
use super::super::groups::MAX_LABELS;
use super::engine::{Container, Endpoint, Network};

const CONTAINER_ID: &str = "__meta_docker_container_id";
const CONTAINER_NAME: &str = "__meta_docker_container_name";
const NETWORK_MODE: &str = "__meta_docker_container_network_mode";
const CONTAINER_LABEL: &str = "__meta_docker_container_label_";
const NETWORK_IP: &str = "__meta_docker_network_ip";
const NETWORK_ID: &str = "__meta_docker_network_id";
const NETWORK_NAME: &str = "__meta_docker_network_name";
const NETWORK_SCOPE: &str = "__meta_docker_network_scope";
const NETWORK_INTERNAL: &str = "__meta_docker_network_internal";
const NETWORK_INGRESS: &str = "__meta_docker_network_ingress";
const NETWORK_LABEL: &str = "__meta_docker_network_label_";
const PORT_PRIVATE: &str = "__meta_docker_port_private";
const PORT_PUBLIC: &str = "__meta_docker_port_public";
const PORT_PUBLIC_IP: &str = "__meta_docker_port_public_ip";
/// The network mode of those in the host's network.
const HOST: &str = "host";
/// Before the id of the container whose network another one shares.
const OF_CONTAINER: &str = "container:";

/// How targets are addressed.
pub(super) struct Settings {
    pub(super) port: u16,
    pub(super) host_networking_host: String,
    pub(super) match_first_network: bool,
}

/// Why containers are no targets.
#[derive(Debug, thiserror::Error)]
pub(super) enum TargetsError {
    #[error("container {0}: {1}")]
    Labels(String, LabelError),
    #[error("the labels of all containers' targets take more than {MAX_LABELS} bytes: select fewer of them by filters")]
    TooMany,
}

type Pairs = BTreeMap<String, String>;

/// The targets of these containers, in an order that does not depend on that of the answer.
pub(super) fn targets(
    containers: &[Container],
    networks: &[Network],
    settings: &Settings,
) -> Result<Vec<Labels>, TargetsError> {
    let by_id: HashMap<&str, &Container> =
        containers.iter().map(|container| (container.id.as_str(), container)).collect();
    // The ids last: they count where one network's name is another's id.
    let names = networks.iter().map(|network| (network.name.as_str(), network));
    let networks: HashMap<&str, Pairs> = names
        .chain(networks.iter().map(|network| (network.id.as_str(), network)))
        .map(|(key, network)| (key, of_network(network)))
        .collect();
    let (mut targets, mut size) = (Vec::new(), 0);
    for container in containers {
        let Some(name) = container.names.iter().flatten().next() else { continue };
        let common = of_container(container, name);
        let endpoints = endpoints(container, &by_id).filter_map(Option::as_ref);
        for endpoint in endpoints.take(if settings.match_first_network { 1 } else { usize::MAX }) {
            let mut shared = common.clone();
            shared.extend(networks.get(endpoint.network.as_str()).cloned().unwrap_or_default());
            for own in addresses(container, endpoint, settings) {
                let pairs = shared.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let own = own.iter().map(|(name, value)| (*name, value.as_str()));
                let pairs: BTreeMap<&str, &str> = pairs.chain(own).collect();
                let labels =
                    Labels::from_pairs(pairs).map_err(|error| TargetsError::Labels(container.id.clone(), error))?;
                size += labels.byte_len();
                if size > MAX_LABELS {
                    return Err(TargetsError::TooMany);
                }
                targets.push(labels);
            }
        }
    }
    targets.sort_by(|one, other| one.iter().cmp(other.iter()));
    Ok(targets)
}

/// The places of a container in networks, by their names: its own, or those of the one whose network it shares.
fn endpoints<'a>(
    container: &'a Container,
    by_id: &HashMap<&str, &'a Container>,
) -> impl Iterator<Item = &'a Option<Endpoint>> {
    let mut at = container;
    // They may share in a circle.
    for _ in 0..by_id.len() {
        let has_some = at.network_settings.networks.as_ref().is_some_and(|networks| !networks.is_empty());
        let other = at.host_config.network_mode.strip_prefix(OF_CONTAINER).and_then(|id| by_id.get(id));
        match other {
            Some(other) if !has_some => at = other,
            _ => break,
        }
    }
    at.network_settings.networks.iter().flat_map(BTreeMap::values)
}

/// The labels that each of the targets has of its own.
fn addresses(container: &Container, endpoint: &Endpoint, settings: &Settings) -> Vec<Vec<(&'static str, String)>> {
    let ip = valid(&endpoint.ip);
    let address = |port: u16| match ip {
        Some(ip) => SocketAddr::new(ip, port).to_string(),
        None => format!(":{port}"),
    };
    let shown = |ip: Option<IpAddr>| ip.map(|ip| ip.to_string()).unwrap_or_default();
    let tcp = container.ports.iter().flatten().filter(|port| port.protocol == "tcp");
    let mut all: Vec<_> = tcp
        .map(|port| {
            let mut labels = vec![
                (ADDRESS, address(port.private_port)),
                (NETWORK_IP, shown(ip)),
                (PORT_PRIVATE, port.private_port.to_string()),
            ];
            if port.public_port > 0 {
                labels.push((PORT_PUBLIC, port.public_port.to_string()));
                labels.push((PORT_PUBLIC_IP, shown(valid(&port.ip))));
            }
            labels
        })
        .collect();
    if all.is_empty() {
        let in_host = container.host_config.network_mode == HOST;
        let address = if in_host { settings.host_networking_host.clone() } else { address(settings.port) };
        all.push(vec![(ADDRESS, address), (NETWORK_IP, shown(ip))]);
    }
    all
}

fn of_container(container: &Container, name: &str) -> Pairs {
    let mut pairs = sanitized(CONTAINER_LABEL, container.labels.as_ref());
    pairs.extend(
        [
            (CONTAINER_ID, container.id.as_str()),
            (CONTAINER_NAME, name),
            (NETWORK_MODE, &container.host_config.network_mode),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    pairs
}

fn of_network(network: &Network) -> Pairs {
    let mut pairs = sanitized(NETWORK_LABEL, network.labels.as_ref());
    let word = |is: bool| if is { "true" } else { "false" };
    pairs.extend(
        [
            (NETWORK_ID, network.id.as_str()),
            (NETWORK_NAME, &network.name),
            (NETWORK_SCOPE, &network.scope),
            (NETWORK_INTERNAL, word(network.internal)),
            (NETWORK_INGRESS, word(network.ingress)),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    pairs
}

/// Docker's labels under names that labels may have; of several that become one the last counts.
fn sanitized(prefix: &str, labels: Option<&BTreeMap<String, String>>) -> Pairs {
    let name = |name: &str| {
        let allowed = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
        prefix.chars().chain(allowed).collect::<String>()
    };
    labels.into_iter().flatten().map(|(label, value)| (name(label), value.clone())).collect()
}

fn valid(ip: &str) -> Option<IpAddr> {
    ip.parse().ok()
}
