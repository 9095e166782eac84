//! Incremental streams.

use super::*;

#[test]
fn subscriptions_are_differences() {
    let mut stage = delta().open();
    stage.subscribe(CDS, ["a", "b"]);
    stage.client(["CDS +[a,b] node"]);
    stage.subscribe(CDS, ["c"]);
    stage.unsubscribe(CDS, ["a"]);
    stage.client(["CDS +[c] -[a]"]);
    stage.unsubscribe(CDS, ["b", "c"]);
    stage.client(["CDS -[b,c]"]);
    stage.client([]);
}

#[test]
fn good_and_bad_are_ack_and_nack() {
    let mut stage = delta().open();
    stage.subscribe(RDS, ["a"]);
    stage.client(["RDS +[a] node"]);
    stage.server(reply(RDS, "1", "n1").with(["a"]));
    stage.hears(["reachable", "RDS 1 [a]"]);
    stage.client([]);
    stage.accept();
    stage.client(["RDS n=n1"]);
    stage.server(reply(RDS, "2", "n2").with(["a"]));
    stage.hears(["RDS 2 [a]"]);
    stage.reject("a: no");
    stage.client(["RDS n=n2 error: a: no"]);
}

#[test]
fn every_nonce_is_answered() {
    let mut stage = delta().open();
    stage.subscribe(EDS, ["a", "b"]);
    stage.client(["EDS +[a,b] node"]);
    stage.server(reply(EDS, "1", "n1").with(["a"]));
    stage.server(reply(EDS, "2", "n2").with(["b"]));
    stage.hears(["reachable", "EDS 1 [a]", "EDS 2 [b]"]);
    stage.reject("a: no");
    stage.client([]);
    stage.accept();
    stage.subscribe(EDS, ["c"]);
    stage.client(["EDS +[c] n=n1 error: a: no", "EDS n=n2"]);
}

#[test]
fn removed_resources_are_removed_once() {
    for kind in ResourceType::ALL {
        let mut stage = delta().open();
        let kind_name = short(kind.type_url());
        stage.subscribe(kind, ["a", "never"]);
        stage.client([&*format!("{kind_name} +[a,never] node")]);
        stage.takes(reply(kind, "1", "n1").with(["a"]));
        // Removal is also the answer to what does not exist: no need to wait for the timeout.
        stage.server(reply(kind, "2", "n2").removed("a").removed("never").removed("other"));
        stage.hears([&*format!("{kind_name} 2 [] removed(a) removed(never)")]);
        assert_eq!(stage.wakes_in(), None);
        stage.accept();
        stage.server(reply(kind, "3", "n3").removed("a"));
        stage.hears([&*format!("{kind_name} 3 []")]);
    }
}

#[test]
fn absence_says_nothing() {
    let mut stage = delta().open();
    stage.subscribe(LDS, ["a", "b"]);
    stage.sends();
    stage.takes(reply(LDS, "1", "n1").with(["a", "b"]));
    stage.server(reply(LDS, "2", "n2").with(["b"]));
    stage.hears(["LDS 2 [b]"]);
}

#[test]
fn present_and_removed_at_once_is_present() {
    let mut stage = delta().open();
    stage.subscribe(LDS, ["a"]);
    stage.client(["LDS +[a] node"]);
    stage.server(reply(LDS, "1", "n1").with(["a"]).removed("a"));
    stage.hears(["reachable", "LDS 1 [a]"]);
}

#[test]
fn reconnecting_tells_accepted_versions() {
    let mut stage = delta().open();
    stage.subscribe(CDS, ["accepted", "gone", "rejected", "silent"]);
    stage.subscribe(LDS, ["dropped"]);
    stage.client(["LDS +[dropped] node", "CDS +[accepted,gone,rejected,silent]"]);
    stage.takes(reply(CDS, "1", "n1").with(["accepted", "gone"]));
    stage.server(reply(CDS, "2", "n2").with(["accepted", "rejected"]));
    stage.hears(["CDS 2 [accepted,rejected]"]);
    stage.reject("rejected: no");
    stage.takes(reply(CDS, "", "n3").with(["versionless"]).removed("gone"));
    stage.takes(reply(LDS, "5", "n4").with(["dropped"]));
    stage.unsubscribe(LDS, ["dropped"]);
    stage.disconnected("reset");
    stage.connects(true);
    stage.connected();
    stage.client(["CDS +[accepted,gone,rejected,silent] have {accepted=1} node"]);
    stage.client([]);
}

#[test]
fn empty_versions_are_not_claimed() {
    let mut stage = delta().open();
    stage.subscribe(EDS, ["a", "b"]);
    stage.client(["EDS +[a,b] node"]);
    stage.takes(reply(EDS, "1", "n1").with(["a", "b"]));
    stage.takes(reply(EDS, "", "n2").with(["b"]));
    stage.disconnected("reset");
    stage.connected();
    stage.client(["EDS +[a,b] have {a=1} node"]);
}

#[test]
fn name_wanted_again_is_subscribed_again() {
    let mut stage = delta().open();
    stage.subscribe(RDS, ["a"]);
    stage.client(["RDS +[a] node"]);
    stage.takes(reply(RDS, "1", "n1").with(["a"]));
    stage.unsubscribe(RDS, ["a"]);
    stage.subscribe(RDS, ["a"]);
    stage.client(["RDS +[a]"]);
    stage.disconnected("reset");
    stage.connected();
    // The old copy is forgotten, so its version must not be claimed.
    stage.client(["RDS +[a] node"]);
}

#[test]
fn wildcard_keeps_what_it_brought() {
    let mut stage = delta().open();
    stage.subscribe(CDS, ["*"]);
    stage.client(["CDS +[*] node"]);
    stage.takes(reply(CDS, "1", "n1").with(["a", "b"]));
    stage.subscribe(CDS, ["a"]);
    stage.unsubscribe(CDS, ["a"]);
    stage.server(reply(CDS, "2", "n2").removed("b"));
    stage.hears(["CDS 2 [] removed(b)"]);
    stage.accept();
    stage.disconnected("reset");
    stage.connected();
    stage.client(["CDS +[*] have {a=1} node"]);
}
