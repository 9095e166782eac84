//! `Cluster` to [`Config`].

mod breaker;
mod discovery;
mod lb;
mod outlier;
#[cfg(test)]
mod tests;
mod upstream;

#[cfg(feature = "file")]
pub(crate) use self::breaker::MESH_BREAKER;
pub(in crate::parse) use self::upstream::keepalive;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::RoutingPriority;
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use mesh_core::cluster::{Config, Limits};
use mesh_core::outlier::Percent;
use prost::Message;

use super::value::positive_duration;
use super::{Path, Registry, Reject, retry, tls};

/// The cluster in the resource `raw`.
///
/// # Errors
/// [`Reject`] as gRFC A27, A29, A37, A48, A50, A52 say. Types and policies that are not built are
/// refused.
pub fn parse(raw: &[u8], registry: &Registry) -> Result<Config, Reject> {
    let path = Path::root();
    let message = Cluster::decode(raw).map_err(|e| path.reject(e))?;
    if message.name.is_empty() {
        return Err(path.field("name").reject("is empty"));
    }
    refuse_foreign_reports(&message, &path)?;

    let mut config = Config::new(&*message.name, discovery::discovery(&message, &path)?);
    config.security = tls::security(&message, registry, &path)?;
    config.lb = lb::config(&message, &path)?;
    upstream::apply(&message, &mut config, &path)?;
    let timeout = path.field("connect_timeout");
    if let Some(timeout) = positive_duration(message.connect_timeout, &timeout)? {
        config.connections.connect_timeout = timeout;
    }
    let outlier = message.outlier_detection.as_ref();
    config.outlier = outlier::config(outlier, &path.field("outlier_detection"))?;
    config.breaker = breaker::config(message.metadata.as_ref(), &path.field("metadata"))?;
    if let Some(threshold) = panic_threshold(&message, &path)? {
        config.panic_threshold = threshold;
    }
    check_priorities(&message, &path)?;
    for (priority, limits, retries) in [
        (RoutingPriority::Default, &mut config.limits, &mut config.retries),
        (RoutingPriority::High, &mut config.high, &mut config.high_retries),
    ] {
        *limits = limits_of(&message, priority);
        *retries = retry::limit(&message, priority, &path)?;
    }
    if let Some(connections) = connections_per_endpoint(&message, &path)? {
        config.connections.per_endpoint = connections;
    }
    Ok(config)
}

/// Rounded to whole percent, as Envoy does.
fn panic_threshold(message: &Cluster, path: &Path<'_>) -> Result<Option<Percent>, Reject> {
    let threshold = message.common_lb_config.as_ref().and_then(|c| c.healthy_panic_threshold);
    let Some(threshold) = threshold else { return Ok(None) };
    let path = path.field("common_lb_config.healthy_panic_threshold");
    if !(0.0..=100.0).contains(&threshold.value) {
        return Err(path.reject("is not in 0 to 100"));
    }
    let rounded = (0..=100).find(|percent| f64::from(*percent) + 0.5 > threshold.value);
    Ok(rounded.and_then(Percent::new))
}

/// Load is reported to the server that the cluster came from, or to nobody (gRFC A27).
fn refuse_foreign_reports(message: &Cluster, path: &Path<'_>) -> Result<(), Reject> {
    let Some(server) = &message.lrs_server else { return Ok(()) };
    match server.config_source_specifier {
        Some(ConfigSourceSpecifier::Self_(_)) => Ok(()),
        _ => Err(path.field("lrs_server").reject("must be self")),
    }
}

/// The first thresholds of `priority` (gRFC A32).
fn limits_of(message: &Cluster, priority: RoutingPriority) -> Limits {
    let mut all = message.circuit_breakers.iter().flat_map(|breakers| &breakers.thresholds);
    let mut limits = Limits::default();
    if let Some(found) = all.find(|one| one.priority == priority as i32) {
        limits.max_requests = found.max_requests.map_or(limits.max_requests, |v| v.value);
        limits.max_pending = found.max_pending_requests.map_or(limits.max_pending, |v| v.value);
        limits.max_connections = found.max_connections.map_or(limits.max_connections, |v| v.value);
        limits.track_remaining = found.track_remaining;
    }
    limits
}

/// Refuses thresholds of a priority that there is not.
fn check_priorities(message: &Cluster, path: &Path<'_>) -> Result<(), Reject> {
    let path = path.field("circuit_breakers");
    let breakers = message.circuit_breakers.iter();
    let all = breakers.flat_map(|b| {
        [("thresholds", &b.thresholds), ("per_host_thresholds", &b.per_host_thresholds)]
    });
    for (name, list) in all {
        let unknown = |at: &usize| RoutingPriority::try_from(list[*at].priority).is_err();
        if let Some(at) = (0..list.len()).find(unknown) {
            return Err(path.element(name, at).field("priority").reject("is not known"));
        }
    }
    Ok(())
}

/// `per_host_thresholds.max_connections`, which gRFC A105 caps.
fn connections_per_endpoint(message: &Cluster, path: &Path<'_>) -> Result<Option<u32>, Reject> {
    const CAP: u32 = 10;
    let all = message.circuit_breakers.iter().flat_map(|c| &c.per_host_thresholds);
    let mut all = all.enumerate();
    let found = all.find(|(_, t)| t.priority == RoutingPriority::Default as i32);
    match found.and_then(|(at, t)| t.max_connections.map(|v| (at, v.value))) {
        Some((at, 0)) => {
            let path = path.field("circuit_breakers");
            let path = path.element("per_host_thresholds", at);
            Err(path.field("max_connections").reject("is 0"))
        }
        found => Ok(found.map(|(_, connections)| connections.min(CAP))),
    }
}
