//! The terminal while it is ours, and as it was before.

use std::io::{self, Stdout, stdout};
use std::panic;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::{Frame, Terminal};

/// Has the whole terminal until it is dropped, or the process panics.
pub(super) struct Screen(Terminal<CrosstermBackend<Stdout>>);

/// Gives the terminal back.
struct Restoring;

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn open() -> io::Result<Self> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // What is said of the panic would be gone with our screen.
            restore();
            before(panic);
        }));
        let restoring = Restoring;
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, Hide)?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        std::mem::forget(restoring);
        Ok(Self(terminal))
    }

    /// Draws all of it; only what changed is written.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.0.draw(draw).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        drop(Restoring);
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        // A panic has done so already, and its words stand there since.
        if !std::thread::panicking() {
            restore();
        }
    }
}

fn restore() {
    // There is no one to tell where the terminal is gone.
    let _restored = execute!(stdout(), Show, LeaveAlternateScreen).and(disable_raw_mode());
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Run by the test below, in a terminal.
    #[test]
    #[ignore = "takes the terminal, and panics"]
    fn takes_the_terminal_and_panics() {
        let _screen = Screen::open().unwrap();
        panic!("gone wrong");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_says_why() {
        let program = std::env::current_exe().unwrap();
        let panics = "cli::top::screen::tests::takes_the_terminal_and_panics";
        let line = format!("'{}' --exact {panics} --ignored --nocapture; stty -a", program.display());
        let output = Command::new("script").args(["-qec", &line, "/dev/null"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let [taken, given_back, said] = ["\u{1b}[?1049h", "\u{1b}[?1049l", "gone wrong"]
            .map(|part| text.find(part).unwrap_or_else(|| panic!("no {part:?} in {text:?}")));
        assert!(taken < given_back && given_back < said, "{text:?}");
        assert_eq!(text.matches("\u{1b}[?1049l").count(), 1, "{text:?}");
        // Not -icanon and -echo, as while it was ours.
        assert!(text.contains(" icanon ") && text.contains(" echo "), "{text:?}");
    }
}
