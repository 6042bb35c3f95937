//! Which backends there are: targets become addresses, and these members.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures_util::stream::{self, StreamExt};
use http::Extensions;
use pingora_core::protocols::l4::socket::SocketAddr as MemberAddress;
use pingora_load_balancing::Backend as Member;
use pingora_load_balancing::discovery::ServiceDiscovery;
use tokio::sync::{Notify, SetOnce};
use tokio::time::timeout;

use super::MOST_BACKENDS;
use super::backend::Backend;
use super::target::{Place, Target};
use crate::telemetry::metrics::BackendsMetrics;
use crate::upstream::client::ClientMaker;
use crate::upstream::endpoint::Base;
use crate::upstream::http_client::Dial;

/// Between two lookups of the names.
const AGAIN: Duration = Duration::from_secs(30);
/// The same where one of them led nowhere.
const SOON_AGAIN: Duration = Duration::from_secs(5);
/// The longest that looking up one name may take. The system's resolver has patience for longer.
const LOOKUP: Duration = Duration::from_secs(5);
/// Names that are looked up at once: each takes a thread meanwhile.
const SIDE_BY_SIDE: usize = 16;

/// The backends that there are, and the targets that led to them.
pub(super) struct Membership {
    base: Base,
    clients: ClientMaker,
    metrics: BackendsMetrics,
    targets: ArcSwap<BTreeSet<Target>>,
    aimed_anew: Notify,
    /// What the load balancer discovers.
    members: Arc<ArcSwap<BTreeSet<Member>>>,
    known: Mutex<Known>,
    /// The first targets were looked for.
    found: SetOnce<()>,
    /// There are other members by now.
    changed: Notify,
}

#[derive(Default)]
struct Known {
    backends: BTreeMap<SocketAddr, Arc<Backend>>,
    /// What names led to last.
    names: BTreeMap<Target, Vec<SocketAddr>>,
    unresolved: Vec<Unresolved>,
    /// Where the members are that the load balancer has.
    published: BTreeSet<SocketAddr>,
}

/// A name that led nowhere when it was looked up last. What it led to before stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// The target.
    pub target: Arc<str>,
    /// Why.
    pub error: String,
}

impl Membership {
    pub(super) fn new(
        base: Base,
        clients: ClientMaker,
        metrics: BackendsMetrics,
        backends: BTreeMap<SocketAddr, Arc<Backend>>,
    ) -> Self {
        Self {
            base,
            clients,
            metrics,
            targets: ArcSwap::default(),
            aimed_anew: Notify::new(),
            members: Arc::default(),
            known: Mutex::new(Known { backends, ..Known::default() }),
            found: SetOnce::new(),
            changed: Notify::new(),
        }
    }

    /// What hands the members to the load balancer.
    pub(super) fn discovery(&self) -> Box<Discovery> {
        Box::new(Discovery(self.members.clone()))
    }

    /// Nobody asks those of before any more how they are: they are well until someone knows better.
    pub(super) fn take_over(&self) {
        self.locked().backends.values().for_each(|backend| backend.assume_well());
    }

    pub(super) fn aim_at(&self, targets: BTreeSet<Target>) {
        self.targets.store(Arc::new(targets));
        self.aimed_anew.notify_one();
    }

    /// Waits for other targets.
    pub(super) async fn is_aimed_anew(&self) {
        self.aimed_anew.notified().await;
    }

    /// Waits for other members.
    pub(super) async fn has_changed(&self) {
        self.changed.notified().await;
    }

    /// Waits until it is known for the first time who there is.
    pub(super) async fn found(&self) {
        if self.found.get().is_none() {
            self.found.wait().await;
        }
    }

    pub(super) fn known(&self) -> BTreeMap<SocketAddr, Arc<Backend>> {
        self.locked().backends.clone()
    }

    pub(super) fn unresolved(&self) -> Vec<Unresolved> {
        self.locked().unresolved.clone()
    }

    /// Makes members of what needs no lookup, or had one before; tells whether there are any.
    pub(super) fn find_known(&self) -> bool {
        let targets = self.targets.load_full();
        self.assemble(&targets);
        !self.members.load().is_empty()
    }

    /// Looks the names up and makes members of all; tells how long that is good for.
    pub(super) async fn find(&self) -> Duration {
        let targets = self.targets.load_full();
        let name = |target: &Target| match &target.place {
            Place::Address(_) => None,
            Place::Name { host, port } => Some((target.clone(), host.clone(), *port)),
        };
        let names: Vec<_> = targets.iter().filter_map(name).collect();
        let looking = names.into_iter().map(|(target, host, port)| async move { (target, lookup(&host, port).await) });
        let looked: Vec<_> = stream::iter(looking).buffer_unordered(SIDE_BY_SIDE).collect().await;
        let again = {
            let mut known = self.locked();
            known.unresolved.clear();
            known.names.retain(|target, _| targets.contains(target));
            for (target, addresses) in looked {
                match addresses {
                    Ok(addresses) => drop(known.names.insert(target, addresses)),
                    Err(error) => known.unresolved.push(Unresolved { target: target.text, error: error.to_string() }),
                }
            }
            known.unresolved.sort_by(|one, other| one.target.cmp(&other.target));
            if known.unresolved.is_empty() { AGAIN } else { SOON_AGAIN }
        };
        self.assemble(&targets);
        again
    }

    /// The load balancer has taken the members: the others are gone once their requests are answered.
    pub(super) fn published(&self) {
        let members = self.members.load();
        let addresses: BTreeSet<SocketAddr> =
            members.iter().filter_map(Backend::of).map(|backend| backend.address).collect();
        self.metrics.keep(&addresses);
        let mut known = self.locked();
        known.backends.retain(|address, _| addresses.contains(address));
        if known.published != addresses {
            known.published = addresses;
            self.changed.notify_one();
        }
        drop(known);
        // Whether it was set before is no matter.
        let _first = self.found.set(());
    }

    fn assemble(&self, targets: &BTreeSet<Target>) {
        let mut known = self.locked();
        let known = &mut *known;
        let mut members = BTreeSet::new();
        for target in targets {
            let addresses = match &target.place {
                Place::Address(address) => std::slice::from_ref(address),
                Place::Name { .. } => known.names.get(target).map(Vec::as_slice).unwrap_or_default(),
            };
            for &address in addresses {
                if members.len() == MOST_BACKENDS {
                    tracing::warn!(endpoint = %self.base, "more than {MOST_BACKENDS} backends: the others get no requests");
                    break;
                }
                let make = || Arc::new(self.backend(address, target));
                let backend = known.backends.entry(address).or_insert_with(make).clone();
                let mut ext = Extensions::new();
                ext.insert(backend);
                members.insert(Member { addr: MemberAddress::Inet(address), weight: 1, ext });
            }
        }
        self.members.store(Arc::new(members));
    }

    fn backend(&self, address: SocketAddr, target: &Target) -> Backend {
        let client = self.clients.client_of(Dial { server: self.base.authority().clone(), address });
        Backend::new(address, target.text.clone(), client, self.metrics.of(address))
    }

    fn locked(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A host with both kinds of addresses would count twice: the IPv4 ones do, if there are any.
async fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let looked = timeout(LOOKUP, tokio::net::lookup_host((host, port))).await;
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("not resolved within {LOOKUP:?}"));
    let addresses: BTreeSet<SocketAddr> = looked.map_err(late)??.collect();
    let has_ipv4 = addresses.iter().any(SocketAddr::is_ipv4);
    let addresses: Vec<_> = addresses.into_iter().filter(|address| address.is_ipv4() == has_ipv4).collect();
    if addresses.is_empty() { Err(io::Error::other("the name has no address")) } else { Ok(addresses) }
}

/// The members, for the load balancer.
pub(super) struct Discovery(Arc<ArcSwap<BTreeSet<Member>>>);

#[async_trait]
impl ServiceDiscovery for Discovery {
    async fn discover(&self) -> pingora_core::Result<(BTreeSet<Member>, HashMap<u64, bool>)> {
        Ok((BTreeSet::clone(&self.0.load()), HashMap::new()))
    }
}
