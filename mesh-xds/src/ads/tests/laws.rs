//! Whatever happens in whatever order, the server ends up knowing what is wanted, and the user ends
//! up having it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mesh_core::rng::XorShift;
use proptest::prelude::*;

use super::*;

/// A management server that follows the protocol to the letter. Names ending in an even digit
/// exist.
struct Server {
    mode: Mode,
    types: BTreeMap<ResourceType, Served>,
    replies: VecDeque<Reply>,
    nonces: u32,
}

#[derive(Default)]
struct Served {
    names: BTreeSet<String>,
    nonce: String,
}

impl Server {
    fn new(mode: Mode) -> Self {
        Self { mode, types: BTreeMap::new(), replies: VecDeque::new(), nonces: 0 }
    }

    fn names(&self, kind: ResourceType) -> BTreeSet<String> {
        self.types.get(&kind).map(|served| served.names.clone()).unwrap_or_default()
    }

    fn handle(&mut self, request: Request) {
        let is_first = self.types.is_empty();
        let (kind, fresh) = match request {
            Request::StateOfTheWorld(request) => {
                let kind = ResourceType::from_url(&request.type_url).unwrap();
                assert_eq!(request.node.is_some(), is_first);
                let names: BTreeSet<_> = request.resource_names.into_iter().collect();
                if !self.types.contains_key(&kind) {
                    assert!(!names.is_empty(), "asks for everything");
                    assert_eq!(request.response_nonce, "");
                }
                let served = self.types.entry(kind).or_default();
                if request.response_nonce != served.nonce {
                    return;
                }
                let fresh: BTreeSet<_> = names.difference(&served.names).cloned().collect();
                served.names = names;
                (kind, fresh)
            }
            Request::Incremental(request) => {
                let kind = ResourceType::from_url(&request.type_url).unwrap();
                assert_eq!(request.node.is_some(), is_first);
                let fresh: BTreeSet<_> = request.resource_names_subscribe.into_iter().collect();
                if !self.types.contains_key(&kind) {
                    assert!(!fresh.is_empty(), "asks for everything");
                    assert_eq!(request.response_nonce, "");
                }
                let served = self.types.entry(kind).or_default();
                for name in request.resource_names_unsubscribe {
                    assert!(served.names.remove(&name), "gives up {name}, which it never wanted");
                }
                served.names.extend(fresh.iter().cloned());
                (kind, fresh)
            }
        };
        if !fresh.is_empty() {
            self.send(kind, &fresh);
        }
    }

    /// Sends `fresh`, or everything where a response must be whole.
    fn send(&mut self, kind: ResourceType, fresh: &BTreeSet<String>) {
        let Some(served) = self.types.get_mut(&kind) else { return };
        self.nonces += 1;
        served.nonce = self.nonces.to_string();
        let is_whole = self.mode == Mode::StateOfTheWorld && kind.is_whole_in_response();
        let names = if is_whole { &served.names } else { fresh };
        let mut answer = reply(kind, &served.nonce, &served.nonce);
        for name in names {
            answer = if name.ends_with(['0', '2', '4', '6', '8']) {
                answer.with([name.as_str()])
            } else {
                answer.removed(name)
            };
        }
        self.replies.push_back(answer);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Subscribe(usize, u8),
    Unsubscribe(usize, u8),
    /// The client's requests reach the server.
    Talk,
    /// The server's oldest response reaches the client.
    Deliver,
    /// The server sends what it has of a type.
    Push(usize),
    /// The user answers the oldest update.
    Finish {
        accept: bool,
    },
    Connect,
    Disconnect,
    Wait(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..4usize, 0..5u8).prop_map(|(kind, name)| Step::Subscribe(kind, name)),
        5 => (0..4usize, 0..5u8).prop_map(|(kind, name)| Step::Unsubscribe(kind, name)),
        6 => Just(Step::Talk),
        6 => Just(Step::Deliver),
        2 => (0..4usize).prop_map(Step::Push),
        5 => any::<bool>().prop_map(|accept| Step::Finish { accept }),
        3 => Just(Step::Connect),
        1 => Just(Step::Disconnect),
        1 => (0..20u8).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..120)
}

struct World {
    stage: Stage,
    server: Server,
    rng: XorShift,
    wanted: BTreeSet<(ResourceType, String)>,
    /// What the user has received since it last began to want it.
    received: BTreeSet<(ResourceType, String)>,
}

impl World {
    fn new(mode: Mode) -> Self {
        Self {
            stage: Stage::new(config(mode)),
            server: Server::new(mode),
            rng: XorShift::new(1),
            wanted: BTreeSet::new(),
            received: BTreeSet::new(),
        }
    }

    fn is_up(&self) -> bool {
        matches!(self.stage.session.status().stream, StreamStatus::Up { .. })
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Subscribe(kind, index) => {
                let (kind, text) = (ResourceType::ALL[kind], index.to_string());
                self.stage.session.subscribe(kind, name(kind, &text));
                if self.wanted.insert((kind, text.clone())) {
                    self.received.remove(&(kind, text));
                }
            }
            Step::Unsubscribe(kind, index) => {
                let (kind, text) = (ResourceType::ALL[kind], index.to_string());
                self.stage.session.unsubscribe(kind, &name(kind, &text));
                self.wanted.remove(&(kind, text));
            }
            Step::Talk => {
                while let Some(request) = self.stage.session.poll_request(self.stage.now) {
                    self.server.handle(request);
                }
            }
            Step::Deliver => {
                if let Some(reply) = self.server.replies.pop_front() {
                    self.stage.server(reply);
                }
            }
            Step::Push(kind) => {
                let kind = ResourceType::ALL[kind];
                let names = self.server.names(kind);
                self.server.send(kind, &names);
            }
            Step::Finish { accept: true } if !self.stage.tickets.is_empty() => self.stage.accept(),
            Step::Finish { accept: false } if !self.stage.tickets.is_empty() => {
                self.stage.reject("no");
            }
            Step::Finish { .. } => {}
            Step::Connect => {
                if self.stage.session.poll_connect(self.stage.now) {
                    self.stage.connected();
                }
            }
            Step::Disconnect => {
                let now = self.stage.now;
                self.stage.session.handle_disconnected("reset", now, &mut self.rng);
                self.server.types.clear();
                self.server.replies.clear();
            }
            Step::Wait(seconds) => self.stage.after(seconds.into()),
        }
        while let Some(event) = self.stage.session.poll_event() {
            let Event::Update(update) = event else { continue };
            self.stage.tickets.push(update.ticket);
            for raw in update.resources {
                let received = (update.kind, raw.name.to_string());
                assert!(self.wanted.contains(&received), "{received:?} is not wanted");
                self.received.insert(received);
            }
        }
    }

    /// Lets everything settle; true if it did.
    fn settles(&mut self) -> bool {
        for _ in 0..50 {
            self.step(&Step::Wait(200));
            self.step(&Step::Connect);
            self.step(&Step::Talk);
            let nothing_to_read = self.server.replies.is_empty();
            while !self.server.replies.is_empty() {
                self.step(&Step::Deliver);
            }
            let nothing_to_answer = self.stage.tickets.is_empty();
            while !self.stage.tickets.is_empty() {
                self.step(&Step::Finish { accept: true });
            }
            if nothing_to_read && nothing_to_answer {
                return true;
            }
        }
        false
    }
}

fn check(mode: Mode, steps: &[Step]) {
    let mut world = World::new(mode);
    for step in steps {
        world.step(step);
    }
    assert!(world.settles(), "requests and responses never end");
    assert!(world.is_up() || world.wanted.is_empty());
    for kind in ResourceType::ALL {
        let wanted = world.wanted.iter().filter(|(other, _)| *other == kind);
        let wanted: BTreeSet<_> = wanted.map(|(_, name)| name.clone()).collect();
        assert_eq!(world.server.names(kind), wanted, "{kind:?}");
    }
    // With every wish known and every wait over, there is nothing left to wake up for.
    world.stage.after(1_000.0);
    assert_eq!(world.stage.wakes_in(), None);
    let exists = |(_, name): &&(ResourceType, String)| name.ends_with(['0', '2', '4']);
    for wanted in world.wanted.iter().filter(exists) {
        assert!(world.received.contains(wanted), "{wanted:?} never came");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(27),
        ..ProptestConfig::with_cases(200)
    })]

    #[test]
    fn what_is_wanted_comes(steps in steps()) {
        check(Mode::StateOfTheWorld, &steps);
        check(Mode::Incremental, &steps);
    }

    #[test]
    fn hostile_responses_do_no_harm(
        entries in prop::collection::vec((0..6usize, prop::collection::vec(any::<u8>(), 0..24)), 0..12),
        removed in prop::collection::vec("[a*/:?]{0,3}|xdstp://[a/?&=]{0,9}", 0..4),
        kind in 0..4usize,
    ) {
        let kind = ResourceType::ALL[kind];
        let urls = ResourceType::ALL.map(ResourceType::type_url);
        for mut stage in [sotw().open(), delta().open()] {
            stage.subscribe(kind, ["a", "*"]);
            stage.sends();
            let mut hostile = reply(kind, "1", "n1").refused("", 5);
            hostile.removed.clone_from(&removed);
            for (url, bytes) in &entries {
                let url = urls.get(*url).copied().unwrap_or(WRAPPER);
                hostile = hostile.any(url, bytes);
                let any = Any { type_url: url.to_owned(), value: bytes.clone() };
                hostile = hostile.entry("", Some(any), Some(-1));
            }
            stage.server(hostile);
            let mut answered = 0;
            while let Some(event) = stage.session.poll_event() {
                if let Event::Update(update) = event {
                    stage.session.finish(update.ticket, Verdict::Accept);
                    answered += 1;
                }
            }
            prop_assert_eq!(answered, 1);
            prop_assert!(stage.session.poll_request(stage.now).is_some());
            prop_assert!(stage.session.poll_request(stage.now).is_none());
        }
    }
}
