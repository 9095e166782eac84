//! Limits by key: whose request is it, and how much has it had?

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use http::{Extensions, HeaderName, Request};

use crate::inherit;
use crate::runtime;
use crate::server::{Peer, Tenant};

/// Whose limit a request counts against. Requests with an empty key share one.
pub trait KeyOf<Q> {
    /// The key of `request`.
    fn key<'q>(&'q self, request: &'q Q) -> Cow<'q, str>;
}

/// One limit for all requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct All;

/// A limit for each peer: for each SPIFFE ID, and without one for each IP address, of IPv6 for each
/// network of 64 bits, in which a peer may choose any address.
///
/// A [`Server`](crate::Server) of the mesh says who the peer is. Of others, axum's does, with the
/// feature `axum` and where the router is made a service by
/// `into_make_service_with_connect_info::<SocketAddr>()`. Where nobody says it, all requests share
/// one limit; give a key of your own there ([`by`](super::RateLimitLayer::by)).
#[derive(Clone, Copy, Debug, Default)]
pub struct ByPeer;

/// A limit for each tenant: of services behind a [`Server`](crate::Server) of the mesh that finds
/// out [whose requests are](crate::Tenancy), and of the calls that serving such requests takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByTenant;

/// A limit for each value of a header field, of which the first counts.
#[derive(Clone, Debug)]
pub struct ByHeader(pub(super) HeaderName);

impl<Q> KeyOf<Q> for All {
    fn key<'q>(&'q self, _: &'q Q) -> Cow<'q, str> {
        Cow::Borrowed("")
    }
}

impl<B> KeyOf<Request<B>> for ByPeer {
    fn key<'q>(&'q self, request: &'q Request<B>) -> Cow<'q, str> {
        let peer = request.extensions().get::<Peer>();
        if let Some(id) = peer.and_then(|peer| peer.spiffe_id()) {
            return Cow::Owned(id.to_string());
        }
        let remote = match peer {
            Some(peer) => peer.remote,
            None => remote(request.extensions()),
        };
        remote.map_or(Cow::Borrowed(""), |remote| Cow::Owned(network(remote.ip()).to_string()))
    }
}

/// What one peer is: an address, or of IPv6 the network of 64 bits in which it may choose any.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Where a request comes from, by the words of axum's server.
#[cfg(feature = "axum")]
fn remote(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<axum::extract::ConnectInfo<SocketAddr>>().map(|info| info.0)
}

#[cfg(not(feature = "axum"))]
fn remote(_: &Extensions) -> Option<SocketAddr> {
    None
}

impl<B> KeyOf<Request<B>> for ByTenant {
    fn key<'q>(&'q self, request: &'q Request<B>) -> Cow<'q, str> {
        if let Some(tenant) = request.extensions().get::<Tenant>() {
            return Cow::Borrowed(tenant.as_str());
        }
        let of_caller = inherit::with(|it| Some(it?.tenant.as_ref()?.as_str().to_owned()));
        of_caller.map_or(Cow::Borrowed(""), Cow::Owned)
    }
}

impl<B> KeyOf<Request<B>> for ByHeader {
    fn key<'q>(&'q self, request: &'q Request<B>) -> Cow<'q, str> {
        let value = request.headers().get(&self.0);
        value.map_or(Cow::Borrowed(""), |value| String::from_utf8_lossy(value.as_bytes()))
    }
}

impl<Q, F: Fn(&Q) -> String> KeyOf<Q> for F {
    fn key<'q>(&'q self, request: &'q Q) -> Cow<'q, str> {
        Cow::Owned(self(request))
    }
}

/// A limit for each of a bounded number of keys.
pub(super) struct Keyed {
    limits: RateLimiter<Digest, Store, Ticks, NoOpMiddleware<Duration>>,
    hashes: [RandomState; 2],
}

/// Stands for a key: callers may choose long ones, but not two with one digest, as they do not know
/// the secrets of the hashes.
type Digest = [u64; 2];

impl Keyed {
    /// `per_second` requests of each key, `burst` at once; no more than `keys` of them.
    pub(super) fn new(per_second: NonZeroU32, burst: NonZeroU32, keys: usize) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let limits = RateLimiter::new(quota, Store::new(keys), Ticks(runtime::now()));
        Self { limits, hashes: [RandomState::new(), RandomState::new()] }
    }

    /// Counts a request of `key`.
    ///
    /// # Errors
    /// How long to wait, if it is one too many.
    pub(super) fn take(&self, key: &str) -> Result<(), Duration> {
        let digest = self.hashes.each_ref().map(|hash| hash.hash_one(key));
        let taken = self.limits.check_key(&digest);
        taken.map_err(|until| until.wait_time_from(self.limits.clock().now()))
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").finish_non_exhaustive()
    }
}

/// Tokio's time since a start.
#[derive(Clone, Copy, Debug)]
struct Ticks(Instant);

impl Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        runtime::now().saturating_duration_since(self.0)
    }
}

/// What is known of keys: of the last used ones, up to a bound, in parts with a lock each.
struct Store {
    parts: Box<[Mutex<Part>]>,
    /// Keys of a part at the most.
    most: usize,
}

#[derive(Default)]
struct Part {
    /// With the turn that each was last used in.
    keys: HashMap<Digest, (Nanos, u64)>,
    /// The same in order of these turns.
    order: BTreeMap<u64, Digest>,
    turn: u64,
}

impl Store {
    fn new(keys: usize) -> Self {
        // Few keys share one part, so that their number is exact.
        const PARTS: usize = 16;
        const FEW: usize = 1_024;
        let parts = if keys <= FEW { 1 } else { PARTS };
        Self {
            parts: (0..parts).map(|_| Mutex::default()).collect(),
            most: keys.div_ceil(parts).max(1),
        }
    }

    fn part(&self, [key, _]: &Digest) -> Option<&Mutex<Part>> {
        let parts = u64::try_from(self.parts.len()).ok()?;
        let at = key.checked_rem(parts)?;
        self.parts.get(usize::try_from(at).ok()?)
    }
}

impl StateStore for Store {
    type Key = Digest;

    fn measure_and_replace<T, F, E>(&self, key: &Digest, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let Some(part) = self.part(key) else { return f(None).map(|(value, _)| value) };
        // Nothing in here panics half way.
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        let state = part.keys.get(key).map(|(state, _)| *state);
        match (f(state), state) {
            (Ok((value, next)), _) => {
                part.put(key, next, self.most);
                Ok(value)
            }
            (Err(refused), state) => {
                // Whoever is refused has been there, too, and is not forgotten before others.
                if let Some(state) = state {
                    part.put(key, state, self.most);
                }
                Err(refused)
            }
        }
    }
}

impl Part {
    /// Remembers `state` of `key`, and forgets the key that was not used for the longest time if
    /// there are more than `most`.
    fn put(&mut self, key: &Digest, state: Nanos, most: usize) {
        self.turn += 1;
        match self.keys.insert(*key, (state, self.turn)) {
            Some((_, used)) => {
                self.order.remove(&used);
            }
            None if self.keys.len() > most => {
                if let Some((_, oldest)) = self.order.pop_first() {
                    self.keys.remove(&oldest);
                }
            }
            None => {}
        }
        self.order.insert(self.turn, *key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(per_second: u32, burst: u32, keys: usize) -> Keyed {
        let number = |n| NonZeroU32::new(n).unwrap();
        Keyed::new(number(per_second), number(burst), keys)
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let of = |ip: &str| network(ip.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
    }

    #[tokio::test(start_paused = true)]
    async fn each_key_has_a_burst_and_a_rate_of_its_own() {
        let keyed = keyed(2, 3, 10);
        let passing = |key: &str, n: u32| (0..n).filter(|_| keyed.take(key).is_ok()).count();
        assert_eq!((passing("a", 9), passing("b", 2), passing("", 9)), (3, 2, 3));
        let wait = keyed.take("a").unwrap_err();
        assert!(wait > Duration::from_millis(499) && wait <= Duration::from_millis(500));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((passing("a", 9), passing("b", 9)), (2, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn the_key_that_was_not_used_for_longest_is_forgotten() {
        let keyed = keyed(1, 1, 2);
        let take = |key| keyed.take(key).is_ok();
        assert_eq!(
            ["a", "b", "a", "c", "a", "b"].map(take),
            [true, true, false, true, false, true]
        );
    }

    #[test]
    fn many_keys_are_spread_over_parts_that_are_bounded() {
        let store = Store::new(10_000);
        for key in 0..30_000 {
            let _: Result<(), ()> =
                store.measure_and_replace(&[key, 0], |_| Ok(((), Nanos::from(0))));
        }
        let sizes = store.parts.iter().map(|part| part.lock().unwrap().keys.len());
        assert_eq!(sizes.sum::<usize>(), 10_000);
    }
}
