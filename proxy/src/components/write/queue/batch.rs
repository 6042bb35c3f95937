//! Calls of several records that go out as one request.

use http::StatusCode;

use super::record::QueuedCall;
use crate::pipeline::{Fault, PushError};
use crate::upstream::{Api, Call, Segments};

/// Series of a request: as many as hide the way to the backend; one that is refused is found in twice eight steps.
const MOST_SERIES: usize = 64;
/// Bytes of a request of several series; one alone may have more.
pub(super) const MOST_BYTES: u64 = 2 << 20;

/// A call, and of which of the loans it is.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) loan: usize,
    pub(super) queued: QueuedCall,
}

/// One request. Several items are series of the push API with the same headers, and so of one tenant, and for one
/// backend where their labels choose it.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    bytes: u64,
}

impl Batch {
    /// The requests for these, in their order: what has the same headers stays in it.
    pub(super) fn of(items: impl IntoIterator<Item = Item>) -> Vec<Self> {
        let mut batches: Vec<Self> = Vec::new();
        for item in items {
            let last = batches.iter_mut().rev().find(|batch| batch.has_headers_of(&item));
            match last.filter(|batch| batch.has_room_for(&item)) {
                Some(batch) => batch.add(item),
                None => batches.push(Self::one(item)),
            }
        }
        batches
    }

    fn one(item: Item) -> Self {
        Self { bytes: item.queued.call.body.len(), items: vec![item] }
    }

    fn add(&mut self, item: Item) {
        self.bytes += item.queued.call.body.len();
        self.items.push(item);
    }

    fn has_headers_of(&self, item: &Item) -> bool {
        let is_same = |first: &Item| {
            let (first, other) = (&first.queued.call, &item.queued.call);
            first.api == Api::Push
                && other.api == Api::Push
                && first.headers == other.headers
                && first.hash_key == other.hash_key
        };
        self.items.first().is_some_and(is_same)
    }

    fn has_room_for(&self, item: &Item) -> bool {
        self.items.len() < MOST_SERIES && self.bytes + item.queued.call.body.len() <= MOST_BYTES
    }

    /// The call. Push requests that follow each other are the push request of all their series.
    pub(super) fn call(&self) -> Option<Call> {
        let first = &self.items.first()?.queued.call;
        let pieces = self.items.iter().flat_map(|item| item.queued.call.body.pieces().cloned());
        let body = Segments::from(pieces.collect::<Vec<_>>());
        let (query, content_types) = (first.query.clone(), first.content_types.clone());
        let (headers, hash_key) = (first.headers.clone(), first.hash_key);
        Some(Call { api: first.api, query, content_types, headers, body, hash_key })
    }

    /// Profiles in it, and their bytes as they were received.
    pub(super) fn size(&self) -> (u64, u64) {
        let queued = self.items.iter().map(|item| &item.queued);
        queued.fold((0, 0), |(profiles, bytes), queued| {
            (profiles + u64::from(queued.profiles), bytes + queued.profile_bytes)
        })
    }

    /// The two requests that tell more than this one, which was refused so; or itself, where there is no more to tell.
    pub(super) fn halves(mut self, refusal: &PushError) -> Result<[Self; 2], Self> {
        if self.items.len() < 2 || !is_of_the_content(refusal) {
            return Err(self);
        }
        let second = self.items.split_off(self.items.len() / 2);
        Ok([self.items, second].map(|items| {
            let bytes = items.iter().map(|item| item.queued.call.body.len()).sum();
            Self { items, bytes }
        }))
    }
}

/// Whether a part of the request may fare better: not where the backend says that it knows neither sender nor path, or
/// has enough of both.
fn is_of_the_content(refusal: &PushError) -> bool {
    let of_all = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    refusal.fault == Fault::Backend && refusal.status.is_client_error() && !of_all.contains(&refusal.status)
}
