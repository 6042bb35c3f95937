//! `--cluster.*`: the reference's flags of clusters.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alloy_syntax::GoDuration;
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};
use rustls::pki_types::ServerName;

use crate::cluster::{ClusterName, ClusterSettings, ClusterTls, JoinAddress, NodeName, advertised};
use crate::tls::{MutualTls, MutualTlsFiles};

/// See the module.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct ClusterFlags {
    /// Makes this process a node of a cluster, whose nodes divide targets among themselves
    #[arg(id = "cluster_enabled", long = "cluster.enabled", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    enabled: bool,
    /// Name of this node, unique in the cluster; the host's where it is not given
    #[arg(id = "cluster_node_name", long = "cluster.node-name", value_name = "NAME", default_value = "")]
    node_name: String,
    /// Address that other nodes are told: IP, IP:PORT or a name, of this host. The port is that of
    /// --server.http.listen-addr, and the next one with --cluster.enable-tls
    #[arg(
        id = "cluster_advertise_address",
        long = "cluster.advertise-address",
        value_name = "ADDRESS",
        default_value = ""
    )]
    advertise_address: String,
    /// Interfaces of whose addresses the first is told, where none is given; `all` for all
    #[arg(
        id = "cluster_advertise_interfaces",
        long = "cluster.advertise-interfaces",
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "eth0,en0"
    )]
    advertise_interfaces: Vec<String>,
    /// Where other nodes are: addresses or names, with or without ports, dns+NAME or dnssrv+NAME
    #[arg(
        id = "cluster_join_addresses",
        long = "cluster.join-addresses",
        value_name = "ADDRESSES",
        value_delimiter = ','
    )]
    join_addresses: Vec<String>,
    /// Not supported: --cluster.join-addresses takes names that lead to all nodes
    #[arg(id = "cluster_discover_peers", long = "cluster.discover-peers", hide = true, default_value = "")]
    discover_peers: String,
    /// How often other nodes are looked for; 0s for at the start alone
    #[arg(id = "cluster_rejoin_interval", long = "cluster.rejoin-interval", value_name = "DURATION", default_value = "60s",
        value_parser = duration)]
    rejoin_interval: Duration,
    /// How many of those found are asked, chosen anew each time; 0 for all
    #[arg(id = "cluster_max_join_peers", long = "cluster.max-join-peers", value_name = "NUMBER", default_value_t = 5)]
    max_join_peers: usize,
    /// Name of the cluster: nodes of clusters of other names are not let in
    #[arg(id = "cluster_name", long = "cluster.name", value_name = "NAME", default_value = "")]
    name: ClusterName,
    /// Lets in nodes with a certificate alone, and encrypts what they say
    #[arg(id = "cluster_enable_tls", long = "cluster.enable-tls", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    enable_tls: bool,
    /// Certificates of the authorities that sign those of all nodes, in PEM form
    #[arg(id = "cluster_tls_ca_path", long = "cluster.tls-ca-path", value_name = "FILE")]
    tls_ca_path: Option<PathBuf>,
    /// This node's certificate in PEM form, for servers and clients
    #[arg(id = "cluster_tls_cert_path", long = "cluster.tls-cert-path", value_name = "FILE")]
    tls_cert_path: Option<PathBuf>,
    /// Its key in PEM form
    #[arg(id = "cluster_tls_key_path", long = "cluster.tls-key-path", value_name = "FILE")]
    tls_key_path: Option<PathBuf>,
    /// Name that the certificate of each node must hold; its address where none is given
    #[arg(id = "cluster_tls_server_name", long = "cluster.tls-server-name", value_name = "NAME", default_value = "")]
    tls_server_name: String,
    /// How many nodes there must be before any takes targets; 0 for no wait
    #[arg(id = "cluster_wait_for_size", long = "cluster.wait-for-size", value_name = "NUMBER", default_value_t = 0)]
    wait_for_size: usize,
    /// How long it is waited for them; 0 for as long as it takes
    #[arg(id = "cluster_wait_timeout", long = "cluster.wait-timeout", value_name = "DURATION", default_value = "0s",
        value_parser = duration)]
    wait_timeout: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: GoDuration = text.parse().map_err(|error| format!("{error}: write it as 60s or 1m30s"))?;
    parsed.to_std().ok_or_else(|| "must not be negative".to_owned())
}

impl ClusterFlags {
    /// The flags, for whoever looks for a fault.
    pub(super) fn shown(&self) -> Vec<String> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        // Without --cluster.discover-peers, which may hold credentials.
        let texts = [
            ("enabled", self.enabled.to_string()),
            ("node-name", self.node_name.clone()),
            ("advertise-address", self.advertise_address.clone()),
            ("advertise-interfaces", self.advertise_interfaces.join(",")),
            ("join-addresses", self.join_addresses.join(",")),
            ("rejoin-interval", humantime::format_duration(self.rejoin_interval).to_string()),
            ("max-join-peers", self.max_join_peers.to_string()),
            ("name", self.name.to_string()),
            ("enable-tls", self.enable_tls.to_string()),
            ("tls-ca-path", path(&self.tls_ca_path)),
            ("tls-cert-path", path(&self.tls_cert_path)),
            ("tls-key-path", path(&self.tls_key_path)),
            ("tls-server-name", self.tls_server_name.clone()),
            ("wait-for-size", self.wait_for_size.to_string()),
            ("wait-timeout", humantime::format_duration(self.wait_timeout).to_string()),
        ];
        texts.into_iter().map(|(flag, text)| format!("--cluster.{flag}={text}")).collect()
    }

    /// Tells that flags of clusters do nothing where `--cluster.enabled` is not given.
    pub(super) fn warn(&self) {
        let given =
            [&self.node_name, &self.advertise_address, &self.discover_peers].iter().any(|text| !text.is_empty());
        let some = given || !self.join_addresses.is_empty() || self.enable_tls || self.wait_for_size > 0;
        if !self.enabled && some {
            tracing::warn!("flags of clusters have no effect without --cluster.enabled");
        }
    }

    /// How this process is a node, where it is one. `admin` is where the admin listener listens. Blocks.
    pub(super) fn settings(&self, admin: SocketAddr) -> Result<Option<ClusterSettings>, String> {
        if !self.enabled {
            return Ok(None);
        }
        if !self.discover_peers.is_empty() {
            return Err("--cluster.discover-peers: asking providers for nodes is not supported; give \
                        --cluster.join-addresses a name that leads to all of them, for example that of a headless \
                        service in Kubernetes\n"
                .to_owned());
        }
        let node_name = if self.node_name.is_empty() {
            NodeName::of_host()
        } else {
            self.node_name.parse().map_err(|error| format!("--cluster.node-name: {error}\n"))?
        };
        // The admin listener has this port of TCP, often on all addresses.
        let port = admin.port().checked_add(u16::from(self.enable_tls)).ok_or_else(|| {
            "--cluster.enable-tls: nodes take the port after that of the admin listener, and there is none after 65535; \
             choose another one with --server.http.listen-addr\n"
                .to_owned()
        })?;
        let advertised = advertised(&self.advertise_address, &self.advertise_interfaces, port);
        let given = self.join_addresses.iter().map(|address| address.trim()).filter(|address| !address.is_empty());
        let join: Result<Vec<JoinAddress>, _> = given.map(str::parse).collect();
        Ok(Some(ClusterSettings {
            node_name,
            cluster_name: self.name.clone(),
            advertised: advertised.map_err(|error| format!("--cluster.advertise-address: {error}\n"))?,
            join: join.map_err(|error| format!("--cluster.join-addresses: {error}\n"))?,
            rejoin_interval: self.rejoin_interval,
            max_join_peers: self.max_join_peers,
            wait_for_size: self.wait_for_size,
            wait_timeout: Some(self.wait_timeout).filter(|timeout| !timeout.is_zero()),
            tls: if self.enable_tls { Some(self.tls()?) } else { None },
        }))
    }

    fn tls(&self) -> Result<ClusterTls, String> {
        let file = |flag: &'static str, path: &Option<PathBuf>| match path {
            Some(path) => Ok((flag, path.clone())),
            None => Err(format!("{flag}: --cluster.enable-tls needs the file that it names\n")),
        };
        let files = MutualTlsFiles {
            authorities: file("--cluster.tls-ca-path", &self.tls_ca_path)?,
            certificate: file("--cluster.tls-cert-path", &self.tls_cert_path)?,
            key: file("--cluster.tls-key-path", &self.tls_key_path)?,
        };
        let given = Some(&self.tls_server_name).filter(|name| !name.is_empty());
        let parsed = given.map(|name| {
            let refused = |_| format!("--cluster.tls-server-name: {name:?} is neither a DNS name nor an IP address\n");
            ServerName::try_from(name.clone()).map_err(refused)
        });
        let server_name = parsed.transpose()?;
        let mutual = Arc::new(MutualTls::new(files).map_err(|error| format!("{error}\n"))?);
        Ok(ClusterTls { mutual, server_name })
    }
}
