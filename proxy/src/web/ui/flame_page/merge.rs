//! The trees that pages are drawn of: merged on a thread of low priority, one at a time, and kept for some minutes, since
//! each zoom and each search asks for the same.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use profiler_core::flame::{PprofMessage, SampleType, Side, Tree, TreeBuilder, Unreadable};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{before, others};
use crate::graph::Controller;
use crate::kept::{Kept, Store, open};
use crate::web::ui::link::{Compare, Link, Range};

/// Trees that are kept.
const KEPT: NonZeroUsize = NonZeroUsize::new(4).unwrap();
/// How long, from when they are made.
const KEPT_FOR: Duration = Duration::from_secs(120);
/// Functions in the trees that are kept, together.
const MOST_FUNCTIONS: usize = 2_000_000;
/// Requests that wait for a tree.
const WAITING: usize = 16;
/// So long profiles are merged, the last ones first; what is left then is left out.
const MERGE_FOR: Duration = Duration::from_secs(5);

/// What was merged.
pub(super) struct Merged {
    pub tree: Tree,
    /// The kind of values.
    pub of: SampleType,
    /// The kinds that there are.
    pub types: Vec<SampleType>,
    pub shown: Counted,
    /// Where something is compared.
    pub compared: Option<Counted>,
    /// Profiles that cannot be drawn, by why.
    pub not_drawable: BTreeMap<String, usize>,
}

/// Profiles of one side.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    /// Those that were selected.
    pub selected: usize,
    /// Those that were looked at.
    pub merged: usize,
}

/// Trees of the last minutes.
pub(in super::super) struct Trees {
    kept: Mutex<LruCache<String, (Arc<Merged>, Instant)>>,
    waiting: Semaphore,
    turn: Semaphore,
}

impl Default for Trees {
    fn default() -> Self {
        let kept = Mutex::new(LruCache::new(KEPT));
        Self { kept, waiting: Semaphore::new(WAITING), turn: Semaphore::new(1) }
    }
}

impl Trees {
    /// The tree of what a link shows; `None` where too many ask.
    pub(super) async fn merged(
        self: &Arc<Self>,
        controller: &Controller,
        store: &Store,
        link: &Link,
    ) -> Option<Arc<Merged>> {
        // Without what changes the drawing alone.
        let key = Link { focus: None, find: String::new(), up: false, order: Link::default().order, ..link.clone() }
            .to_string();
        if let Some(merged) = self.find(&key) {
            return Some(merged);
        }
        let _waiting = self.waiting.try_acquire().ok()?;
        let _turn = self.turn.acquire().await.ok()?;
        // Somebody else may have asked for the same.
        if let Some(merged) = self.find(&key) {
            return Some(merged);
        }
        let (from, until) = link.range.times();
        let series = link.series.clone().unwrap_or_default();
        let shown = store.select(&series.and(&link.labels), from, until);
        let compared = match link.compare {
            Compare::Nothing => None,
            Compare::Before => {
                let (from, until) = before(link);
                Some(store.select(&others(link), from, until))
            }
            Compare::With(_) => Some(store.select(&others(link), from, until)),
        };
        let (handle, kind) = (Handle::current(), link.kind.clone());
        let merging = move || Arc::new(Merge::new(handle, kind).run(&shown, compared.as_deref()));
        let merged = controller.services().filters.aside(merging).await?;
        self.keep(key, &merged, link.range);
        Some(merged)
    }

    fn find(&self, key: &str) -> Option<Arc<Merged>> {
        let mut kept = self.locked();
        let (merged, made) = kept.get(key)?;
        (made.elapsed() < KEPT_FOR).then(|| merged.clone())
    }

    fn keep(self: &Arc<Self>, key: String, merged: &Arc<Merged>, range: Range) {
        debug_assert!(matches!(range, Range::Between(..)), "the same key means the same time");
        let mut kept = self.locked();
        kept.push(key, (merged.clone(), Instant::now()));
        while kept.iter().map(|(_, (merged, _))| merged.tree.len()).sum::<usize>() > MOST_FUNCTIONS && kept.len() > 1 {
            kept.pop_lru();
        }
        drop(kept);
        let trees = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(KEPT_FOR).await;
            let mut kept = trees.locked();
            let old: Vec<String> =
                kept.iter().filter(|(_, (_, made))| made.elapsed() >= KEPT_FOR).map(|(key, _)| key.clone()).collect();
            old.iter().for_each(|key| drop(kept.pop(key)));
        });
    }

    fn locked(&self) -> MutexGuard<'_, LruCache<String, (Arc<Merged>, Instant)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Merge {
    handle: Handle,
    /// Empty until a profile says what is usual.
    kind: String,
    of: Option<SampleType>,
    types: Vec<SampleType>,
    tree: TreeBuilder,
    not_drawable: BTreeMap<String, usize>,
    until: Instant,
}

impl Merge {
    fn new(handle: Handle, kind: String) -> Self {
        Self {
            handle,
            kind,
            of: None,
            types: Vec::new(),
            tree: TreeBuilder::default(),
            not_drawable: BTreeMap::new(),
            until: Instant::now() + MERGE_FOR,
        }
    }

    fn run(mut self, shown: &[Kept], compared: Option<&[Kept]>) -> Merged {
        let shown = self.add(shown, Side::Shown);
        // Half of the time is for the other side, whatever the first took.
        self.until = self.until.max(Instant::now() + MERGE_FOR / 2);
        let compared = compared.map(|compared| self.add(compared, Side::Compared));
        let of = self.of.unwrap_or(SampleType { kind: self.kind, unit: String::new() });
        let (tree, types) = (self.tree.finish(), self.types);
        Merged { tree, of, types, shown, compared, not_drawable: self.not_drawable }
    }

    fn add(&mut self, kept: &[Kept], side: Side) -> Counted {
        let mut counted = Counted { selected: kept.len(), merged: 0 };
        for kept in kept {
            if Instant::now() > self.until {
                break;
            }
            counted.merged += 1;
            let handle = self.handle.clone();
            let not_drawable = handle.block_on(open(&kept.body, |message| self.add_message(message, side)));
            for reason in not_drawable {
                *self.not_drawable.entry(reason.to_string()).or_default() += 1;
            }
        }
        counted
    }

    fn add_message(&mut self, message: &PprofMessage<'_>, side: Side) -> Result<(), Unreadable> {
        for of in message.types() {
            if self.types.len() < MOST_TYPES && !self.types.contains(of) {
                self.types.push(of.clone());
            }
        }
        if self.kind.is_empty() {
            self.kind = message.default_type().map(|of| of.kind.clone()).unwrap_or_default();
        }
        if self.of.is_none() {
            self.of = message.types().iter().find(|of| of.kind == self.kind).cloned();
        }
        self.tree.add_message(message, &self.kind, side).map(drop)
    }
}

/// Kinds of values in a menu: more are nobody's.
const MOST_TYPES: usize = 64;
