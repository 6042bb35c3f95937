//! Programs to be scraped, many in one process: each listens on a port of its own and answers as Go's `net/http/pprof`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use clap::Args;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::profiles::{SMALL, Series};
use crate::load::process_group::ProcessGroup;

/// Each has a listener, and a connection for each of three kinds: few processes are allowed more than 4,096 files.
const OF_ONE_PROCESS: u16 = 1000;
const START_LIMIT: Duration = Duration::from_secs(60);

/// Flags of `scrape targets`.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// How many
    #[arg(long)]
    count: u16,
    /// Seconds between two scrapes of each
    #[arg(long)]
    interval: u64,
    /// Bytes of a heap profile
    #[arg(long)]
    heap: Option<usize>,
    /// Where their addresses are written, a line each, when all of them listen
    #[arg(long)]
    addresses: PathBuf,
}

/// Processes that play targets; ended when dropped.
pub(super) struct Fleet {
    pub(super) addresses: Vec<SocketAddr>,
    _processes: Vec<ProcessGroup>,
}

impl Fleet {
    pub(super) fn start(flags: &super::Flags, folder: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut processes = Vec::new();
        let (mut left, mut files) = (flags.targets, Vec::new());
        while left > 0 {
            let count = left.min(OF_ONE_PROCESS);
            left -= count;
            let file = folder.join(format!("targets-{left}"));
            let mut command = Command::new(&program);
            command.args(["scrape", "targets", "--count", &count.to_string()]);
            command.args(["--interval", &flags.interval.to_string()]).arg("--addresses").arg(&file);
            command.args(flags.heap.map(|size| format!("--heap={}", size.0)));
            processes.push(ProcessGroup::start(command, &file.with_extension("log"))?);
            files.push(file);
        }
        let mut addresses = Vec::new();
        for (file, process) in files.iter().zip(&mut processes) {
            addresses.extend(read(file, process)?);
        }
        Ok(Self { addresses, _processes: processes })
    }
}

fn read(file: &Path, process: &mut ProcessGroup) -> anyhow::Result<Vec<SocketAddr>> {
    let deadline = Instant::now() + START_LIMIT;
    while !file.exists() {
        process.check_running()?;
        ensure!(Instant::now() < deadline, "the targets do not listen; {}", process.log_end());
        std::thread::sleep(Duration::from_millis(20));
    }
    std::fs::read_to_string(file)?.lines().map(|line| Ok(line.parse()?)).collect()
}

/// Serves until the process is ended.
pub(super) fn run(flags: &Flags) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(flags))
}

async fn serve(flags: &Flags) -> anyhow::Result<()> {
    let answers = Arc::new(Answers::new(flags));
    let mut addresses = String::new();
    for _ in 0..flags.count {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen for a target")?;
        addresses += &format!("{}\n", listener.local_addr()?);
        tokio::spawn(accept(listener, answers.clone()));
    }
    // Whole when it is there.
    let written = flags.addresses.with_extension("part");
    std::fs::write(&written, addresses)?;
    std::fs::rename(&written, &flags.addresses)?;
    std::future::pending().await
}

async fn accept(listener: TcpListener, answers: Arc<Answers>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                eprintln!("targets: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let answers = answers.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &answers));
            if let Err(error) =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
            {
                eprintln!("targets: {error}");
            }
        });
    }
}

async fn answer(request: Request<Incoming>, answers: &Answers) -> Result<Response<Full<Bytes>>, Infallible> {
    let seconds = request
        .uri()
        .query()
        .and_then(|query| form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "seconds")?.1.parse().ok());
    if let Some(seconds) = seconds {
        // As long as a profile of CPU time is collected.
        sleep(Duration::from_secs(seconds)).await;
    }
    let mut response = Response::new(Full::default());
    match answers.current(request.uri().path()) {
        Ok(profile) => {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            *response.body_mut() = Full::from(profile);
        }
        Err(error) => {
            *response.status_mut() = StatusCode::NOT_FOUND;
            *response.body_mut() = Full::from(error.to_string());
        }
    }
    Ok(response)
}

/// What all targets of this process answer: the same, and a new one for each interval.
struct Answers {
    began: Instant,
    interval: Duration,
    series: Mutex<HashMap<&'static str, Current>>,
}

struct Current {
    series: Series,
    /// The interval that the profile is of.
    interval: u128,
    profile: Bytes,
}

impl Answers {
    fn new(flags: &Flags) -> Self {
        let heap = flags.heap.map_or_else(|| Series::heap(SMALL), Series::heap_of);
        let series = [
            ("/debug/pprof/allocs", heap),
            ("/debug/pprof/goroutine", Series::of("goroutine", "count")),
            ("/debug/pprof/profile", Series::of("cpu", "nanoseconds")),
        ];
        let current = |series| Current { series, interval: u128::MAX, profile: Bytes::new() };
        Self {
            began: Instant::now(),
            interval: Duration::from_secs(flags.interval),
            series: Mutex::new(series.into_iter().map(|(path, series)| (path, current(series))).collect()),
        }
    }

    fn current(&self, path: &str) -> anyhow::Result<Bytes> {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(current) = series.get_mut(path) else { bail!("there is no {path}") };
        let interval = self.began.elapsed().as_nanos() / self.interval.as_nanos().max(1);
        if current.interval != interval {
            current.interval = interval;
            current.profile = current.series.next()?;
        }
        Ok(current.profile.clone())
    }
}
