//! Limits on the rate of connections (Envoy's `envoy.filters.network.local_ratelimit`).

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use envoy_types::pb::envoy::extensions::filters::network::local_ratelimit::v3::LocalRateLimit;
use mesh_core::filter::{ConnectionFactory, ConnectionFilter, Denial};
use mesh_core::identity::Peer;
use mesh_core::limit::TokenBucket;
use prost::Message as _;

use super::bucket::fill;
use crate::parse::{Path, Reject};

/// Makes filters that let only so many connections in.
#[derive(Debug, Default)]
pub struct NetworkLocalRateLimitFactory {
    /// The buckets that filters share, by their `share_key`; only those that are in use.
    shared: Mutex<Vec<(Box<str>, Weak<TokenBucket>)>>,
}

impl ConnectionFactory for NetworkLocalRateLimitFactory {
    fn type_url(&self) -> &str {
        "type.googleapis.com/envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit"
    }

    fn build(&self, message: &[u8]) -> Result<Arc<dyn ConnectionFilter>, String> {
        let filter = self.filter(message, &Path::root()).map_err(|reject| reject.to_string())?;
        Ok(Arc::new(filter))
    }
}

impl NetworkLocalRateLimitFactory {
    fn filter(&self, message: &[u8], path: &Path<'_>) -> Result<ConnectionLimit, Reject> {
        let message = LocalRateLimit::decode(message).map_err(|why| path.reject(why))?;
        if message.stat_prefix.is_empty() {
            return Err(path.field("stat_prefix").reject("is empty"));
        }
        let at = path.field("token_bucket");
        let bucket = message.token_bucket.as_ref().ok_or_else(|| at.reject("is required"))?;
        let bucket = self.bucket(&message.share_key, TokenBucket::new(fill(bucket, &at)?));
        let at = path.field("runtime_enabled.default_value");
        let is_enabled = match &message.runtime_enabled {
            None => true,
            Some(flag) => flag.default_value.ok_or_else(|| at.reject("is required"))?.value,
        };
        let bucket = is_enabled.then_some(bucket);
        let rule = format!("local rate limit {:?}", message.stat_prefix).into();
        Ok(ConnectionLimit { rule, bucket })
    }

    /// The bucket that is shared under `key` and fills as `new` does; `new` if there is none.
    fn bucket(&self, key: &str, new: TokenBucket) -> Arc<TokenBucket> {
        if key.is_empty() {
            return Arc::new(new);
        }
        // Nothing in here panics half way.
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|(_, bucket)| bucket.strong_count() > 0);
        let same = shared.iter().filter(|(own, _)| **own == *key);
        let mut same = same.filter_map(|(_, bucket)| bucket.upgrade());
        if let Some(bucket) = same.find(|bucket| bucket.fill() == new.fill()) {
            return bucket;
        }
        drop(same);
        let new = Arc::new(new);
        shared.push((key.into(), Arc::downgrade(&new)));
        new
    }
}

/// Lets as many connections in as its bucket holds tokens. Others are closed before their handshake,
/// as in Envoy.
#[derive(Debug)]
struct ConnectionLimit {
    /// What it is called where connections are closed.
    rule: Arc<str>,
    /// `None` lets all of them in.
    bucket: Option<Arc<TokenBucket>>,
}

impl ConnectionFilter for ConnectionLimit {
    fn arrive(&self, now: Instant) -> Result<(), Denial> {
        let taken = self.bucket.as_ref().map_or(Ok(()), |bucket| bucket.take(1, now));
        taken.map_err(|_| Denial::new(self.rule.clone()))
    }

    /// A connection that is there is not counted again.
    fn admit(&self, _: &Peer) -> Result<(), Denial> {
        Ok(())
    }
}
