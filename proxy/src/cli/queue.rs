//! `flamegate queue`: what waits on disk, and what backends refused.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use durable_queue::{Found, Queues, RejectedRecords, read_rejected};

use super::output::print;
use super::{fail, tls_client};
use crate::component::QUEUES_FOLDER;
use crate::components::Resending;

/// What to do with queues.
#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// Lists the queues on disk, and what waits in them
    List(Storage),
    /// Lists what backends refused of a queue; sends it elsewhere, or drops it
    Rejected(RejectedFlags),
}

/// Where queues lie.
#[derive(Debug, Args)]
pub struct Storage {
    /// The storage folder, as `run` has it
    #[arg(long = "storage.path", value_name = "FOLDER", default_value = "data-alloy/")]
    storage_path: PathBuf,
}

/// Flags of `queue rejected`.
#[derive(Debug, Args)]
pub struct RejectedFlags {
    /// The queue, as `flamegate queue list` names it
    name: String,
    #[command(flatten)]
    storage: Storage,
    /// Sends it to the backend with this URL, without credentials, and forgets what that takes. No Flamegate may have
    /// the queue meanwhile
    #[arg(long, value_name = "URL", conflicts_with = "drop")]
    to: Option<String>,
    /// Forgets it. No Flamegate may have the queue meanwhile
    #[arg(long)]
    drop: bool,
}

/// Does it.
pub(super) fn run(command: &QueueCommand) -> ExitCode {
    let done = match command {
        QueueCommand::List(storage) => list(storage),
        QueueCommand::Rejected(flags) => match (&flags.to, flags.drop) {
            (Some(url), _) => send(flags, url),
            (None, true) => drop_all(flags),
            (None, false) => list_rejected(flags),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&format!("{message}\n")),
    }
}

fn queues(storage: &Storage) -> Queues {
    Queues::new(storage.storage_path.join(QUEUES_FOLDER))
}

fn list(storage: &Storage) -> Result<(), String> {
    let found = queues(storage).look();
    let found = found.map_err(|error| format!("the queues in {}: {error}", storage.storage_path.display()))?;
    let width = found.iter().map(|found| found.name.len()).max().unwrap_or_default().max("queue".len());
    let mut text = format!("{:width$}  {:>10}  {:>14}  {:24}  in use\n", "queue", "records", "bytes", "oldest");
    for Found { name, in_use, stats } in found {
        let oldest = stats.oldest.map_or_else(|| "-".to_owned(), moment);
        let in_use = if in_use { "yes" } else { "no" };
        text += &format!("{name:width$}  {:>10}  {:>14}  {oldest:24}  {in_use}\n", stats.records, stats.bytes);
    }
    print(&text);
    Ok(())
}

fn list_rejected(flags: &RejectedFlags) -> Result<(), String> {
    let folder = queues(&flags.storage).folder(&flags.name).map_err(|error| error.to_string())?;
    if !folder.is_dir() {
        return Err(format!("there is no queue in {}: `flamegate queue list` lists what there is", folder.display()));
    }
    let failed = |error| format!("{}: {error}", folder.display());
    for rejected in read_rejected(&folder).map_err(failed)? {
        print(&format!("{}  {:>10} bytes  {}\n", moment(rejected.time), rejected.payload.len(), rejected.reason));
    }
    Ok(())
}

fn send(flags: &RejectedFlags, url: &str) -> Result<(), String> {
    let sent = tls_client::block_on(async {
        let resending = Resending::to(url)?;
        let (mut rejected, mut taken) = (open(flags)?, 0);
        let mut ended = Ok(());
        while let Some(record) = rejected.borrow() {
            ended = resending.send(&record.payload).await;
            if ended.is_err() {
                break;
            }
            rejected.acknowledge();
            taken += 1;
        }
        save(rejected)?;
        print(&format!("{taken} records sent\n"));
        ended
    });
    sent.flatten()
}

fn drop_all(flags: &RejectedFlags) -> Result<(), String> {
    let (mut rejected, mut dropped) = (open(flags)?, 0);
    while rejected.borrow().is_some() {
        rejected.acknowledge();
        dropped += 1;
    }
    save(rejected)?;
    print(&format!("{dropped} records dropped\n"));
    Ok(())
}

fn open(flags: &RejectedFlags) -> Result<RejectedRecords, String> {
    queues(&flags.storage).rejected(&flags.name).map_err(|error| error.to_string())
}

fn save(rejected: RejectedRecords) -> Result<(), String> {
    rejected.save().map_err(|error| error.to_string())
}

fn moment(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}
