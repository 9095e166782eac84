//! Resources that do not come, and resources that run out (`T-X.4`, A57, A88).

use super::*;

#[test]
fn silence_means_absent_after_fifteen_seconds() {
    for mut stage in [sotw().open(), delta().open()] {
        stage.subscribe(LDS, ["a"]);
        stage.after(60.0);
        assert_eq!(stage.wakes_in(), None);
        stage.sends();
        assert_eq!(stage.wakes_in(), Some(15.0));
        stage.after(14.9);
        stage.hears([]);
        stage.after(0.1);
        stage.hears(["missing LDS a"]);
        stage.after(60.0);
        stage.hears([]);
        // Late is better than never.
        stage.server(reply(LDS, "1", "n1").with(["a"]));
        stage.hears(["reachable", "LDS 1 [a]"]);
    }
}

#[test]
fn late_resources_are_transient_with_the_server_feature() {
    let features =
        ServerFeatures { resource_timer_is_transient_error: true, ..ServerFeatures::default() };
    let node = Node { id: "me".to_owned(), ..Node::default() };
    let mut stage = Stage::new(Config::new(node, &features)).open();
    stage.subscribe(CDS, ["a"]);
    stage.client(["CDS [a] v= n= node"]);
    stage.after(29.9);
    stage.hears([]);
    stage.after(0.1);
    stage.hears(["late CDS a"]);
}

#[test]
fn any_word_about_the_resource_stops_the_wait() {
    let mut stage = sotw().open();
    stage.subscribe(EDS, ["bad", "broken", "good", "refused", "silent"]);
    stage.client(["EDS [bad,broken,good,refused,silent] v= n= node"]);
    stage.after(5.0);
    stage.server(
        reply(EDS, "1", "n1")
            .with(["bad", "good"])
            .entry("broken", None, None)
            .refused("refused", 5),
    );
    stage.hears([
        "reachable",
        "EDS 1 [bad,good] bad(resource 2 \"broken\": it has no contents) refused(refused: 5 no)",
    ]);
    stage.reject("bad: no");
    stage.after(10.0);
    stage.hears(["missing EDS silent"]);
}

#[test]
fn each_name_has_its_own_deadline() {
    let mut stage = sotw().open();
    stage.subscribe(EDS, ["a"]);
    stage.client(["EDS [a] v= n= node"]);
    stage.after(10.0);
    stage.subscribe(EDS, ["b"]);
    stage.client(["EDS [a,b] v= n="]);
    stage.after(5.0);
    stage.hears(["missing EDS a"]);
    assert_eq!(stage.wakes_in(), Some(10.0));
    stage.unsubscribe(EDS, ["b"]);
    assert_eq!(stage.wakes_in(), None);
}

#[test]
fn nothing_is_absent_while_disconnected() {
    let mut stage = sotw().open();
    stage.subscribe(LDS, ["a", "b", "c"]);
    stage.client(["LDS [a,b,c] v= n= node"]);
    stage.takes(reply(LDS, "1", "n1").with(["a"]));
    stage.after(14.0);
    stage.disconnected("reset");
    assert_eq!(stage.wakes_in(), None);
    stage.after(60.0);
    stage.hears([]);
    stage.connects(true);
    stage.connected();
    assert_eq!(stage.wakes_in(), None);
    stage.client(["LDS [a,b,c] v=1 n= node"]);
    // What was received stays received; only the others are waited for, from now on.
    stage.after(15.0);
    stage.hears(["missing LDS b", "missing LDS c"]);
    stage.disconnected("reset");
    stage.hears(["unreachable: reset"]);
    stage.after(1.0);
    stage.connects(true);
    stage.connected();
    stage.client(["LDS [a,b,c] v=1 n= node"]);
    assert_eq!(stage.wakes_in(), None);
}

#[test]
fn resource_with_a_time_to_live_expires() {
    for mut stage in [sotw().open(), delta().open()] {
        stage.subscribe(EDS, ["a"]);
        stage.sends();
        stage.takes(reply(EDS, "1", "n1").with_ttl("a", 10));
        stage.after(9.0);
        stage.takes(reply(EDS, "1", "n2").heartbeat("a", 10));
        // Without the server nobody confirms anything.
        stage.disconnected("reset");
        stage.after(9.0);
        stage.hears([]);
        stage.after(1.0);
        stage.hears(["expired EDS a"]);
        assert_eq!(stage.wakes_in(), None);
    }
}

#[test]
fn time_to_live_ends_with_an_update_without_one() {
    let mut stage = sotw().open();
    stage.subscribe(CDS, ["a"]);
    stage.client(["CDS [a] v= n= node"]);
    stage.takes(reply(CDS, "1", "n1").with_ttl("a", 10));
    assert_eq!(stage.wakes_in(), Some(10.0));
    // A heartbeat counts as being there, for a type where absence is deletion.
    stage.server(reply(CDS, "1", "n2").heartbeat("a", 20));
    stage.hears(["CDS 1 []"]);
    stage.accept();
    assert_eq!(stage.wakes_in(), Some(20.0));
    stage.takes(reply(CDS, "2", "n3").with(["a"]));
    assert_eq!(stage.wakes_in(), None);
}

#[test]
fn heartbeat_of_what_never_came_is_nothing() {
    let mut stage = delta().open();
    stage.subscribe(CDS, ["a"]);
    stage.client(["CDS +[a] node"]);
    stage.server(reply(CDS, "1", "n1").heartbeat("a", 5).heartbeat("b", 5));
    stage.hears(["reachable", "CDS 1 []"]);
    assert_eq!(stage.wakes_in(), Some(15.0));
}

#[test]
fn early_and_repeated_timeouts_are_harmless() {
    let mut stage = sotw().open();
    stage.subscribe(LDS, ["a"]);
    stage.client(["LDS [a] v= n= node"]);
    for _ in 0..3 {
        stage.after(0.0);
    }
    assert_eq!(stage.wakes_in(), Some(15.0));
}
