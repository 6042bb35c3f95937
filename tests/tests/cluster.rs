//! Clusters of real processes on hosts of their own, whose network breaks. Needs root.
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of this file is test code")]

use std::time::{Duration, Instant};

use flamegate_tests::flamegate::{Flamegate, Signal};
use flamegate_tests::http_client;
use flamegate_tests::network::Network;
use serde::Deserialize;
use tokio::time::{sleep, timeout};

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
    running: Vec<Option<Flamegate>>,
}

impl<'a> Nodes<'a> {
    async fn start(network: &'a Network) -> Self {
        let mut nodes = Self { network, running: network.hosts().iter().map(|_| None).collect() };
        for at in 0..network.hosts().len() {
            nodes.begin(at).await;
        }
        nodes
    }

    async fn begin(&mut self, at: usize) {
        let host = &self.network.hosts()[at];
        let name = format!("--cluster.node-name={}", name(at));
        // The first two lead to all.
        let join: Vec<_> = self.network.hosts().iter().take(2).map(|host| host.address.to_string()).collect();
        let join = format!("--cluster.join-addresses={}", join.join(","));
        let flags = ["--cluster.enabled", &name, &join, "--cluster.rejoin-interval=2s", "--cluster.name=test"];
        self.running[at] = Some(Flamegate::start_on(host, "", &flags).await.unwrap());
    }

    async fn kill(&mut self, at: usize) {
        let node = self.running[at].take().unwrap();
        node.signal(Signal::SIGKILL).unwrap();
    }

    async fn end(&mut self, at: usize) {
        let mut node = self.running[at].take().unwrap();
        node.signal(Signal::SIGTERM).unwrap();
        assert!(node.wait_exit(DEADLINE).await.unwrap().success());
    }

    /// Waits until each node of a group knows exactly the group; how long it took.
    async fn know_each_other(&self, what: &str, group: &[usize]) -> Duration {
        let began = Instant::now();
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
        let took = began.elapsed();
        println!("{what}: {took:.1?}");
        took
    }

    async fn peers(&self, at: usize) -> Vec<Peer> {
        let admin = self.running[at].as_ref().unwrap().admin();
        let reply = http_client::get(&format!("http://{admin}/api/v0/web/peers")).await.unwrap();
        serde_json::from_str(&reply.text()).unwrap()
    }
}

fn name(at: usize) -> String {
    format!("node-{at}")
}

#[test]
fn nodes_find_each_other_whatever_happens_to_the_network() {
    let network = Network::of(HOSTS).unwrap();
    network.run(async || through_everything(&network).await).unwrap();
}

async fn through_everything(network: &Network) {
    let mut nodes = Nodes::start(network).await;
    nodes.know_each_other("five started", &[0, 1, 2, 3, 4]).await;
    let own = nodes.peers(3).await.into_iter().find(|peer| peer.is_self).unwrap();
    let addr = format!("{}:12345", network.hosts()[3].address);
    assert_eq!(own, Peer { name: name(3), addr, is_self: true, state: "participant".to_owned() });

    // The first one is one of two by which the others found each other.
    nodes.kill(0).await;
    nodes.know_each_other("one was killed", &[1, 2, 3, 4]).await;
    network.cut_off(&[3, 4]).unwrap();
    nodes.know_each_other("cut in two, one half", &[1, 2]).await;
    nodes.know_each_other("cut in two, the other half", &[3, 4]).await;
    network.heal().unwrap();
    nodes.know_each_other("one network again", &[1, 2, 3, 4]).await;
    nodes.begin(0).await;
    nodes.know_each_other("the killed one was started again", &[0, 1, 2, 3, 4]).await;
    nodes.end(2).await;
    nodes.know_each_other("one left", &[0, 1, 3, 4]).await;

    let metrics = nodes.running[0].as_ref().unwrap().metrics().await.unwrap();
    let labels = [("cluster_name", "test"), ("state", "participant")];
    assert_eq!(metrics.sum("cluster_node_peers", &labels), Some(4.0));
    assert_eq!(metrics.sum("cluster_node_info", &labels), Some(1.0));
    assert_eq!(metrics.sum("alloy_config_hash", &[("cluster_name", "test")]), Some(1.0));
}
