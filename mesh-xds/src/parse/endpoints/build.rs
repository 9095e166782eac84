//! The new localities, out of old endpoints and decoded ones.

use std::sync::Arc;

use mesh_core::cluster::{Address, Endpoint, Labels, Locality, LocalityName};
use rustc_hash::FxHashSet;

use super::address;
use super::reuse::{Inherited, Leftover, OldPlaces};
use super::{Old, Path, Place, Reject};

/// Builds localities.
pub(super) struct Build<'a> {
    path: &'a Path<'a>,
    old: OldPlaces<'a>,
    leftover: Leftover<'a>,
    /// Index of locality and endpoint of each whose addresses are not known to be unique.
    fresh: Vec<(usize, usize)>,
    /// Those of the endpoint before.
    labels: Option<Arc<Labels>>,
    metadata: Option<Arc<Labels>>,
}

/// How a new locality lies over the old one of the same name and priority.
struct Overlap<'a> {
    old: Option<&'a Locality>,
    /// Endpoints that are the same at the start.
    head: usize,
    /// New endpoints after those, up to the ones that are the same at the end.
    middle: Middle<'a>,
    /// Endpoints that are the same at the end.
    tail: usize,
}

enum Middle<'a> {
    /// Everything is new: walked when it is decoded.
    All,
    Some(Vec<&'a [u8]>),
}

impl<'a> Build<'a> {
    pub(super) fn new(old: Option<Old<'a>>, path: &'a Path<'a>) -> Self {
        let old = old.map(|(raw, model)| OldPlaces::new(raw, model)).unwrap_or_default();
        let (labels, metadata) = (None, None);
        Self { path, old, leftover: Leftover::default(), fresh: Vec::new(), labels, metadata }
    }

    pub(super) fn localities(mut self, places: &[Place<'a>]) -> Result<Vec<Locality>, Reject> {
        let overlaps: Vec<_> = places.iter().map(|p| self.overlap(p)).collect();
        for (place, old) in std::mem::take(&mut self.old).rest() {
            self.leftover.reserve(old.endpoints.len());
            place.endpoints.iter().zip(&*old.endpoints).for_each(|(r, e)| self.leftover.push(r, e));
        }
        let all = places.iter().map(|p| p.endpoints.len()).sum::<usize>();
        let mut localities = Vec::with_capacity(places.len());
        for (at, (place, overlap)) in places.iter().zip(overlaps).enumerate() {
            localities.push(self.locality(at, place, &overlap)?);
        }
        self.check_addresses(&localities, places, all)?;
        Ok(localities)
    }

    /// Compares `new` with the old locality and puts old endpoints without a match aside.
    fn overlap(&mut self, new: &Place<'a>) -> Overlap<'a> {
        let Some((place, old)) = self.old.take(new) else {
            return Overlap { old: None, head: 0, middle: Middle::All, tail: 0 };
        };
        let count = old.endpoints.len();
        if place.raw == new.raw {
            return Overlap {
                old: Some(old),
                head: count,
                middle: Middle::Some(Vec::new()),
                tail: 0,
            };
        }
        let (mut ours, mut theirs) = (place.endpoints.iter(), new.endpoints.iter());
        let (mut left, mut added) = (Vec::new(), Vec::new());
        let mut head = 0;
        loop {
            match (ours.next(), theirs.next()) {
                (Some(a), Some(b)) if a == b => head += 1,
                (a, b) => {
                    left.reserve_exact(count - head);
                    added.reserve_exact(new.endpoints.len() - head);
                    left.extend(a.into_iter().chain(ours));
                    added.extend(b.into_iter().chain(theirs));
                    break;
                }
            }
        }
        let same = left.iter().rev().zip(added.iter().rev()).take_while(|(a, b)| a == b);
        let tail = same.count();
        left.truncate(left.len() - tail);
        added.truncate(added.len() - tail);
        self.leftover.reserve(left.len());
        for (raw, endpoint) in left.into_iter().zip(old.endpoints.iter().skip(head)) {
            self.leftover.push(raw, endpoint);
        }
        Overlap { old: Some(old), head, middle: Middle::Some(added), tail }
    }

    fn locality(
        &mut self,
        at: usize,
        place: &Place<'a>,
        overlap: &Overlap<'a>,
    ) -> Result<Locality, Reject> {
        let path = self.path.element("endpoints", place.at);
        let old = overlap.old.map_or(&[][..], |o| &o.endpoints);
        let endpoints = if overlap.head == place.endpoints.len() && overlap.head == old.len() {
            overlap.old.map(|o| o.endpoints.clone()).unwrap_or_default()
        } else {
            let mut endpoints = Vec::with_capacity(place.endpoints.len());
            endpoints.extend(old.iter().take(overlap.head).cloned());
            match &overlap.middle {
                Middle::All => {
                    for raw in place.endpoints.iter() {
                        self.push(raw, at, &mut endpoints, &path)?;
                    }
                }
                Middle::Some(middle) => {
                    for raw in middle {
                        self.push(raw, at, &mut endpoints, &path)?;
                    }
                }
            }
            endpoints.extend(old.iter().skip(old.len() - overlap.tail).cloned());
            endpoints.into()
        };
        let sum: u64 = endpoints.iter().map(|e| u64::from(e.weight)).sum();
        if u32::try_from(sum).is_err() {
            let path = path.field("lb_endpoints");
            return Err(path.reject("the sum of load_balancing_weight overflows"));
        }
        let name = match overlap.old {
            Some(old) => old.name.clone(),
            None => Arc::new(LocalityName::from(place.name)),
        };
        Ok(Locality { name, weight: place.weight, priority: place.priority, endpoints })
    }

    /// Adds the endpoint in `raw` to those of locality `at`.
    fn push(
        &mut self,
        raw: &[u8],
        at: usize,
        endpoints: &mut Vec<Arc<Endpoint>>,
        path: &Path<'_>,
    ) -> Result<(), Reject> {
        if let Some(same) = self.leftover.same(raw) {
            endpoints.push(same);
            return Ok(());
        }
        let mut endpoint = address::endpoint(raw, &path.element("lb_endpoints", endpoints.len()))?;
        share(&mut self.labels, &mut endpoint.labels);
        share(&mut self.metadata, &mut endpoint.metadata);
        endpoints.push(Arc::new(match self.leftover.inherit(endpoint) {
            Inherited::Known(endpoint) => endpoint,
            Inherited::Fresh(endpoint) => {
                self.fresh.push((at, endpoints.len()));
                endpoint
            }
        }));
        Ok(())
    }

    /// No address stands twice in the assignment.
    ///
    /// Endpoints taken from the old assignment have different addresses, so only fresh ones are
    /// compared with all others.
    fn check_addresses(
        &self,
        localities: &[Locality],
        places: &[Place<'_>],
        all: usize,
    ) -> Result<(), Reject> {
        let mut seen = FxHashSet::with_capacity_and_hasher(self.fresh.len(), Default::default());
        let fresh = self.fresh.iter().filter_map(|(l, e)| localities.get(*l)?.endpoints.get(*e));
        let mut is_twice = false;
        for address in fresh.flat_map(|e| e.addresses()) {
            is_twice |= !seen.insert(address);
        }
        if !is_twice && !self.fresh.is_empty() && self.fresh.len() < all {
            // Each fresh address finds itself; whoever else finds one has it twice.
            let every = localities.iter().flat_map(|l| l.endpoints.iter());
            let found = every.flat_map(|e| e.addresses()).filter(|a| seen.contains(a)).count();
            is_twice = found > seen.len();
        }
        if is_twice { Err(self.twice(localities, places)) } else { Ok(()) }
    }

    /// Says which address stands twice.
    #[cold]
    fn twice(&self, localities: &[Locality], places: &[Place<'_>]) -> Reject {
        let mut seen = FxHashSet::<&Address>::default();
        for (locality, place) in localities.iter().zip(places) {
            let path = self.path.element("endpoints", place.at);
            for (at, endpoint) in locality.endpoints.iter().enumerate() {
                if let Some(address) = endpoint.addresses().find(|a| !seen.insert(a)) {
                    let path = path.element("lb_endpoints", at);
                    return path.field("endpoint").reject(format_args!("{address} stands twice"));
                }
            }
        }
        self.path.reject("an address stands twice")
    }
}

/// Most endpoints have the labels of the one before: they need not have them for themselves.
fn share(before: &mut Option<Arc<Labels>>, labels: &mut Option<Arc<Labels>>) {
    if labels == before {
        labels.clone_from(before);
    } else {
        before.clone_from(labels);
    }
}
