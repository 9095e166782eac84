//! `ClusterLoadAssignment` to [`Assignment`], decoding only what changed.
//!
//! An endpoint whose bytes are those of the old resource is the old `Arc<Endpoint>`; one whose
//! addresses are known keeps its [`EndpointState`](mesh_core::cluster::EndpointState), wherever in
//! the assignment it went.

mod address;
mod build;
mod hosts;
mod reuse;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use mesh_core::cluster::{Assignment, DropOverload};
use rustc_hash::{FxHashMap, FxHashSet};

pub(super) use self::hosts::hosts;

use self::build::Build;
use super::{Path, Reject};
use crate::proto::eds;

/// An old resource: its bytes and what [`update`] made of them.
pub type Old<'a> = (&'a [u8], &'a Assignment);

/// The assignment in the resource `new`, sharing what it can with `old`.
///
/// # Errors
/// [`Reject`] as gRFC A27 says: a locality without `locality`, twice in one priority, a gap in the
/// priorities, an address that stands twice, weights of 0 or whose sum overflows, and addresses
/// that cannot be connected to. Localities without a weight are left out.
pub fn update(old: Option<Old<'_>>, new: &[u8]) -> Result<Assignment, Reject> {
    assignment(old, new, Origin::Eds, &Path::root())
}

/// Where an assignment stands, which decides what it may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A resource of its own: gRFC A27 holds.
    Eds,
    /// `Cluster.load_assignment`: localities need no name and no weight, as in Envoy.
    Cluster,
}

/// The assignment in `new`, which is at `path`.
pub(super) fn assignment(
    old: Option<Old<'_>>,
    new: &[u8],
    origin: Origin,
    path: &Path<'_>,
) -> Result<Assignment, Reject> {
    let message = eds::Assignment::read(new).map_err(|e| path.reject(e))?;
    let drops = drops(&message.drops, path)?;
    let localities = localities(&message.localities, origin, path)?;
    let localities = Build::new(old, path).localities(&localities)?;
    Ok(Assignment { localities, drops, ..Assignment::default() })
}

/// A locality that takes traffic.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    /// Its index in the resource.
    pub(super) at: usize,
    pub(super) raw: &'a [u8],
    pub(super) name: eds::LocalityName<'a>,
    pub(super) weight: u32,
    pub(super) priority: u32,
    pub(super) endpoints: eds::Repeated<'a>,
}

/// The localities that take traffic, by priority and then in the order of the resource.
pub(super) fn localities<'a>(
    raw: &[&'a [u8]],
    origin: Origin,
    path: &Path<'_>,
) -> Result<Vec<Place<'a>>, Reject> {
    let mut places = Vec::with_capacity(raw.len());
    for (at, raw) in raw.iter().enumerate() {
        let path = path.element("endpoints", at);
        let locality = eds::Locality::read(raw).map_err(|e| path.reject(e))?;
        let name = match (locality.name, origin) {
            (Some(name), _) => name,
            (None, Origin::Cluster) => eds::LocalityName::default(),
            (None, Origin::Eds) => return Err(path.field("locality").reject("is required")),
        };
        if locality.is_leds {
            return Err(path.field("leds_cluster_locality_config").reject("is not supported"));
        }
        let weight = locality.weight.unwrap_or(u32::from(origin == Origin::Cluster));
        if weight == 0 {
            continue;
        }
        let (priority, endpoints) = (locality.priority, locality.endpoints);
        places.push(Place { at, raw, name, weight, priority, endpoints });
    }
    check_localities(&places, origin, path)?;
    places.sort_by_key(|p| p.priority);
    let mut next = 0;
    for place in &places {
        if place.priority > next {
            let path = path.element("endpoints", place.at);
            return Err(path.field("priority").reject("leaves out a lower priority"));
        }
        next = place.priority.saturating_add(1);
    }
    Ok(places)
}

/// No locality twice in a priority, and no priority whose weights overflow.
fn check_localities(places: &[Place<'_>], origin: Origin, path: &Path<'_>) -> Result<(), Reject> {
    let mut seen = FxHashSet::default();
    let mut sums = FxHashMap::<u32, u32>::default();
    for place in places {
        let path = path.element("endpoints", place.at);
        if !seen.insert((place.priority, place.name)) && origin == Origin::Eds {
            return Err(path.field("locality").reject("stands twice in its priority"));
        }
        let sum = sums.entry(place.priority).or_default();
        *sum = sum.checked_add(place.weight).ok_or_else(|| {
            path.field("load_balancing_weight").reject("the sum over the priority overflows")
        })?;
    }
    Ok(())
}

fn drops(raw: &[&[u8]], path: &Path<'_>) -> Result<Vec<DropOverload>, Reject> {
    let parse = |(at, raw): (usize, &&[u8])| {
        let path = path.field("policy");
        let path = path.element("drop_overloads", at);
        let message = eds::DropOverload::read(raw).map_err(|e| path.reject(e))?;
        if message.category.is_empty() {
            return Err(path.field("category").reject("is empty"));
        }
        let scale = match message.denominator {
            0 => 10_000,
            1 => 100,
            2 => 1,
            _ => return Err(path.field("drop_percentage.denominator").reject("is unknown")),
        };
        let per_million = message.numerator.saturating_mul(scale).min(1_000_000);
        Ok(DropOverload { category: Arc::from(message.category), per_million })
    };
    raw.iter().enumerate().map(parse).collect()
}
