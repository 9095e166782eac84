//! The service at the end of a chain: its endpoints, their workers, and what befalls them.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::cluster::{Address, Endpoint, LoadBalancing, Policy};
use mesh_core::lb::{Group, Picker};
use mesh_core::matcher::Fraction;
use mesh_core::rng::XorShift;

use super::chance::exponential;
use super::station::Station;

/// What the service is like.
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// Zones of so many endpoints each.
    pub(super) zones: u32,
    pub(super) endpoints: u32,
    /// Of each endpoint.
    pub(super) workers: u32,
    /// How long a worker takes, on average.
    pub(super) service: Duration,
    /// When the endpoints of the first zone take ten times as long.
    pub(super) slow: Range<Duration>,
    pub(super) fault: Fault,
}

/// When and how it does not do its work.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) when: Range<Duration>,
    pub(super) how: How,
}

/// What a fault is like.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// A share of the requests fails after a while, without a worker.
    Fails(Fraction, Duration),
    /// Workers do not get anything done until nobody waits for it any more.
    Hangs,
}

/// The service, at work.
#[derive(Debug)]
pub(super) struct Bottom {
    config: Config,
    picker: Picker,
    stations: Vec<Station>,
    jobs: HashMap<u64, Job>,
}

#[derive(Debug)]
struct Job {
    caller: u64,
    endpoint: usize,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Waiting,
    Working,
    /// Without a worker.
    Failing,
}

/// A job ends after a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) job: u64,
    pub(super) after: Duration,
}

impl Bottom {
    pub(super) fn new(config: Config, rng: &mut XorShift) -> Self {
        let endpoint = |number| {
            let address = Ipv4Addr::from_bits(0x0a00_0000 | number);
            Arc::new(Endpoint::new(Address::Socket((address, 80).into())))
        };
        let groups = (0..config.zones).map(|zone| {
            let first = zone * config.endpoints;
            let endpoints = (first..first + config.endpoints).map(endpoint).collect();
            Group { weight: 1, endpoints }
        });
        let policy = Policy::LeastRequest { choices: 2 };
        let balancing = LoadBalancing { policy, locality_weighted: false };
        let picker = Picker::new(&balancing, groups.collect(), rng);
        let station = |_: &Arc<Endpoint>| Station::new(config.workers);
        let stations = picker.endpoints().iter().map(station).collect();
        Self { config, picker, stations, jobs: HashMap::new() }
    }

    /// A request of `caller` comes, which is the job of this number. Returns its end, if that is
    /// known.
    pub(super) fn enter(
        &mut self,
        job: u64,
        caller: u64,
        elapsed: Duration,
        rng: &mut XorShift,
    ) -> Option<Ends> {
        let endpoint = self.picker.pick(rng)?;
        self.picker.endpoints().get(endpoint)?.state.start();
        let (place, after) = if let Some(after) = self.failure(elapsed, rng) {
            (Place::Failing, Some(after))
        } else if self.stations.get_mut(endpoint)?.enter(job) {
            (Place::Working, self.work(endpoint, elapsed, rng))
        } else {
            (Place::Waiting, None)
        };
        self.jobs.insert(job, Job { caller, endpoint, place });
        after.map(|after| Ends { job, after })
    }

    /// A job has ended, or nobody waits for it any more. Returns who made it, whether it was done,
    /// and the end of the next; `None` if it had ended before.
    pub(super) fn leave(
        &mut self,
        job: u64,
        elapsed: Duration,
        rng: &mut XorShift,
    ) -> Option<(u64, bool, Option<Ends>)> {
        let Job { caller, endpoint, place } = self.jobs.remove(&job)?;
        self.picker.endpoints().get(endpoint)?.state.end();
        let mut next = None;
        if place == Place::Working {
            let jobs = &mut self.jobs;
            let station = self.stations.get_mut(endpoint)?;
            if let Some(job) = station.leave(|job| jobs.contains_key(&job)) {
                jobs.entry(job).and_modify(|job| job.place = Place::Working);
                next = self.work(endpoint, elapsed, rng).map(|after| Ends { job, after });
            }
        }
        Some((caller, place == Place::Working, next))
    }

    /// After how long a request fails that comes now, if it does.
    fn failure(&self, elapsed: Duration, rng: &mut XorShift) -> Option<Duration> {
        let Fault { when, how } = &self.config.fault;
        match how {
            How::Fails(share, after) if when.contains(&elapsed) => {
                share.decide(rng).then_some(*after)
            }
            How::Fails(..) | How::Hangs => None,
        }
    }

    /// How long a job takes that an endpoint starts to work on; `None` is for ever.
    fn work(&self, endpoint: usize, elapsed: Duration, rng: &mut XorShift) -> Option<Duration> {
        let Fault { when, how } = &self.config.fault;
        if matches!(how, How::Hangs) && when.contains(&elapsed) {
            return None;
        }
        let in_first_zone = usize::try_from(self.config.endpoints).is_ok_and(|n| endpoint < n);
        let is_slow = in_first_zone && self.config.slow.contains(&elapsed);
        Some(exponential(self.config.service, rng) * if is_slow { 10 } else { 1 })
    }
}
