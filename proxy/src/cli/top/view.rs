//! What is shown, and what keys change of it.

use std::time::Instant;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::tables::{Table, tables};
use crate::cli::terminal_text::harmless;
use crate::overview::Overview;

/// Tables on the screen.
pub(super) const TABLES: usize = 4;
/// Rows that Page Up and Page Down move by.
const PAGE: usize = 10;
/// Letters of what is said of trouble.
const TROUBLE: usize = 300;

/// All of it.
pub(super) struct View {
    /// The server's name.
    pub(super) server: String,
    pub(super) overview: Overview,
    pub(super) tables: [Table; TABLES],
    /// When that was seen.
    pub(super) seen: Instant,
    /// Why there is nothing newer, where it should be.
    pub(super) trouble: Option<String>,
    pub(super) is_paused: bool,
    pub(super) shows_help: bool,
    /// The table that keys scroll.
    pub(super) focus: usize,
    /// Rows of each table that are scrolled away; what is drawn bounds them.
    pub(super) offsets: [usize; TABLES],
}

/// What comes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Go,
    End,
}

impl View {
    pub(super) fn new(server: String, overview: Overview) -> Self {
        Self {
            server,
            tables: tables(&overview),
            overview,
            seen: Instant::now(),
            trouble: None,
            is_paused: false,
            shows_help: false,
            focus: 0,
            offsets: [0; TABLES],
        }
    }

    /// Shows another overview, unless what is shown is to stay.
    pub(super) fn show(&mut self, overview: Overview) {
        self.trouble = None;
        if !self.is_paused {
            self.tables = tables(&overview);
            self.overview = overview;
            self.seen = Instant::now();
        }
    }

    /// There is none.
    pub(super) fn trouble(&mut self, why: &str) {
        self.trouble = Some(harmless(why, TROUBLE));
    }

    pub(super) fn event(&mut self, event: &Event) -> Act {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.key(*key),
            _ => Act::Go,
        }
    }

    fn key(&mut self, key: KeyEvent) -> Act {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if is_control => return Act::End,
            _ if self.shows_help => self.shows_help = false,
            KeyCode::Char('q') | KeyCode::Esc => return Act::End,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.shows_help = true,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Tab | KeyCode::Right => self.focus = (self.focus + 1) % TABLES,
            KeyCode::BackTab | KeyCode::Left => self.focus = (self.focus + TABLES - 1) % TABLES,
            KeyCode::Down | KeyCode::Char('j') => self.scroll(|offset| offset.saturating_add(1)),
            KeyCode::Up | KeyCode::Char('k') => self.scroll(|offset| offset.saturating_sub(1)),
            KeyCode::PageDown => self.scroll(|offset| offset.saturating_add(PAGE)),
            KeyCode::PageUp => self.scroll(|offset| offset.saturating_sub(PAGE)),
            KeyCode::Home | KeyCode::Char('g') => self.scroll(|_| 0),
            KeyCode::End | KeyCode::Char('G') => self.scroll(|_| usize::MAX),
            _ => {}
        }
        Act::Go
    }

    fn scroll(&mut self, to: impl Fn(usize) -> usize) {
        if let Some(offset) = self.offsets.get_mut(self.focus) {
            *offset = to(*offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(view: &mut View, codes: &[KeyCode]) -> Act {
        codes.iter().fold(Act::Go, |_, code| view.event(&Event::Key(KeyEvent::from(*code))))
    }

    #[test]
    fn keys_choose_a_table_and_scroll_it() {
        let mut view = View::new(String::new(), Overview::default());
        press(&mut view, &[KeyCode::Tab, KeyCode::Down, KeyCode::Down, KeyCode::Up, KeyCode::PageDown]);
        assert_eq!((view.focus, view.offsets), (1, [0, 11, 0, 0]));
        press(&mut view, &[KeyCode::BackTab, KeyCode::BackTab, KeyCode::End]);
        assert_eq!((view.focus, view.offsets), (3, [0, 11, 0, usize::MAX]));
        press(&mut view, &[KeyCode::Right, KeyCode::Right, KeyCode::Home]);
        assert_eq!((view.focus, view.offsets), (1, [0, 0, 0, usize::MAX]));
    }

    #[test]
    fn what_is_paused_stays() {
        let other = Overview { busiest: Some(Vec::new()), ..Overview::default() };
        let mut view = View::new(String::new(), Overview::default());
        press(&mut view, &[KeyCode::Char('p')]);
        view.show(other.clone());
        assert_eq!(view.overview, Overview::default());
        press(&mut view, &[KeyCode::Char('p')]);
        view.show(other.clone());
        assert_eq!(view.overview, other);
    }

    #[test]
    fn the_end_is_never_far() {
        let mut view = View::new(String::new(), Overview::default());
        assert_eq!(press(&mut view, &[KeyCode::Char('q')]), Act::End);
        assert_eq!(press(&mut view, &[KeyCode::Esc]), Act::End);
        // The first one ends the help.
        assert_eq!(press(&mut view, &[KeyCode::Char('?'), KeyCode::Char('q')]), Act::Go);
        assert!(!view.shows_help);
        press(&mut view, &[KeyCode::Char('?')]);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.event(&Event::Key(interrupt)), Act::End);
    }
}
