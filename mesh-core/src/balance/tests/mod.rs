//! Transcripts: what happens, what is done about it, what calls see.
//!
//! Endpoints are letters, localities are words, and actions, views and conditions are written out
//! as text.

mod asides;
mod connections;
mod ejections;
mod first;
mod model;
mod priorities;
mod scale;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Action, Balance, Closed, Condition, ConnectionId, View};
use crate::cluster::Policy;
use crate::cluster::{
    Address, Assignment, Config, Discovery, Endpoint, Health, Labels, Locality, LocalityName,
    Security, Transport, TransportMatch, Version,
};
use crate::identity::{Authorities, ClientTls, ServerName};
use crate::testing::{SequenceRng, at_millis};

/// A balance, the time, and chance that neither shortens nor lengthens a wait.
struct World {
    balance: Balance,
    config: Config,
    /// Since the start.
    time: Duration,
    rng: SequenceRng,
}

impl World {
    /// Priorities in order; localities of a priority are divided by `|`, written `name:endpoints`.
    fn new(policy: Policy, priorities: &[&str]) -> Self {
        let discovery = Discovery::Eds { service: "greeter".into() };
        let mut config = Config::new("greeter", discovery);
        config.lb.policy = policy;
        let balance = Balance::new(version(&config, priorities), at_millis(0));
        Self { balance, config, time: Duration::ZERO, rng: SequenceRng::new([1 << 31]) }
    }

    /// Round robin, and a demand has come.
    fn demanded(priorities: &[&str]) -> Self {
        let mut world = Self::new(Policy::RoundRobin, priorities);
        world.demand();
        world
    }

    fn now(&self) -> Instant {
        at_millis(0) + self.time
    }

    fn demand(&mut self) {
        self.balance.handle_demand(self.now());
    }

    fn update(&mut self, priorities: &[&str]) {
        self.balance.reconfigure(version(&self.config, priorities), self.now());
    }

    fn connected(&mut self, id: u64) {
        self.balance.handle_connected(ConnectionId(id), self.now());
    }

    fn refused(&mut self, id: u64) {
        self.balance.handle_failed(ConnectionId(id), "refused".into(), self.now(), &mut self.rng);
    }

    /// `how` is "served", "unserved", "orderly" or "idle".
    fn closed(&mut self, id: u64, how: &str) {
        let closed = Closed {
            why: "closed".into(),
            served: how == "served",
            orderly: how == "orderly",
            idle: how == "idle",
        };
        self.balance.handle_closed(ConnectionId(id), closed, self.now(), &mut self.rng);
    }

    fn saturated(&mut self, name: char) {
        self.balance.handle_saturated(&Arc::new(endpoint(name)), self.now());
    }

    /// Lets time pass, with a timeout whenever one is due.
    fn after(&mut self, millis: u64) {
        let end = self.time + Duration::from_millis(millis);
        while let Some(due) = self.balance.poll_timeout().filter(|at| *at <= at_millis(0) + end) {
            self.time = self.time.max(due - at_millis(0));
            self.balance.handle_timeout(at_millis(0) + self.time, &mut self.rng);
            assert!(self.balance.poll_timeout().is_none_or(|next| next > self.now()));
        }
        self.time = end;
    }

    fn actions(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.balance.poll_action()).map(|action| line(&action)).collect()
    }

    fn view(&self) -> String {
        show(&self.balance.view())
    }

    fn condition(&self) -> String {
        tell(&self.balance.condition())
    }

    fn wanted(&mut self, priority: u32) {
        self.balance.handle_wanted(priority, self.now());
    }

    fn asides(&self) -> Vec<String> {
        let all = self.balance.asides().into_iter();
        all.map(|(view, condition)| format!("{} {}", show(&view), tell(&condition))).collect()
    }

    /// How many milliseconds from now a timeout is due.
    fn due(&self) -> Option<u128> {
        self.balance.poll_timeout().map(|due| (due - self.now()).as_millis())
    }
}

fn tell(condition: &Condition) -> String {
    match condition {
        Condition::Idle => "idle".into(),
        Condition::Connecting => "connecting".into(),
        Condition::Ready => "ready".into(),
        Condition::Failed { why, .. } => format!("failed: {why}"),
        Condition::Empty => "empty".into(),
    }
}

fn line(action: &Action) -> String {
    match action {
        Action::Connect { id, endpoint } => format!("connect {} {}", id.0, letter(endpoint)),
        Action::Retire { id } => format!("retire {}", id.0),
        Action::Abandon { id } => format!("abandon {}", id.0),
    }
}

fn show(view: &View) -> String {
    let reachable = |group: &super::Group| {
        let one = |r: &super::Reachable| {
            let ids: Vec<_> = r.connections.iter().map(|id| id.0.to_string()).collect();
            format!("{}={}", letter(&r.endpoint), ids.join("+"))
        };
        group.endpoints.iter().map(one).collect::<Vec<_>>().join(" ")
    };
    let groups: Vec<_> = view.groups.iter().map(reachable).collect();
    match view.priority {
        Some(priority) => format!("p{priority} {}", groups.join(" | ")).trim_end().into(),
        None => String::new(),
    }
}

fn letter(endpoint: &Endpoint) -> char {
    match &endpoint.address {
        Address::Socket(address) => char::from_u32(address.port().into()).unwrap(),
        Address::Unix(path) => path.chars().next().unwrap(),
    }
}

/// Upper case letters are IPv6, digits are unhealthy.
fn endpoint(name: char) -> Endpoint {
    let port = u16::try_from(u32::from(name)).unwrap();
    let ip = if name.is_uppercase() {
        std::net::IpAddr::from([0u16, 0, 0, 0, 0, 0, 0, 1])
    } else {
        [127, 0, 0, 1].into()
    };
    let health = if name.is_ascii_digit() { Health::Unhealthy } else { Health::Unknown };
    // Of some the control plane says more.
    let labels = (name == 'z').then(|| Arc::new(Labels::new([("tlsMode", "istio")])));
    Endpoint { health, labels, ..Endpoint::new(Address::Socket((ip, port).into())) }
}

/// TLS with the authorities of `provider`.
fn tls(provider: &str) -> Transport {
    Transport::Tls(Arc::new(ClientTls {
        identity: None,
        authorities: Authorities::Provider(provider.into()),
        accepted: Box::default(),
        server_name: ServerName::default(),
    }))
}

fn version(config: &Config, priorities: &[&str]) -> Arc<Version> {
    let localities = priorities.iter().zip(0..).flat_map(|(text, priority)| {
        text.split('|').map(move |place| {
            let (name, endpoints) = place.trim().split_once(':').unwrap_or(("", place.trim()));
            let name = LocalityName { region: name.into(), ..LocalityName::default() };
            let endpoints = endpoints.chars().map(|name| Arc::new(endpoint(name))).collect();
            Locality { name: Arc::new(name), weight: 1, priority, endpoints }
        })
    });
    let assignment = Assignment { localities: localities.collect(), ..Assignment::default() };
    Arc::new(Version {
        config: Arc::new(config.clone()),
        assignment: Arc::new(assignment),
        note: None,
    })
}
