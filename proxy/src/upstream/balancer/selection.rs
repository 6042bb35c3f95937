//! How a backend is chosen.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::sync::Arc;

use alloy_syntax::TextValue;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pingora_load_balancing::selection::{BackendIter, BackendSelection, Consistent, Random, RoundRobin};
use pingora_load_balancing::{Backend as Member, Backends as Members, LoadBalancer};
use rapidhash::v3::rapidhash_v3;

use super::backend::Backend;

/// Points of each backend on the ring of consistent hashing, as nginx and Pingora have it.
const POINTS: usize = 160;
/// Steps from one member to the next until those that are left are looked at one by one.
const MOST_STEPS: usize = 4096;

/// Which of the backends that are well gets a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// One after the other.
    #[default]
    RoundRobin,
    /// Any.
    Random,
    /// The one with the fewest requests in flight.
    LeastRequests,
    /// The one that its series belongs to: by Ketama, so that few series move when backends come and go.
    ConsistentHash,
}

impl TextValue for Policy {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text {
            "round_robin" => Ok(Self::RoundRobin),
            "random" => Ok(Self::Random),
            "least_requests" => Ok(Self::LeastRequests),
            "consistent_hash" => Ok(Self::ConsistentHash),
            _ => {
                let policies = r#""round_robin", "random", "least_requests" or "consistent_hash""#;
                Err(format!("is no policy: write {policies}"))
            }
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::RoundRobin => "round_robin",
            Self::Random => "random",
            Self::LeastRequests => "least_requests",
            Self::ConsistentHash => "consistent_hash",
        }
        .to_owned()
    }
}

/// The hash of labels by which a backend is chosen: the same in each process and of each version.
pub fn hash_key<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut text = Vec::with_capacity(256);
    for (name, value) in labels {
        text.extend_from_slice(name.as_bytes());
        text.push(0);
        text.extend_from_slice(value.as_bytes());
        text.push(0);
    }
    rapidhash_v3(&text)
}

/// Members, and the choice among them.
pub(super) struct Selection {
    policy: Policy,
    select: Box<dyn Select>,
}

type Accept<'a> = &'a dyn Fn(&Member, bool) -> bool;

/// A load balancer whose policy is forgotten.
trait Select: Send + Sync {
    fn select(&self, key: &[u8], most_steps: usize, accept: Accept<'_>) -> Option<Member>;
    fn update(&self) -> BoxFuture<'_, pingora_core::Result<()>>;
    fn members(&self) -> &Members;
}

impl<S> Select for LoadBalancer<S>
where
    S: BackendSelection + Send + Sync + 'static,
    S::Iter: BackendIter,
{
    fn select(&self, key: &[u8], most_steps: usize, accept: Accept<'_>) -> Option<Member> {
        self.select_with(key, most_steps, accept)
    }

    fn update(&self) -> BoxFuture<'_, pingora_core::Result<()>> {
        Self::update(self).boxed()
    }

    fn members(&self) -> &Members {
        self.backends()
    }
}

impl Selection {
    pub(super) fn new(policy: Policy, members: Members) -> Self {
        let select: Box<dyn Select> = match policy {
            Policy::RoundRobin => Box::new(LoadBalancer::<RoundRobin>::from_backends(members)),
            Policy::Random => Box::new(LoadBalancer::<Random>::from_backends(members)),
            Policy::LeastRequests => Box::new(LoadBalancer::<LeastRequests>::from_backends(members)),
            Policy::ConsistentHash => Box::new(LoadBalancer::<Consistent>::from_backends(members)),
        };
        Self { policy, select }
    }

    /// Takes the members that there are by now.
    pub(super) fn update(&self) -> BoxFuture<'_, pingora_core::Result<()>> {
        self.select.update()
    }

    pub(super) fn members(&self) -> &Members {
        self.select.members()
    }

    /// One that is well; where there is none, one that is ejected, and else any. None of those to be avoided.
    pub(super) fn choose(&self, hash_key: u64, avoided: &[SocketAddr]) -> Option<Member> {
        let free = |backend: &Backend| !avoided.contains(&backend.address);
        let well = |member: &Member, healthy| {
            healthy && Backend::of(member).is_some_and(|backend| free(backend) && backend.may_be_tried())
        };
        let steps = match self.policy {
            Policy::ConsistentHash => self.members().get_backend().len().saturating_mul(POINTS).min(MOST_STEPS),
            _ => self.members().get_backend().len().saturating_mul(2),
        };
        let chosen = self.select.select(&hash_key.to_le_bytes(), steps, &well);
        chosen.or_else(|| {
            let ejected =
                |member: &Member, healthy| healthy && Backend::of(member).is_some_and(|backend| free(backend));
            let any = |member: &Member, _| Backend::of(member).is_some_and(|backend| free(backend));
            // The steps of a policy need not lead to everyone.
            self.scan(&well).or_else(|| self.scan(&ejected)).or_else(|| self.scan(&any))
        })
    }

    /// The first that is accepted, from a place that is drawn.
    fn scan(&self, accept: Accept<'_>) -> Option<Member> {
        let members = self.members().get_backend();
        let first = fastrand::usize(..members.len().max(1));
        let mut around = members.iter().skip(first).chain(members.iter().take(first));
        around.find(|member| accept(member, self.members().ready(member))).cloned()
    }
}

/// The policy that Pingora lacks. Among several with equally few requests it is drawn.
struct LeastRequests(Box<[Member]>);

/// The members by their requests in flight.
struct ByRequests {
    least: Arc<LeastRequests>,
    /// Requests, what is drawn, and the place among the members.
    waiting: BinaryHeap<Reverse<(i64, u32, usize)>>,
}

impl BackendSelection for LeastRequests {
    type Iter = ByRequests;
    type Config = ();

    fn build(members: &BTreeSet<Member>) -> Self {
        Self(members.iter().cloned().collect())
    }

    fn iter(self: &Arc<Self>, _: &[u8]) -> ByRequests {
        let requests = |member| Backend::of(member).map_or(0, |backend| backend.metrics.in_flight.get());
        let places = self.0.iter().enumerate();
        let waiting = places.map(|(place, member)| Reverse((requests(member), fastrand::u32(..), place)));
        ByRequests { waiting: waiting.collect(), least: self.clone() }
    }
}

impl BackendIter for ByRequests {
    fn next(&mut self) -> Option<&Member> {
        let Reverse((_, _, place)) = self.waiting.pop()?;
        self.least.0.get(place)
    }
}
