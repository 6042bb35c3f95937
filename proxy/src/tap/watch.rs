//! A batch that is looked at on its way.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use profiler_core::labels::Labels;

use super::passed::format_of;
use super::specimen::{Held, Specimen};
use super::{End, Passed, Position, Tap};
use crate::pipeline::{Batch, Outcome, Profile};

/// A batch at a component, until its outcome is known.
pub struct Watch {
    component: Arc<str>,
    position: Position,
    told: Vec<Arc<Tap>>,
    at: SystemTime,
    began: Instant,
    held: Arc<Held>,
    /// In the batch's order.
    notes: Vec<Note>,
}

struct Note {
    /// As it came.
    profile: Profile,
    after: Option<Labels>,
    dropped: Option<Arc<str>>,
}

impl Watch {
    pub(super) fn new(
        component: Arc<str>,
        position: Position,
        batch: &Batch,
        told: Vec<Arc<Tap>>,
        held: Arc<Held>,
    ) -> Self {
        let note = |profile: &Profile| Note { profile: profile.clone(), after: None, dropped: None };
        let notes = batch.profiles.iter().map(note).collect();
        Self { component, position, told, at: SystemTime::now(), began: Instant::now(), held, notes }
    }

    /// The profile at this place of the batch goes on with these labels.
    pub fn goes_on(&mut self, place: usize, labels: &Labels) {
        if let Some(note) = self.notes.get_mut(place) {
            note.after = Some(labels.clone());
        }
    }

    /// The profile at this place ends here, as it should.
    pub fn dropped(&mut self, place: usize, reason: Arc<str>) {
        if let Some(note) = self.notes.get_mut(place) {
            note.dropped = Some(reason);
        }
    }

    /// Tells what became of the batch, of which there is one outcome for each receiver.
    pub fn end_of_each(self, outcomes: &[Outcome]) {
        let mut all = Outcome::accepted(self.notes.len());
        outcomes.iter().for_each(|outcome| all.join(outcome.clone()));
        self.end(&all);
    }

    /// Tells what became of the batch.
    pub fn end(self, outcome: &Outcome) {
        let took = self.began.elapsed();
        for (note, ended) in self.notes.into_iter().zip(&outcome.profiles) {
            let Note { profile, after, dropped } = note;
            let Profile { labels, body, .. } = &profile;
            let (before, after) = match self.position {
                Position::Source => (None, Some(labels.clone())),
                Position::Between => (Some(labels.clone()), after),
            };
            let end = match (dropped, &ended.error) {
                (Some(reason), _) => End::Dropped(reason),
                (None, Some(error)) => End::Failed(error.clone()),
                (None, None) => End::Passed { taken: ended.taken.len() },
            };
            let mut passed = Passed {
                component: self.component.clone(),
                at: self.at,
                took,
                before,
                after,
                format: format_of(body),
                bytes: body.byte_len(),
                profiles: body.profile_count(),
                end,
                specimen: None,
            };
            let told: Vec<&Arc<Tap>> = self.told.iter().filter(|tap| tap.wants(&passed)).collect();
            if told.is_empty() {
                continue;
            }
            passed.specimen = Specimen::of(body, &self.held);
            let passed = Arc::new(passed);
            told.into_iter().for_each(|tap| tap.tell(passed.clone()));
        }
    }
}
