//! `RateLimitRequest`: what the service is asked.

use envoy_types::pb::envoy::extensions::common::ratelimit::v3 as pb;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::{
    Entry, RateLimitOverride,
};
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitRequest;
use envoy_types::pb::envoy::r#type::v3::RateLimitUnit;
use envoy_types::pb::google::protobuf::UInt64Value;
use mesh_core::limit::{Descriptor, Unit};

/// Asks about a request that counts as `descriptors`.
pub(super) fn request(domain: &str, descriptors: &[Descriptor]) -> RateLimitRequest {
    RateLimitRequest {
        domain: domain.into(),
        descriptors: descriptors.iter().map(descriptor).collect(),
        // Nothing said is one.
        hits_addend: 0,
    }
}

fn descriptor(from: &Descriptor) -> pb::RateLimitDescriptor {
    let entry = |entry: &mesh_core::limit::Entry| Entry {
        key: entry.key.to_string(),
        value: entry.value.to_string(),
    };
    pb::RateLimitDescriptor {
        entries: from.entries.iter().map(entry).collect(),
        limit: from.limit.map(|limit| RateLimitOverride {
            requests_per_unit: limit.requests,
            unit: unit(limit.unit).into(),
        }),
        hits_addend: from.hits.map(|hits| UInt64Value { value: hits.into() }),
        is_negative_hits: from.gives_back,
    }
}

fn unit(unit: Unit) -> RateLimitUnit {
    match unit {
        Unit::Second => RateLimitUnit::Second,
        Unit::Minute => RateLimitUnit::Minute,
        Unit::Hour => RateLimitUnit::Hour,
        Unit::Day => RateLimitUnit::Day,
        Unit::Month => RateLimitUnit::Month,
        Unit::Year => RateLimitUnit::Year,
    }
}
