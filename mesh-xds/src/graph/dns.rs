//! Endpoints out of resolved names (gRFC A37).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh_core::cluster::{Address, Assignment, Endpoint, HostPort, Locality};
use rustc_hash::FxHashMap;

/// What the names of a cluster resolve to.
#[derive(Debug)]
pub(super) struct Dns {
    pub(super) hosts: Arc<[HostPort]>,
    kind: Kind,
    answers: Box<[Answer]>,
}

/// What addresses become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One endpoint each (`STRICT_DNS`).
    Each,
    /// One endpoint together (`LOGICAL_DNS`, gRFC A61).
    Together,
}

#[derive(Clone, Debug, Default)]
struct Answer {
    addresses: Option<Vec<IpAddr>>,
    error: Option<Arc<str>>,
}

impl Dns {
    pub(super) fn new(hosts: Arc<[HostPort]>, kind: Kind) -> Self {
        let answers = hosts.iter().map(|_| Answer::default()).collect();
        Self { hosts, kind, answers }
    }

    pub(super) fn is_for(&self, hosts: &[HostPort], kind: Kind) -> bool {
        *self.hosts == *hosts && self.kind == kind
    }

    /// Takes an answer in. An error keeps the addresses that were there.
    pub(super) fn answer(&mut self, host: usize, result: Result<Vec<IpAddr>, Arc<str>>) {
        let Some(answer) = self.answers.get_mut(host) else { return };
        match result {
            Ok(addresses) => *answer = Answer { addresses: Some(addresses), error: None },
            Err(error) => answer.error = Some(error),
        }
    }

    /// Whether every name has been answered.
    pub(super) fn is_complete(&self) -> bool {
        self.answers.iter().all(|a| a.addresses.is_some() || a.error.is_some())
    }

    pub(super) fn note(&self) -> Option<Arc<str>> {
        self.answers.iter().find_map(|a| a.error.clone())
    }

    /// The endpoints. Those of `old` keep their state; an address that several names have belongs
    /// to the first.
    pub(super) fn assignment(&self, old: &Assignment) -> Assignment {
        let known = old.localities.iter().flat_map(|l| l.endpoints.iter());
        let known: FxHashMap<_, _> = known.map(|e| (&e.address, e)).collect();
        let mut seen = rustc_hash::FxHashSet::default();
        let mut localities: Vec<(usize, Locality, Vec<Arc<Endpoint>>)> = Vec::new();
        for (host, answer) in self.hosts.iter().zip(&self.answers) {
            let addresses = answer.addresses.iter().flatten();
            let addresses = addresses.map(|ip| Address::Socket(SocketAddr::new(*ip, host.port)));
            let mut fresh = addresses.filter(|address| seen.insert(address.clone()));
            let endpoints: Vec<Endpoint> = match self.kind {
                Kind::Each => fresh.map(Endpoint::new).collect(),
                Kind::Together => {
                    let first = fresh.next().map(Endpoint::new);
                    first.map(|e| Endpoint { more: fresh.collect(), ..e }).into_iter().collect()
                }
            };
            let endpoints = endpoints.into_iter().map(|mut endpoint| {
                endpoint.weight = host.weight;
                endpoint.hostname = Some(host.host.clone());
                endpoint.labels.clone_from(&host.labels);
                endpoint.metadata.clone_from(&host.metadata);
                let old = known.get::<Address>(&endpoint.address);
                if let Some(old) = old.filter(|old| old.is_same(&endpoint)) {
                    endpoint.state = old.state.clone();
                }
                Arc::new(endpoint)
            });
            if localities.last().is_none_or(|(index, ..)| *index != host.locality) {
                let locality = Locality {
                    name: host.name.clone(),
                    weight: host.locality_weight,
                    priority: host.priority,
                    endpoints: Arc::default(),
                };
                localities.push((host.locality, locality, Vec::new()));
            }
            if let Some((.., all)) = localities.last_mut() {
                all.extend(endpoints);
            }
        }
        let localities = localities.into_iter();
        let localities = localities.map(|(_, l, all)| Locality { endpoints: all.into(), ..l });
        Assignment { localities: localities.collect(), ..Assignment::default() }
    }
}
