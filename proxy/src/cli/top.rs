//! `flamegate top`: the overview of a running Flamegate, in a terminal.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::follow::{Seen, follow};
use self::keys::Keys;
use self::screen::Screen;
use self::view::{Act, View};
use super::output::print;
use super::server::{AskError, ServerFlags};
use super::{fail, tls_client};

mod draw;
mod follow;
mod keys;
mod once;
mod screen;
mod tables;
mod view;

/// Flags of `top`.
#[derive(Debug, Args)]
pub struct TopFlags {
    #[command(flatten)]
    server: ServerFlags,
    /// Prints how it is once, as text, and ends; so it does where its output is no terminal
    #[arg(long)]
    once: bool,
}

/// Why it ends before it is told to.
#[derive(Debug, thiserror::Error)]
enum TopError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("the terminal: {0}")]
    Terminal(#[from] std::io::Error),
}

/// Shows it until it is told to end.
pub(super) fn run(flags: &TopFlags) -> ExitCode {
    let shown = tls_client::block_on(async {
        if flags.once || !std::io::stdout().is_terminal() { once(flags).await } else { live(flags).await }
    });
    match shown.and_then(|shown| shown.map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&format!("{message}\n")),
    }
}

async fn once(flags: &TopFlags) -> Result<(), TopError> {
    let server = flags.server.server()?;
    let overview = follow::with_rates(&server).await?;
    print(&once::text(&server.name(), &overview));
    Ok(())
}

async fn live(flags: &TopFlags) -> Result<(), TopError> {
    let server = Arc::new(flags.server.server()?);
    // Who cannot be asked is told before the screen is taken.
    let first = follow::ask(&server).await?;
    let mut view = View::new(server.name(), first);
    let mut seen = follow(server);
    let (mut ended, mut hung_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut screen = Screen::open()?;
    let mut keys = Keys::read();
    loop {
        screen.draw(|frame| draw::draw(&mut view, frame))?;
        tokio::select! {
            Ok(()) = seen.changed() => match seen.borrow_and_update().clone() {
                Some(Seen::Overview(overview)) => view.show(*overview),
                Some(Seen::Trouble(trouble)) => view.trouble(&trouble),
                None => {}
            },
            event = keys.next() => match view.event(&event?) {
                Act::Go => {}
                Act::End => return Ok(()),
            },
            _ = ended.recv() => return Ok(()),
            _ = hung_up.recv() => return Ok(()),
            interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
        }
    }
}
