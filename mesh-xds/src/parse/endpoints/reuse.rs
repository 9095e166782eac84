//! What of an old assignment the new one can use.

use std::sync::Arc;

use mesh_core::cluster::{Address, Assignment, Endpoint, Locality};
use rustc_hash::FxHashMap;

use super::{Origin, Path, Place, localities};
use crate::proto::eds;

/// The old localities, found by name and priority.
#[derive(Default)]
pub(super) struct OldPlaces<'a> {
    places: FxHashMap<(u32, eds::LocalityName<'a>), (Place<'a>, &'a Locality)>,
}

impl<'a> OldPlaces<'a> {
    /// The localities of `model`, which was parsed from `raw`.
    pub(super) fn new(raw: &'a [u8], model: &'a Assignment) -> Self {
        let Ok(message) = eds::Assignment::read(raw) else { return Self::default() };
        let Ok(places) = localities(&message.localities, Origin::Eds, &Path::root()) else {
            return Self::default();
        };
        let both = places.into_iter().zip(&model.localities);
        // Holds for every pair that this module made; one that does not is decoded anew.
        let both = both.filter(|(place, model)| place.endpoints.len() == model.endpoints.len());
        Self { places: both.map(|(p, m)| ((p.priority, p.name), (p, m))).collect() }
    }

    /// Takes the old locality that `new` replaces.
    pub(super) fn take(&mut self, new: &Place<'a>) -> Option<(Place<'a>, &'a Locality)> {
        self.places.remove(&(new.priority, new.name))
    }

    /// Those that nothing replaces, as they went.
    pub(super) fn rest(self) -> impl Iterator<Item = (Place<'a>, &'a Locality)> {
        self.places.into_values()
    }
}

/// Old endpoints that do not stand where they stood: moved, changed or gone.
#[derive(Default)]
pub(super) struct Leftover<'a> {
    by_raw: FxHashMap<&'a [u8], &'a Arc<Endpoint>>,
    by_address: FxHashMap<&'a Address, &'a Arc<Endpoint>>,
}

impl<'a> Leftover<'a> {
    pub(super) fn reserve(&mut self, more: usize) {
        self.by_raw.reserve(more);
        self.by_address.reserve(more);
    }

    pub(super) fn push(&mut self, raw: &'a [u8], endpoint: &'a Arc<Endpoint>) {
        self.by_raw.insert(raw, endpoint);
        self.by_address.insert(&endpoint.address, endpoint);
    }

    /// The old endpoint with these very bytes. Gives each only once.
    pub(super) fn same(&mut self, raw: &[u8]) -> Option<Arc<Endpoint>> {
        let endpoint = self.by_raw.remove(raw)?;
        // Gone if another description of the same address came first: then this one is too many.
        self.by_address.remove(&endpoint.address)?;
        Some(endpoint.clone())
    }

    /// `new` with the state that its addresses had. Gives each only once.
    pub(super) fn inherit(&mut self, mut new: Endpoint) -> Inherited {
        match self.by_address.get(&new.address) {
            Some(old) if old.is_same(&new) => {
                new.state = old.state.clone();
                self.by_address.remove(&new.address);
                Inherited::Known(new)
            }
            _ => Inherited::Fresh(new),
        }
    }
}

/// What became of a decoded endpoint.
pub(super) enum Inherited {
    /// Its addresses were in the old assignment, which had none of them twice.
    Known(Endpoint),
    /// It is new.
    Fresh(Endpoint),
}
