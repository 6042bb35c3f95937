//! What stands while a program is measured.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use super::certificate::Certificate;
use super::connection::{Connection, Door};
use super::generator::{Driven, Fleet};
use super::process_group::ProcessGroup;
use super::program::{self, Program, Running};
use crate::sink::COUNT_PATH;

/// A program and the sinks behind it.
pub(super) struct Setup {
    /// Nothing where the sink itself takes the load.
    program: Option<Running>,
    sinks: Vec<Running>,
    /// Where the load goes.
    pub(super) door: Door,
    certificate: Certificate,
    sinks_take_tls: bool,
    /// Of the files of all of them.
    _folder: TempDir,
}

impl Setup {
    /// Starts it for up to so many senders.
    pub(super) async fn start(program: &Program, connections: usize) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for the program's files")?;
        let certificate = Certificate::make(folder.path())?;
        let (count, tls_in, sinks_take_tls) =
            program.variant().map_or((1, false, false), |variant| (variant.sinks, variant.tls_in, variant.tls_out));
        let mut sinks = Vec::new();
        for _ in 0..count {
            let trusted = sinks_take_tls.then_some(&certificate);
            sinks.push(program::start_sink_with(trusted, folder.path()).await.context("the sink")?);
        }
        let addresses: Vec<SocketAddr> = sinks.iter().map(|sink| sink.address).collect();
        let program = program.start(&addresses, connections, &certificate, folder.path()).await?;
        let subject = program.as_ref().or(sinks.first()).context("there is no sink")?;
        let door = subject.door(tls_in, &certificate);
        Ok(Self { program, sinks, door, certificate, sinks_take_tls, _folder: folder })
    }

    /// What is measured.
    pub(super) fn group(&self) -> anyhow::Result<&ProcessGroup> {
        let subject = self.program.as_ref().or(self.sinks.first()).context("there is no sink")?;
        Ok(&subject.group)
    }

    /// Sends for so long.
    pub(super) async fn drive(&self, fleet: &mut Fleet, duration: Duration) -> anyhow::Result<Driven> {
        let driven = fleet.drive(duration).await;
        let log = self.group()?.log_end();
        driven.with_context(|| format!("the load was not answered as it should be; {log}"))
    }

    /// A program that answers without having handed on what it took is not faster, it is wrong.
    pub(super) async fn check_taken(&self, answered: u64, profile_len: u64) -> anyhow::Result<()> {
        let (requests, bytes) = self.taken().await?;
        ensure!(
            requests >= answered,
            "{answered} requests were answered with 200 but only {requests} reached the sink"
        );
        ensure!(
            bytes >= answered * profile_len,
            "{answered} profiles of {profile_len} bytes were answered with 200 but only {bytes} bytes reached the sink"
        );
        Ok(())
    }

    /// Requests that the sinks took, and their bytes.
    pub(super) async fn taken(&self) -> anyhow::Result<(u64, u64)> {
        let (mut requests, mut bytes) = (0, 0);
        for sink in &self.sinks {
            let door = sink.door(self.sinks_take_tls, &self.certificate);
            let answer = Connection::open(door).await?.fetch(COUNT_PATH).await?;
            let text = String::from_utf8(answer.body)?;
            let (taken, of_bytes) = text.split_once(' ').context("the sink's count is not two numbers")?;
            requests += taken.parse::<u64>()?;
            bytes += of_bytes.parse::<u64>()?;
        }
        Ok((requests, bytes))
    }
}
