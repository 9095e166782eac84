//! Priorities that retries want while another one is active.

use super::*;

const KEEP: u64 = 15 * 60_000;

#[test]
fn a_wanted_priority_is_connected_to_beside_the_active_one() {
    let mut world = World::demanded(&["x:a", "y:b", "z:c"]);
    world.connected(0);
    world.actions();
    assert_eq!(world.asides(), [""; 0]);
    world.balance.take_changed();
    world.wanted(1);
    assert!(world.balance.take_changed());
    assert_eq!(world.actions(), ["connect 1 b"]);
    assert_eq!(world.asides(), ["p1 connecting", "p2 idle"]);
    world.wanted(1);
    assert!(!world.balance.take_changed());
    world.connected(1);
    assert!(world.balance.take_changed());
    assert_eq!(world.asides(), ["p1 b=1 ready", "p2 idle"]);
    // The active one is what it was.
    assert_eq!((world.view(), world.actions()), ("p0 a=0".into(), vec![]));
}

#[test]
fn a_wanted_priority_is_kept_a_while_after_the_last_call() {
    let mut world = World::demanded(&["x:a", "y:b"]);
    world.connected(0);
    world.wanted(1);
    world.connected(1);
    world.actions();
    world.after(KEEP - 1);
    world.wanted(1);
    world.after(KEEP - 1);
    assert_eq!((world.actions(), world.asides()), (vec![], vec!["p1 b=1 ready".into()]));
    world.balance.take_changed();
    world.after(1);
    assert!(world.balance.take_changed());
    assert_eq!((world.actions(), world.asides()), (vec!["retire 1".into()], vec![]));
    assert_eq!((world.view(), world.due()), ("p0 a=0".into(), None));
}

#[test]
fn a_wanted_priority_that_fails_says_so() {
    let mut world = World::demanded(&["x:a", "y:b", "z:1"]);
    world.connected(0);
    world.wanted(1);
    world.wanted(2);
    world.refused(1);
    assert_eq!(
        world.asides(),
        ["p1 failed: refused", "p2 failed: no endpoint could be connected to"]
    );
    world.after(1_000);
    world.connected(2);
    assert_eq!(world.asides()[0], "p1 b=2 ready");
}

/// As if it had been active once, it goes on where it is.
#[test]
fn a_wanted_priority_takes_over_without_a_wait() {
    let mut world = World::demanded(&["x:a", "y:b"]);
    world.connected(0);
    world.wanted(1);
    world.connected(1);
    world.closed(0, "unserved");
    assert_eq!(world.view(), "p1 b=1");
    assert_eq!(world.asides(), ["p0 failed: closed"]);
    world.after(KEEP);
    assert_eq!((world.view(), world.asides()), ("p1 b=1".into(), vec![]));
}

#[test]
fn wants_rouse_what_nobody_used() {
    for policy in [Policy::RoundRobin, Policy::PickFirst { shuffle: false }] {
        let mut world = World::new(policy, &["x:a", "y:b"]);
        world.demand();
        world.connected(0);
        world.wanted(1);
        world.connected(1);
        world.actions();
        world.closed(1, "idle");
        assert_eq!((world.actions(), world.asides()), (vec![], vec!["p1 idle".into()]));
        world.wanted(1);
        assert_eq!(world.actions(), ["connect 2 b"]);
    }
}

#[test]
fn lists_are_shuffled_for_a_want() {
    let mut world = World::new(Policy::PickFirst { shuffle: true }, &["x:a", "y:b"]);
    world.demand();
    world.after(0);
    world.connected(0);
    world.wanted(1);
    world.after(0);
    assert_eq!(world.actions(), ["connect 0 a", "connect 1 b"]);
}

#[test]
fn wants_wake_a_cluster_and_need_a_priority() {
    let mut world = World::new(Policy::RoundRobin, &["x:a", "y:b"]);
    world.wanted(7);
    assert_eq!((world.actions(), world.asides()), (vec!["connect 0 a".into()], vec![]));
    world.wanted(1);
    world.update(&["x:a"]);
    assert_eq!(world.actions(), ["connect 1 b", "abandon 1"]);
}
