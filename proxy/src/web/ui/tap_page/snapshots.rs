//! What has passed while a page was looked at, for browsers that run no script: it is there when the page is loaded again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::tap::{OpenTap, Seen, TooManyTaps, Wanted};
use crate::web::ui::Ui;

/// Different pages that are remembered; the one that was not looked at for longest makes room.
const MOST: usize = 8;
/// So long after the last look a page is forgotten, and its tap closed.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(2 * 60);

/// Taps of pages that were loaded lately.
#[derive(Default)]
pub(in super::super) struct Snapshots(Mutex<Vec<Remembered>>);

struct Remembered {
    wanted: Wanted,
    tap: OpenTap,
    began: Instant,
    looked: Instant,
}

/// What has passed.
pub(super) struct Snapshot {
    pub seen: Seen,
    /// Since when it was looked.
    pub since: Duration,
}

impl Snapshots {
    /// What has passed since such a page was loaded first; from now on it is looked.
    pub(super) fn look(&self, ui: &Ui, wanted: Wanted) -> Result<Snapshot, TooManyTaps> {
        let mut pages = self.locked();
        let now = Instant::now();
        if let Some(page) = pages.iter_mut().find(|page| page.wanted == wanted) {
            page.looked = now;
            return Ok(Snapshot { seen: page.tap.look(), since: now - page.began });
        }
        if pages.len() >= MOST {
            let eldest = pages.iter().enumerate().min_by_key(|(_, page)| page.looked).map(|(place, _)| place);
            eldest.map(|place| pages.remove(place));
        }
        let tap = ui.controller.services().taps.open(wanted.clone())?;
        let is_first = pages.is_empty();
        pages.push(Remembered { wanted, tap, began: now, looked: now });
        drop(pages);
        if is_first {
            tokio::spawn(forget(ui.clone()));
        }
        Ok(Snapshot { seen: Seen::default(), since: Duration::ZERO })
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets page by page, until there is none or the process ends.
async fn forget(ui: Ui) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(FORGOTTEN_AFTER / 4) => {}
            () = ui.controller.stopping() => return,
        }
        let mut pages = ui.snapshots.locked();
        pages.retain(|page| page.looked.elapsed() < FORGOTTEN_AFTER);
        if pages.is_empty() {
            return;
        }
    }
}
