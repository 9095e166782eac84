//! `pick_first`, after the tests of gRPC's policy of this name.

use super::*;

fn first(priorities: &[&str]) -> World {
    let mut world = World::new(Policy::PickFirst { shuffle: false }, priorities);
    world.demand();
    world
}

/// T-A61.1, `TriggerConnectionDelay`.
#[test]
fn next_attempt_comes_after_a_quarter_of_a_second() {
    let mut world = first(&["x:ab | y:c"]);
    assert_eq!((world.actions().join(","), world.due()), ("connect 0 a".into(), Some(250)));
    world.after(249);
    assert_eq!(world.actions(), [""; 0]);
    world.after(1);
    assert_eq!(world.actions(), ["connect 1 b"]);
    world.connected(1);
    assert_eq!(world.actions(), ["abandon 0"]);
    assert_eq!((world.view(), world.condition()), ("p0 b=1".into(), "ready".into()));
    assert_eq!(world.due(), None);
    // It succeeded all the same.
    world.connected(0);
    assert_eq!((world.actions().join(","), world.view()), ("retire 0".into(), "p0 b=1".into()));
}

#[test]
fn failed_attempt_is_followed_at_once() {
    let mut world = first(&["abcd"]);
    world.refused(0);
    assert_eq!(world.actions(), ["connect 0 a", "connect 1 b"]);
    world.after(250);
    assert_eq!(world.actions(), ["connect 2 c"]);
    // An older attempt ends while the newest goes on.
    world.refused(1);
    assert_eq!((world.actions(), world.condition()), (vec![], "connecting".into()));
}

/// `TF_AfterEndOfList`.
#[test]
fn list_has_failed_when_each_endpoint_has() {
    let mut world = first(&["ab"]);
    world.refused(0);
    world.refused(1);
    assert_eq!(world.condition(), "failed: refused");
    world.actions();
    world.after(1_000);
    assert_eq!(world.actions(), ["connect 2 a", "connect 3 b"]);
    assert_eq!(world.condition(), "failed: refused");
    world.refused(2);
    world.connected(3);
    assert_eq!((world.view(), world.condition()), ("p0 b=3".into(), "ready".into()));
    world.after(10_000);
    assert_eq!(world.actions(), [""; 0]);
}

/// `TF_ThenTimerFires`: the last attempt fails before an older one has ended.
#[test]
fn pass_ends_with_its_slowest_attempt() {
    let mut world = first(&["ab"]);
    world.after(250);
    world.refused(1);
    world.after(2_000);
    assert_eq!((world.actions().len(), world.condition()), (2, "connecting".into()));
    world.refused(0);
    // `b` has waited long enough meanwhile.
    assert_eq!(
        (world.actions().join(","), world.condition()),
        ("connect 2 b".into(), "failed: refused".into())
    );
}

#[test]
fn closed_connection_leaves_the_cluster_idle() {
    let mut world = first(&["ab"]);
    world.connected(0);
    world.closed(0, "served");
    world.actions();
    assert_eq!((world.condition(), world.view()), ("idle".into(), "p0".into()));
    world.after(1_000);
    assert_eq!(world.actions(), [""; 0]);
    world.demand();
    assert_eq!(world.actions(), ["connect 1 a"]);
    world.connected(1);
    world.closed(1, "unserved");
    assert_eq!(world.condition(), "idle");
    world.demand();
    // `a` failed just now.
    assert_eq!(
        (world.actions().join(","), world.condition()),
        ("connect 2 b".into(), "connecting".into())
    );
    world.refused(2);
    assert_eq!(world.condition(), "failed: refused");
}

#[test]
fn selected_endpoint_is_kept_while_listed() {
    let mut world = first(&["x:ab"]);
    world.refused(0);
    world.connected(1);
    world.actions();
    world.update(&["x:cab"]);
    world.update(&["x:c | y:b"]);
    assert_eq!((world.actions(), world.view()), (vec![], "p0 b=1".into()));
    world.update(&["x:cd"]);
    assert_eq!(
        (world.actions().join(","), world.condition()),
        ("retire 1,connect 2 c".into(), "connecting".into())
    );
}

#[test]
fn changed_list_starts_over_and_keeps_attempts() {
    let mut world = first(&["ab"]);
    world.after(250);
    world.actions();
    world.update(&["cba"]);
    assert_eq!(world.actions(), ["connect 2 c"]);
    world.update(&["cba"]);
    assert_eq!(world.actions(), [""; 0]);
    world.refused(2);
    world.refused(1);
    world.refused(0);
    assert_eq!((world.actions(), world.condition()), (vec![], "failed: refused".into()));
    world.update(&["ad"]);
    assert_eq!(
        (world.actions().join(","), world.condition()),
        ("connect 3 d".into(), "failed: refused".into())
    );
}

#[test]
fn list_that_was_empty_starts_afresh() {
    let mut world = first(&["a"]);
    world.update(&["1"]);
    assert_eq!(
        (world.actions().join(","), world.condition()),
        ("connect 0 a,abandon 0".into(), "empty".into())
    );
    world.update(&["a"]);
    assert_eq!(
        (world.actions().join(","), world.condition()),
        ("connect 1 a".into(), "connecting".into())
    );
}

/// `InterleavingIPV4Preferred` and `InterleavingIPV6Preferred`.
#[test]
fn address_families_take_turns() {
    for (list, order) in [("abcDE", "aDbEc"), ("ABCde", "AdBeC"), ("aBCD", "aBCD")] {
        let mut world = first(&[list]);
        world.after(250 * 4);
        let tried: String = world.actions().iter().filter_map(|a| a.chars().last()).collect();
        assert_eq!(tried, order);
    }
}

/// gRFC A62: `shuffle_address_list`.
#[test]
fn list_is_shuffled_once() {
    let mut world = World::new(Policy::PickFirst { shuffle: true }, &["abcd"]);
    world.demand();
    assert_eq!((world.actions(), world.due()), (vec![], Some(0)));
    world.rng = SequenceRng::new([1, 0, 0]);
    world.after(0);
    world.rng = SequenceRng::new([1 << 31]);
    world.after(750);
    let tried = ["connect 0 d", "connect 1 c", "connect 2 a", "connect 3 b"];
    assert_eq!(world.actions(), tried);
    world.connected(1);
    world.closed(1, "served");
    world.actions();
    world.demand();
    assert_eq!(world.actions(), ["connect 4 d"]);
}

#[test]
fn list_fails_over_as_a_whole() {
    let mut world = first(&["x:a", "y:b"]);
    world.refused(0);
    assert_eq!(world.actions(), ["connect 0 a", "connect 1 b"]);
    world.connected(1);
    world.after(1_000);
    world.connected(2);
    assert_eq!(world.view(), "p0 a=2");
    world.closed(2, "idle");
    assert_eq!((world.view(), world.condition()), ("p0".into(), "idle".into()));
}

#[test]
fn full_selected_endpoint_gets_another_connection() {
    let mut world = first(&["ab"]);
    world.connected(0);
    world.saturated('a');
    world.saturated('b');
    assert_eq!(world.actions(), ["connect 0 a", "connect 1 a"]);
    world.update(&["ab", "c"]);
    world.update(&["ba"]);
    world.connected(1);
    assert_eq!((world.actions(), world.view()), (vec![], "p0 a=0+1".into()));
}

#[test]
fn policies_change_without_losing_the_ready() {
    let mut world = first(&["abc"]);
    world.refused(0);
    world.connected(1);
    world.actions();
    world.config.lb.policy = Policy::Random;
    world.update(&["abc"]);
    assert_eq!((world.actions().join(","), world.view()), ("connect 2 c".into(), "p0 b=1".into()));
    world.connected(2);
    world.config.lb.policy = Policy::PickFirst { shuffle: false };
    world.update(&["abc"]);
    assert_eq!((world.actions().join(","), world.view()), ("retire 2".into(), "p0 b=1".into()));
    world.config.lb.policy = Policy::RoundRobin;
    world.update(&["abc"]);
    world.config.lb.policy = Policy::PickFirst { shuffle: false };
    world.closed(1, "served");
    world.update(&["abc"]);
    assert_eq!(world.condition(), "connecting");
}

#[test]
fn idle_list_opens_nothing() {
    let mut world = first(&["ab"]);
    world.connected(0);
    world.saturated('a');
    world.actions();
    world.closed(0, "idle");
    assert_eq!((world.actions().join(","), world.condition()), ("abandon 1".into(), "idle".into()));
    world.update(&["ba"]);
    assert_eq!((world.actions(), world.condition()), (vec![], "idle".into()));
}

#[test]
fn selected_endpoint_wins_over_one_that_moves_in() {
    let mut world = first(&["x:a", "y:b"]);
    world.refused(0);
    world.connected(1);
    world.after(1_000);
    world.connected(2);
    world.actions();
    world.update(&["x:ba"]);
    assert_eq!((world.actions().join(","), world.view()), ("retire 1".into(), "p0 a=2".into()));
}

#[test]
fn queued_attempt_survives_an_update() {
    let many: String = ('\u{400}'..).take(70).collect();
    let mut world = first(&["x:a", &format!("y:{many}")]);
    (0..=70).for_each(|id| world.refused(id));
    world.actions();
    world.after(1_000);
    let tries = world.actions();
    assert_eq!((tries.len(), tries[0].as_str()), (64, "connect 71 a"));
    world.connected(71);
    world.actions();
    world.saturated('a');
    assert_eq!(world.actions(), [""; 0]);
    world.update(&["x:ba", &format!("y:{many}")]);
    assert_eq!(world.actions(), [""; 0]);
    world.refused(72);
    assert_eq!(world.actions(), ["connect 136 a"]);
}

#[test]
fn a_selected_endpoint_that_is_secured_otherwise_is_tried_first() {
    let mut world = first(&["ab"]);
    world.connected(0);
    assert_eq!((world.actions().join(","), world.view()), ("connect 0 a".into(), "p0 a=0".into()));
    world.config.security.default = tls("roots");
    world.update(&["ab"]);
    assert_eq!(world.actions(), ["retire 0", "connect 1 a"]);
    assert_eq!((world.view(), world.condition()), ("p0".into(), "connecting".into()));
    world.refused(1);
    assert_eq!(world.actions(), ["connect 2 b"]);
    world.connected(2);
    assert_eq!(world.view(), "p0 b=2");
}
