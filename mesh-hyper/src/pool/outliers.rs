//! Outlier detection of a pool: one detector for its cluster, or one for each leaf of an aggregate.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use mesh_core::balance::Ejection;
use mesh_core::cluster::{Config, Endpoint, Identity, Locality, Version};
use mesh_core::outlier::{Counter, Dialect, Event, Outlier};
use mesh_core::record::{self, Recorder};

use crate::runtime;

/// The detectors, by the names of their clusters.
#[derive(Default)]
pub(super) struct Outliers {
    detectors: Vec<(Arc<str>, Outlier<Identity>)>,
    events: VecDeque<(Arc<str>, Event<Identity>)>,
}

impl Outliers {
    /// Takes the settings and endpoints of `version`.
    ///
    /// A detector stays after it was switched off: connections count for it, should it be switched
    /// on again.
    pub(super) fn configure(&mut self, version: &Version, now: Instant) {
        let mut old = std::mem::take(&mut self.detectors);
        for (config, localities) in clusters(version) {
            let known = old.iter().position(|(name, _)| *name == config.name);
            let detector = match (known, &config.outlier) {
                (Some(at), settings) => {
                    let mut detector = old.swap_remove(at).1;
                    detector.reconfigure(settings.clone(), now);
                    Some(detector)
                }
                (None, Some(settings)) => Some(Outlier::new(settings.clone(), now)),
                (None, None) => None,
            };
            let Some(mut detector) = detector else { continue };
            detector.set_endpoints(localities.iter().flat_map(|locality| {
                let usable = locality.endpoints.iter().filter(|e| e.health.is_usable());
                usable.map(|endpoint| (Identity::from(endpoint.clone()), locality.priority))
            }));
            self.detectors.push((config.name.clone(), detector));
        }
        for (name, mut gone) in old {
            gone.reconfigure(None, now);
            self.collect(&name, &mut gone);
        }
        self.each(|_| {});
    }

    /// What counts the attempts at `endpoint`.
    pub(super) fn counter(&self, endpoint: &Arc<Endpoint>) -> Option<&Arc<Counter>> {
        if self.detectors.is_empty() {
            return None;
        }
        let key = Identity::from(endpoint.clone());
        self.detectors.iter().find_map(|(_, detector)| detector.counter(&key))
    }

    /// `endpoint` could not be connected to.
    pub(super) fn unreachable(&mut self, endpoint: &Arc<Endpoint>, now: Instant) {
        if self.counter(endpoint).is_some_and(|counter| counter.unreachable()) {
            self.handle_tripped(now);
        }
    }

    pub(super) fn handle_tripped(&mut self, now: Instant) {
        self.each(|detector| runtime::with_rng(|rng| detector.handle_tripped(now, rng)));
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.each(|detector| runtime::with_rng(|rng| detector.handle_timeout(now, rng)));
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.detectors.iter().filter_map(|(_, detector)| detector.poll_timeout()).min()
    }

    /// The next endpoint whose ejection has changed, after `recorder` was told.
    pub(super) fn poll_change(
        &mut self,
        recorder: Option<&dyn Recorder>,
    ) -> Option<(Identity, Option<Ejection>)> {
        loop {
            let (cluster, event) = self.events.pop_front()?;
            if let Some(recorder) = recorder {
                record(recorder, &cluster, &event);
            }
            match event {
                Event::Eject { endpoint, by: Dialect::Envoy, .. } => {
                    return Some((endpoint, Some(Ejection::UnlessPanic)));
                }
                Event::Eject { endpoint, by: Dialect::Grpc, .. } => {
                    return Some((endpoint, Some(Ejection::Always)));
                }
                Event::Restore { endpoint } => return Some((endpoint, None)),
                Event::Spared { .. } => {}
            }
        }
    }

    fn each(&mut self, mut act: impl FnMut(&mut Outlier<Identity>)) {
        let mut detectors = std::mem::take(&mut self.detectors);
        for (name, detector) in &mut detectors {
            act(detector);
            self.collect(name, detector);
        }
        self.detectors = detectors;
    }

    fn collect(&mut self, name: &Arc<str>, detector: &mut Outlier<Identity>) {
        while let Some(event) = detector.poll_event() {
            self.events.push_back((name.clone(), event));
        }
    }
}

/// The clusters whose endpoints these are.
fn clusters(version: &Version) -> Vec<(&Config, &[Locality])> {
    let assignment = &version.assignment;
    if assignment.leaves.is_empty() {
        return vec![(&version.config, &assignment.localities)];
    }
    let of = |priority: u32| assignment.localities.partition_point(|l| l.priority < priority);
    let leaves = assignment.leaves.iter().map(|leaf| {
        let localities = of(leaf.priorities.start)..of(leaf.priorities.end);
        (&*leaf.version.config, assignment.localities.get(localities).unwrap_or_default())
    });
    leaves.collect()
}

fn record(recorder: &dyn Recorder, cluster: &str, event: &Event<Identity>) {
    let (endpoint, change) = match event {
        Event::Eject { endpoint, why, until, .. } => {
            (endpoint, record::Outlier::Ejected { why: why.as_str(), until: *until })
        }
        Event::Restore { endpoint } => (endpoint, record::Outlier::Restored),
        Event::Spared { endpoint, why, because } => {
            let (why, because) = (why.as_str(), because.as_str());
            (endpoint, record::Outlier::Spared { why, because })
        }
    };
    let address = endpoint.endpoint().address.to_string();
    recorder.record(&record::Event::Outlier { cluster, address: &address, change });
}
