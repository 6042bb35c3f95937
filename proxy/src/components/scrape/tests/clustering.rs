//! Targets that the nodes of a cluster divide among themselves.

use super::*;
use crate::cluster::tests::settings;
use crate::cluster::{Cluster, Node};
use crate::components::scrape::scrape_loop::ScrapeLoop;

const TARGETS: usize = 40;

/// Targets at which nobody is, so seldom that none is asked here.
fn body() -> String {
    let target = |number| format!("{{ \"__address__\" = \"127.0.0.1:1\", number = \"{number}\" }},\n");
    let targets: String = (0..TARGETS).map(target).collect();
    format!("targets = [\n{targets}]\nscrape_interval = \"1h\"\nclustering {{ enabled = true }}\n{GOROUTINES_ALONE}")
}

fn in_both<'l>(one: &'l [Arc<ScrapeLoop>], other: &'l [Arc<ScrapeLoop>]) -> impl Iterator<Item = &'l Arc<ScrapeLoop>> {
    one.iter().filter(|of| other.iter().any(|other| Arc::ptr_eq(of, other)))
}

#[tokio::test]
async fn a_node_scrapes_what_is_its_own_and_keeps_what_stays_so() {
    let mut services = services();
    services.cluster = Arc::new(Cluster::joining(&settings("a", &[])));
    let takers = Takers::new(ALL);
    let scrape = build(&body(), &takers.taker, &services, None);
    scrape.activate();
    let node = async |name, cluster: &Arc<Cluster>, join: &[_]| {
        let metrics = Metrics::new().cluster("test".into());
        Node::start(settings(name, join), cluster.clone(), metrics).await.unwrap()
    };
    let first = node("a", &services.cluster, &[]).await;
    until("all are its own", || scrape.session.loops().len() == TARGETS).await;
    let alone = scrape.session.loops();

    let join = [first.address()];
    let other = Arc::new(Cluster::joining(&settings("b", &join)));
    let second = node("b", &other, &join).await;
    until("some are the other's", || scrape.session.loops().len() < TARGETS).await;
    let shared = scrape.session.loops();
    assert!(!shared.is_empty());
    assert_eq!(in_both(&shared, &alone).count(), shared.len(), "what stays is not begun again");

    second.leave().await;
    until("all are its own again", || scrape.session.loops().len() == TARGETS).await;
    assert_eq!(in_both(&scrape.session.loops(), &shared).count(), shared.len());
    first.leave().await;
    until("none is its own any more", || scrape.session.loops().is_empty()).await;
}

#[tokio::test]
async fn a_process_in_no_cluster_scrapes_all() {
    let takers = Takers::new(ALL);
    let (scrape, _services) = start(&body(), &takers.taker);
    until("all are its own", || scrape.session.loops().len() == TARGETS).await;
}
