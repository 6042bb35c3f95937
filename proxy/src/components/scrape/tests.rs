//! The component: the conformance cases, and targets on real sockets of loopback.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::*;
use crate::component::Services;
use crate::filters::FilterHost;
use crate::pipeline::{Batch, Outcome, Profile, Receiver, Stage};

mod clustering;
mod conformance;
mod deltas;
mod loops;
mod reload;
mod server;
mod targets;

/// For a machine that does other things, too.
const DEADLINE: Duration = Duration::from_secs(60);

/// Hands on what it takes; as many profiles at once as there are permits.
struct Taker {
    /// Profiles that came.
    came: AtomicUsize,
    taken: mpsc::Sender<Profile>,
    permits: Semaphore,
}

impl Stage for Taker {
    fn push(&self, batch: Batch) -> BoxFuture<'_, Outcome> {
        async move {
            let accepted = Outcome::accepted(batch.profiles.len());
            self.came.fetch_add(batch.profiles.len(), Ordering::Relaxed);
            for profile in batch.profiles {
                self.permits.acquire().await.unwrap().forget();
                // Whoever does not look any more has seen enough.
                let _seen = self.taken.send(profile).await;
            }
            accepted
        }
        .boxed()
    }
}

/// Where profiles go.
struct Takers {
    taker: Arc<Taker>,
    taken: mpsc::Receiver<Profile>,
}

impl Takers {
    fn new(permits: usize) -> Self {
        let (sender, taken) = mpsc::channel(1000);
        Self {
            taker: Arc::new(Taker { came: AtomicUsize::new(0), taken: sender, permits: Semaphore::new(permits) }),
            taken,
        }
    }

    async fn next(&mut self) -> Profile {
        timeout(DEADLINE, self.taken.recv()).await.expect("a profile in time").unwrap()
    }

    /// Profiles that came, taken or not.
    fn came(&self) -> usize {
        self.taker.came.load(Ordering::Relaxed)
    }

    fn let_through(&self, profiles: usize) {
        self.taker.permits.add_permits(profiles);
    }
}

/// As many profiles as come.
const ALL: usize = Semaphore::MAX_PERMITS;

fn arguments(body: &str, taker: Option<&Arc<Taker>>) -> Result<ScrapeArguments, String> {
    let file =
        parse_file("test.alloy", &format!("scrape \"x\" {{\n{body}\n}}\n")).map_err(|error| error.to_string())?;
    let receivers = taker.map(|taker| Value::capsule(Receiver::new("taker".into(), taker.clone())));
    let scope = Scope::stdlib(&StdlibOptions::default()).with("takers", Value::array(receivers));
    decode_block(file.body.blocks().next().unwrap(), &scope).map_err(|error| error.to_string())
}

fn services() -> Services {
    Services::new(std::env::temp_dir(), FilterHost::default())
}

fn build(body: &str, taker: &Arc<Taker>, services: &Services, previous: Option<&Scrape>) -> Scrape {
    let arguments = arguments(&format!("forward_to = takers\n{body}"), Some(taker)).unwrap();
    let context = Context { component: ComponentLabels::top_level("scrape.test".into()), services };
    Scrape::build(&arguments, &context, previous).map_err(|invalid| invalid.message).unwrap()
}

fn start(body: &str, taker: &Arc<Taker>) -> (Scrape, Services) {
    let services = services();
    let scrape = build(body, taker, &services, None);
    scrape.activate();
    (scrape, services)
}

/// Asks for goroutines alone, often.
const OFTEN: &str = "scrape_interval = \"20ms\"\n";
const GOROUTINES_ALONE: &str = r#"profiling_config {
    profile.block { enabled = false }
    profile.memory { enabled = false }
    profile.mutex { enabled = false }
    profile.process_cpu { enabled = false }
}
"#;

/// Waits until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

/// The value of a series, by the beginning of its line.
fn metric(services: &Services, beginning: &str) -> u64 {
    let text = services.metrics.text().unwrap();
    let line = text.lines().find(|line| line.starts_with(beginning));
    line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).map_or(0, |value| value as u64)
}

fn count(services: &Services, result: &str) -> u64 {
    let series = "pyroscope_scrape_scrapes_total{component_id=\"scrape.test\",component_path=\"/\"";
    metric(services, &format!("{series},result=\"{result}\"}}"))
}

/// The state of each target, by URL.
fn shown(scrape: &Scrape) -> Vec<(String, String, String)> {
    let info = scrape.debug_info().unwrap();
    let targets = info.fields().unwrap()["target"].clone();
    let field = |target: &Value, name: &str| match &target.fields().unwrap()[name] {
        Value::String(text) => text.to_string(),
        other => panic!("{other:?}"),
    };
    let all = targets.elements().unwrap();
    all.iter().map(|target| (field(target, "url"), field(target, "health"), field(target, "last_error"))).collect()
}
