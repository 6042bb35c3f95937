//! The block as written.

use std::collections::{BTreeMap, BTreeSet};

use alloy_syntax::{Arguments, Invalid, Secret, TextValue};
use kube::runtime::watcher;

use super::cluster::{Kind, Part};
use super::connection::{Surroundings, Way};
use super::selector::{check_field_selector, check_label_selector};
use super::targets::Attached;
use crate::upstream::http_client::{
    AuthorizationArguments, BasicAuthArguments, HttpClientArguments, OAuth2Arguments, TlsConfigArguments, parse_url,
};

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = DiscoveryKubernetesArguments::validate)]
pub struct DiscoveryKubernetesArguments {
    /// The URL of the API server; without it and `kubeconfig_file` that of the cluster in which this runs.
    #[alloy(attr, optional)]
    api_server: String,
    /// What becomes targets.
    #[alloy(attr)]
    role: Role,
    /// A kubeconfig whose current context says how the API server is reached.
    #[alloy(attr, optional)]
    kubeconfig_file: String,
    /// Where to look; without it in all namespaces.
    #[alloy(block, optional)]
    namespaces: NamespacesArguments,
    /// Which objects to ask for.
    #[alloy(block, optional)]
    selectors: Vec<SelectorArguments>,
    /// What to say of nodes and namespaces of targets.
    #[alloy(block, optional)]
    attach_metadata: AttachArguments,
    /// A user for the Authorization header.
    #[alloy(block, optional)]
    basic_auth: Option<BasicAuthArguments>,
    /// The Authorization header as such.
    #[alloy(block, optional)]
    authorization: Option<AuthorizationArguments>,
    /// Tokens of a server for the Authorization header.
    #[alloy(block, optional)]
    oauth2: Option<OAuth2Arguments>,
    /// A token for the Authorization header.
    #[alloy(attr, optional)]
    bearer_token: Secret,
    /// A file with such a token.
    #[alloy(attr, optional)]
    bearer_token_file: String,
    /// How to speak TLS.
    #[alloy(block, optional)]
    tls_config: TlsConfigArguments,
    /// Whether redirects are followed.
    #[alloy(attr, default = true)]
    follow_redirects: bool,
    /// Whether HTTP/2 is spoken with a server that offers it.
    #[alloy(attr, default = true)]
    enable_http2: bool,
    /// Sent with every request.
    #[alloy(attr, optional)]
    http_headers: BTreeMap<String, Vec<Secret>>,
    /// A proxy for all requests.
    #[alloy(attr, optional)]
    proxy_url: String,
    /// Who is reached without the proxy: names, addresses and networks, with commas between them.
    #[alloy(attr, optional)]
    no_proxy: String,
    /// Whether the environment says which proxy to use.
    #[alloy(attr, optional)]
    proxy_from_environment: bool,
    /// Sent to the proxy where it is asked for a tunnel.
    #[alloy(attr, optional)]
    proxy_connect_header: BTreeMap<String, Vec<Secret>>,
}

/// The `namespaces` block.
#[derive(Debug, Clone, Default, PartialEq, Arguments)]
struct NamespacesArguments {
    /// Whether the namespace in which this runs is one of them.
    #[alloy(attr, optional)]
    own_namespace: bool,
    /// Their names.
    #[alloy(attr, optional)]
    names: Vec<String>,
}

/// A `selectors` block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = SelectorArguments::validate)]
struct SelectorArguments {
    /// The objects that it selects.
    #[alloy(attr)]
    role: Role,
    /// By labels.
    #[alloy(attr, optional)]
    label: String,
    /// By fields.
    #[alloy(attr, optional)]
    field: String,
}

/// The `attach_metadata` block.
#[derive(Debug, Clone, Default, PartialEq, Arguments)]
struct AttachArguments {
    /// Labels and annotations of the node: of targets that are pods or endpoints.
    #[alloy(attr, optional)]
    node: bool,
    /// Labels and annotations of the namespace: of all targets but nodes.
    #[alloy(attr, optional)]
    namespace: bool,
}

/// Objects that become targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Role(Kind);

const ROLES: [(&str, Kind); 6] = [
    ("pod", Kind::Pod),
    ("service", Kind::Service),
    ("endpoints", Kind::Endpoints),
    ("endpointslice", Kind::EndpointSlice),
    ("node", Kind::Node),
    ("ingress", Kind::Ingress),
];

impl TextValue for Role {
    fn parse_text(text: &str) -> Result<Self, String> {
        let found = ROLES.iter().find(|(name, _)| *name == text);
        let message = "is no role: write one of pod, service, endpoints, endpointslice, node or ingress";
        found.map(|(_, kind)| Self(*kind)).ok_or_else(|| message.to_owned())
    }

    fn to_text(&self) -> String {
        self.name().to_owned()
    }
}

impl Role {
    fn name(self) -> &'static str {
        ROLES.iter().find(|(_, kind)| *kind == self.0).map_or("", |(name, _)| name)
    }
}

impl DiscoveryKubernetesArguments {
    pub(super) fn role(&self) -> Kind {
        self.role.0
    }

    /// What is attached, where targets of the role have it.
    pub(super) fn attached(&self) -> Attached {
        let AttachArguments { node, namespace } = self.attach_metadata;
        Attached {
            node: node && matches!(self.role(), Kind::Pod | Kind::Endpoints | Kind::EndpointSlice),
            namespace: namespace && self.role() != Kind::Node,
        }
    }

    /// Whether the namespace of this pod is to be looked at.
    pub(super) fn own_namespace(&self) -> bool {
        self.namespaces.own_namespace
    }

    /// What is asked for, given the namespace of this pod where that is asked for.
    pub(super) fn parts(&self, own_namespace: Option<String>) -> Vec<Part> {
        let mut names: BTreeSet<String> = self.namespaces.names.iter().cloned().collect();
        names.extend(own_namespace);
        let everywhere = |kind| Part { kind, namespace: None };
        let mut parts = Vec::new();
        let attached = self.attached();
        if attached.node {
            parts.push(everywhere(Kind::Node));
        }
        if attached.namespace {
            parts.push(everywhere(Kind::Namespace));
        }
        let kinds: &[Kind] = match self.role() {
            Kind::Endpoints => &[Kind::Pod, Kind::Service, Kind::Endpoints],
            Kind::EndpointSlice => &[Kind::Pod, Kind::Service, Kind::EndpointSlice],
            _ => &[self.role()],
        };
        for kind in kinds {
            if names.is_empty() || *kind == Kind::Node {
                parts.push(everywhere(*kind));
            } else {
                parts.extend(names.iter().map(|name| Part { kind: *kind, namespace: Some(name.clone()) }));
            }
        }
        parts
    }

    /// How objects of a kind are asked for.
    pub(super) fn watch(&self, kind: Kind) -> watcher::Config {
        let selector = self.selectors.iter().find(|selector| selector.role.0 == kind);
        let given =
            |text: fn(&SelectorArguments) -> &String| selector.map(text).filter(|text| !text.is_empty()).cloned();
        watcher::Config {
            label_selector: given(|selector| &selector.label),
            field_selector: given(|selector| &selector.field),
            ..watcher::Config::default()
        }
    }

    pub(super) fn way(&self) -> Result<Way, Invalid> {
        if !self.kubeconfig_file.is_empty() {
            return Ok(Way::Kubeconfig(self.kubeconfig_file.as_str().into()));
        }
        if self.api_server.is_empty() {
            return Ok(Way::InCluster(Surroundings::of_process()));
        }
        let server =
            parse_url(&self.api_server).map_err(|error| Invalid::attribute("api_server", error.to_string()))?;
        Ok(Way::Server(server))
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.http().validate()?;
        self.way()?;
        if !self.api_server.is_empty() && !self.kubeconfig_file.is_empty() {
            return Err(Invalid::block(
                "cannot use 'kubeconfig_file' and 'api_server' simultaneously: give one of them",
            ));
        }
        for (given, name) in [(&self.api_server, "api_server"), (&self.kubeconfig_file, "kubeconfig_file")] {
            if !given.is_empty() && self.namespaces.own_namespace {
                let message = format!(
                    "cannot use '{name}' and 'namespaces.own_namespace' simultaneously: the cluster is then not the one \
                     in which this runs; name the namespace in 'names'"
                );
                return Err(Invalid::block(message));
            }
        }
        for name in &self.namespaces.names {
            check_namespace(name)?;
        }
        let mut selected = BTreeSet::new();
        for SelectorArguments { role, .. } in &self.selectors {
            if !selected.insert(*role) {
                return Err(Invalid::block(format!("duplicated selector role: {}: put both into one", role.name())));
            }
            let asked_for = self.selectable();
            if !asked_for.contains(&role.name()) {
                let message = format!("{} role supports only {} selectors", self.role.name(), asked_for.join(", "));
                return Err(Invalid::block(message));
            }
        }
        Ok(())
    }

    /// The roles whose objects are asked for.
    fn selectable(&self) -> Vec<&'static str> {
        let mut roles = match self.role() {
            Kind::Endpoints | Kind::EndpointSlice => vec!["pod", "service", self.role.name()],
            _ => vec![self.role.name()],
        };
        if matches!(self.role(), Kind::Pod) || self.attached().node {
            roles.push("node");
        }
        roles
    }

    /// The options that all clients have.
    pub(super) fn http(&self) -> HttpClientArguments {
        HttpClientArguments {
            basic_auth: self.basic_auth.clone(),
            authorization: self.authorization.clone(),
            oauth2: self.oauth2.clone(),
            bearer_token: self.bearer_token.clone(),
            bearer_token_file: self.bearer_token_file.clone(),
            tls_config: self.tls_config.clone(),
            follow_redirects: self.follow_redirects,
            enable_http2: self.enable_http2,
            http_headers: self.http_headers.clone(),
            proxy_url: self.proxy_url.clone(),
            no_proxy: self.no_proxy.clone(),
            proxy_from_environment: self.proxy_from_environment,
            proxy_connect_header: self.proxy_connect_header.clone(),
        }
    }
}

impl SelectorArguments {
    fn validate(&self) -> Result<(), Invalid> {
        let bad = |attribute| move |error: String| Invalid::attribute(attribute, error);
        check_label_selector(&self.label).map_err(bad("label"))?;
        check_field_selector(&self.field).map_err(bad("field"))
    }
}

/// A name becomes part of a path.
fn check_namespace(name: &str) -> Result<(), Invalid> {
    let is_name = (1..=63).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !name.starts_with('-')
        && !name.ends_with('-');
    let message = "is no name of a namespace: lower-case letters, digits and dashes, 63 at most";
    if is_name { Ok(()) } else { Err(Invalid::block(format!("namespaces: {name:?} {message}"))) }
}
