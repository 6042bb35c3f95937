//! How many requests each tenant, or each value of a label, may send.

use std::hash::BuildHasher;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use alloy_syntax::{Arguments, Invalid};
use http::{HeaderMap, HeaderName, HeaderValue};
use lru::LruCache;
use profiler_core::labels::Labels;
use rapidhash::quality::RandomState;

/// Keys that are remembered; the least recently used one is forgotten, and may then send a burst.
const KEYS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// The `rate_limit` block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = RateLimitArguments::validate)]
pub(super) struct RateLimitArguments {
    /// Requests that each may send in a second, in the long run.
    #[alloy(attr)]
    requests_per_second: f64,
    /// Requests that each may send at once; 0 for those of a second, and at least one.
    #[alloy(attr, optional)]
    burst: i64,
    /// The header that names the tenant. Those who send none are one tenant together.
    #[alloy(attr, default = "X-Scope-OrgID".to_owned())]
    tenant_header: String,
    /// Instead of the tenants the values of this label are limited.
    #[alloy(attr, optional)]
    label: String,
}

impl RateLimitArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if !(self.requests_per_second > 0.0 && self.requests_per_second.is_finite()) {
            return Err(Invalid::attribute("requests_per_second", "must be larger than 0: no request could be served"));
        }
        if u32::try_from(self.burst).is_err() {
            return Err(Invalid::attribute("burst", "must be between 0 and 4294967295; 0 is a second's requests"));
        }
        self.header().map(drop)
    }

    fn header(&self) -> Result<HeaderName, Invalid> {
        let bad =
            |_| Invalid::attribute("tenant_header", format!("{:?}: no header has such a name", self.tenant_header));
        HeaderName::try_from(&self.tenant_header).map_err(bad)
    }
}

/// The block, ready to be asked.
pub(super) struct RateLimit {
    arguments: RateLimitArguments,
    tenant_header: HeaderName,
    per_second: f64,
    burst: f64,
    /// Hashes of keys, so that no sender chooses how much memory they take.
    hashing: RandomState,
    keys: Mutex<LruCache<u64, Allowance>>,
}

#[derive(Clone, Copy)]
struct Allowance {
    requests: f64,
    counted: Instant,
}

impl RateLimit {
    pub(super) fn new(arguments: &RateLimitArguments) -> Result<Self, Invalid> {
        let per_second = arguments.requests_per_second;
        let burst = u32::try_from(arguments.burst).map_or(0.0, f64::from);
        Ok(Self {
            arguments: arguments.clone(),
            tenant_header: arguments.header()?,
            per_second,
            burst: if burst > 0.0 { burst } else { per_second.ceil().max(1.0) },
            hashing: RandomState::default(),
            keys: Mutex::new(LruCache::new(KEYS)),
        })
    }

    /// Whether it is made of the same block.
    pub(super) fn is_of(&self, arguments: &RateLimitArguments) -> bool {
        self.arguments == *arguments
    }

    /// Whether the tenant of this request may send it; else when it may come again.
    pub(super) fn admit_tenant(&self, headers: &HeaderMap) -> Result<(), Duration> {
        if !self.arguments.label.is_empty() {
            return Ok(());
        }
        let tenant = headers.get(&self.tenant_header).map_or(&b""[..], HeaderValue::as_bytes);
        self.admit(&[self.hashing.hash_one(tenant)], Instant::now())
    }

    /// Whether a request with these series may be taken, which counts once for each value of the label; else when it may
    /// come again.
    pub(super) fn admit_series<'a>(&self, series: impl Iterator<Item = &'a Labels>) -> Result<(), Duration> {
        let label = &self.arguments.label;
        if label.is_empty() {
            return Ok(());
        }
        let hash = |labels: &Labels| self.hashing.hash_one(labels.value(label).unwrap_or_default().as_bytes());
        let mut keys: Vec<u64> = series.map(hash).collect();
        keys.sort_unstable();
        keys.dedup();
        self.admit(&keys, Instant::now())
    }

    /// All of them, or none.
    fn admit(&self, keys: &[u64], now: Instant) -> Result<(), Duration> {
        let mut known = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let mut allowances = Vec::with_capacity(keys.len());
        let mut wait = Duration::ZERO;
        for key in keys {
            let before = known.get(key).copied().unwrap_or(Allowance { requests: self.burst, counted: now });
            let earned = now.saturating_duration_since(before.counted).as_secs_f64() * self.per_second;
            let requests = (before.requests + earned).min(self.burst);
            if requests < 1.0 {
                let missing = (1.0 - requests) / self.per_second;
                wait = wait.max(Duration::try_from_secs_f64(missing).unwrap_or(Duration::MAX));
            }
            allowances.push((*key, Allowance { requests: requests - 1.0, counted: now }));
        }
        if !wait.is_zero() {
            return Err(wait);
        }
        for (key, allowance) in allowances {
            known.put(key, allowance);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(requests_per_second: f64, burst: i64, label: &str) -> RateLimit {
        let (tenant_header, label) = ("X-Scope-OrgID".to_owned(), label.to_owned());
        RateLimit::new(&RateLimitArguments { requests_per_second, burst, tenant_header, label }).unwrap()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let limit = limit(2.0, 3, "");
        let begin = Instant::now();
        let at = |millis: u64| limit.admit(&[1], begin + Duration::from_millis(millis));
        assert_eq!([at(0), at(0), at(0)], [Ok(()); 3]);
        assert_eq!(at(0), Err(Duration::from_millis(500)));
        assert_eq!(limit.admit(&[2], begin), Ok(()), "another key has its own");
        assert_eq!((at(499).is_err(), at(500)), (true, Ok(())));
        assert_eq!(at(600), Err(Duration::from_millis(400)));
        assert_eq!([at(60_000), at(60_000), at(60_000)], [Ok(()); 3]);
        assert!(at(60_000).is_err(), "what is not used adds up to a burst and no more");
    }

    #[test]
    fn one_value_that_may_not_takes_nothing_from_the_others() {
        let limit = limit(0.001, 1, "service_name");
        let labels = |name: &str| Labels::from_pairs([("service_name", name)]).unwrap();
        let admit = |names: &[&str]| {
            let series: Vec<Labels> = names.iter().map(|name| labels(name)).collect();
            limit.admit_series(series.iter()).is_ok()
        };
        assert!(admit(&["a", "a"]), "a request counts once");
        assert!(!admit(&["a", "b"]));
        assert!(admit(&["b"]) && !admit(&["b"]));
        assert!(limit.admit_tenant(&HeaderMap::new()).is_ok(), "tenants are not limited");
    }

    #[test]
    fn only_so_many_keys_are_remembered() {
        let limit = limit(0.001, 1, "");
        let now = Instant::now();
        assert!((0..20_000).all(|key| limit.admit(&[key], now).is_ok()));
        assert_eq!(limit.keys.lock().unwrap().len(), KEYS.get());
        assert!(limit.admit(&[19_999], now).is_err() && limit.admit(&[0], now).is_ok());
    }
}
