//! Opening, losing and opening again (`T-X.5`, A57).

use super::*;

#[test]
fn nothing_is_opened_for_nothing() {
    let mut stage = sotw();
    stage.connects(false);
    stage.subscribe(LDS, ["a"]);
    stage.connects(true);
    stage.connects(false);
    stage.unsubscribe(LDS, ["a"]);
    stage.disconnected("refused");
    assert_eq!(stage.wakes_in(), None);
}

#[test]
fn subscriptions_before_the_stream_are_its_first_requests() {
    let mut stage = sotw();
    stage.subscribe(LDS, ["a", "b"]);
    stage.subscribe(CDS, ["c"]);
    stage.unsubscribe(LDS, ["b"]);
    stage.client([]);
    stage.connects(true);
    stage.connected();
    stage.client(["LDS [a] v= n= node", "CDS [c] v= n="]);
}

#[test]
fn new_stream_starts_over_with_versions_kept() {
    let mut stage = sotw().open();
    stage.subscribe(LDS, ["a"]);
    stage.subscribe(RDS, ["r"]);
    stage.subscribe(CDS, ["c"]);
    stage.client(["LDS [a] v= n= node", "RDS [r] v= n=", "CDS [c] v= n="]);
    stage.takes(reply(LDS, "1", "n1").with(["a"]));
    stage.takes(reply(CDS, "7", "n2").with(["c"]));
    stage.unsubscribe(RDS, ["r"]);
    stage.client(["RDS [] v= n="]);

    stage.disconnected("reset");
    stage.subscribe(LDS, ["b"]);
    stage.client([]);
    stage.connects(true);
    stage.connected();
    stage.client(["LDS [a,b] v=1 n= node", "CDS [c] v=7 n="]);
    stage.client([]);
    assert_eq!(stage.session.status().streams, 2);
}

#[test]
fn stream_that_answered_is_restarted_at_once() {
    let mut stage = sotw();
    stage.subscribe(LDS, ["a"]);
    stage.connects(true);
    stage.connected();
    stage.client(["LDS [a] v= n= node"]);
    stage.server(reply(LDS, "1", "n1").with(["a"]));
    stage.hears(["reachable", "LDS 1 [a]"]);
    stage.disconnected("reset");
    stage.hears([]);
    stage.connects(true);
}

#[test]
fn streams_without_an_answer_are_spaced_out() {
    let mut stage = sotw();
    stage.subscribe(LDS, ["a"]);
    stage.connects(true);
    stage.disconnected("refused");
    stage.hears(["unreachable: refused"]);
    assert_eq!(stage.session.status().failure.as_deref(), Some("refused"));
    stage.connects(false);
    assert_eq!(stage.wakes_in(), Some(1.0));
    stage.after(1.0);
    stage.connects(true);
    stage.connected();
    stage.client(["LDS [a] v= n= node"]);
    stage.disconnected("unavailable");
    stage.hears(["unreachable: unavailable"]);
    assert_eq!(stage.wakes_in(), Some(1.6));
    stage.after(1.5);
    stage.connects(false);
    stage.after(0.1);
    stage.connects(true);
}

#[test]
fn response_resets_the_backoff() {
    let mut stage = sotw();
    stage.subscribe(LDS, ["a"]);
    for wait in [1.0, 1.6, 2.56] {
        stage.connects(true);
        stage.disconnected("refused");
        assert_eq!(stage.wakes_in(), Some(wait));
        stage.after(wait);
    }
    stage.connects(true);
    stage.connected();
    stage.takes(reply(LDS, "1", "n1").with(["a"]));
    stage.disconnected("reset");
    stage.connects(true);
    stage.disconnected("refused");
    assert_eq!(stage.wakes_in(), Some(1.0));
}

#[test]
fn reachable_again_is_told_once() {
    let mut stage = sotw();
    stage.subscribe(LDS, ["a"]);
    stage.connects(true);
    stage.disconnected("refused");
    stage.connected();
    stage.client(["LDS [a] v= n= node"]);
    stage.server(reply(LDS, "1", "n1").with(["a"]));
    stage.hears(["unreachable: refused", "reachable", "LDS 1 [a]"]);
    stage.accept();
    stage.server(reply(LDS, "2", "n2").with(["a"]));
    stage.hears(["LDS 2 [a]"]);
    assert_eq!(stage.session.status().failure, None);
}

#[test]
fn verdict_after_the_stream_counts_but_is_not_sent() {
    let mut stage = sotw().open();
    stage.subscribe(LDS, ["a"]);
    stage.client(["LDS [a] v= n= node"]);
    stage.server(reply(LDS, "1", "n1").with(["a"]));
    stage.hears(["reachable", "LDS 1 [a]"]);
    stage.disconnected("reset");
    stage.connects(true);
    stage.connected();
    assert!(stage.session.is_ready_for_response());
    stage.accept();
    stage.client(["LDS [a] v=1 n= node"]);
    stage.client([]);
}

#[test]
fn verdicts_are_taken_once() {
    let mut stage = sotw().open();
    stage.subscribe(LDS, ["a"]);
    stage.client(["LDS [a] v= n= node"]);
    stage.server(reply(LDS, "1", "n1").with(["a"]));
    stage.hears(["reachable", "LDS 1 [a]"]);
    let ticket = stage.tickets[0];
    stage.accept();
    stage.session.finish(ticket, Verdict::Reject { message: "again".to_owned() });
    stage.client(["LDS [a] v=1 n=n1"]);
}

#[test]
fn responses_without_a_stream_are_ignored() {
    let mut stage = sotw();
    stage.subscribe(LDS, ["a"]);
    stage.server(reply(LDS, "1", "n1").with(["a"]));
    stage.hears([]);
    assert_eq!(stage.session.status().stream, StreamStatus::Idle);
}
