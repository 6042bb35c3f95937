//! A real Pyroscope server as a child process, where `PYROSCOPE_BIN` names its binary.

use std::collections::BTreeSet;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::child_output::Output;
use crate::http_client::{self, RequestError};

const READY_DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks: the server tells nobody when it is ready.
const POLL: Duration = Duration::from_millis(200);

/// A running server; dropping it kills it (a polite end takes it more than 20 s).
#[derive(Debug)]
pub struct Pyroscope {
    url: String,
    output: Output,
    child: Child,
    _folder: TempDir,
}

/// Why the server is not there, or does not answer.
#[derive(Debug, thiserror::Error)]
pub enum PyroscopeError {
    /// The operating system refused something.
    #[error("{what}: {error}")]
    System {
        /// What.
        what: String,
        /// Why.
        error: io::Error,
    },
    /// It ended or is not ready in time.
    #[error("pyroscope {what}; it wrote:\n{logs}")]
    NotReady {
        /// What went wrong.
        what: String,
        /// Everything it wrote.
        logs: String,
    },
    /// No answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// An answer that is no result.
    #[error("{method} answered {status}: {body}")]
    Query {
        /// Which method.
        method: &'static str,
        /// The status.
        status: u16,
        /// The text.
        body: String,
    },
}

impl Pyroscope {
    /// Runs the binary in a single process, on loopback, in a folder of its own, reporting to nobody.
    ///
    /// # Errors
    /// When it does not start or is not ready in time.
    pub async fn start(binary: &Path) -> Result<Self, PyroscopeError> {
        let system = |what: &str| {
            let what = format!("{what} ({})", binary.display());
            move |error| PyroscopeError::System { what: what.clone(), error }
        };
        let folder = tempfile::tempdir().map_err(system("make a folder"))?;
        let help = Command::new(binary).arg("-help-all").current_dir(folder.path()).output().await;
        let help = help.map_err(system("ask for the flags"))?;
        let help = [help.stdout, help.stderr].concat();
        let ports = Ports::free().map_err(system("find free ports"))?;
        let mut child = Command::new(binary)
            .args(flags(&String::from_utf8_lossy(&help), &ports))
            // Its data folders are relative.
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(system("start"))?;
        let output = Output::of(&mut child);
        let url = format!("http://127.0.0.1:{}", ports.http);
        let mut server = Self { url, output, child, _folder: folder };
        server.wait_ready().await?;
        Ok(server)
    }

    /// URL for `endpoint { url = … }`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Names of all functions in the profiles of a kind (`cpu`, `inuse_space`) under a label selector.
    ///
    /// # Errors
    /// When the server does not answer a query.
    pub async fn functions(&self, kind: &str, selector: &str) -> Result<BTreeSet<String>, PyroscopeError> {
        let range = json!({ "start": milliseconds_ago(3_600_000), "end": milliseconds_ago(-60_000) });
        let types = self.query("ProfileTypes", range.clone()).await?;
        let types = types.get("profileTypes").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut functions = BTreeSet::new();
        for id in types.iter().filter_map(|profile_type| profile_type.get("ID")?.as_str()) {
            // name:kind:unit:period kind:period unit
            if id.split(':').nth(1) != Some(kind) {
                continue;
            }
            let mut question = range.clone();
            if let Some(question) = question.as_object_mut() {
                question.insert("profileTypeID".to_owned(), json!(id));
                question.insert("labelSelector".to_owned(), json!(selector));
            }
            let answer = self.query("SelectMergeStacktraces", question).await?;
            let names = answer.pointer("/flamegraph/names").and_then(Value::as_array);
            let names = names.into_iter().flatten().filter_map(Value::as_str);
            functions.extend(names.map(str::to_owned));
        }
        Ok(functions)
    }

    /// The label sets of all series.
    ///
    /// # Errors
    /// When the server does not answer the query.
    pub async fn series(&self) -> Result<Value, PyroscopeError> {
        let range = json!({ "start": milliseconds_ago(3_600_000), "end": milliseconds_ago(-60_000) });
        self.query("Series", range).await
    }

    async fn query(&self, method: &'static str, question: Value) -> Result<Value, PyroscopeError> {
        let url = format!("{}/querier.v1.QuerierService/{method}", self.url);
        let headers = [("content-type", "application/json")];
        let reply = http_client::post(&url, &headers, question.to_string()).await?;
        let answer = serde_json::from_slice(&reply.body);
        match answer {
            Ok(answer) if reply.status == 200 => Ok(answer),
            _ => Err(PyroscopeError::Query { method, status: reply.status.as_u16(), body: reply.text() }),
        }
    }

    async fn wait_ready(&mut self) -> Result<(), PyroscopeError> {
        let url = format!("{}/ready", self.url);
        let started = Instant::now();
        while started.elapsed() < READY_DEADLINE {
            if http_client::get(&url).await.is_ok_and(|reply| reply.status == 200) {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                self.output.closed().await;
                let what = format!("ended with {status}");
                return Err(PyroscopeError::NotReady { what, logs: self.output.text() });
            }
            sleep(POLL).await;
        }
        let what = format!("was not ready within {READY_DEADLINE:?}");
        Err(PyroscopeError::NotReady { what, logs: self.output.text() })
    }
}

struct Ports {
    http: u16,
    grpc: u16,
    raft: u16,
    gossip: u16,
}

impl Ports {
    /// Free a moment ago: the server cannot be asked which ports it got from 0.
    fn free() -> io::Result<Self> {
        let held = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0"));
        let [http, grpc, raft, gossip] = held;
        let held = [http?, grpc?, raft?, gossip?];
        let [http, grpc, raft, gossip] = held.each_ref().map(TcpListener::local_addr);
        Ok(Self { http: http?.port(), grpc: grpc?.port(), raft: raft?.port(), gossip: gossip?.port() })
    }
}

/// What this version of the server understands of what we want: flags come and go between its versions.
fn flags(help: &str, ports: &Ports) -> Vec<String> {
    let loopback = "127.0.0.1".to_owned();
    let at = |port: u16| format!("127.0.0.1:{port}");
    let wanted = [
        ("target", "all".to_owned()),
        ("server.http-listen-address", loopback.clone()),
        ("server.http-listen-port", ports.http.to_string()),
        ("server.grpc-listen-address", loopback.clone()),
        ("server.grpc-listen-port", ports.grpc.to_string()),
        // Both find the process's own gRPC port only when told.
        ("metastore.address", at(ports.grpc)),
        ("query-backend.address", at(ports.grpc)),
        ("metastore.raft.bind-address", at(ports.raft)),
        ("metastore.raft.advertise-address", at(ports.raft)),
        ("metastore.raft.server-id", at(ports.raft)),
        ("memberlist.bind-addr", loopback.clone()),
        ("memberlist.bind-port", ports.gossip.to_string()),
        ("memberlist.advertise-addr", loopback),
        ("memberlist.advertise-port", ports.gossip.to_string()),
        ("self-profiling.disable-push", "true".to_owned()),
        ("usage-stats.enabled", "false".to_owned()),
        // By default ("auto") queries go to the old storage until the first compaction, which a short run never sees.
        ("enable-query-backend-from", "2020-01-01T00:00:00Z".to_owned()),
    ];
    let known = help.lines().filter_map(|line| line.trim_start().strip_prefix('-')?.split_whitespace().next());
    let mut flags = Vec::new();
    for name in known {
        let exact = wanted.iter().find(|(wanted, _)| *wanted == name).map(|(_, value)| value.as_str());
        let by_suffix = || match name {
            // Rings would advertise an address of the host's interface.
            _ if name.ends_with(".instance-addr") || name.ends_with(".lifecycler.addr") => Some("127.0.0.1"),
            "ring.store" | "segment-writer.store" => Some("inmemory"),
            _ if name.ends_with("ring.store") => Some("inmemory"),
            _ if name.ends_with(".min-ready-duration") => Some("0s"),
            _ => None,
        };
        flags.extend(exact.or_else(by_suffix).map(|value| format!("-{name}={value}")));
    }
    flags
}

fn milliseconds_ago(ago: i64) -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_sub(ago)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_flags_that_the_server_knows() {
        let help = "Usage of pyroscope:\n  -auth.multitenancy-enabled\n    \tWhen set…\n\
            \x20 -distributor.ring.instance-addr string\n  -ring.store string\n\
            \x20 -server.http-listen-port int\n    \t(default 4040)\n  -ingester.min-ready-duration duration\n\
            \x20 -target value\n";
        let ports = Ports { http: 1, grpc: 2, raft: 3, gossip: 4 };
        let expected = [
            "-distributor.ring.instance-addr=127.0.0.1",
            "-ring.store=inmemory",
            "-server.http-listen-port=1",
            "-ingester.min-ready-duration=0s",
            "-target=all",
        ];
        assert_eq!(flags(help, &ports), expected);
    }

    #[test]
    fn free_ports_differ() {
        let ports = Ports::free().unwrap();
        assert_eq!(BTreeSet::from([ports.http, ports.grpc, ports.raft, ports.gossip]).len(), 4);
    }
}
