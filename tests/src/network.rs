//! A network of hosts that are network namespaces: cables can be pulled and plugged in again. Needs root and `ip`.
//!
//! Each host has two interfaces: `eth0` in the network that can be cut, `mgmt` in one that never is, by which a test
//! reaches it. The test itself runs in a namespace of its own ([`Network::run`]), so that nothing of all this is seen by
//! the machine that it runs on.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Tells the networks of one process apart.
static NETWORKS: AtomicU32 = AtomicU32::new(0);

/// Hosts and the cables between them; gone when it is dropped.
#[derive(Debug)]
pub struct Network {
    name: String,
    hosts: Vec<Host>,
}

/// One host.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its namespace.
    pub namespace: String,
    /// In the network that can be cut.
    pub address: Ipv4Addr,
    /// In the one that never is.
    pub management: Ipv4Addr,
    number: u8,
}

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// `ip` cannot be run.
    #[error("ip cannot be run: {0}; `apt-get install iproute2` as root installs it")]
    NoIp(io::Error),
    /// It refuses.
    #[error("ip {arguments}: {said}; it needs root")]
    Refused {
        /// What was asked.
        arguments: String,
        /// What it said.
        said: String,
    },
    /// The test cannot go there.
    #[error("enter the namespace {namespace}: {error}")]
    Enter {
        /// Where.
        namespace: String,
        /// Why.
        error: io::Error,
    },
}

impl Network {
    /// So many hosts, all connected.
    ///
    /// # Errors
    /// When `ip` is missing or refuses.
    pub fn of(hosts: u8) -> Result<Self, NetworkError> {
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let name = format!("fg{}x{number}", std::process::id());
        // Whatever was made is taken away again, also where the rest cannot be.
        let mut network = Self { hosts: Vec::new(), name };
        ip(&format!("netns add {}", network.hub()))?;
        ip(&format!("-n {} link set lo up", network.hub()))?;
        for bridge in ["whole", "apart", "mgmt"] {
            network.in_hub(&format!("link add {bridge} type bridge"))?;
            network.in_hub(&format!("link set {bridge} up"))?;
        }
        network.in_hub(&format!("addr add {}/24 dev mgmt", management(254)))?;
        for number in 1..=hosts {
            network.add(number)?;
        }
        Ok(network)
    }

    fn add(&mut self, number: u8) -> Result<(), NetworkError> {
        let (namespace, hub) = (format!("{}h{number}", self.name), self.hub());
        let address = Ipv4Addr::new(10, 99, 0, number);
        ip(&format!("netns add {namespace}"))?;
        self.hosts.push(Host { namespace: namespace.clone(), address, management: management(number), number });
        for (interface, cable, bridge, address) in
            [("eth0", "c", "whole", address), ("mgmt", "m", "mgmt", management(number))]
        {
            ip(&format!("link add {interface} netns {namespace} type veth peer name {cable}{number} netns {hub}"))?;
            self.in_hub(&format!("link set {cable}{number} master {bridge} up"))?;
            ip(&format!("-n {namespace} addr add {address}/24 dev {interface}"))?;
            ip(&format!("-n {namespace} link set {interface} up"))?;
        }
        ip(&format!("-n {namespace} link set lo up"))
    }

    /// Its hosts.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Where the test is found by its hosts.
    #[must_use]
    pub fn test_address(&self) -> Ipv4Addr {
        management(254)
    }

    /// Cuts the network: these hosts are connected to each other, and all others to each other.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn cut_off(&self, hosts: &[usize]) -> Result<(), NetworkError> {
        self.hosts.iter().enumerate().try_for_each(|(at, host)| {
            let bridge = if hosts.contains(&at) { "apart" } else { "whole" };
            self.in_hub(&format!("link set c{} master {bridge}", host.number))
        })
    }

    /// Connects all hosts again.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn heal(&self) -> Result<(), NetworkError> {
        self.cut_off(&[])
    }

    /// Does something where all hosts are reached by their management addresses, on a thread and a runtime of its own.
    ///
    /// # Errors
    /// When the thread cannot go there.
    pub fn run<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> Result<T, NetworkError> {
        let namespace = self.hub();
        let enter = |error| NetworkError::Enter { namespace: namespace.clone(), error };
        std::thread::scope(|scope| {
            let running = scope.spawn(|| {
                let file = File::open(format!("/run/netns/{namespace}")).map_err(enter)?;
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(file.as_fd(), network).map_err(|error| enter(error.into()))?;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(enter)?;
                Ok(runtime.block_on(work()))
            });
            running.join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))
        })
    }

    fn hub(&self) -> String {
        format!("{}hub", self.name)
    }

    fn in_hub(&self, arguments: &str) -> Result<(), NetworkError> {
        ip(&format!("-n {} {arguments}", self.hub()))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in self.hosts.iter().map(|host| host.namespace.clone()).chain([self.hub()]) {
            // One that could not be made is not there.
            let _gone = ip(&format!("netns del {namespace}")).is_ok();
        }
    }
}

fn management(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 98, 0, number)
}

fn ip(arguments: &str) -> Result<(), NetworkError> {
    let output = Command::new("ip").args(arguments.split(' ')).output().map_err(NetworkError::NoIp)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(NetworkError::Refused { arguments: arguments.to_owned(), said })
}
