//! Endpoints that get no calls for a while.

use super::*;
use crate::balance::Ejection::{self, Always, UnlessPanic};
use crate::cluster::Identity;
use crate::outlier::Percent;

impl World {
    fn eject(&mut self, name: char, how: Option<Ejection>) {
        let endpoint = Identity::from(Arc::new(endpoint(name)));
        self.balance.set_ejected(&endpoint, how, self.now());
    }

    /// All of `0..n` are connected.
    fn all_connected(priorities: &[&str], n: u64) -> Self {
        let mut world = Self::demanded(priorities);
        (0..n).for_each(|id| world.connected(id));
        world.actions();
        world
    }
}

#[test]
fn ejected_endpoints_are_not_picked_and_keep_their_connections() {
    let mut world = World::all_connected(&["abc"], 3);
    world.eject('b', Some(Always));
    assert_eq!((world.view(), world.balance.take_changed()), ("p0 a=0 c=2".into(), true));
    assert_eq!(world.actions(), [""; 0]);
    world.eject('b', None);
    assert_eq!(world.view(), "p0 a=0 b=1 c=2");
}

#[test]
fn a_priority_whose_endpoints_are_all_ejected_has_failed() {
    let mut world = World::all_connected(&["ab", "c"], 2);
    world.eject('a', Some(Always));
    assert_eq!(world.view(), "p0 b=1");
    world.eject('b', Some(Always));
    assert_eq!(world.actions(), ["connect 2 c"]);
    world.connected(2);
    assert_eq!(world.view(), "p1 c=2");
    world.eject('a', None);
    assert_eq!(world.view(), "p0 a=0");

    let mut world = World::all_connected(&["ab"], 2);
    world.eject('a', Some(Always));
    world.eject('b', Some(Always));
    assert_eq!(world.condition(), "failed: 127.0.0.1:98 is ejected as an outlier");
    assert_eq!(world.view(), "p0");
}

#[test]
fn where_few_are_left_envoys_ejections_do_not_hold() {
    let mut world = World::all_connected(&["abcd"], 4);
    world.eject('a', Some(UnlessPanic));
    world.eject('b', Some(UnlessPanic));
    // Half is left.
    assert_eq!(world.view(), "p0 c=2 d=3");
    world.eject('c', Some(UnlessPanic));
    assert_eq!(world.view(), "p0 a=0 b=1 c=2 d=3");
    world.eject('a', None);
    assert_eq!(world.view(), "p0 a=0 d=3");
    // gRPC's do.
    world.eject('b', Some(Always));
    world.eject('a', Some(UnlessPanic));
    assert_eq!(world.view(), "p0 a=0 c=2 d=3");
}

#[test]
fn when_to_panic_is_a_setting() {
    let mut world = World::new(Policy::RoundRobin, &["ab"]);
    world.config.panic_threshold = Percent::NONE;
    world.update(&["ab"]);
    world.demand();
    world.connected(0);
    world.connected(1);
    world.eject('a', Some(UnlessPanic));
    world.eject('b', Some(UnlessPanic));
    assert_eq!(world.view(), "p0");
    world.config.panic_threshold = Percent::ALL;
    world.eject('b', None);
    assert_eq!(world.view(), "p0 b=1");
    world.update(&["ab"]);
    assert_eq!(world.view(), "p0 a=0 b=1");
}

#[test]
fn nobody_panics_while_other_priorities_can_take_the_load() {
    let mut world = World::all_connected(&["ab", "cd"], 2);
    world.eject('a', Some(UnlessPanic));
    world.eject('b', Some(UnlessPanic));
    assert_eq!(world.actions(), ["connect 2 c", "connect 3 d"]);
    world.connected(2);
    assert_eq!(world.view(), "p1 c=2");
}

#[test]
fn ejections_outlive_updates_and_idleness() {
    let mut world = World::all_connected(&["abc"], 3);
    world.eject('b', Some(Always));
    world.update(&["cb"]);
    assert_eq!(world.view(), "p0 c=2");
    world.closed(2, "idle");
    world.closed(1, "idle");
    world.actions();
    world.after(3_600_000);
    world.demand();
    assert_eq!(world.actions(), ["connect 3 c", "connect 4 b"]);
    world.connected(3);
    world.connected(4);
    assert_eq!(world.view(), "p0 c=3");
    world.eject('b', None);
    assert_eq!(world.view(), "p0 c=3 b=4");
}

#[test]
fn lists_are_not_concerned() {
    let mut world = World::new(Policy::PickFirst { shuffle: false }, &["ab"]);
    world.demand();
    world.connected(0);
    world.eject('a', Some(Always));
    assert_eq!((world.view(), world.condition()), ("p0 a=0".into(), "ready".into()));
    world.config.lb.policy = Policy::RoundRobin;
    world.update(&["ab"]);
    world.actions();
    world.connected(1);
    assert_eq!(world.view(), "p0 b=1");
}
