//! Random events against a model of what the shell knows.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::cluster::Upstream;
use crate::rng::{Rng, XorShift};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trying,
    Open,
    /// Abandoned before it succeeded or failed; its success may be on its way.
    Abandoned,
    Retired,
    Gone,
}

struct Model {
    world: World,
    states: BTreeMap<u64, (State, char)>,
    /// The endpoints of each priority.
    assigned: Vec<String>,
    chance: XorShift,
}

impl Model {
    fn pick(&mut self, wanted: &[State]) -> Option<u64> {
        let ids: Vec<u64> = self
            .states
            .iter()
            .filter(|(_, (s, _))| wanted.contains(s))
            .map(|(id, _)| *id)
            .collect();
        let at = self.chance.below(u32::try_from(ids.len()).unwrap());
        ids.get(usize::try_from(at).unwrap()).copied()
    }

    fn step(&mut self) {
        let anything = [State::Trying, State::Open, State::Abandoned, State::Retired, State::Gone];
        match self.chance.below(21) {
            0 => self.reconfigure(),
            1 | 2 => self.world.demand(),
            3 => {
                self.world.saturated(char::from(b'a' + u8::try_from(self.chance.below(8)).unwrap()))
            }
            4..=7 => {
                let Some(id) = self.pick(&[State::Trying, State::Abandoned]) else { return };
                self.world.connected(id);
                let state = if self.states[&id].0 == State::Trying {
                    State::Open
                } else {
                    State::Abandoned
                };
                self.states.get_mut(&id).unwrap().0 = state;
            }
            8..=10 => {
                let Some(id) = self.pick(&[State::Trying]) else { return };
                self.world.refused(id);
                self.states.get_mut(&id).unwrap().0 = State::Gone;
            }
            11..=13 => {
                let Some(id) = self.pick(&[State::Open]) else { return };
                let how = ["served", "unserved", "orderly", "idle"];
                let how = how[usize::try_from(self.chance.below(4)).unwrap()];
                self.world.closed(id, how);
                self.states.get_mut(&id).unwrap().0 = State::Gone;
            }
            14 => {
                // A report that contradicts what was reported before.
                let Some(id) = self.pick(&anything[2..]) else { return };
                self.world.refused(id);
                self.world.closed(id, "served");
            }
            15 => {
                let millis = [3_000, 12_000, 200_000, 16 * 60_000, 31 * 60_000];
                self.world.after(millis[usize::try_from(self.chance.below(5)).unwrap()]);
            }
            16 => self.world.wanted(self.chance.below(4)),
            _ => self.world.after(u64::from(self.chance.below(600))),
        }
    }

    fn reconfigure(&mut self) {
        let mut priorities = vec![Vec::new(); usize::try_from(self.chance.below(4)).unwrap()];
        let places = ["x", "y", "z"];
        for priority in &mut priorities {
            for _ in 0..=self.chance.below(2) {
                let place = places[usize::try_from(self.chance.below(3)).unwrap()];
                let names = (0..self.chance.below(4)).map(|_| {
                    char::from(b"abcdefgh12"[usize::try_from(self.chance.below(10)).unwrap()])
                });
                priority.push(format!("{place}:{}", names.collect::<String>()));
            }
        }
        let policy = self.world.config.lb.policy;
        let security = self.world.config.security.clone();
        match self.chance.below(16) {
            12 => self.world.config.security.default = tls("a"),
            13 => self.world.config.security.default = tls("b"),
            14 => self.world.config.security = Security::default(),
            0 => self.world.config.upstream = Upstream::Http1,
            1 => self.world.config.upstream = Upstream::Http2,
            2 | 3 => self.world.config.lb.policy = Policy::RoundRobin,
            4 => self.world.config.lb.policy = Policy::PickFirst { shuffle: false },
            5 => self.world.config.lb.policy = Policy::PickFirst { shuffle: true },
            _ => {}
        }
        let texts: Vec<String> = priorities.iter().map(|places| places.join("|")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.world.update(&texts);
        let endpoints = |place: &String| place[2..].to_owned();
        self.assigned = priorities.iter().map(|p| p.iter().map(endpoints).collect()).collect();
        let had = self.reachable();
        self.act();
        let has = self.reachable();
        if security != self.world.config.security {
            assert_eq!(has, BTreeSet::new(), "these are secured as they must not be any more");
        } else if [policy, self.world.config.lb.policy] == [Policy::RoundRobin; 2] {
            for name in had.into_iter().filter(|name| self.assigned.concat().contains(*name)) {
                assert!(has.contains(&name), "{name} has lost its last connection");
            }
        }
    }

    /// The endpoints with an open connection that takes calls.
    fn reachable(&self) -> BTreeSet<char> {
        let open = self.states.values().filter(|(state, _)| *state == State::Open);
        open.map(|(_, name)| *name).collect()
    }

    /// Carries out the actions; each names an id that it may name.
    fn act(&mut self) {
        while let Some(action) = self.world.balance.poll_action() {
            match action {
                Action::Connect { id, endpoint } => {
                    let before = self.states.insert(id.0, (State::Trying, letter(&endpoint)));
                    assert_eq!(before, None, "an id is given out once");
                }
                Action::Abandon { id } => {
                    let state = &mut self.states.get_mut(&id.0).unwrap().0;
                    assert_eq!(*state, State::Trying, "{id:?}");
                    *state = State::Abandoned;
                }
                Action::Retire { id } => {
                    let state = &mut self.states.get_mut(&id.0).unwrap().0;
                    assert!(matches!(*state, State::Open | State::Abandoned), "{id:?} {state:?}");
                    *state = State::Retired;
                }
            }
        }
    }

    fn check(&self) {
        let balance = &self.world.balance;
        let (view, condition) = (balance.view(), balance.condition());
        for (view, _) in balance.asides() {
            self.check_view(&view);
        }
        let seen = self.check_view(&view);
        assert_eq!(condition == Condition::Ready, !view.groups.is_empty(), "{condition:?}");
        if matches!(self.world.config.lb.policy, Policy::PickFirst { .. }) {
            assert!(seen.len() <= 1, "{seen:?}");
        }
        let trying = self.states.values().filter(|(state, _)| *state == State::Trying).count();
        assert_eq!(trying, balance.table.attempts);
        // Nothing hangs: calls that wait wait for an attempt or for a time.
        let hopeless = trying == 0 && balance.poll_timeout().is_none();
        assert!(!(condition == Condition::Connecting && hopeless));
        assert!(!(matches!(condition, Condition::Failed { .. }) && hopeless));
        self.check_sums();
    }

    /// What others see of it.
    fn seen(&self) -> (String, String, Vec<String>) {
        (self.world.view(), self.world.condition(), self.world.asides())
    }

    /// The endpoints of a view, whose connections are open.
    fn check_view(&self, view: &View) -> BTreeSet<char> {
        let mut seen = BTreeSet::new();
        for reachable in view.groups.iter().flat_map(|group| &group.endpoints) {
            let name = letter(&reachable.endpoint);
            let priority = usize::try_from(view.priority.unwrap()).unwrap();
            assert!(self.assigned[priority].contains(name));
            assert!(!reachable.connections.is_empty() && seen.insert(name));
            for id in &reachable.connections {
                assert_eq!(self.states[&id.0], (State::Open, name), "{id:?}");
            }
        }
        seen
    }

    /// What is counted along the way equals what can be counted now.
    fn check_sums(&self) {
        let table = &self.world.balance.table;
        let open: usize = table.entries.iter().map(|entry| entry.open.len()).sum();
        assert_eq!((open, open + table.attempts), (table.open, table.live.len()));
        for priority in &table.priorities {
            let mut counts = super::super::priority::Counts::default();
            let entries = &table.entries[priority.slots.clone()];
            entries.iter().for_each(|entry| counts.add(entry.status()));
            assert_eq!(format!("{counts:?}"), format!("{:?}", priority.counts));
            let mut queued: Vec<_> = priority.queue.iter().copied().collect();
            queued.sort_unstable();
            let is_queued =
                |slot: &usize| table.entries[*slot].phase == super::super::entry::Phase::Queued;
            assert_eq!(queued, priority.slots.clone().filter(is_queued).collect::<Vec<_>>());
        }
    }
}

#[test]
fn random_events_keep_the_promises() {
    for seed in 0..200 {
        let world = World::new(Policy::RoundRobin, &["x:abc", "y:de"]);
        let assigned = vec!["abc".to_owned(), "de".to_owned()];
        let states = BTreeMap::new();
        let mut model = Model { world, states, assigned, chance: XorShift::new(seed) };
        for _ in 0..300 {
            let before = model.seen();
            model.world.balance.take_changed();
            model.step();
            let after = model.seen();
            assert!(before == after || model.world.balance.take_changed(), "{before:?} {after:?}");
            model.act();
            model.check();
        }
    }
}
