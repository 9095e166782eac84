//! Round robin and its kin: every endpoint is connected to.

use super::*;
use crate::cluster::Upstream;

#[test]
fn nothing_is_connected_before_a_demand() {
    let mut world = World::new(Policy::RoundRobin, &["ab"]);
    assert_eq!((world.condition().as_str(), world.due()), ("idle", None));
    assert!(world.balance.take_changed() && !world.balance.take_changed());
    world.update(&["abc"]);
    assert_eq!(world.actions(), [""; 0]);
    world.demand();
    assert_eq!(world.actions(), ["connect 0 a", "connect 1 b", "connect 2 c"]);
    assert_eq!(world.condition(), "connecting");
    world.balance.take_changed();
    world.demand();
    assert_eq!(world.actions(), [""; 0]);
    assert!(!world.balance.take_changed());
}

#[test]
fn first_ready_endpoint_makes_the_cluster_ready() {
    let mut world = World::demanded(&["x:ab | y:c"]);
    world.connected(2);
    assert_eq!((world.condition().as_str(), world.view().as_str()), ("ready", "p0 c=2"));
    assert!(world.balance.take_changed());
    world.connected(0);
    assert_eq!(world.view(), "p0 a=0 | c=2");
    assert_eq!(world.balance.view().groups[0].name.region.as_ref(), "x");
}

#[test]
fn unusable_health_takes_no_part() {
    let mut world = World::demanded(&["a1"]);
    assert_eq!(world.actions(), ["connect 0 a"]);
    world.connected(0);
    world.update(&["12"]);
    assert_eq!(world.actions(), ["retire 0"]);
    assert_eq!((world.condition().as_str(), world.view().as_str()), ("empty", "p0"));
    world.update(&["a"]);
    assert_eq!(
        (world.actions().join(","), world.condition()),
        ("connect 1 a".into(), "connecting".into())
    );
}

#[test]
fn failed_endpoints_count_as_failed_until_ready() {
    let mut world = World::demanded(&["ab"]);
    world.refused(0);
    assert_eq!(world.condition(), "connecting");
    world.refused(1);
    let since = world.now();
    assert_eq!(world.balance.condition(), Condition::Failed { why: "refused".into(), since });
    world.actions();
    world.after(1_000);
    assert_eq!(world.actions(), ["connect 2 a", "connect 3 b"]);
    assert_eq!(world.condition(), "failed: refused");
    world.connected(2);
    assert_eq!((world.condition().as_str(), world.view().as_str()), ("ready", "p0 a=2"));
    world.closed(2, "served");
    assert_eq!(
        (world.condition().as_str(), world.actions().as_slice()),
        ("connecting", &["connect 4 a".to_owned()][..])
    );
}

#[test]
fn attempts_back_off_until_a_connection_served() {
    let mut world = World::demanded(&["a"]);
    for (id, wait) in [(0, 1_000), (1, 1_600), (2, 2_560)] {
        world.refused(id);
        assert_eq!(world.due(), Some(wait));
        world.after(u64::try_from(wait).unwrap());
    }
    world.connected(3);
    world.closed(3, "unserved");
    assert_eq!(world.condition(), "failed: closed");
    world.actions();
    world.after(4_095);
    assert_eq!(world.actions(), [""; 0]);
    world.after(1);
    assert_eq!(world.actions(), ["connect 4 a"]);
    world.connected(4);
    world.closed(4, "served");
    assert_eq!(world.actions(), ["connect 5 a"]);
    world.refused(5);
    assert_eq!(world.due(), Some(1_000));
}

#[test]
fn unused_connections_that_end_in_good_order_fail_only_when_there_are_many() {
    let mut world = World::demanded(&["a"]);
    for round in 0..2 {
        for id in round * 7..round * 7 + 5 {
            world.connected(id);
            world.actions();
            world.closed(id, "orderly");
            assert_eq!(world.condition(), "connecting");
            assert_eq!(world.actions(), [format!("connect {} a", id + 1)]);
        }
        world.connected(round * 7 + 5);
        world.closed(round * 7 + 5, "orderly");
        assert_eq!(world.condition(), "failed: closed");
        world.after(1_000);
        world.connected(round * 7 + 6);
        world.closed(round * 7 + 6, "served");
    }
    // After a failure there is no room for bad luck.
    world.refused(14);
    world.after(1_000);
    world.connected(15);
    world.closed(15, "orderly");
    assert_eq!(world.condition(), "failed: closed");
}

#[test]
fn idle_endpoints_wait_for_a_demand() {
    let mut world = World::demanded(&["ab"]);
    world.connected(0);
    world.connected(1);
    world.actions();
    world.closed(0, "idle");
    assert_eq!((world.condition().as_str(), world.view().as_str()), ("ready", "p0 b=1"));
    world.update(&["ab"]);
    assert_eq!(world.actions(), [""; 0]);
    world.closed(1, "idle");
    assert_eq!((world.condition().as_str(), world.view().as_str()), ("idle", "p0"));
    world.update(&["abc"]);
    assert_eq!(world.actions(), [""; 0]);
    world.demand();
    assert_eq!(world.actions(), ["connect 2 a", "connect 3 b", "connect 4 c"]);
}

#[test]
fn idle_cluster_forgets_its_endpoints() {
    let mut world = World::demanded(&["ab"]);
    world.connected(0);
    world.refused(1);
    world.closed(0, "idle");
    world.actions();
    assert_eq!(world.condition(), "idle");
    world.after(150_000);
    assert_eq!((world.due(), world.balance.table.entries.len()), (None, 0));
    assert_eq!((world.condition().as_str(), world.view().as_str()), ("idle", ""));
    world.actions();
    world.demand();
    assert_eq!(world.actions().len(), 2);
}

#[test]
fn cluster_that_nobody_wants_stops_trying() {
    let mut world = World::demanded(&["a"]);
    world.refused(0);
    world.after(20 * 60_000);
    world.demand();
    world.after(30 * 60_000 - 1);
    assert!(world.due().is_some() && world.condition() != "idle");
    world.after(1);
    assert_eq!((world.due(), world.condition()), (None, "idle".into()));
}

#[test]
fn at_most_64_attempts_are_under_way() {
    let names: String = ('\u{400}'..).take(70).collect();
    let mut world = World::demanded(&[&names]);
    assert_eq!(world.actions().len(), 64);
    world.connected(0);
    world.refused(1);
    assert_eq!(world.actions(), ["connect 64 \u{440}", "connect 65 \u{441}"]);
}

#[test]
fn full_endpoint_gets_another_connection() {
    let mut world = World::new(Policy::RoundRobin, &["ab"]);
    world.config.connections.per_endpoint = 3;
    world.update(&["ab"]);
    world.demand();
    world.connected(0);
    world.actions();
    world.saturated('b');
    world.saturated('z');
    assert_eq!(world.actions(), [""; 0]);
    world.saturated('a');
    world.saturated('a');
    assert_eq!(world.actions(), ["connect 2 a"]);
    world.connected(2);
    assert_eq!(world.view(), "p0 a=0+2");
    world.saturated('a');
    assert_eq!(world.actions(), ["connect 3 a"]);
    world.refused(3);
    world.saturated('a');
    assert_eq!((world.actions(), world.view()), (vec![], "p0 a=0+2".into()));
    world.after(1_000);
    assert_eq!(world.actions(), [""; 0]);
    world.saturated('a');
    assert_eq!(world.actions(), ["connect 4 a"]);
    world.connected(4);
    world.saturated('a');
    assert_eq!((world.actions(), world.view()), (vec![], "p0 a=0+2+4".into()));
    world.closed(0, "served");
    world.closed(2, "idle");
    assert_eq!((world.actions(), world.view()), (vec![], "p0 a=4".into()));
}

#[test]
fn endpoints_that_stay_keep_their_connections() {
    let mut world = World::demanded(&["x:ab | y:c"]);
    world.connected(0);
    world.connected(2);
    world.actions();
    // `a` moves to another locality, `b` stays and is being connected to, `c` goes, `d` is new.
    world.update(&["x:b | y:ad"]);
    assert_eq!(world.actions(), ["retire 2", "connect 3 d"]);
    assert_eq!(world.view(), "p0 a=0");
    world.update(&["x:d | y:a"]);
    assert_eq!(world.actions(), ["abandon 1"]);
    world.connected(3);
    assert_eq!(world.view(), "p0 d=3 | a=0");
}

#[test]
fn new_settings_replace_connections_one_by_one() {
    let mut world = World::demanded(&["abc"]);
    world.connected(0);
    world.connected(1);
    world.actions();
    world.config.upstream = Upstream::Http1;
    world.update(&["abc"]);
    assert_eq!(world.actions(), ["abandon 2", "connect 3 a", "connect 4 b", "connect 5 c"]);
    assert_eq!(world.view(), "p0 a=0 b=1");
    world.connected(3);
    assert_eq!((world.actions().join(","), world.view()), ("retire 0".into(), "p0 a=3 b=1".into()));
    world.refused(4);
    assert_eq!((world.actions(), world.view()), (vec![], "p0 a=3 b=1".into()));
    world.after(1_000);
    assert_eq!(world.actions(), ["connect 6 b"]);
    world.config.connections.per_endpoint = 1;
    world.config.connections.connect_timeout = Duration::from_secs(1);
    world.update(&["abc"]);
    assert_eq!(world.actions(), [""; 0]);
}

#[test]
fn reports_of_unknown_connections_change_nothing() {
    let mut world = World::demanded(&["ab"]);
    world.update(&["a"]);
    world.actions();
    world.connected(1);
    assert_eq!((world.actions().join(","), world.view()), ("retire 1".into(), "p0".into()));
    world.closed(1, "served");
    world.refused(1);
    world.connected(7);
    world.connected(0);
    world.connected(0);
    assert_eq!((world.actions(), world.view()), (vec![], "p0 a=0".into()));
    world.refused(0);
    assert_eq!(world.condition(), "failed: refused");
}

#[test]
fn endpoint_listed_twice_counts_where_it_is_first() {
    let mut world = World::demanded(&["x:a", "y:ab"]);
    assert_eq!(world.actions(), ["connect 0 a"]);
    world.connected(0);
    assert_eq!(world.view(), "p0 a=0");
}

#[test]
fn failure_of_a_further_connection_is_not_the_endpoints() {
    let mut world = World::demanded(&["a"]);
    world.refused(0);
    world.after(1_000);
    world.refused(1);
    world.after(1_600);
    world.connected(2);
    world.actions();
    // What is full has served, so that the backoff starts again.
    world.saturated('a');
    world.refused(3);
    assert_eq!((world.due(), world.condition()), (Some(1_000), "ready".into()));
    world.closed(2, "served");
    assert_eq!(
        (world.actions().join(","), world.condition()),
        ("connect 3 a,connect 4 a".into(), "connecting".into())
    );
}

#[test]
fn connections_secured_otherwise_end_at_once() {
    let mut world = World::demanded(&["abc"]);
    world.connected(0);
    world.refused(1);
    assert_eq!(world.actions(), ["connect 0 a", "connect 1 b", "connect 2 c"]);
    world.config.security.default = tls("roots");
    world.update(&["abc"]);
    // What failed in plain text is tried anew without a pause.
    let expect = ["retire 0", "abandon 2", "connect 3 a", "connect 4 b", "connect 5 c"];
    assert_eq!(world.actions(), expect);
    assert_eq!((world.view(), world.condition()), ("p0".into(), "connecting".into()));
    world.connected(3);
    assert_eq!((world.view(), world.condition()), ("p0 a=3".into(), "ready".into()));
    world.update(&["abc"]);
    assert_eq!(world.actions(), [""; 0]);
    world.config.security.default = tls("other roots");
    world.update(&["abc"]);
    let expect =
        ["retire 3", "abandon 4", "abandon 5", "connect 6 a", "connect 7 b", "connect 8 c"];
    assert_eq!(world.actions(), expect);
    // An attempt under the old rules may have succeeded just then.
    world.connected(4);
    assert_eq!((world.actions().join(","), world.view()), ("retire 4".into(), "p0".into()));
}

#[test]
fn only_endpoints_that_a_change_is_for_connect_anew() {
    let mut world = World::demanded(&["az"]);
    world.connected(0);
    world.connected(1);
    world.actions();
    let (name, labels) = ("istio".into(), Labels::new([("tlsMode", "istio")]));
    let istio = TransportMatch { name, labels, transport: tls("roots") };
    world.config.security.matches = Box::new([istio]);
    world.update(&["az"]);
    assert_eq!(world.actions(), ["retire 1", "connect 2 z"]);
    assert_eq!(world.view(), "p0 a=0");
}
