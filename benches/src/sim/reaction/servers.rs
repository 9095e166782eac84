//! Servers by number, and what is known of them.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use mesh_core::breaker::{self, Breaker};
use mesh_core::classify::Class;
use mesh_core::cluster::{Address, Endpoint, LoadBalancing};
use mesh_core::lb::{Group, Picker};
use mesh_core::outlier::{Config, Event as Change, Outlier, Percent};
use mesh_core::rng::XorShift;

const SERVERS: u32 = 20;

/// What keeps calls from a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Way {
    Nothing,
    Row,
    Rate,
    Share,
    Breaker,
}

impl Way {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Row => "five 5xx in a row",
            Self::Rate => "success rate",
            Self::Share => "failure percentage of gRPC",
            Self::Breaker => "breaker",
        }
    }

    /// The settings of outlier detection, with only one detector.
    fn outlier(self) -> Option<Config> {
        let mut config = Config::default();
        config.consecutive_5xx.threshold = if self == Self::Row { 5 } else { 0 };
        let (rate, share) = (self == Self::Rate, self == Self::Share);
        config.success_rate.enforcing = if rate { Percent::ALL } else { Percent::NONE };
        config.success_rate.stdev_factor = 4_000;
        config.failure_percentage.enforcing = if share { Percent::ALL } else { Percent::NONE };
        match self {
            Self::Row | Self::Rate | Self::Share => Some(config),
            Self::Nothing | Self::Breaker => None,
        }
    }
}

/// The servers, and what watches them.
#[derive(Debug)]
pub(super) struct Servers {
    way: Way,
    picker: Picker,
    /// Those that the picker has, in its order.
    chosen: Vec<u32>,
    outlier: Option<Outlier<u32>>,
    breakers: Vec<Breaker>,
    pub(super) rng: XorShift,
}

impl Servers {
    pub(super) fn new(way: Way, now: Instant) -> Self {
        let outlier = way.outlier().map(|config| {
            let mut outlier = Outlier::new(config, now);
            outlier.set_endpoints((0..SERVERS).map(|server| (server, 0)));
            outlier
        });
        let config = breaker::Config::consecutive(5).ok().filter(|_| way == Way::Breaker);
        let breakers = (0..SERVERS).filter_map(|_| config.map(Breaker::new)).collect();
        let (picker, chosen, rng) = (Picker::empty(), Vec::new(), XorShift::new(13));
        let mut servers = Self { way, picker, chosen, outlier, breakers, rng };
        servers.choose();
        servers
    }

    /// When the next sweep is.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.outlier.as_ref()?.poll_timeout()
    }

    /// Calls go to those that are not ejected.
    fn choose(&mut self) {
        let outlier = self.outlier.as_ref();
        let is_in = |server: &u32| !outlier.is_some_and(|outlier| outlier.is_ejected(server));
        self.chosen = (0..SERVERS).filter(is_in).collect();
        let endpoints = self.chosen.iter().map(|server| {
            let address = Ipv4Addr::from_bits(0x0a00_0000 | server);
            Arc::new(Endpoint::new(Address::Socket((address, 80).into())))
        });
        let group = Group { weight: 1, endpoints: endpoints.collect() };
        self.picker = Picker::new(&LoadBalancing::default(), vec![group], &mut self.rng);
    }

    /// Makes a call. Returns the server that got it, and those that were sent away because of it.
    pub(super) fn call(&mut self, now: Instant, ask: impl Fn(u32) -> Class) -> (u32, Vec<u32>) {
        let mut server = self.pick();
        if self.way == Way::Breaker {
            for _ in 0..SERVERS {
                let breaker = usize::try_from(server).ok().and_then(|at| self.breakers.get(at));
                let Some(breaker) = breaker else { break };
                if let Some(pass) = breaker.admit(now).pass() {
                    let change = pass.done(ask(server), None, now, &mut self.rng);
                    let is_open = matches!(change, breaker::Change::Opened(_));
                    return (server, if is_open { vec![server] } else { Vec::new() });
                }
                server = self.pick();
            }
        }
        let counter = self.outlier.as_ref().and_then(|outlier| outlier.counter(&server));
        let class = ask(server);
        let is_due = match (counter, self.way) {
            (Some(counter), Way::Share) => {
                counter.ended(class);
                false
            }
            (Some(counter), _) => counter.answered(if class == Class::Good { 200 } else { 500 }),
            (None, _) => false,
        };
        if let Some(outlier) = self.outlier.as_mut().filter(|_| is_due) {
            outlier.handle_tripped(now, &mut self.rng);
        }
        (server, self.changes())
    }

    /// The number of a server; there is always one, as not all can be ejected.
    fn pick(&mut self) -> u32 {
        let at = self.picker.pick(&mut self.rng);
        at.and_then(|at| self.chosen.get(at)).copied().unwrap_or_default()
    }

    /// Looks at all servers, if it is time to. Returns those that were sent away.
    pub(super) fn sweep(&mut self, now: Instant) -> Vec<u32> {
        if let Some(outlier) = &mut self.outlier {
            outlier.handle_timeout(now, &mut self.rng);
        }
        self.changes()
    }

    /// Those that are ejected now.
    fn changes(&mut self) -> Vec<u32> {
        let Some(outlier) = &mut self.outlier else { return Vec::new() };
        let events: Vec<_> = std::iter::from_fn(|| outlier.poll_event()).collect();
        if !events.is_empty() {
            self.choose();
        }
        let ejected = |event: &Change<u32>| match event {
            Change::Eject { endpoint, .. } => Some(*endpoint),
            Change::Restore { .. } | Change::Spared { .. } => None,
        };
        events.iter().filter_map(ejected).collect()
    }
}
