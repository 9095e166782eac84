//! The state machine: who is ejected, and until when.

use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::config::{Config, Percent};
use super::counter::{Counter, IN_A_ROW, Rules};
use super::event::{Detector, Dialect, Event, Spare};
use crate::rng::Rng;

/// Finds the outliers among the endpoints of one cluster, which are known by keys.
///
/// After each call of a `handle_` method, of [`reconfigure`](Self::reconfigure) or of
/// [`set_endpoints`](Self::set_endpoints): take [`poll_event`](Self::poll_event) until `None`, and
/// arrange for [`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Outlier<K> {
    pub(super) config: Option<Config>,
    rules: Arc<Rules>,
    /// In the order of the endpoints.
    pub(super) records: Vec<Record<K>>,
    index: FxHashMap<K, usize>,
    /// How many are ejected.
    pub(super) ejected: usize,
    /// When the time between two sweeps began.
    began: Instant,
    pub(super) events: VecDeque<Event<K>>,
}

/// What is known of an endpoint.
#[derive(Debug)]
pub(super) struct Record<K> {
    pub(super) key: K,
    /// Endpoints of one group are compared with each other by gRPC's rules.
    pub(super) group: u32,
    pub(super) counter: Arc<Counter>,
    pub(super) ejected: Option<Ejected>,
    /// How often it was ejected, less the sweeps that it has stood since.
    pub(super) multiplier: u32,
    pub(super) restored: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Ejected {
    pub(super) at: Instant,
    pub(super) by: Dialect,
    pub(super) jitter: Duration,
}

impl<K: Clone + Eq + Hash> Outlier<K> {
    /// A detector without endpoints.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let rules = Arc::<Rules>::default();
        rules.set(Some(&config));
        Self {
            config: Some(config),
            rules,
            records: Vec::new(),
            index: FxHashMap::default(),
            ejected: 0,
            began: now,
            events: VecDeque::new(),
        }
    }

    /// Takes new settings; without any, everybody is restored and nothing is counted.
    ///
    /// Ejections last as long as the new settings say. Who has failed as often in a row as is enough
    /// from now on is ejected at the next failure. The next sweep comes a new interval after
    /// the last one (gRFC A50).
    pub fn reconfigure(&mut self, config: Option<Config>, now: Instant) {
        if self.config == config {
            return;
        }
        self.rules.set(config.as_ref());
        let was_off = self.config.is_none();
        if was_off {
            self.began = now;
        }
        for record in &self.records {
            if was_off {
                record.counter.take();
                record.counter.restart();
            } else {
                record.counter.fit_rows();
            }
        }
        let judges_grpc = config.as_ref().is_some_and(Config::judges_grpc);
        let is_off = config.is_none();
        self.config = config;
        for at in 0..self.records.len() {
            let by = self.records[at].ejected.map(|ejected| ejected.by);
            if by.is_some() && (is_off || (by == Some(Dialect::Grpc) && !judges_grpc)) {
                self.restore(at, now);
            }
            if is_off {
                self.records[at].multiplier = 0;
            }
        }
    }

    /// Replaces the endpoints. Each is in a group, its priority, and those of a group come one after
    /// the other; of an endpoint that is given twice the first counts. Those that stay keep what is
    /// known of them.
    pub fn set_endpoints(&mut self, endpoints: impl IntoIterator<Item = (K, u32)>) {
        let mut index = FxHashMap::default();
        let old = std::mem::take(&mut self.records);
        let mut old: Vec<_> = old.into_iter().map(Some).collect();
        for (key, group) in endpoints {
            if index.contains_key(&key) {
                continue;
            }
            index.insert(key.clone(), self.records.len());
            let known = self.index.get(&key).and_then(|at| old.get_mut(*at)?.take());
            self.records.push(match known {
                Some(record) => Record { group, ..record },
                None => Record {
                    key,
                    group,
                    counter: Arc::new(Counter::new(self.rules.clone())),
                    ejected: None,
                    multiplier: 0,
                    restored: None,
                },
            });
        }
        self.index = index;
        for gone in old.into_iter().flatten().filter(|record| record.ejected.is_some()) {
            self.ejected -= 1;
            self.events.push_back(Event::Restore { endpoint: gone.key });
        }
    }

    /// What counts the attempts at `endpoint`; `None` if it is not among the endpoints.
    #[must_use]
    pub fn counter(&self, endpoint: &K) -> Option<&Arc<Counter>> {
        self.index.get(endpoint).map(|at| &self.records[*at].counter)
    }

    /// Whether `endpoint` gets no calls.
    #[must_use]
    pub fn is_ejected(&self, endpoint: &K) -> bool {
        let at = self.index.get(endpoint);
        at.is_some_and(|at| self.records[*at].ejected.is_some())
    }

    /// How many endpoints are ejected.
    #[must_use]
    pub fn ejected(&self) -> usize {
        self.ejected
    }

    /// Sweeps if it is time to. Early or repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut dyn Rng) {
        let Some(config) = self.config.clone() else { return };
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.began = now;
            self.sweep(&config, now, rng);
        }
    }

    /// A counter has said that it is due: ejects endpoints that have failed too often in a row.
    pub fn handle_tripped(&mut self, now: Instant, rng: &mut dyn Rng) {
        let Some(config) = self.config.clone() else { return };
        for at in 0..self.records.len() {
            for row in self.records[at].counter.take_tripped() {
                if self.records[at].ejected.is_some() {
                    continue;
                }
                self.eject_as_envoy(at, IN_A_ROW[row], (&config, now), rng);
                self.records[at].counter.restart_row(row);
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let interval = self.config.as_ref()?.interval.max(LEAST_INTERVAL).min(FOREVER);
        Some(self.began + interval)
    }

    /// The next thing that has happened; call until `None`.
    pub fn poll_event(&mut self) -> Option<Event<K>> {
        self.events.pop_front()
    }

    /// Ejects an endpoint unless Envoy would not.
    pub(super) fn eject_as_envoy(
        &mut self,
        at: usize,
        why: Detector,
        (config, now): (&Config, Instant),
        rng: &mut dyn Rng,
    ) {
        let allowed = config.max_ejection_percent.value();
        let would_be = percent(self.ejected + 1, self.records.len());
        let is_first = config.always_eject_one && self.ejected == 0;
        if !is_first && would_be > f64::from(allowed) {
            return self.spare(at, why, Spare::MaxEjection);
        }
        if !enforcing(config, why).decide(rng) {
            return self.spare(at, why, Spare::Enforcement);
        }
        let jitter = jitter(config.max_ejection_time_jitter, rng);
        let record = &mut self.records[at];
        // No further than the longest ejection, so that it comes down again in time.
        let time = config.base_ejection_time.saturating_mul(record.multiplier);
        if time < config.max_ejection_time.saturating_add(config.base_ejection_time) {
            record.multiplier += 1;
        }
        self.eject(at, why, Ejected { at: now, by: Dialect::Envoy, jitter }, config);
    }

    pub(super) fn eject(&mut self, at: usize, why: Detector, ejected: Ejected, config: &Config) {
        let record = &mut self.records[at];
        record.ejected = Some(ejected);
        self.ejected += 1;
        let time = config.ejection_time(record.multiplier).saturating_add(ejected.jitter);
        self.events.push_back(Event::Eject {
            endpoint: record.key.clone(),
            why,
            by: ejected.by,
            until: ejected.at + time.min(FOREVER),
        });
    }

    pub(super) fn spare(&mut self, at: usize, why: Detector, because: Spare) {
        let endpoint = self.records[at].key.clone();
        self.events.push_back(Event::Spared { endpoint, why, because });
    }

    pub(super) fn restore(&mut self, at: usize, now: Instant) {
        let record = &mut self.records[at];
        record.ejected = None;
        record.restored = Some(now);
        // A row that had nearly been long enough must not eject it at once.
        record.counter.restart();
        self.ejected -= 1;
        self.events.push_back(Event::Restore { endpoint: record.key.clone() });
    }
}

/// How many of the endpoints that `why` finds are ejected.
pub(super) fn enforcing(config: &Config, why: Detector) -> Percent {
    match why {
        Detector::Consecutive5xx => config.consecutive_5xx.enforcing,
        Detector::ConsecutiveGatewayFailure => config.consecutive_gateway_failure.enforcing,
        Detector::ConsecutiveLocalOriginFailure => {
            config.consecutive_local_origin_failure.enforcing
        }
        Detector::SuccessRate => config.success_rate.enforcing,
        Detector::SuccessRateLocalOrigin => config.success_rate.enforcing_local_origin,
        Detector::FailurePercentage => config.failure_percentage.enforcing,
        Detector::FailurePercentageLocalOrigin => config.failure_percentage.enforcing_local_origin,
    }
}

/// `part` of `all`, which is not 0.
pub(super) fn percent(part: usize, all: usize) -> f64 {
    let number = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    100.0 * number(part) / number(all)
}

/// Whole milliseconds up to `most`. Takes a number from `rng` only where there is a choice.
fn jitter(most: Duration, rng: &mut dyn Rng) -> Duration {
    let most = u32::try_from(most.as_millis()).unwrap_or(u32::MAX);
    let millis = if most == 0 { 0 } else { rng.below(most.saturating_add(1)) };
    Duration::from_millis(u64::from(millis))
}

/// A sweep looks at every endpoint.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);

/// Longer than anything runs.
const FOREVER: Duration = Duration::from_secs(86_400 * 365);
