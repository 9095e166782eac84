//! How soon a server that fails gets no more calls.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_core::breaker::{self, Breaker};
use mesh_core::classify::Class;
use mesh_core::cluster::{Address, Endpoint, LoadBalancing};
use mesh_core::lb::{Group, Picker};
use mesh_core::matcher::Fraction;
use mesh_core::outlier::{Config, Event as Change, Outlier, Percent};
use mesh_core::rng::XorShift;

use super::chance::exponential;
use super::events::Events;
use super::figure::{Figure, Promise, Table};
use super::plot::{Axis, Curve, Plot, Scale};

pub(super) fn figure() -> Figure {
    let mut table = Table::new([
        "",
        "calls failed before it gets no more",
        "s",
        "failed of all calls, 2 minutes",
        "others sent away",
        "back after s",
    ]);
    let mut curves = Vec::new();
    let mut promises = Vec::new();
    for way in [Way::Nothing, Way::Row, Way::Rate, Way::Share, Way::Breaker] {
        let found = run(way);
        let name = way.name();
        let (calls, seconds) = found.reaction.unwrap_or((u32::MAX, f64::INFINITY));
        let reacts = found.reaction.is_some();
        let lost = 100.0 * f64::from(found.failed) / f64::from(found.made);
        let cell = |text: String| if reacts { text } else { "-".to_owned() };
        table.row([
            name.to_owned(),
            cell(calls.to_string()),
            cell(format!("{seconds:.2}")),
            format!("{lost:.2} %"),
            found.wronged.to_string(),
            cell(format!("{:.1}", found.back.unwrap_or(f64::INFINITY))),
        ]);
        match way {
            Way::Nothing => {}
            Way::Row | Way::Breaker => {
                let what = format!("failed calls before it gets no more, {name}");
                promises.push(Promise::at_most(10.0, what, calls.into()));
            }
            Way::Rate | Way::Share => {
                let what = format!("s before it gets no more, {name}");
                promises.push(Promise::at_most(10.0, what, seconds));
            }
        }
        if reacts {
            let what = format!("healthy servers sent away, {name}");
            promises.push(Promise::at_most(0.0, what, found.wronged.into()));
        }
        curves.push(Curve { name: name.to_owned(), points: found.points });
    }
    Figure {
        name: "reaction",
        title: "A server that fails everything",
        text: TEXT,
        table,
        plot: Plot {
            title: "What one of 20 servers gets, which fails everything for two minutes",
            across: Axis {
                label: "s since it fails",
                ticks: (0..=6u8).map(|ticks| f64::from(ticks) * 40.0).collect(),
                scale: Scale::Even,
            },
            up: Axis {
                label: "its part of all calls, %",
                ticks: (0..=7u8).map(f64::from).collect(),
                scale: Scale::Even,
            },
            curves,
        },
        promises,
    }
}

const TEXT: &str = "\
500 calls a second to 20 servers, each in turn (`lb::Picker`), one in a hundred of which fails. After five
minutes one server fails everything, for two minutes. Sweeps come every 10 s (`outlier::Outlier`), and an
ejection lasts 30 s, times how often it was ejected before; success rates are judged by four standard
deviations, as by the 1.9 of the default healthy servers are ejected now and then. The breaker
(`breaker::Breaker`) waits 1 s before its first probe, and 30 s at the most; calls that it refuses go to the
next server.";

/// What keeps calls from a server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Nothing,
    Row,
    Rate,
    Share,
    Breaker,
}

impl Way {
    fn name(self) -> &'static str {
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

const SERVERS: u32 = 20;
const BAD: u32 = 7;
const BETWEEN: Duration = Duration::from_millis(2);
const FAILS: Duration = Duration::from_secs(301);
const WELL: Duration = Duration::from_secs(421);
const END: Duration = Duration::from_secs(541);

#[derive(Debug, Default)]
struct Found {
    /// The calls that failed at the bad server before it was sent away, and the seconds.
    reaction: Option<(u32, f64)>,
    /// Calls while the server fails, and how many of these failed there.
    made: u32,
    failed: u32,
    /// How often another server was sent away.
    wronged: u32,
    /// The seconds from the end of the fault to the first call after it.
    back: Option<f64>,
    /// Its part of the calls of each two seconds.
    points: Vec<(f64, f64)>,
}

enum Event {
    Call,
    Sweep,
}

/// The servers, and what is known of them.
struct Servers {
    picker: Picker,
    /// Those that the picker has, in its order.
    chosen: Vec<u32>,
    outlier: Option<Outlier<u32>>,
    breakers: Vec<Breaker>,
    rng: XorShift,
}

fn run(way: Way) -> Found {
    let mut events = Events::new();
    let mut servers = Servers::new(way, events.now());
    let mut found = Found::default();
    let mut buckets = vec![(0u32, 0u32); 120];
    let noise = Fraction::per_million(10_000);
    events.after(BETWEEN, Event::Call);
    if let Some(due) = servers.outlier.as_ref().and_then(Outlier::poll_timeout) {
        events.at(due, Event::Sweep);
    }
    while let Some(event) = events.next() {
        let (now, elapsed) = (events.now(), events.elapsed());
        let changed = match event {
            Event::Sweep => {
                let changed = servers.sweep(now);
                if let Some(due) = servers.outlier.as_ref().and_then(Outlier::poll_timeout)
                    && elapsed < END
                {
                    events.at(due, Event::Sweep);
                }
                changed
            }
            Event::Call => {
                let is_down = (FAILS..WELL).contains(&elapsed);
                let is_unlucky = noise.decide(&mut servers.rng);
                let call = |server| {
                    if is_unlucky || is_down && server == BAD { Class::Bad } else { Class::Good }
                };
                let (server, changed) = servers.call(way, now, call);
                if let Some(since) = elapsed.checked_sub(FAILS)
                    && let Ok(two_seconds) = usize::try_from(since.as_secs() / 2)
                    && let Some((all, its)) = buckets.get_mut(two_seconds)
                {
                    *all += 1;
                    *its += u32::from(server == BAD);
                }
                if is_down {
                    found.made += 1;
                    found.failed += u32::from(server == BAD);
                } else if server == BAD && elapsed >= WELL && found.back.is_none() {
                    found.back = Some((elapsed - WELL).as_secs_f64());
                }
                let wait = exponential(BETWEEN, &mut servers.rng);
                if elapsed + wait < END {
                    events.after(wait, Event::Call);
                }
                changed
            }
        };
        for server in changed {
            if server != BAD || elapsed < FAILS {
                found.wronged += 1;
            } else if found.reaction.is_none() {
                found.reaction = Some((found.failed, (elapsed - FAILS).as_secs_f64()));
            }
        }
    }
    let seconds = (0..120u8).map(|two| f64::from(two) * 2.0 + 1.0);
    let parts = buckets.iter().map(|(all, its)| 100.0 * f64::from(*its) / f64::from(*all));
    found.points = seconds.zip(parts).collect();
    found
}

impl Servers {
    fn new(way: Way, now: Instant) -> Self {
        let outlier = way.outlier().map(|config| {
            let mut outlier = Outlier::new(config, now);
            outlier.set_endpoints((0..SERVERS).map(|server| (server, 0)));
            outlier
        });
        let config = breaker::Config::consecutive(5).ok().filter(|_| way == Way::Breaker);
        let breakers = (0..SERVERS).filter_map(|_| config.map(Breaker::new)).collect();
        let (picker, chosen, rng) = (Picker::empty(), Vec::new(), XorShift::new(13));
        let mut servers = Self { picker, chosen, outlier, breakers, rng };
        servers.choose();
        servers
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
    fn call(&mut self, way: Way, now: Instant, ask: impl Fn(u32) -> Class) -> (u32, Vec<u32>) {
        let mut server = self.pick();
        if way == Way::Breaker {
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
        let is_good = ask(server) == Class::Good;
        let is_due = match (counter, way) {
            (Some(counter), Way::Share) => {
                counter.ended(is_good);
                false
            }
            (Some(counter), _) => counter.answered(if is_good { 200 } else { 500 }),
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

    fn sweep(&mut self, now: Instant) -> Vec<u32> {
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
