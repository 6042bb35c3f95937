//! `discovery.dns`: targets that are records of DNS.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid, TextValue};
use futures_util::stream::{self, StreamExt};
use hickory_resolver::config::{ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Resolver, TokioResolver};
use profiler_core::labels::{LabelError, Labels};
use tokio::time::sleep;

use super::{ADDRESS, BySource, Discovery, Found, Search};
use crate::component::Context;

#[cfg(test)]
mod tests;

/// Names that are looked up side by side.
const SIDE_BY_SIDE: usize = 16;
/// The label that says which name a target was found by.
const NAME: &str = "__meta_dns_name";
/// Of the records of one kind; as in the reference empty for those of the others.
const SRV_TARGET: &str = "__meta_dns_srv_record_target";
const SRV_PORT: &str = "__meta_dns_srv_record_port";
const MX_TARGET: &str = "__meta_dns_mx_record_target";
const NS_TARGET: &str = "__meta_dns_ns_record_target";

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = DiscoveryDnsArguments::validate)]
pub struct DiscoveryDnsArguments {
    /// What is looked up.
    #[alloy(attr)]
    names: Vec<String>,
    /// How often.
    #[alloy(attr, default = Duration::from_secs(30))]
    refresh_interval: Duration,
    /// The kind of records that are asked for.
    #[alloy(attr, name = "type", default = Kind::Srv)]
    kind: Kind,
    /// The port of the targets; records of SRV have their own.
    #[alloy(attr, optional)]
    port: i64,
}

/// Kinds of records that name a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Srv,
    A,
    Aaaa,
    Mx,
    Ns,
}

impl TextValue for Kind {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text.to_ascii_uppercase().as_str() {
            "SRV" => Ok(Self::Srv),
            "A" => Ok(Self::A),
            "AAAA" => Ok(Self::Aaaa),
            "MX" => Ok(Self::Mx),
            "NS" => Ok(Self::Ns),
            _ => {
                Err("is no kind of record that is known here: write \"SRV\", \"A\", \"AAAA\", \"MX\" or \"NS\""
                    .to_owned())
            }
        }
    }

    fn to_text(&self) -> String {
        self.record_type().to_string()
    }
}

impl Kind {
    fn record_type(self) -> RecordType {
        match self {
            Self::Srv => RecordType::SRV,
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Mx => RecordType::MX,
            Self::Ns => RecordType::NS,
        }
    }
}

impl DiscoveryDnsArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if self.refresh_interval.is_zero() {
            return Err(Invalid::attribute("refresh_interval", "must be longer than 0s"));
        }
        if self.port()? == 0 && self.kind != Kind::Srv {
            let message = "a port is required in DNS-SD configs for all record types except SRV";
            return Err(Invalid::block(message));
        }
        let named = |name: &String| {
            let refused = |why: &str| Invalid::attribute("names", format!("{name:?} is no name: {why}"));
            if name.trim_end_matches('.').is_empty() {
                return Err(refused("it is empty"));
            }
            Name::from_utf8(name).map(drop).map_err(|error| refused(&error.to_string()))
        };
        self.names.iter().try_for_each(named)
    }

    fn port(&self) -> Result<u16, Invalid> {
        u16::try_from(self.port).map_err(|_| Invalid::attribute("port", "must be a number from 0 to 65535"))
    }
}

/// The lookups of a block.
pub struct Dns(Arc<Lookups>);

impl Discovery for Dns {
    const NAME: &'static str = "discovery.dns";
    const SUMMARY: &'static str = "Exports the targets that records of DNS name, and looks them up again and again.";
    type Arguments = DiscoveryDnsArguments;

    fn build(arguments: &Self::Arguments, _: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let lookups = Lookups::new(arguments, Arc::new(read_system_conf), previous.map(|previous| &*previous.0))?;
        Ok(Self(Arc::new(lookups)))
    }

    fn search(&self) -> impl Search {
        Following { lookups: self.0.clone(), began: false }
    }
}

struct Following {
    lookups: Arc<Lookups>,
    began: bool,
}

impl Search for Following {
    async fn next(&mut self) -> Found {
        if std::mem::replace(&mut self.began, true) {
            sleep(self.lookups.refresh_interval).await;
        }
        self.lookups.look().await
    }
}

/// Says whom to ask, each time anew: a laptop changes networks.
type Servers = Arc<dyn Fn() -> Result<(ResolverConfig, ResolverOpts), NetError> + Send + Sync>;

/// What is looked up, and what it led to last.
struct Lookups {
    names: Vec<String>,
    kind: Kind,
    port: u16,
    refresh_interval: Duration,
    servers: Servers,
    seen: Mutex<BySource<String>>,
}

/// Why a name leads to no targets.
#[derive(Debug, thiserror::Error)]
enum LookupError {
    #[error("{0:?} cannot be looked up: {1}")]
    Net(String, NetError),
    #[error("{0:?}: {1}")]
    Labels(String, LabelError),
}

impl Lookups {
    /// Knows what the lookups of before led to, where it still holds.
    fn new(arguments: &DiscoveryDnsArguments, servers: Servers, before: Option<&Self>) -> Result<Self, Invalid> {
        let DiscoveryDnsArguments { names, refresh_interval, kind, .. } = arguments;
        let (names, port) = (names.clone(), arguments.port()?);
        let (kind, refresh_interval) = (*kind, *refresh_interval);
        let before = before.filter(|before| (before.kind, before.port) == (kind, port));
        let mut seen = before.map(|before| before.seen().clone()).unwrap_or_default();
        seen.retain(|name, _| names.contains(name));
        Ok(Self { names, kind, port, refresh_interval, servers, seen: Mutex::new(seen) })
    }

    /// Looks all names up. One about which no server says anything keeps its targets; one that does not exist has none.
    async fn look(&self) -> Found {
        let search = match self.search() {
            Ok(search) => search,
            Err(error) => {
                let targets = self.seen().values().flatten().cloned().collect();
                return Found { targets, problems: vec![format!("the servers of DNS are not known: {error}")] };
            }
        };
        let looking = stream::iter(self.names.clone()).map(|name| {
            let search = &search;
            async move { (self.look_up(search, &name).await, name) }
        });
        let looked: Vec<_> = looking.buffered(SIDE_BY_SIDE).collect().await;
        let (mut targets, mut problems) = (Vec::new(), Vec::new());
        let mut seen = self.seen();
        for (found, name) in looked {
            match found {
                Ok(found) => drop(seen.insert(name.clone(), found)),
                Err(error) => problems.push(error.to_string()),
            }
            targets.extend(seen.get(&name).into_iter().flatten().cloned());
        }
        Found { targets, problems }
    }

    fn search(&self) -> Result<SearchList, NetError> {
        let (config, mut options) = (self.servers)()?;
        // What is asked is what the servers say now.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let ndots = options.ndots;
        let domains = config.search().iter().chain(config.domain()).cloned().collect();
        let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        Ok(SearchList { resolver: builder.build()?, domains, ndots })
    }

    /// The targets of a name, in an order that does not depend on that of the answer.
    async fn look_up(&self, search: &SearchList, name: &str) -> Result<Vec<Labels>, LookupError> {
        let records = search.records(name, self.kind.record_type()).await;
        let records = records.map_err(|error| LookupError::Net(name.to_owned(), error))?;
        let targets = records.iter().filter_map(|record| self.target(name, record));
        let mut targets =
            targets.collect::<Result<Vec<_>, _>>().map_err(|error| LookupError::Labels(name.to_owned(), error))?;
        targets.sort_by(|one, other| one.iter().cmp(other.iter()));
        targets.dedup();
        Ok(targets)
    }

    /// None of a record of another kind: an answer may hold those on the way to it.
    fn target(&self, name: &str, record: &RData) -> Option<Result<Labels, LabelError>> {
        let ip = |ip: IpAddr| std::net::SocketAddr::new(ip, self.port).to_string();
        let host = |host: &Name| host.to_utf8();
        let bare = |host: &str, port: u16| format!("{}:{port}", host.trim_end_matches('.'));
        let (mut srv, mut srv_port, mut mx, mut ns) = (String::new(), String::new(), String::new(), String::new());
        let address = match (record, self.kind) {
            (RData::A(address), Kind::A) => ip(address.0.into()),
            (RData::AAAA(address), Kind::Aaaa) => ip(address.0.into()),
            (RData::SRV(record), Kind::Srv) => {
                srv = host(&record.target);
                srv_port = record.port.to_string();
                bare(&srv, record.port)
            }
            (RData::MX(record), Kind::Mx) => {
                mx = host(&record.exchange);
                bare(&mx, self.port)
            }
            (RData::NS(record), Kind::Ns) => {
                ns = host(&record.0);
                bare(&ns, self.port)
            }
            _ => return None,
        };
        let labels = [
            (ADDRESS, address.as_str()),
            (NAME, name),
            (SRV_TARGET, &srv),
            (SRV_PORT, &srv_port),
            (MX_TARGET, &mx),
            (NS_TARGET, &ns),
        ];
        Some(Labels::from_pairs(labels))
    }

    fn seen(&self) -> MutexGuard<'_, BySource<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom to ask, and for which names.
struct SearchList {
    resolver: TokioResolver,
    domains: Vec<Name>,
    /// A name with so many dots is asked for as it is first.
    ndots: usize,
}

impl SearchList {
    /// The records of a name, or of it in one of the domains: of the first that exists. None where none does, and an
    /// error where no server says so for each of them.
    async fn records(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, NetError> {
        let mut failed = None;
        for name in self.names(name)? {
            match self.resolver.lookup(name, kind).await {
                Ok(lookup) => return Ok(lookup.answers().iter().map(|record| record.data.clone()).collect()),
                Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                    if none.response_code == ResponseCode::NoError {
                        return Ok(Vec::new());
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(Vec::new()), Err)
    }

    /// What may be meant, in the order of resolv.conf(5).
    fn names(&self, written: &str) -> Result<Vec<Name>, NetError> {
        let name = Name::from_utf8(written)?;
        let mut absolute = name.clone();
        absolute.set_fqdn(true);
        if name.is_fqdn() {
            return Ok(vec![absolute]);
        }
        // A name that would be too long in a domain does not exist there.
        let in_domain = |domain: &Name| {
            let mut inside = name.clone().append_domain(domain).ok()?;
            inside.set_fqdn(true);
            Some(inside)
        };
        let mut names: Vec<Name> = self.domains.iter().filter_map(in_domain).collect();
        let dots = written.bytes().filter(|byte| *byte == b'.').count();
        names.insert(if dots >= self.ndots { 0 } else { names.len() }, absolute);
        names.dedup();
        Ok(names)
    }
}
