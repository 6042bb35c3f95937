//! The file system's word on a path.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::places::Places;

/// Notices of changes at some places, for as long as it lives.
#[derive(Debug)]
pub(super) struct Notifications {
    places: Arc<Places>,
    /// Whether a folder itself was moved or removed: the kernel does not tell of the next one at its path, which may
    /// even have the same inode.
    stale: Arc<AtomicBool>,
    /// Has a thread of its own, which ends with it.
    _watcher: RecommendedWatcher,
}

impl Notifications {
    /// Listens at the places of a path; goes on with what listens there already. Blocks on the file system.
    ///
    /// # Errors
    /// The kernel's limits, mostly: `fs.inotify.max_user_instances` and `max_user_watches`.
    pub(super) fn of(path: &Path, told: &Arc<Notify>, before: Option<Self>) -> notify::Result<Self> {
        let places = Arc::new(Places::of(path)?);
        let still_right = |before: &Self| before.places == places && !before.stale.load(Ordering::Acquire);
        if let Some(before) = before.filter(still_right) {
            return Ok(before);
        }
        let stale = Arc::new(AtomicBool::new(false));
        let mut watcher = notify::recommended_watcher({
            let (places, told, stale) = (places.clone(), told.clone(), stale.clone());
            move |event: notify::Result<Event>| {
                let Ok(event) = event else {
                    stale.store(true, Ordering::Release);
                    return told.notify_one();
                };
                if concerns(&places, &event) {
                    if moves_a_folder(&places, &event) {
                        stale.store(true, Ordering::Release);
                    }
                    told.notify_one();
                }
            }
        })?;
        for folder in places.folders() {
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {}
                // It went away just now: the next look finds where to listen instead.
                Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => {
                    stale.store(true, Ordering::Release);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self { places, stale, _watcher: watcher })
    }
}

/// Reading is no change: whoever reads on every notice would never come to an end.
fn concerns(places: &Places, event: &Event) -> bool {
    match event.kind {
        EventKind::Access(_) => false,
        // The kernel dropped notices.
        _ if event.need_rescan() => true,
        _ => event.paths.iter().any(|path| places.concern(path)),
    }
}

fn moves_a_folder(places: &Places, event: &Event) -> bool {
    let moved = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
    moved && event.paths.iter().any(|path| places.is_folder(path))
}
