//! `flamegate run`.

use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::cluster::{Cluster, ClusterSettings, Node, NodeName};
use crate::component::Services;
use crate::filters::{Compiler, FilterHost};
use crate::graph::Controller;
use crate::telemetry::logs::{self, Logs};
use crate::web;

mod cluster_flags;
mod open_files;
mod reference_flags;

use super::{fail, tls_client};
use cluster_flags::ClusterFlags;
use reference_flags::ReferenceFlags;

/// Flags of `run`.
#[derive(Debug, Args)]
pub struct RunFlags {
    /// Configuration: a file, or a folder of *.alloy files
    path: PathBuf,
    /// Where the admin listener listens: the web UI, readiness, metrics, reload
    #[arg(long = "server.http.listen-addr", value_name = "ADDRESS", default_value = "127.0.0.1:12345")]
    listen_addr: String,
    /// Names besides the bound address under which the web UI and the API are served, with commas between them
    #[arg(long = "server.http.allowed-hosts", value_name = "HOSTS", value_delimiter = ',')]
    allowed_hosts: Vec<String>,
    /// Folder for what must outlive the process
    #[arg(long = "storage.path", value_name = "FOLDER", default_value = "data-alloy/")]
    storage_path: PathBuf,
    /// Refuses to collect support bundles at /-/support
    #[arg(long = "server.http.disable-support-bundle", num_args = 0..=1, require_equals = true,
        default_value = "false", default_missing_value = "true", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    disable_support_bundle: bool,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    reference: ReferenceFlags,
}

impl RunFlags {
    fn support(&self) -> web::Support {
        let given = [
            format!("path={}", self.path.display()),
            format!("--server.http.listen-addr={}", self.listen_addr),
            format!("--server.http.allowed-hosts={}", self.allowed_hosts.join(",")),
            format!("--storage.path={}", self.storage_path.display()),
            format!("--server.http.disable-support-bundle={}", self.disable_support_bundle),
        ];
        // Without their values: those of some hold credentials.
        let without_effect = self.reference.given().map(|(flag, _)| format!("{flag} (accepted without effect)"));
        let given = given.into_iter().chain(self.cluster.shown()).chain(without_effect);
        web::Support::new(!self.disable_support_bundle, given.collect())
    }
}

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(flags: &RunFlags) -> ExitCode {
    let logs = logs::install();
    tls_client::provide_tls();
    flags.reference.warn();
    flags.cluster.warn();
    open_files::allow_most();
    let ended = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(flags, &logs)),
        Err(error) => Err(format!("the runtime cannot start: {error}\n")),
    };
    // What was logged before a configuration said how.
    logs.release();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

async fn serve(flags: &RunFlags, logs: &Logs) -> Result<(), String> {
    let mut signals = Signals::new().map_err(|error| format!("signals cannot be watched: {error}\n"))?;
    let admin = bind(&flags.listen_addr).await?;
    let addr = admin.local_addr().map_err(|error| format!("the admin listener has no address: {error}\n"))?;
    let clustered = tokio::task::block_in_place(|| flags.cluster.settings(addr))?;
    let services = Arc::new(services(flags, logs, addr, clustered.as_ref()));
    let node_metrics = clustered.as_ref().map(|settings| services.metrics.cluster(settings.cluster_name.shared()));
    let controller = Arc::new(Controller::new(flags.path.clone(), services.clone()));
    let stopping = watch::Sender::new(false);
    let mut stopped = stopping.subscribe();
    let hosts = web::Hosts::new(addr, &flags.allowed_hosts);
    let serving = tokio::spawn(web::serve(
        admin,
        controller.clone(),
        services.admin.clone(),
        hosts,
        flags.support(),
        async move {
            // An error says that the sender is gone, which is as good.
            let _stopped = stopped.wait_for(|stop| *stop).await.is_ok();
        },
    ));

    let color = std::io::stderr().is_terminal();
    controller.load().await.map_err(|error| error.render(color))?;
    // Where no block says how.
    logs.release();
    let node = match clustered.zip(node_metrics) {
        Some((settings, metrics)) => {
            let started = Node::start(settings, services.cluster.clone(), metrics).await;
            Some(started.map_err(|error| format!("this process cannot be a node of a cluster: {error}\n"))?)
        }
        None => None,
    };
    tracing::info!("now serving");
    // Half of the memory of an idle process would be what the start ran through.
    if let Err(error) = profiler_core::process::unmap_started_code() {
        tracing::debug!(err = %error, "code that is not needed any more stays in memory");
    }
    let following_orphans = tokio::spawn({
        let services = services.clone();
        async move { services.queues.follow_orphans(services.metrics.orphans()).await }
    });
    let following = tokio::spawn({
        let controller = controller.clone();
        async move { controller.follow_changes().await }
    });
    loop {
        match signals.next().await {
            Told::Reload => match controller.load().await {
                Ok(diff) => tracing::info!(%diff, "config reloaded"),
                Err(error) => tracing::error!(err = %error, "failed to reload config"),
            },
            Told::Stop(name) => {
                tracing::info!(signal = name, "stopping: requests in flight finish");
                break;
            }
        }
    }
    following.abort();
    following_orphans.abort();
    // First: what this node had is taken over by the others meanwhile.
    if let Some(node) = node {
        node.leave().await;
    }
    controller.stop().await;
    stopping.send_replace(true);
    serving.await.map_err(|error| format!("the admin listener broke off: {error}\n"))
}

fn services(flags: &RunFlags, logs: &Logs, admin: SocketAddr, clustered: Option<&ClusterSettings>) -> Services {
    let alone =
        || Cluster::alone(NodeName::of_host().to_string(), SocketAddr::from((Ipv4Addr::LOCALHOST, admin.port())));
    let cluster = Arc::new(clustered.map_or_else(alone, Cluster::joining));
    let compiled = flags.storage_path.join("compiled-filters");
    let filters = FilterHost::new(Compiler::Child("/proc/self/exe".into()), Some(compiled));
    Services { logs: Some(logs.clone()), cluster, ..Services::new(flags.storage_path.clone(), filters) }
}

async fn bind(address: &str) -> Result<TcpListener, String> {
    let failed = |error| {
        format!(
            "the admin listener cannot listen on {address}: {error}; choose another address with --server.http.listen-addr\n"
        )
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    tracing::info!(%addr, "admin listening");
    Ok(listener)
}

/// SIGXFSZ.
const FILE_SIZE: i32 = 25;

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    /// A file that may not grow any more is an error of whoever writes it, not the end of the process.
    _file_size: Signal,
}

enum Told {
    Reload,
    Stop(&'static str),
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_size: signal(SignalKind::from_raw(FILE_SIZE))?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.hangup.recv() => Told::Reload,
            _ = self.terminate.recv() => Told::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Told::Stop("SIGINT"),
        }
    }
}
