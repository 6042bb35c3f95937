//! What is typed, and changes of the terminal's size.

use std::io;

use ratatui::crossterm::event::{self, Event};
use tokio::sync::mpsc;

/// Events that wait to be looked at.
const WAITING: usize = 16;

/// Events as they come.
pub(super) struct Keys(mpsc::Receiver<io::Result<Event>>);

impl Keys {
    /// Reads on a thread of its own, which ends with the process: a terminal is waited for without a deadline.
    pub(super) fn read() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        std::thread::spawn(move || {
            loop {
                let event = event::read();
                let is_last = event.is_err();
                if sender.blocking_send(event).is_err() || is_last {
                    return;
                }
            }
        });
        Self(receiver)
    }

    /// The next one.
    ///
    /// # Errors
    /// When the terminal cannot be read any more.
    pub(super) async fn next(&mut self) -> io::Result<Event> {
        self.0.recv().await.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }
}
