//! Looking at what passes: the profiles that a component takes or makes, what it makes of them, and what becomes of them.
//!
//! A component has a [`Point`]; whoever looks opens a [`Tap`]. While nobody looks a point costs one relaxed load a batch.
//! While somebody does, a batch is noted down when it comes and told when its outcome is known, into a bounded queue of each
//! tap whose eldest rows make room: the pipeline never waits for who looks.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::kept::Selector;
use crate::pipeline::Batch;

mod line;
mod passed;
mod queue;
mod specimen;
#[cfg(test)]
mod tests;
mod watch;

pub use line::{Ended, Line, Row};
pub use passed::{End, Passed};
pub use queue::{Seen, Tap};
pub use specimen::Opening;
pub use watch::Watch;

use self::specimen::Held;

/// Taps at once: each is told of all that passes its component.
const MOST_TAPS: usize = 32;

/// All taps of a process.
#[derive(Debug, Default)]
pub struct Taps {
    /// How many are open.
    count: AtomicUsize,
    open: ArcSwap<Vec<Arc<Tap>>>,
    /// Held while taps open or close.
    changing: Mutex<()>,
    /// Bytes of bodies that were copied for taps.
    held: Arc<Held>,
}

/// What a tap is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The path of a component, or of one with others inside; empty for all.
    pub component: String,
    /// The profiles that it selects by their labels before or after.
    pub selector: Selector,
    /// Rows that wait, or are kept to be shown.
    pub rows: usize,
}

/// As many taps as can be are open already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MOST_TAPS} taps are open already, as many as can be: close one, or come again later")]
pub struct TooManyTaps;

/// A tap that is told until this is dropped.
#[derive(Debug)]
pub struct OpenTap {
    tap: Arc<Tap>,
    taps: Arc<Taps>,
}

/// Where a component's profiles are looked at. It belongs to the component's path: whatever component has that path after a
/// reload is looked at by the same taps.
#[derive(Clone, Default)]
pub struct Point {
    component: Arc<str>,
    taps: Arc<Taps>,
}

/// What a component is to the profiles that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// They begin there: there are no labels before.
    Source,
    /// They come there, and go on with other labels, or with the same, or not at all.
    Between,
}

impl Taps {
    /// Opens a tap.
    ///
    /// # Errors
    /// When as many as can be are open.
    pub fn open(self: &Arc<Self>, wanted: Wanted) -> Result<OpenTap, TooManyTaps> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = Vec::clone(&self.open.load());
        if open.len() >= MOST_TAPS {
            return Err(TooManyTaps);
        }
        let tap = Arc::new(Tap::new(wanted));
        open.push(tap.clone());
        self.set(open);
        Ok(OpenTap { tap, taps: self.clone() })
    }

    /// The point of a component with this path.
    pub fn point(self: &Arc<Self>, component: impl fmt::Display) -> Point {
        Point { component: component.to_string().into(), taps: self.clone() }
    }

    fn close(&self, tap: &Arc<Tap>) {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = Vec::clone(&self.open.load());
        open.retain(|other| !Arc::ptr_eq(other, tap));
        self.set(open);
    }

    fn set(&self, open: Vec<Arc<Tap>>) {
        self.count.store(open.len(), Ordering::Relaxed);
        self.open.store(Arc::new(open));
    }
}

impl Point {
    /// Notes a batch down where somebody looks.
    pub fn watch(&self, batch: &Batch, position: Position) -> Option<Watch> {
        if self.taps.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let open = self.taps.open.load();
        let told: Vec<Arc<Tap>> = open.iter().filter(|tap| tap.wanted().is_of(&self.component)).cloned().collect();
        (!told.is_empty()).then(|| Watch::new(self.component.clone(), position, batch, told, self.taps.held.clone()))
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Point({})", self.component)
    }
}

impl Wanted {
    fn is_of(&self, component: &str) -> bool {
        let within = |rest: &str| rest.is_empty() || rest.starts_with('/');
        self.component.is_empty() || component.strip_prefix(self.component.as_str()).is_some_and(within)
    }
}

impl std::ops::Deref for OpenTap {
    type Target = Tap;

    fn deref(&self) -> &Tap {
        &self.tap
    }
}

impl Drop for OpenTap {
    fn drop(&mut self) {
        self.taps.close(&self.tap);
    }
}
