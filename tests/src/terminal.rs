//! A command in a terminal: what it draws, what is typed, how large the terminal is.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use tokio::process::{Child, Command};

use crate::flamegate::{FlamegateError, Signal, binary, system};
use crate::polling::eventually;

const DEADLINE: Duration = Duration::from_secs(60);

/// A command in a terminal of its own; dropping it kills it.
pub struct Terminal {
    child: Child,
    /// The side of whoever looks and types.
    ours: File,
    /// The command's side, which lives as long as someone asks how it is.
    theirs: OwnedFd,
    shown: Arc<Mutex<Shown>>,
}

/// What came of what was written.
struct Shown {
    screen: vt100::Parser,
    written: Vec<u8>,
}

impl Terminal {
    /// Runs `flamegate` with these arguments and variables in a terminal of so many rows and columns.
    ///
    /// # Errors
    /// When there is no binary, or no terminal can be had.
    pub fn start(
        arguments: &[&str],
        variables: &[(&str, &str)],
        rows: u16,
        columns: u16,
    ) -> Result<Self, FlamegateError> {
        let failed = |error: rustix::io::Errno| system("open a terminal")(error.into());
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).map_err(failed)?;
        grantpt(&ours).and_then(|()| unlockpt(&ours)).map_err(failed)?;
        let path = ptsname(&ours, Vec::new()).map_err(failed)?;
        let path = PathBuf::from(path.to_string_lossy().into_owned());
        let theirs = File::options().read(true).write(true).open(path).map_err(system("open a terminal"))?;
        let side = || theirs.try_clone().map(Stdio::from).map_err(system("open a terminal"));
        // It hears of changes of the size where the terminal is the one that it is controlled by.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(binary()?).args(arguments).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.envs(variables.iter().copied()).kill_on_drop(true);
        let ours = File::from(ours);
        resize(&ours, rows, columns)?;
        let child =
            command.stdin(side()?).stdout(side()?).stderr(side()?).spawn().map_err(system("start flamegate"))?;
        let shown =
            Shown { screen: vt100::Parser::new(at_least_one(rows), at_least_one(columns), 0), written: Vec::new() };
        let shown = Arc::new(Mutex::new(shown));
        let reading = ours.try_clone().map_err(system("open a terminal"))?;
        std::thread::spawn({
            let shown = Arc::clone(&shown);
            move || read(reading, &shown)
        });
        Ok(Self { child, ours, theirs: theirs.into(), shown })
    }

    /// What is on the screen, row by row.
    #[must_use]
    pub fn screen(&self) -> String {
        locked(&self.shown).screen.screen().contents()
    }

    /// All that was written to it.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        locked(&self.shown).written.clone()
    }

    /// Waits until all of these texts are on the screen, and hands it over.
    ///
    /// # Errors
    /// When they are not there in time, with what is there.
    pub async fn wait_for(&self, parts: &[&str]) -> Result<String, FlamegateError> {
        let shows = || {
            let screen = self.screen();
            parts.iter().all(|part| screen.contains(part)).then_some(screen)
        };
        let missing = || FlamegateError::Deadline {
            what: format!("{parts:?} on the screen"),
            deadline: DEADLINE,
            logs: self.screen(),
        };
        eventually("the screen", async || shows()).await.map_err(|_| missing())
    }

    /// Types this.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn press(&mut self, keys: &str) -> Result<(), FlamegateError> {
        self.ours.write_all(keys.as_bytes()).map_err(system("type"))
    }

    /// Gives the terminal another size.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn resize(&mut self, rows: u16, columns: u16) -> Result<(), FlamegateError> {
        locked(&self.shown).screen.screen_mut().set_size(at_least_one(rows), at_least_one(columns));
        resize(&self.ours, rows, columns)
    }

    /// Whether what is typed comes as it is typed, and is not shown by the terminal itself.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn is_raw(&self) -> Result<bool, FlamegateError> {
        let modes = tcgetattr(&self.theirs).map_err(|error| system("ask the terminal")(error.into()))?.local_modes;
        Ok(!modes.intersects(LocalModes::ICANON | LocalModes::ECHO))
    }

    /// Sends a signal to the command.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn signal(&self, signal: Signal) -> Result<(), FlamegateError> {
        let failed = |error: nix::Error| system("send a signal")(error.into());
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or(nix::Error::ESRCH).map_err(failed)?;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).map_err(failed)
    }

    /// Waits until the command ends, and says with which code.
    ///
    /// # Errors
    /// When it still runs at the deadline.
    pub async fn ended(&mut self) -> Result<Option<i32>, FlamegateError> {
        match tokio::time::timeout(DEADLINE, self.child.wait()).await {
            Ok(ended) => Ok(ended.map_err(system("wait for flamegate"))?.code()),
            Err(_) => Err(FlamegateError::Deadline { what: "end".to_owned(), deadline: DEADLINE, logs: self.screen() }),
        }
    }
}

fn resize(terminal: &File, rows: u16, columns: u16) -> Result<(), FlamegateError> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).map_err(|error| system("resize the terminal")(error.into()))
}

fn at_least_one(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap_or(NonZero::<u16>::MIN)
}

/// Until nobody has the other side any more.
fn read(mut terminal: File, shown: &Mutex<Shown>) {
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = terminal.read(&mut piece) {
        let piece = piece.get(..length).unwrap_or_default();
        let mut shown = locked(shown);
        shown.screen.process(piece);
        shown.written.extend(piece);
    }
}

fn locked(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}
