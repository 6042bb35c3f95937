//! Which nodes are spoken of, so that their number has a bound whoever speaks.

use std::collections::HashMap;
use std::time::Duration;

use chitchat::ChitchatId;
use tokio::time::Instant;

use super::frame::{MOST_DIGEST_BYTES, MOST_NODES, digest_bytes};

/// The nodes that were spoken of lately. `chitchat` knows no others.
#[derive(Debug)]
pub(super) struct Admission {
    /// When each was spoken of last.
    known: HashMap<ChitchatId, Instant>,
    /// After which silence one is known no more.
    forgotten_after: Duration,
}

impl Admission {
    pub(super) fn new(own: ChitchatId, forgotten_after: Duration) -> Self {
        Self { known: HashMap::from([(own, Instant::now())]), forgotten_after }
    }

    /// Whether there is room for all of these; then they are known.
    pub(super) fn admit(&mut self, about: &[ChitchatId], now: Instant) -> bool {
        if !self.has_room(about) {
            self.known.retain(|_, spoken_of| now.duration_since(*spoken_of) < self.forgotten_after);
            if !self.has_room(about) {
                return false;
            }
        }
        self.known.extend(about.iter().map(|id| (id.clone(), now)));
        true
    }

    fn has_room(&self, about: &[ChitchatId]) -> bool {
        let strangers = about.iter().filter(|id| !self.known.contains_key(id));
        let (nodes, bytes) =
            self.known.keys().chain(strangers).fold((0, 0), |(nodes, bytes), id| (nodes + 1, bytes + digest_bytes(id)));
        nodes <= MOST_NODES && bytes <= MOST_DIGEST_BYTES
    }

    pub(super) fn knows(&self, id: &ChitchatId) -> bool {
        self.known.contains_key(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: std::ops::Range<usize>) -> Vec<ChitchatId> {
        let id = |number: usize| ChitchatId::new(number.to_string(), 1, ([127, 0, 0, 1], 1).into());
        numbers.map(id).collect()
    }

    #[test]
    fn there_is_room_for_so_many_until_some_are_forgotten() {
        let (began, minute) = (Instant::now(), Duration::from_secs(60));
        let mut admission = Admission::new(ids(0..1).remove(0), minute);
        // After how many seconds who is spoken of, and whether there is room.
        let most = MOST_NODES;
        for (second, about, expected) in [
            (1, 0..most - 1, true),
            (2, most - 1..most + 1, false),
            (3, most - 1..most, true),
            (4, most..most + 1, false),
            (30, 0..10, true),
            (61, most..most + 1, true),
            (61, most + 1..2 * most, false),
            (64, most + 1..2 * most - 11, true),
        ] {
            let now = began + Duration::from_secs(second);
            assert_eq!(admission.admit(&ids(about.clone()), now), expected, "{second}: {about:?}");
        }
        assert!(admission.knows(&ids(5..6)[0]) && !admission.knows(&ids(11..12)[0]));
    }

    #[test]
    fn there_is_no_room_for_more_than_a_frame_holds() {
        let mut admission = Admission::new(ids(0..1).remove(0), Duration::from_secs(60));
        let long = |number: usize| ChitchatId::new(format!("{number:0253}"), 1, ([127, 0, 0, 1], 1).into());
        let admitted = (0..MOST_NODES).filter(|number| admission.admit(&[long(*number)], Instant::now())).count();
        assert_eq!(admitted, (MOST_DIGEST_BYTES - digest_bytes(&ids(0..1)[0])) / digest_bytes(&long(0)));
    }
}
