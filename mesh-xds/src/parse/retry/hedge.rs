use envoy_types::pb::envoy::config::route::v3::HedgePolicy;
use mesh_core::hedge::{Delay, Policy, Safety};

use crate::parse::{Path, Reject, matcher};

/// The policy in `message`, if there is one. The route's word makes every call safe to hedge.
pub(in crate::parse) fn hedge(
    message: Option<&HedgePolicy>,
    path: &Path<'_>,
) -> Result<Option<Policy>, Reject> {
    let Some(message) = message else { return Ok(None) };
    let delay = if message.hedge_on_per_try_timeout { Delay::PerTryTimeout } else { Delay::Never };
    let mut policy = Policy::new(delay);
    policy.safety = Safety::Any;
    if let Some(initial) = &message.initial_requests {
        if initial.value == 0 {
            return Err(path.field("initial_requests").reject("is 0"));
        }
        policy.initial = initial.value;
    }
    if let Some(chance) = &message.additional_request_chance {
        policy.additional = matcher::percent(chance, &path.field("additional_request_chance"))?;
    }
    Ok(Some(policy))
}
