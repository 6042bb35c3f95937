//! Clusters of real processes on hosts of their own, whose network breaks. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "all of this file is test code, for which a panic is a failure"
)]

#[path = "cluster/targets.rs"]
mod targets;

use std::net::IpAddr;
use std::time::Duration;

use flamegate_tests::flamegate::{Flamegate, Signal};
use flamegate_tests::http_client;
use flamegate_tests::network::Network;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};

use self::targets::Targets;

const HOSTS: u8 = 5;
/// Until all nodes know of a change, on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_secs(60);

/// One of `/api/v0/web/peers`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Peer {
    name: String,
    addr: String,
    is_self: bool,
    state: String,
}

/// A node for each host, some of which may be down.
struct Nodes<'a> {
    network: &'a Network,
    targets: Targets,
    running: Vec<Option<Flamegate>>,
}

/// What happens to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Kill(usize),
    /// SIGTERM.
    End(usize),
    Start(usize),
    /// Some are cut off from the others.
    Cut(&'static [usize]),
    Heal,
}

impl<'a> Nodes<'a> {
    async fn start(network: &'a Network) -> Self {
        let targets = Targets::start(network.test_address().into()).await;
        let mut nodes = Self { network, targets, running: network.hosts().iter().map(|_| None).collect() };
        for at in 0..network.hosts().len() {
            nodes.begin(at).await;
        }
        nodes.settle("five started", &nodes.up()).await;
        nodes
    }

    async fn begin(&mut self, at: usize) {
        let host = &self.network.hosts()[at];
        let name = format!("--cluster.node-name={}", name(at));
        // The first two lead to all.
        let join: Vec<_> = self.network.hosts().iter().take(2).map(|host| host.address.to_string()).collect();
        let join = format!("--cluster.join-addresses={}", join.join(","));
        let flags = ["--cluster.enabled", &name, &join, "--cluster.rejoin-interval=2s", "--cluster.name=test"];
        let configuration = self.targets.configuration();
        self.running[at] = Some(Flamegate::start_on(host, &configuration, &flags).await.unwrap());
    }

    async fn happens(&mut self, event: Event) {
        let what = format!("{event:?}");
        match event {
            Event::Kill(at) => {
                self.running[at].take().unwrap().signal(Signal::SIGKILL).unwrap();
                let died = Instant::now();
                self.settle(&what, &self.up()).await;
                let took = self.targets.taken_over(self.address(at), died).unwrap();
                println!("{what}: targets of the killed one were all scraped by others after {took:.1?}");
            }
            Event::End(at) => {
                let mut node = self.running[at].take().unwrap();
                node.signal(Signal::SIGTERM).unwrap();
                assert!(node.wait_exit(DEADLINE).await.unwrap().success());
                self.settle(&what, &self.up()).await;
            }
            Event::Start(at) => {
                self.begin(at).await;
                self.settle(&what, &self.up()).await;
            }
            Event::Cut(apart) => {
                self.network.cut_off(apart).unwrap();
                for cut_off in [true, false] {
                    let half: Vec<_> = self.up().into_iter().filter(|at| apart.contains(at) == cut_off).collect();
                    self.settle(&what, &half).await;
                }
            }
            Event::Heal => {
                self.network.heal().unwrap();
                self.settle(&what, &self.up()).await;
            }
        }
    }

    /// Waits until the nodes of a group know each other and divide the targets.
    async fn settle(&self, what: &str, group: &[usize]) {
        let began = Instant::now();
        self.know_each_other(what, group).await;
        let known = began.elapsed();
        let addresses: Vec<_> = group.iter().map(|at| self.address(*at)).collect();
        self.targets.divided_among(what, &addresses).await;
        println!("{what}: {group:?} know each other after {known:.1?}, and divide all after {:.1?}", began.elapsed());
    }

    async fn know_each_other(&self, what: &str, group: &[usize]) {
        let expected: Vec<_> = group.iter().map(|at| name(*at)).collect();
        let mut seen = Vec::new();
        let looking = async {
            loop {
                seen.clear();
                for at in group {
                    seen.push(self.peers(*at).await);
                }
                let known = |peers: &Vec<Peer>| {
                    let takes_part = peers.iter().all(|peer| peer.state == "participant");
                    takes_part && peers.iter().map(|peer| peer.name.clone()).eq(expected.iter().cloned())
                };
                if seen.iter().all(known) {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        let in_time = timeout(DEADLINE, looking).await.is_ok();
        assert!(in_time, "{what}: {expected:?} never knew each other, but: {seen:#?}");
    }

    async fn peers(&self, at: usize) -> Vec<Peer> {
        let admin = self.running[at].as_ref().unwrap().admin();
        let reply = http_client::get(&format!("http://{admin}/api/v0/web/peers")).await.unwrap();
        serde_json::from_str(&reply.text()).unwrap()
    }

    fn up(&self) -> Vec<usize> {
        (0..self.running.len()).filter(|at| self.running[*at].is_some()).collect()
    }

    /// From which a node asks targets.
    fn address(&self, at: usize) -> IpAddr {
        self.network.hosts()[at].management.into()
    }
}

fn name(at: usize) -> String {
    format!("node-{at}")
}

#[test]
fn each_target_is_scraped_by_one_node_whatever_happens() {
    let network = Network::of(HOSTS).unwrap();
    network.run(async || through_everything(&network).await).unwrap();
}

async fn through_everything(network: &Network) {
    let mut nodes = Nodes::start(network).await;
    let own = nodes.peers(3).await.into_iter().find(|peer| peer.is_self).unwrap();
    let addr = format!("{}:12345", network.hosts()[3].address);
    assert_eq!(own, Peer { name: name(3), addr, is_self: true, state: "participant".to_owned() });
    // The first one is one of two by which the others find each other.
    for event in [Event::Kill(0), Event::Cut(&[3, 4]), Event::Heal, Event::Start(0), Event::End(2), Event::Start(2)] {
        nodes.happens(event).await;
    }
    let metrics = nodes.running[0].as_ref().unwrap().metrics().await.unwrap();
    let labels = [("cluster_name", "test"), ("state", "participant")];
    assert_eq!(metrics.sum("cluster_node_peers", &labels), Some(5.0));
    assert_eq!(metrics.sum("cluster_node_info", &labels), Some(1.0));
    assert_eq!(metrics.sum("alloy_config_hash", &[("cluster_name", "test")]), Some(1.0));

    // `cargo xtask soak cluster` asks for more.
    let events = std::env::var("FLAMEGATE_CLUSTER_EVENTS").map_or(0, |events| events.parse::<usize>().unwrap());
    let mut is_cut = false;
    for number in 0..events {
        let event = any_event(&nodes, is_cut);
        println!("{number}: {event:?}");
        is_cut = matches!(event, Event::Cut(_));
        nodes.happens(event).await;
    }
}

/// One that can happen to them. While the network is cut nothing else does, and one of the first two nodes is always up,
/// so that those that start find the others.
fn any_event(nodes: &Nodes<'_>, is_cut: bool) -> Event {
    if is_cut {
        return Event::Heal;
    }
    let up = nodes.up();
    let down = (0..usize::from(HOSTS)).find(|at| !up.contains(at));
    if let Some(down) = down
        && (up.len() < 4 || fastrand::bool())
    {
        return Event::Start(down);
    }
    let at = up[fastrand::usize(..up.len())];
    match (fastrand::u8(..3), down) {
        (0, None) => Event::Cut([&[0][..], &[3, 4], &[0, 2]][fastrand::usize(..3)]),
        (_, Some(down)) if at < 2 && down < 2 => Event::Start(down),
        (1, _) => Event::End(at),
        _ => Event::Kill(at),
    }
}
