//! What was not answered with success is remembered for a while, so that a sender that comes again joins the attempt
//! that still runs, or gives each profile to those endpoints alone that do not have it yet.
//!
//! While all goes well nothing is hashed and nothing looked up: a request gets a digest when it takes long, when some
//! endpoints took it and others did not, when its sender did not hear that it succeeded, and while others are remembered.

use std::hash::{BuildHasher, Hash, Hasher};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use rapidhash::quality::RandomState;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::ingest::Receipt;
use crate::pipeline::{Batch, Body, Fanout, Outcome, Profile, Taken};
use crate::tap::Position;
use crate::telemetry::metrics::ReceiveHttpMetrics;
use crate::telemetry::metrics::receive_http::Resent;

#[cfg(test)]
mod tests;

/// How long a request is remembered: SDKs try again within minutes.
const REMEMBERED_FOR: Duration = Duration::from_secs(600);
/// Requests that are remembered; the oldest are forgotten.
const MOST_REQUESTS: usize = 10_000;
/// Profiles of all of them together, each for each endpoint that took it.
const MOST_TAKEN: usize = 200_000;
/// A request that is not done by then can be joined. No sender gives up sooner, and hardly a delivery takes as long.
const SLOW: Duration = Duration::from_millis(100);

/// The memory of a receiver.
pub(super) struct Resends {
    requests: Mutex<Requests>,
    /// How many there are, so that nobody needs the lock while there are none.
    remembered: AtomicUsize,
    /// Of a digest's two halves. No sender knows them, and none can make a request that looks like another one's.
    hashing: [RandomState; 2],
}

struct Requests {
    /// Oldest first: nothing is promoted.
    by_digest: LruCache<Digest, Remembered>,
    taken: usize,
}

type Digest = [u64; 2];
type Settled = Option<Arc<[Outcome]>>;

struct Remembered {
    since: Instant,
    known: Known,
}

/// What is known of a request.
#[derive(Clone)]
enum Known {
    /// It is on its way; the channel closes without a word where it comes to no end.
    Running(watch::Receiver<Settled>),
    /// Who took each of its profiles, where others did not.
    Taken(Vec<Arc<[Taken]>>),
    /// It arrived everywhere, and its sender did not hear so.
    Delivered,
}

/// One request on its way.
struct Attempt {
    resends: Arc<Resends>,
    batch: Batch,
    digest: Option<Digest>,
    phase: Phase,
}

enum Phase {
    /// Under way, and known to nobody.
    Unknown,
    /// Under way, to be joined.
    Registered(watch::Sender<Settled>),
    /// It succeeded, which its sender has not heard.
    Succeeded,
    /// Nothing is left to be done.
    Over,
}

/// What became of a request.
pub(super) struct Delivery {
    /// One for each receiver.
    pub outcomes: Vec<Outcome>,
    /// To go with the answer, where that is a success.
    pub receipt: Option<Box<dyn Receipt>>,
}

impl Resends {
    pub(super) fn new() -> Self {
        let requests = Requests { by_digest: LruCache::unbounded(), taken: 0 };
        Self { requests: Mutex::new(requests), remembered: AtomicUsize::new(0), hashing: Default::default() }
    }

    /// Sends a request's profiles to those that do not have them.
    pub(super) async fn deliver(
        self: &Arc<Self>,
        mut batch: Batch,
        forward_to: &Fanout,
        metrics: &ReceiveHttpMetrics,
    ) -> Delivery {
        let mut attempt = Attempt { resends: self.clone(), batch: batch.clone(), digest: None, phase: Phase::Unknown };
        if self.remembered.load(Ordering::Relaxed) > 0 {
            match self.find(attempt.digest()) {
                None => {}
                Some(Known::Delivered) => {
                    metrics.resent(Resent::Delivered);
                    return attempt.succeeded(vec![Outcome::accepted(batch.profiles.len())]);
                }
                Some(Known::Running(settled)) => {
                    if let Some(outcomes) = end_of(settled).await {
                        metrics.resent(Resent::Joined);
                        let outcomes = outcomes.to_vec();
                        return if is_success(&outcomes) {
                            attempt.succeeded(outcomes)
                        } else {
                            attempt.over(outcomes)
                        };
                    }
                }
                Some(Known::Taken(taken)) => {
                    metrics.resent(Resent::Completed);
                    for (profile, taken) in batch.profiles.iter_mut().zip(taken) {
                        profile.taken = Some(taken);
                    }
                    // Who comes again meanwhile waits for this attempt.
                    attempt.register();
                }
            }
        }
        let watch = forward_to.point().watch(&batch, Position::Source);
        let mut pushing = pin!(forward_to.push_each(batch));
        let outcomes = match tokio::time::timeout(SLOW, &mut pushing).await {
            Ok(outcomes) => outcomes,
            Err(_) => {
                attempt.register();
                pushing.await
            }
        };
        if let Some(watch) = watch {
            watch.end_of_each(&outcomes);
        }
        attempt.settle(outcomes)
    }

    fn find(&self, digest: Digest) -> Option<Known> {
        let mut requests = self.requests();
        requests.forget_old(&self.remembered);
        requests.by_digest.peek(&digest).map(|request| request.known.clone())
    }

    fn remember(&self, digest: Digest, known: Known) {
        let mut requests = self.requests();
        requests.forget(digest);
        requests.taken += known.taken();
        requests.by_digest.push(digest, Remembered { since: Instant::now(), known });
        requests.forget_old(&self.remembered);
    }

    fn forget(&self, digest: Digest) {
        let mut requests = self.requests();
        requests.forget(digest);
        self.remembered.store(requests.by_digest.len(), Ordering::Relaxed);
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of all that distinguishes a request for those who take it: who it is from, and each series with what is in it.
    fn digest(&self, batch: &Batch) -> Digest {
        self.hashing.each_ref().map(|hashing| {
            let mut hasher = hashing.build_hasher();
            for (name, value) in batch.profiles.iter().take(1).flat_map(|profile| &profile.origin.forwarded) {
                (name.as_str(), value.as_bytes()).hash(&mut hasher);
            }
            batch.profiles.iter().for_each(|profile| hash(profile, &mut hasher));
            hasher.finish()
        })
    }
}

impl Requests {
    fn forget(&mut self, digest: Digest) {
        if let Some(request) = self.by_digest.pop(&digest) {
            self.taken -= request.known.taken();
        }
    }

    /// What is too old or too much goes.
    fn forget_old(&mut self, remembered: &AtomicUsize) {
        while let Some((digest, oldest)) = self.by_digest.peek_lru() {
            let fits = self.by_digest.len() <= MOST_REQUESTS && self.taken <= MOST_TAKEN;
            if fits && oldest.since.elapsed() < REMEMBERED_FOR {
                break;
            }
            self.forget(*digest);
        }
        remembered.store(self.by_digest.len(), Ordering::Relaxed);
    }
}

impl Known {
    fn taken(&self) -> usize {
        match self {
            Self::Taken(profiles) => profiles.iter().map(|taken| taken.len()).sum(),
            Self::Running(_) | Self::Delivered => 0,
        }
    }
}

impl Attempt {
    fn digest(&mut self) -> Digest {
        *self.digest.get_or_insert_with(|| self.resends.digest(&self.batch))
    }

    /// From now on it can be joined.
    fn register(&mut self) {
        if matches!(self.phase, Phase::Unknown) {
            let (sender, receiver) = watch::channel(None);
            let digest = self.digest();
            self.resends.remember(digest, Known::Running(receiver));
            self.phase = Phase::Registered(sender);
        }
    }

    fn settle(mut self, outcomes: Vec<Outcome>) -> Delivery {
        let succeeded = is_success(&outcomes);
        let taken = if succeeded { Vec::new() } else { taken_by(&self.batch, &outcomes) };
        let worth_it = taken.iter().any(|taken| !taken.is_empty());
        if let Phase::Registered(sender) = std::mem::replace(&mut self.phase, Phase::Over) {
            // Before it is told, so that none of those who wait finds it running.
            let digest = self.digest();
            self.resends.forget(digest);
            // The table's own receiver is gone: those who are left have joined, and answer for it.
            if sender.send(Some(outcomes.as_slice().into())).is_ok() && succeeded {
                return self.over(outcomes);
            }
        }
        if succeeded {
            return self.succeeded(outcomes);
        }
        if worth_it {
            let digest = self.digest();
            self.resends.remember(digest, Known::Taken(taken));
        }
        self.over(outcomes)
    }

    fn succeeded(mut self, outcomes: Vec<Outcome>) -> Delivery {
        self.phase = Phase::Succeeded;
        Delivery { outcomes, receipt: Some(Box::new(self)) }
    }

    fn over(mut self, outcomes: Vec<Outcome>) -> Delivery {
        self.phase = Phase::Over;
        Delivery { outcomes, receipt: None }
    }
}

impl Receipt for Attempt {
    fn heard(mut self: Box<Self>) {
        self.phase = Phase::Over;
        if let Some(digest) = self.digest {
            self.resends.forget(digest);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        match self.phase {
            Phase::Unknown | Phase::Over => {}
            // It came to no end: who joined sends on its own account.
            Phase::Registered(_) => {
                let digest = self.digest();
                self.resends.forget(digest);
            }
            Phase::Succeeded => {
                let digest = self.digest();
                self.resends.remember(digest, Known::Delivered);
            }
        }
    }
}

async fn end_of(mut running: watch::Receiver<Settled>) -> Settled {
    running.wait_for(Option::is_some).await.ok()?.clone()
}

fn is_success(outcomes: &[Outcome]) -> bool {
    outcomes.iter().all(|outcome| outcome.worst().is_none())
}

/// By profile, in the order of the batch: who has it now.
fn taken_by(batch: &Batch, outcomes: &[Outcome]) -> Vec<Arc<[Taken]>> {
    let of = |index: usize| {
        let profiles = outcomes.iter().filter_map(move |outcome| outcome.profiles.get(index));
        profiles.flat_map(|profile| profile.taken.iter().cloned()).collect()
    };
    (0..batch.profiles.len()).map(of).collect()
}

fn hash(profile: &Profile, hasher: &mut impl Hasher) {
    for (name, value) in profile.labels.iter() {
        (name, value).hash(hasher);
    }
    match &profile.body {
        Body::Pprof(samples) => {
            samples.len().hash(hasher);
            samples.iter().for_each(|sample| (&sample.id, &sample.profile).hash(hasher));
        }
        Body::Ingest(ingest) => (&ingest.query, &ingest.content_types, &ingest.bytes).hash(hasher),
    }
}
