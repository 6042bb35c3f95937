//! Targets that know by whom they are scraped: paths of one server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flamegate_tests::spine::good_profile;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::DEADLINE;

/// How many there are.
const TARGETS: usize = 40;

pub(crate) struct Targets {
    address: SocketAddr,
    scrapes: Arc<Mutex<Vec<Scrape>>>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Clone, Copy)]
struct Scrape {
    target: usize,
    by: IpAddr,
    at: Instant,
}

impl Targets {
    pub(crate) async fn start(address: IpAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let (address, scrapes) = (listener.local_addr().unwrap(), Arc::default());
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&scrapes)));
        Self { address, scrapes, _serving: serving }
    }

    /// A component that scrapes all of them every second, and sends nowhere.
    pub(crate) fn configuration(&self) -> String {
        let mut targets = String::new();
        for target in 0..TARGETS {
            let address = self.address;
            writeln!(
                targets,
                "{{ __address__ = \"{address}\", __profile_path_prefix__ = \"/{target}\", service_name = \"{target}\" }},"
            )
            .unwrap();
        }
        let off: String = ["memory", "block", "mutex", "process_cpu"]
            .iter()
            .map(|kind| format!("profile.{kind} {{ enabled = false }}\n"))
            .collect();
        format!(
            "pyroscope.scrape \"all\" {{\ntargets = [\n{targets}]\nforward_to = []\nscrape_interval = \"1s\"\n\
             scrape_timeout = \"1s\"\nclustering {{ enabled = true }}\nprofiling_config {{\n{off}}}\n}}\n"
        )
    }

    /// Waits until each target is scraped, twice or more often, by one of these alone.
    pub(crate) async fn divided_among(&self, what: &str, nodes: &[IpAddr]) {
        let began = Instant::now();
        let mut seen = BTreeMap::new();
        let looking = async {
            loop {
                let since = Instant::now();
                while self.by(nodes, since).values().filter(|by| by.len() >= 2).count() < TARGETS {
                    assert!(began.elapsed() < DEADLINE, "{what}: not all are scraped: {:?}", self.by(nodes, since));
                    sleep(Duration::from_millis(50)).await;
                }
                seen = self.by(nodes, since);
                if seen.values().all(|by| by.iter().collect::<BTreeSet<_>>().len() == 1) {
                    return;
                }
            }
        };
        let in_time = timeout(DEADLINE, looking).await.is_ok();
        assert!(in_time, "{what}: some are scraped by several: {seen:?}");
        let scraping: BTreeSet<_> = seen.values().flatten().collect();
        assert_eq!(scraping.len(), nodes.len(), "{what}: not all nodes scrape: {seen:?}");
    }

    /// Since when all targets have been scraped by others than one that died then.
    pub(crate) fn taken_over(&self, from: IpAddr, died: Instant) -> Option<Duration> {
        let scrapes = self.scrapes.lock().unwrap();
        let mut first = BTreeMap::new();
        for scrape in scrapes.iter().filter(|scrape| scrape.at > died && scrape.by != from) {
            first.entry(scrape.target).or_insert(scrape.at);
        }
        (first.len() == TARGETS).then(|| first.values().max().copied().unwrap_or(died) - died)
    }

    /// Who scraped each of them.
    fn by(&self, nodes: &[IpAddr], since: Instant) -> BTreeMap<usize, Vec<IpAddr>> {
        let mut by = BTreeMap::<_, Vec<_>>::new();
        for scrape in self.scrapes.lock().unwrap().iter() {
            if scrape.at > since && nodes.contains(&scrape.by) {
                by.entry(scrape.target).or_default().push(scrape.by);
            }
        }
        by
    }
}

async fn serve(listener: TcpListener, scrapes: Arc<Mutex<Vec<Scrape>>>) {
    // Ends with this one.
    let mut answering = JoinSet::new();
    loop {
        let (stream, from) = listener.accept().await.unwrap();
        while answering.try_join_next().is_some() {}
        answering.spawn(answer(stream, from.ip(), Arc::clone(&scrapes)));
    }
}

/// Until the other side closes.
async fn answer(mut stream: TcpStream, by: IpAddr, scrapes: Arc<Mutex<Vec<Scrape>>>) {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    let mut target = None;
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(path) = line.strip_prefix("GET /") {
            target = path.split('/').next().and_then(|target| target.parse().ok());
        } else if line.is_empty() {
            let target = target.take().unwrap();
            scrapes.lock().unwrap().push(Scrape { target, by, at: Instant::now() });
            let profile = good_profile();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
                profile.len()
            );
            if write.write_all(&[head.as_bytes(), &profile].concat()).await.is_err() {
                return;
            }
        }
    }
}
