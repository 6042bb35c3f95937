//! The programs that the load goes through, each started for one measurement and ended after it.

use std::env;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::certificate::Certificate;
use super::configuration::{self, NginxServer};
use super::connection::{Connection, Door};
use super::process_group::ProcessGroup;
use super::variant::{self, Place, Variant};

const START_LIMIT: Duration = Duration::from_secs(60);
const START_POLL: Duration = Duration::from_millis(20);

const READY_PATH: &str = "/-/ready";
static HOSTILE: &[u8] = include_bytes!("../../../guest-examples/hostile.wasm");

/// The name of the yardstick.
pub(crate) const BARE: &str = "bare";
/// The name of the program that the goals are for.
pub(crate) const FLAMEGATE: &str = "flamegate";
/// The name of the same program with a durable queue.
pub(crate) const QUEUE: &str = "queue";
/// The name of the pass-through.
pub(crate) const NGINX: &str = "nginx";
/// The name of the sink with nothing before it.
pub(crate) const DIRECT: &str = "direct";

/// A program that takes profiles on an address and hands them to the sink.
#[derive(Clone)]
pub(crate) enum Program {
    /// No program: the sink itself, the most that load and sink can do.
    Direct,
    /// `flamegate-bench forward`.
    Bare,
    /// Flamegate with receive, relabel and write.
    Flamegate { binary: PathBuf },
    /// The same with a durable queue before the sink.
    Queue { binary: PathBuf },
    /// Flamegate with receive, so many filters that change nothing, and write.
    Filters { binary: PathBuf, count: usize, name: String },
    /// nginx, passing through.
    Nginx,
    /// Flamegate, set up otherwise.
    Variant { binary: PathBuf, variant: &'static Variant },
    /// nginx, set up as that is.
    NginxVariant { nginx: &'static variant::Nginx, variant: &'static Variant },
    /// A program of the user's.
    Against(Against),
}

/// `NAME=COMMAND`: a program to be measured beside the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Against {
    name: String,
    command: String,
}

/// A started program that accepts connections.
pub(crate) struct Running {
    pub(crate) group: ProcessGroup,
    pub(crate) address: SocketAddr,
}

impl FromStr for Against {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, command) =
            text.split_once('=').context("expected NAME=COMMAND, as in alloy='alloy run $CONFIG_DIR/config.alloy'")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        ensure!(!name.is_empty() && name.chars().all(plain), "a name is made of letters, digits, `-`, `_` and `.`");
        ensure!(![BARE, FLAMEGATE, NGINX, DIRECT].contains(&name), "`{name}` is a name of the benchmark's own");
        ensure!(!command.trim().is_empty(), "there is no command after `{name}=`");
        Ok(Self { name: name.to_owned(), command: command.to_owned() })
    }
}

impl Against {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// With the folder of its configuration in `CONFIG_DIR`.
    pub(crate) fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &self.command]).env("CONFIG_DIR", folder);
        command
    }
}

impl Program {
    pub(crate) fn name(&self) -> &str {
        match self {
            Program::Direct => DIRECT,
            Program::Bare => BARE,
            Program::Flamegate { .. } => FLAMEGATE,
            Program::Queue { .. } => QUEUE,
            Program::Filters { name, .. } => name,
            Program::Nginx => NGINX,
            Program::Variant { variant, .. } => variant.flamegate,
            Program::NginxVariant { nginx, .. } => nginx.name,
            Program::Against(against) => &against.name,
        }
    }

    /// The variant that it is of.
    pub(crate) fn variant(&self) -> Option<&'static Variant> {
        match self {
            Program::Variant { variant, .. } | Program::NginxVariant { variant, .. } => Some(variant),
            _ => None,
        }
    }

    /// Starts the program so that it forwards to these sinks for up to `connections` senders, with its files in
    /// `folder`, and waits until it is ready. Nothing is started for [`Program::Direct`].
    pub(crate) async fn start(
        &self,
        sinks: &[SocketAddr],
        connections: usize,
        certificate: &Certificate,
        folder: &Path,
    ) -> anyhow::Result<Option<Running>> {
        let [address, admin] = free_addresses()?;
        let place = Place { listen: address, sinks, connections, certificate, folder };
        let sink = place.sink();
        let mut ready_path = None;
        let command = match self {
            Program::Direct => return Ok(None),
            Program::Bare => {
                let mut command = this_program()?;
                command.args(["forward", "--listen", &address.to_string(), "--to", &sink.to_string()]);
                command
            }
            Program::Flamegate { binary } => {
                ready_path = Some(READY_PATH);
                flamegate(binary, &configuration::pipeline(address, sink), admin, folder)?
            }
            Program::Queue { binary } => {
                ready_path = Some(READY_PATH);
                flamegate(binary, &configuration::queue(address, sink), admin, folder)?
            }
            Program::Filters { binary, count, .. } => {
                ready_path = Some(READY_PATH);
                let filter = hostile_filter(folder)?;
                flamegate(binary, &configuration::filters(address, sink, &filter, *count), admin, folder)?
            }
            Program::Nginx => {
                let (listen_as, server, scheme) = ("", String::new(), "http");
                let server = NginxServer { listen: address, listen_as, server, sink, scheme, connections, folder };
                nginx(&configuration::nginx(&server), folder)?
            }
            Program::Variant { binary, variant } => {
                ready_path = Some(READY_PATH);
                flamegate(binary, &(variant.configuration)(&place), admin, folder)?
            }
            Program::NginxVariant { nginx: as_that, .. } => nginx(&(as_that.configuration)(&place), folder)?,
            Program::Against(against) => {
                write(folder, "config.alloy", &configuration::pipeline(address, sink))?;
                let mut command = against.command(folder);
                command.env("LISTEN_PORT", address.port().to_string()).env("SINK_URL", format!("http://{sink}"));
                command
            }
        };
        let group = ProcessGroup::start(command, &folder.join("log"))?;
        let mut running = Running { group, address };
        if let Some(path) = ready_path {
            running.until("it is ready", async || is_ready(admin, path).await).await?;
        }
        running.until_connected().await?;
        Ok(Some(running))
    }
}

/// Starts Flamegate with a pipeline for each of these filters, given by its attributes; a pipeline without one has
/// `None`. The addresses are in the same order.
pub(crate) async fn start_side_by_side<const N: usize>(
    binary: &Path,
    filters: [Option<&str>; N],
    sink: SocketAddr,
    folder: &Path,
) -> anyhow::Result<(Running, [SocketAddr; N])> {
    let [admin] = free_addresses()?;
    let addresses: [SocketAddr; N] = free_addresses()?;
    let pipelines: Vec<_> = addresses.into_iter().zip(filters).collect();
    let configuration = configuration::side_by_side(&pipelines, &hostile_filter(folder)?, sink);
    let group = ProcessGroup::start(flamegate(binary, &configuration, admin, folder)?, &folder.join("log"))?;
    let mut running = Running { group, address: admin };
    running.until("it is ready", async || is_ready(admin, READY_PATH).await).await?;
    Ok((running, addresses))
}

/// Starts Flamegate with a web UI that has profiles to show; `address` is where it takes them. With the address of the UI.
pub(crate) async fn start_viewed(
    binary: &Path,
    sink: SocketAddr,
    folder: &Path,
) -> anyhow::Result<(Running, SocketAddr)> {
    let [address, admin] = free_addresses()?;
    let command = flamegate(binary, &configuration::viewed(address, sink), admin, folder)?;
    let group = ProcessGroup::start(command, &folder.join("log"))?;
    let mut running = Running { group, address };
    running.until("it is ready", async || is_ready(admin, READY_PATH).await).await?;
    Ok((running, admin))
}

/// Starts the backend of one measurement.
pub(crate) async fn start_sink(folder: &Path) -> anyhow::Result<Running> {
    start_sink_with(None, folder).await
}

/// As [`start_sink`]; with a certificate it takes TLS alone.
pub(crate) async fn start_sink_with(certificate: Option<&Certificate>, folder: &Path) -> anyhow::Result<Running> {
    let [address] = free_addresses()?;
    let mut command = this_program()?;
    command.args(["sink", "--listen", &address.to_string()]);
    if let Some(Certificate { file, key, .. }) = certificate {
        command.arg("--certificate").arg(file).arg("--key").arg(key);
    }
    let group = ProcessGroup::start(command, &folder.join(format!("sink-{}.log", address.port())))?;
    let mut running = Running { group, address };
    running.until_connected().await?;
    Ok(running)
}

impl Running {
    /// The way in, with TLS where it is spoken there.
    pub(crate) fn door(&self, tls: bool, certificate: &Certificate) -> Door {
        Door { address: self.address, tls: tls.then(|| certificate.connector.clone()) }
    }

    async fn until_connected(&mut self) -> anyhow::Result<()> {
        let address = self.address;
        let what = format!("it accepts connections on {address}");
        self.until(&what, async || TcpStream::connect(address).await.is_ok()).await
    }

    async fn until(&mut self, what: &str, done: impl AsyncFn() -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while !done().await {
            self.group.check_running()?;
            ensure!(
                Instant::now() < deadline,
                "waited {} s in vain until {what}; {}",
                START_LIMIT.as_secs(),
                self.group.log_end()
            );
            sleep(START_POLL).await;
        }
        Ok(())
    }
}

/// Flamegate with this configuration.
pub(crate) fn flamegate(
    binary: &Path,
    configuration: &str,
    admin: SocketAddr,
    folder: &Path,
) -> anyhow::Result<Command> {
    let file = write(folder, "config.alloy", configuration)?;
    let mut command = Command::new(binary);
    command
        .arg("run")
        .arg(format!("--server.http.listen-addr={admin}"))
        .arg(format!("--storage.path={}", folder.join("data").display()))
        .arg(file);
    Ok(command)
}

/// A filter that does what its configuration says, in a file.
fn hostile_filter(folder: &Path) -> anyhow::Result<PathBuf> {
    let file = folder.join("hostile.wasm");
    std::fs::write(&file, HOSTILE).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

async fn is_ready(address: SocketAddr, path: &str) -> bool {
    let Ok(mut connection) = Connection::open(address).await else { return false };
    connection.fetch(path).await.is_ok_and(|answer| answer.status == 200)
}

/// Loopback addresses on which nobody listens. Another process may take one before it is used: then the program
/// that wanted it says so and the benchmark fails.
fn free_addresses<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    // All are held until all are known, so that no two are the same.
    let mut held = Vec::with_capacity(N);
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for address in &mut addresses {
        let listener = TcpListener::bind(*address).context("cannot listen on the loopback address")?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(addresses)
}

/// Flamegate's binary: the one that was named, or that beside this program.
pub(crate) fn binary(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    match named {
        Some(binary) => Ok(binary.to_owned()),
        None => Ok(env::current_exe().context("cannot find this program's own file")?.with_file_name("flamegate")),
    }
}

fn this_program() -> anyhow::Result<Command> {
    Ok(Command::new(env::current_exe().context("cannot find this program's own file")?))
}

/// nginx with this configuration.
fn nginx(configuration: &str, folder: &Path) -> anyhow::Result<Command> {
    let file = write(folder, "nginx.conf", configuration)?;
    let mut command = Command::new(nginx_binary()?);
    command.arg("-p").arg(folder).args(["-e", "stderr"]).arg("-c").arg(file);
    Ok(command)
}

fn nginx_binary() -> anyhow::Result<PathBuf> {
    // Debian puts it where only root's PATH leads.
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join("nginx"))
        .find(|file| file.is_file())
        .context("nginx is neither in PATH nor in /usr/sbin: install it (on Debian `apt-get install nginx`) or leave it out with --only")
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let file = folder.join(name);
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_the_users_is_a_name_and_a_command() {
        let against: Against = "alloy-1.18=env A=b alloy run $CONFIG_DIR/config.alloy".parse().unwrap();
        assert_eq!(against.name, "alloy-1.18");
        assert_eq!(against.command, "env A=b alloy run $CONFIG_DIR/config.alloy");
        for refused in ["alloy", "=alloy run", "my alloy=alloy run", "bare=x", "alloy= "] {
            assert!(refused.parse::<Against>().is_err(), "{refused}");
        }
    }
}
