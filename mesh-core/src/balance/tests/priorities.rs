//! Failover between priorities, after the tests of gRPC's priority policy.

use super::*;

/// T-A56.1, `InitTimeout`.
#[test]
fn black_hole_fails_over_after_ten_seconds() {
    let mut world = World::demanded(&["x:a", "y:b"]);
    assert_eq!(world.actions(), ["connect 0 a"]);
    world.after(9_999);
    assert_eq!(world.actions(), [""; 0]);
    world.after(1);
    assert_eq!((world.actions().join(","), world.view()), ("connect 1 b".into(), "p1".into()));
    world.connected(1);
    assert_eq!((world.view(), world.condition()), ("p1 b=1".into(), "ready".into()));
}

/// T-A56.1.
#[test]
fn refusal_fails_over_at_once() {
    let mut world = World::demanded(&["x:a", "y:b", "z:c"]);
    world.refused(0);
    assert_eq!(world.actions(), ["connect 0 a", "connect 1 b"]);
    assert_eq!(world.condition(), "connecting");
    world.refused(1);
    world.refused(2);
    assert_eq!((world.view(), world.condition()), ("p2".into(), "failed: refused".into()));
}

/// `HighPriorityReady`: lower priorities are lazy.
#[test]
fn ready_priority_leaves_lower_ones_alone() {
    let mut world = World::demanded(&["x:a", "y:b"]);
    world.connected(0);
    assert_eq!(world.actions(), ["connect 0 a"]);
    world.update(&["x:a", "y:b", "z:c"]);
    world.update(&["x:a"]);
    world.after(60_000);
    assert_eq!((world.actions(), world.view()), (vec![], "p0 a=0".into()));
}

/// T-A56.2, `SwitchPriority` and `HigherReadyCloseAllLower`.
#[test]
fn higher_priority_takes_over_and_lower_ones_are_kept_a_while() {
    let mut world = World::demanded(&["x:a", "y:b", "z:c"]);
    world.refused(0);
    world.refused(1);
    world.connected(2);
    assert_eq!(world.view(), "p2 c=2");
    world.actions();
    world.after(1_000);
    assert_eq!(world.actions(), ["connect 3 a", "connect 4 b"]);
    assert_eq!(world.view(), "p2 c=2");
    world.connected(4);
    assert_eq!(world.view(), "p1 b=4");
    world.connected(3);
    assert_eq!((world.view(), world.actions()), ("p0 a=3".into(), vec![]));
    world.after(15 * 60_000 - 1);
    assert_eq!(world.actions(), [""; 0]);
    world.after(1);
    assert_eq!(world.actions(), ["retire 4", "retire 2"]);
    assert_eq!((world.view(), world.due()), ("p0 a=3".into(), None));
}

#[test]
fn priority_that_is_needed_again_is_there() {
    let mut world = World::demanded(&["x:a", "y:b"]);
    world.refused(0);
    world.connected(1);
    world.after(1_000);
    world.connected(2);
    assert_eq!(world.view(), "p0 a=2");
    world.actions();
    world.after(14 * 60_000);
    world.closed(2, "unserved");
    assert_eq!(world.view(), "p1 b=1");
    // It is needed, so the old deadline has no meaning.
    world.after(500);
    world.after(59_000);
    assert_eq!(world.view(), "p1 b=1");
}

/// A56: after READY the failover timer starts again, after TRANSIENT_FAILURE it does not.
#[test]
fn lost_priority_has_ten_seconds_to_come_back() {
    let mut world = World::demanded(&["x:a", "y:b"]);
    world.connected(0);
    world.after(60_000);
    world.actions();
    world.closed(0, "served");
    assert_eq!((world.actions().join(","), world.view()), ("connect 1 a".into(), "p0".into()));
    world.after(9_999);
    assert_eq!((world.actions(), world.condition()), (vec![], "connecting".into()));
    world.after(1);
    assert_eq!(world.actions(), ["connect 2 b"]);
    world.connected(2);
    world.refused(1);
    world.after(1_000);
    assert_eq!((world.actions().join(","), world.view()), ("connect 3 a".into(), "p1 b=2".into()));
}

/// `InitTimerNotRestarted_OnConnectingToConnecting`.
#[test]
fn more_attempts_do_not_restart_the_timer() {
    let mut world = World::demanded(&["x:ab", "y:c"]);
    world.after(5_000);
    world.refused(0);
    world.update(&["x:abd", "y:c"]);
    assert_eq!(world.actions(), ["connect 0 a", "connect 1 b", "connect 2 d"]);
    world.after(5_000);
    assert_eq!(world.actions(), ["connect 3 a", "connect 4 c"]);
}

/// `RemovesAllPriorities`.
#[test]
fn all_priorities_go_and_come_back() {
    let mut world = World::demanded(&["x:a", "y:b"]);
    world.connected(0);
    world.actions();
    world.update(&[]);
    assert_eq!((world.actions().join(","), world.condition()), ("retire 0".into(), "empty".into()));
    assert_eq!(world.view(), "");
    world.update(&["x:c", "y:d"]);
    assert_eq!(
        (world.actions().join(","), world.condition()),
        ("connect 1 c".into(), "connecting".into())
    );
    world.refused(1);
    assert_eq!(world.actions(), ["connect 2 d"]);
    world.connected(2);
    assert_eq!(world.view(), "p1 d=2");
}

/// `HighPriorityNoEndpoints`.
#[test]
fn empty_priority_is_passed_over() {
    let mut world = World::demanded(&["x:a", "y:b"]);
    world.connected(0);
    world.actions();
    world.update(&["x:1", "y:b"]);
    assert_eq!(
        (world.actions().join(","), world.view()),
        ("retire 0,connect 1 b".into(), "p1".into())
    );
    world.connected(1);
    world.update(&["x:a", "y:b"]);
    assert_eq!((world.actions().join(","), world.view()), ("connect 2 a".into(), "p1 b=1".into()));
    world.connected(2);
    assert_eq!(world.view(), "p0 a=2");
}

#[test]
fn empty_last_priority_does_not_hide_the_error() {
    let mut world = World::demanded(&["x:a", "y:1"]);
    world.refused(0);
    assert_eq!(world.condition(), "failed: refused");
}

/// `MoveChildToHigherPriority`: the locality that serves becomes the first priority.
#[test]
fn serving_locality_moves_up() {
    let mut world = World::demanded(&["x:a", "y:b"]);
    world.refused(0);
    world.connected(1);
    world.actions();
    world.update(&["y:b", "z:c"]);
    assert_eq!((world.actions(), world.view()), (vec![], "p0 b=1".into()));
}

/// T-A27.8: calls wait for the new first priority, and nothing they use is closed.
#[test]
fn serving_locality_moves_down() {
    let mut world = World::demanded(&["x:a"]);
    world.connected(0);
    world.actions();
    world.update(&["y:b", "x:a"]);
    assert_eq!(
        (world.actions().join(","), world.condition()),
        ("connect 1 b".into(), "connecting".into())
    );
    world.refused(1);
    assert_eq!((world.actions(), world.view()), (vec![], "p1 a=0".into()));
}

#[test]
fn endpoint_that_moves_to_an_unneeded_priority_is_held() {
    let mut world = World::demanded(&["x:ab"]);
    world.connected(0);
    world.connected(1);
    world.actions();
    world.update(&["x:a", "y:b"]);
    assert_eq!((world.actions(), world.view()), (vec![], "p0 a=0".into()));
    world.closed(0, "unserved");
    assert_eq!(world.view(), "p1 b=1");
    world.after(1_000);
    world.connected(2);
    world.after(15 * 60_000);
    assert_eq!(world.actions(), ["connect 2 a", "retire 1"]);
}

/// A56: no re-selection in the middle of an update. The second priority was READY, so that it has
/// ten seconds; the first one had failed.
#[test]
fn update_that_replaces_everything_selects_once() {
    let mut world = World::demanded(&["x:a", "y:b"]);
    world.refused(0);
    world.connected(1);
    world.actions();
    world.update(&["x:c", "y:d"]);
    assert_eq!(world.actions(), ["retire 1", "connect 2 d", "connect 3 c"]);
}

#[test]
fn attempts_are_shared_with_the_active_priority() {
    let many: String = ('\u{400}'..).take(100).collect();
    let mut world = World::demanded(&[&format!("x:{many}"), "y:bcd"]);
    world.after(10_000);
    assert_eq!(world.actions().len(), 64);
    (0..4).for_each(|id| world.refused(id));
    let tried = ["connect 64 b", "connect 65 \u{440}", "connect 66 c", "connect 67 \u{441}"];
    assert_eq!(world.actions(), tried);
}

#[test]
fn recovered_priority_has_ten_seconds_again() {
    let mut world = World::demanded(&["x:a", "y:b"]);
    world.refused(0);
    world.connected(1);
    world.after(1_000);
    world.connected(2);
    world.closed(2, "served");
    assert_eq!((world.view(), world.condition()), ("p0".into(), "connecting".into()));
}

#[test]
fn failure_is_forgotten_by_a_priority_that_starts() {
    let mut world = World::demanded(&["x:ab"]);
    world.refused(0);
    world.connected(1);
    world.update(&["x:b", "y:a"]);
    world.actions();
    world.after(1_000);
    assert_eq!(world.actions(), [""; 0]);
    world.closed(1, "unserved");
    assert_eq!(
        (world.actions().join(","), world.condition()),
        ("connect 2 a".into(), "connecting".into())
    );
}

#[test]
fn held_connections_end_when_nobody_comes() {
    let mut world = World::demanded(&["x:abc"]);
    (0..3).for_each(|id| world.connected(id));
    world.update(&["x:a", "y:bc"]);
    world.actions();
    world.closed(1, "served");
    world.config.connections.stream_window += 1;
    world.update(&["x:a", "y:bc"]);
    assert_eq!(world.actions(), ["connect 3 a"]);
    world.connected(3);
    world.after(15 * 60_000);
    assert_eq!(world.actions(), ["retire 0", "retire 2"]);
    assert_eq!((world.view(), world.due()), ("p0 a=3".into(), None));
}

#[test]
fn priority_goes_on_under_its_number_if_it_can() {
    let mut world = World::demanded(&["x:a", "x:b"]);
    world.connected(0);
    world.actions();
    world.update(&["z:c", "x:b"]);
    assert_eq!(world.actions(), ["retire 0", "connect 1 c"]);
}
