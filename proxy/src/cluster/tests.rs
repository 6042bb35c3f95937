//! Several nodes in one process, over the loopback interface.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::*;
use crate::telemetry::metrics::{ClusterMetrics, Metrics};
use crate::tls::tests::mutual::MutualFolder;

/// Nodes are known to each other, dead or gone within this time, on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_secs(40);
const KEYS: u64 = 1_000;

struct Running {
    cluster: Arc<Cluster>,
    node: Node,
    metrics: ClusterMetrics,
}

/// A node on a free port of the loopback interface.
pub(crate) fn settings(name: &str, join: &[SocketAddr]) -> ClusterSettings {
    ClusterSettings {
        node_name: name.parse().unwrap(),
        cluster_name: "test".parse().unwrap(),
        advertised: SocketAddr::from(([127, 0, 0, 1], 0)),
        join: join.iter().map(|address| address.to_string().parse().unwrap()).collect(),
        rejoin_interval: Duration::from_secs(1),
        max_join_peers: 5,
        wait_for_size: 0,
        wait_timeout: None,
        tls: None,
    }
}

async fn start(settings: ClusterSettings) -> Running {
    let (cluster, metrics) = (Arc::new(Cluster::joining(&settings)), Metrics::new());
    let metrics = metrics.cluster(settings.cluster_name.shared());
    assert!((0..KEYS).all(|key| !cluster.owns(key)), "nothing is owned before it is known who is there");
    let node = Node::start(settings, cluster.clone(), metrics.clone()).await.unwrap();
    Running { cluster, node, metrics }
}

/// Nodes of one cluster, each of which knows the first.
async fn cluster_of(names: &[&str], with: impl Fn(ClusterSettings) -> ClusterSettings) -> Vec<Running> {
    let mut nodes: Vec<Running> = Vec::new();
    for name in names {
        let first: Vec<_> = nodes.iter().take(1).map(|first| first.node.address()).collect();
        nodes.push(start(with(settings(name, &first))).await);
    }
    nodes
}

impl Running {
    fn names(&self) -> Vec<String> {
        self.cluster.peers().into_iter().map(|peer| peer.name).collect()
    }

    fn state(&self) -> PeerState {
        self.cluster.peers().iter().find(|peer| peer.is_self).unwrap().state
    }
}

/// Waits until the nodes divide all keys among themselves, and each has some.
async fn divided(nodes: &[Running]) {
    let what = "each key belongs to one node, and some to each";
    eventually(nodes, what, |nodes| {
        let shared = nodes.iter().all(|node| (0..KEYS).any(|key| node.cluster.owns(key)));
        shared && (0..KEYS).all(|key| owners(nodes, key) == 1)
    })
    .await;
}

fn owners(nodes: &[Running], key: u64) -> usize {
    nodes.iter().filter(|node| node.cluster.owns(key)).count()
}

async fn eventually(nodes: &[Running], what: &str, look: impl Fn(&[Running]) -> bool) {
    let looking = async {
        while !look(nodes) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if timeout(DEADLINE, looking).await.is_err() {
        let seen: Vec<_> = nodes.iter().map(|node| node.cluster.peers()).collect();
        panic!("never came to this: {what}; the nodes see {seen:#?}");
    }
}

/// A process that is killed: nothing is said any more.
fn kill(running: Running) {
    running.node.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_come_leave_and_die_have_their_share_and_give_it_up() {
    let mut nodes = cluster_of(&["a", "b", "c", "d"], |settings| settings).await;
    divided(&nodes).await;
    for node in &nodes {
        assert_eq!(node.names(), ["a", "b", "c", "d"]);
        assert_eq!(node.state(), PeerState::Participant);
    }

    let had: Vec<_> = (0..KEYS).map(|key| nodes.iter().position(|node| node.cluster.owns(key))).collect();
    let changes = nodes[0].cluster.changes();
    let left = nodes.pop().unwrap();
    let left_cluster = left.cluster.clone();
    left.node.leave().await;
    assert!((0..KEYS).all(|key| !left_cluster.owns(key)));
    divided(&nodes).await;
    assert!(changes.has_changed().unwrap());
    for (key, had) in (0..KEYS).zip(had) {
        let has = nodes.iter().position(|node| node.cluster.owns(key));
        assert!(had == has || had == Some(3), "{key} moved from {had:?} to {has:?}");
    }

    // The first one, by which the others found each other.
    kill(nodes.remove(0));
    divided(&nodes).await;
    assert_eq!(nodes[0].names(), ["b", "c"]);
    assert_eq!(nodes[0].metrics.left.count(), 2);
}

#[tokio::test]
async fn clusters_of_different_names_stay_apart() {
    let one = start(settings("a", &[])).await;
    let other = ClusterSettings { cluster_name: "other".parse().unwrap(), ..settings("b", &[one.node.address()]) };
    let nodes = [one, start(other).await];
    eventually(&nodes, "the second one begins alone", |nodes| nodes[1].state() == PeerState::Participant).await;
    assert!(nodes[0].metrics.received.failed.count() > 0);
    for node in &nodes {
        assert_eq!(node.names().len(), 1);
        assert!((0..KEYS).all(|key| node.cluster.owns(key)));
    }
}

#[tokio::test]
async fn nobody_takes_anything_before_there_are_enough() {
    let wait = |settings| ClusterSettings { wait_for_size: 2, ..settings };
    let one = start(wait(settings("a", &[]))).await;
    let first = one.node.address();
    let mut nodes = vec![one];
    eventually(&nodes, "it takes part", |nodes| nodes[0].state() == PeerState::Participant).await;
    assert!((0..KEYS).all(|key| owners(&nodes, key) == 0));
    assert_eq!(nodes[0].metrics.ready.get(), 0);
    nodes.push(start(wait(settings("b", &[first]))).await);
    divided(&nodes).await;
    nodes.pop().unwrap().node.leave().await;
    eventually(&nodes, "too few again", |nodes| (0..KEYS).all(|key| owners(nodes, key) == 0)).await;

    let patient = ClusterSettings { wait_timeout: Some(Duration::from_millis(10)), ..wait(settings("c", &[])) };
    divided(&[start(patient).await]).await;
}

#[tokio::test]
async fn of_two_with_one_name_the_first_keeps_it() {
    let first = start(settings("a", &[])).await;
    let address = first.node.address();
    let mut nodes = vec![first, start(settings("b", &[address])).await, start(settings("a", &[address])).await];
    eventually(&nodes, "the conflict is known", |nodes| nodes.iter().all(|node| node.metrics.conflicts.count() > 0))
        .await;
    assert_eq!(nodes[2].state(), PeerState::Viewer);
    let rival = nodes.pop().unwrap();
    assert!((0..KEYS).all(|key| !rival.cluster.owns(key)));
    divided(&nodes).await;
    // When the first one is gone, the name is the other's.
    nodes.remove(0).node.leave().await;
    nodes.push(rival);
    divided(&nodes).await;
}

#[tokio::test]
async fn whatever_comes_a_node_goes_on() {
    let nodes = cluster_of(&["a", "b"], |settings| settings).await;
    divided(&nodes).await;
    let (address, stranger) = (nodes[0].node.address(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let own = stranger.local_addr().unwrap();
    let mut count = 0;
    let mut send = async |frame: &[u8]| {
        stranger.send_to(frame, address).await.unwrap();
        count += 1;
    };
    for frame in frame::tests::strange(own) {
        send(&frame).await;
    }
    // Those that one after the other say that they are nodes, and have no end.
    for round in 0..4 {
        send(&frame::tests::crowd("test", own, round)).await;
    }
    let refused = || nodes[0].metrics.received.failed.count();
    eventually(&nodes, "strange messages are refused", |_| refused() >= count - 1).await;
    assert_eq!(nodes[0].names(), ["a", "b"]);
    divided(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tls_only_those_with_a_certificate_come_in() {
    let (ours, theirs) = (MutualFolder::new("ours"), MutualFolder::new("theirs"));
    let tls = |folder: &MutualFolder| Some(ClusterTls { mutual: folder.tls(), server_name: None });
    let mut nodes = cluster_of(&["a", "b", "c"], |settings| ClusterSettings { tls: tls(&ours), ..settings }).await;
    divided(&nodes).await;
    let first = nodes[0].node.address();
    // Signed by someone else; without TLS; with another name than the certificate's.
    let stranger = ClusterSettings { tls: tls(&theirs), ..settings("d", &[first]) };
    let elsewhere = Some(ClusterTls { mutual: ours.tls(), server_name: Some("elsewhere".try_into().unwrap()) });
    let named = ClusterSettings { tls: elsewhere, ..settings("e", &[first]) };
    for strange in [stranger, settings("f", &[first]), named] {
        let refused = [start(strange).await];
        eventually(&refused, "it begins alone", |nodes| nodes[0].state() == PeerState::Participant).await;
        assert_eq!(refused[0].names().len(), 1);
        assert_eq!(nodes[0].names(), ["a", "b", "c"]);
    }
    nodes.remove(1).node.leave().await;
    divided(&nodes).await;
    kill(nodes.remove(1));
    divided(&nodes).await;
}
