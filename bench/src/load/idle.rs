//! What a connection takes of a program while nothing is said on it.

use std::fmt::Write;
use std::num::NonZeroU32;

use anyhow::{Context, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::sleep;

use super::SETTLE;
use super::connection::Connection;
use super::payload::{Mode, Payload};
use super::program::{FLAMEGATE, Program};
use super::setup::Setup;

/// Of an idle connection without TLS to Flamegate, in bytes.
const GOAL: f64 = 16.0 * 1024.0;
/// Requests at once, here and before: the way to the sink is the same before and after.
const AT_ONCE: u32 = 16;
/// Files that a program has open besides.
const BESIDES: u64 = 200;

/// Bytes a connection: by how much the program's proportional memory grew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    connections: u32,
    /// Nothing was ever said on it.
    silent: f64,
    /// It waits for its second request.
    used: f64,
}

/// Raises the limit of open files, of this process and those that it starts, for so many connections.
pub(super) fn allow_files(connections: NonZeroU32) -> anyhow::Result<()> {
    let needed = u64::from(connections.get()) + BESIDES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    ensure!(
        maximum.is_none_or(|maximum| maximum >= needed),
        "{connections} connections need {needed} open files, and the hard limit is {}: raise it, or ask for fewer",
        maximum.unwrap_or_default()
    );
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("cannot raise the limit of open files")
}

/// Opens connections to a program of its own.
pub(super) async fn measure(program: &Program, connections: NonZeroU32) -> anyhow::Result<Idle> {
    let connections = connections.get();
    let setup = Setup::start(program, usize::try_from(connections)?).await?;
    let payload = Payload::new(Mode::Push, setup.door.address)?;
    let requests = payload.requests(0);
    let request = requests.first().context("the load has no request")?;

    // What is made once is there before anything is counted.
    let mut before = Vec::new();
    for _ in 0..AT_ONCE {
        before.push(Connection::open(setup.door.clone()).await?);
    }
    use_each(&mut before, request).await?;
    drop(before);
    sleep(SETTLE).await;
    let memory = async || {
        sleep(SETTLE).await;
        setup.group()?.proportional_memory()
    };
    let nothing = memory().await?;

    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(setup.door.clone()).await?);
    }
    let silent = memory().await?;
    use_each(&mut open, request).await?;
    let used = memory().await?;
    let each = |bytes: u64| (bytes as f64 - nothing as f64) / f64::from(connections);
    Ok(Idle { connections, silent: each(silent), used: each(used) })
}

/// A request on each.
async fn use_each(connections: &mut [Connection], request: &[u8]) -> anyhow::Result<()> {
    for some in connections.chunks_mut(usize::try_from(AT_ONCE)?) {
        let answers = some.iter_mut().map(|connection| connection.exchange(request));
        for answer in futures_util::future::join_all(answers).await {
            let status = answer?.status;
            ensure!(status == 200, "an answer has status {status}");
        }
    }
    Ok(())
}

impl Idle {
    /// A table of them, where there is one.
    pub(super) fn write(measured: &[(String, Self)], text: &mut String) {
        let Some((_, Self { connections, .. })) = measured.first() else { return };
        // Writing to a string does not fail.
        let _written = writeln!(
            text,
            "\nBytes of memory a connection, of {connections} idle ones\n{:<26}{:>10}{:>10}",
            "program", "silent", "used once"
        );
        for (name, Self { silent, used, .. }) in measured {
            let goal = if name == FLAMEGATE { format!("   goal <= {GOAL}") } else { String::new() };
            let _written = writeln!(text, "{name:<26}{silent:>10.0}{used:>10.0}{goal}");
        }
    }
}
