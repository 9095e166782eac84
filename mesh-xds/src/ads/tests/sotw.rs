//! ACK, NACK, subscriptions and deletion in state-of-the-world streams (`T-X.1`, `T-X.2`, A46, A53).

use super::*;

#[test]
fn good_bad_good_is_ack_nack_ack() {
    let mut stage = sotw().open();
    stage.subscribe(LDS, ["a"]);
    stage.client(["LDS [a] v= n= node"]);
    stage.server(reply(LDS, "1", "n1").with(["a"]));
    stage.hears(["reachable", "LDS 1 [a]"]);
    stage.client([]);
    stage.accept();
    stage.client(["LDS [a] v=1 n=n1"]);

    stage.server(reply(LDS, "2", "n2").with(["a"]));
    stage.hears(["LDS 2 [a]"]);
    stage.reject("a: route_config: missing");
    stage.client(["LDS [a] v=1 n=n2 error: a: route_config: missing"]);

    stage.server(reply(LDS, "3", "n3").with(["a"]));
    stage.hears(["LDS 3 [a]"]);
    stage.accept();
    stage.client(["LDS [a] v=3 n=n3"]);
}

#[test]
fn nack_of_the_first_response_has_no_version() {
    let mut stage = sotw().open();
    stage.subscribe(CDS, ["a"]);
    stage.client(["CDS [a] v= n= node"]);
    stage.server(reply(CDS, "1", "n1").with(["a"]));
    stage.hears(["reachable", "CDS 1 [a]"]);
    stage.reject("a: no");
    stage.client(["CDS [a] v= n=n1 error: a: no"]);
}

#[test]
fn many_subscriptions_are_one_request() {
    let mut stage = sotw().open();
    for index in 0..300 {
        stage.session.subscribe(EDS, name(EDS, &format!("e{index}")));
    }
    let request = stage.session.poll_request(stage.now);
    let Some(Request::StateOfTheWorld(request)) = request else { panic!("{request:?}") };
    assert_eq!(request.resource_names.len(), 300);
    stage.client([]);
}

#[test]
fn types_go_out_in_the_order_of_dependency() {
    let mut stage = sotw().open();
    stage.subscribe(EDS, ["e"]);
    stage.subscribe(CDS, ["c"]);
    stage.subscribe(RDS, ["r"]);
    stage.subscribe(LDS, ["l"]);
    stage.client(["LDS [l] v= n= node", "RDS [r] v= n=", "CDS [c] v= n=", "EDS [e] v= n="]);
}

#[test]
fn subscriptions_during_an_update_travel_with_its_ack() {
    let mut stage = sotw().open();
    stage.subscribe(EDS, ["a"]);
    stage.client(["EDS [a] v= n= node"]);
    stage.server(reply(EDS, "1", "n1").with(["a"]));
    assert!(!stage.session.is_ready_for_response());
    stage.hears(["reachable", "EDS 1 [a]"]);
    stage.subscribe(EDS, ["b"]);
    stage.subscribe(CDS, ["c"]);
    stage.client(["CDS [c] v= n="]);
    stage.accept();
    assert!(stage.session.is_ready_for_response());
    stage.client(["EDS [a,b] v=1 n=n1"]);
    stage.subscribe(EDS, ["d"]);
    stage.client(["EDS [a,b,d] v=1 n=n1"]);
}

#[test]
fn last_name_dropped_is_an_empty_list_once() {
    let mut stage = sotw().open();
    stage.subscribe(RDS, ["a"]);
    stage.client(["RDS [a] v= n= node"]);
    stage.takes(reply(RDS, "1", "n1").with(["a"]));
    stage.unsubscribe(RDS, ["a"]);
    stage.client(["RDS [] v=1 n=n1"]);
    stage.unsubscribe(RDS, ["a"]);
    stage.client([]);
    stage.subscribe(RDS, ["b"]);
    stage.client(["RDS [b] v=1 n=n1"]);
}

#[test]
fn what_was_never_asked_for_is_not_unsubscribed() {
    let mut stage = sotw().open();
    stage.subscribe(RDS, ["a"]);
    stage.unsubscribe(RDS, ["a", "b"]);
    stage.client([]);
}

#[test]
fn resource_no_longer_wanted_is_acked_and_ignored() {
    let mut stage = sotw().open();
    stage.subscribe(CDS, ["a", "b"]);
    stage.client(["CDS [a,b] v= n= node"]);
    stage.unsubscribe(CDS, ["a"]);
    stage.client(["CDS [b] v= n="]);
    stage.server(reply(CDS, "1", "n1").with(["a", "b"]));
    stage.hears(["reachable", "CDS 1 [b]"]);
    stage.accept();
    stage.client(["CDS [b] v=1 n=n1"]);

    stage.unsubscribe(CDS, ["b"]);
    stage.client(["CDS [] v=1 n=n1"]);
    stage.server(reply(CDS, "2", "n2").with(["b"]));
    stage.hears(["CDS 2 []"]);
    stage.accept();
    stage.client(["CDS [] v=2 n=n2"]);
}

#[test]
fn name_wanted_again_is_left_out_once() {
    let mut stage = sotw().open();
    stage.subscribe(RDS, ["a", "b"]);
    stage.client(["RDS [a,b] v= n= node"]);
    stage.takes(reply(RDS, "1", "n1").with(["a", "b"]));
    stage.unsubscribe(RDS, ["a"]);
    stage.subscribe(RDS, ["a", "c"]);
    stage.client(["RDS [b,c] v=1 n=n1", "RDS [a,b,c] v=1 n=n1"]);
    stage.client([]);
}

#[test]
fn name_wanted_again_is_left_out_until_the_server_must_have_seen_it() {
    let mut stage = sotw().open();
    stage.subscribe(RDS, ["a", "b"]);
    stage.client(["RDS [a,b] v= n= node"]);
    stage.takes(reply(RDS, "1", "n1").with(["a", "b"]));
    stage.unsubscribe(RDS, ["a"]);
    stage.subscribe(RDS, ["a"]);
    stage.client(["RDS [b] v=1 n=n1", "RDS [a,b] v=1 n=n1"]);
    // This was on its way: to the server both requests were stale.
    stage.server(reply(RDS, "2", "n2").with(["b"]));
    stage.hears(["RDS 2 [b]"]);
    stage.accept();
    stage.client(["RDS [b] v=2 n=n2", "RDS [a,b] v=2 n=n2"]);
    stage.after(14.0);
    stage.server(reply(RDS, "3", "n3").with(["a"]));
    stage.hears(["RDS 3 [a]"]);
    stage.accept();
    stage.client(["RDS [a,b] v=3 n=n3"]);
}

#[test]
fn leaving_out_comes_to_an_end() {
    let mut stage = sotw().open();
    stage.subscribe(EDS, ["a", "b"]);
    stage.client(["EDS [a,b] v= n= node"]);
    stage.unsubscribe(EDS, ["a"]);
    stage.subscribe(EDS, ["a"]);
    stage.client(["EDS [b] v= n=", "EDS [a,b] v= n="]);
    // A server that answers every request, and has no such resource.
    let mut requests = Vec::new();
    for nonce in 1..=6 {
        stage.server(reply(EDS, "1", &nonce.to_string()).with(["b"]));
        while let Some(event) = stage.session.poll_event() {
            if let Event::Update(update) = event {
                stage.session.finish(update.ticket, Verdict::Accept);
            }
        }
        let now = stage.now;
        requests.push(std::iter::from_fn(|| stage.session.poll_request(now)).count());
    }
    assert_eq!(requests, [2, 2, 2, 2, 1, 1]);
    // It does not postpone the verdict that there is none.
    assert_eq!(stage.wakes_in(), Some(15.0));
}

#[test]
fn unknown_type_is_neither_acked_nor_nacked() {
    let mut stage = sotw().open();
    stage.subscribe(LDS, ["a"]);
    stage.client(["LDS [a] v= n= node"]);
    stage.server(Reply { type_url: "type.googleapis.com/x.Y".to_owned(), ..Reply::default() });
    stage.hears(["reachable", "ignored type.googleapis.com/x.Y: UnknownType"]);
    stage.client([]);
    assert_eq!(stage.session.status().ignored, 1);
}

#[test]
fn type_never_asked_for_is_not_acked() {
    // An ACK would be the first request of its type, and without names it would ask for all.
    let mut stage = sotw().open();
    stage.subscribe(LDS, ["a"]);
    stage.client(["LDS [a] v= n= node"]);
    stage.server(reply(CDS, "1", "n1").with(["c"]));
    stage.hears(["reachable", "ignored CDS: NotSubscribed"]);
    stage.client([]);
}

#[test]
fn listener_and_cluster_left_out_are_removed() {
    for kind in [LDS, CDS] {
        let mut stage = sotw().open();
        stage.subscribe(kind, ["a", "b"]);
        stage.sends();
        stage.takes(reply(kind, "1", "n1").with(["a", "b"]));
        // The newly wanted name is not deleted by a response that does not know of it.
        stage.subscribe(kind, ["c"]);
        let kind_name = short(kind.type_url());
        stage.server(reply(kind, "2", "n2").with(["b"]));
        stage.hears([&*format!("{kind_name} 2 [b] removed(a)")]);
        stage.accept();
        stage.server(reply(kind, "3", "n3").with(["b"]));
        stage.hears([&*format!("{kind_name} 3 [b]")]);
        stage.accept();
        stage.server(reply(kind, "4", "n4").with(["a", "b"]));
        stage.hears([&*format!("{kind_name} 4 [a,b]")]);
    }
}

#[test]
fn routes_and_endpoints_left_out_stay() {
    for kind in [RDS, EDS] {
        let mut stage = sotw().open();
        stage.subscribe(kind, ["a", "b"]);
        stage.client([&*format!("{} [a,b] v= n= node", short(kind.type_url()))]);
        stage.takes(reply(kind, "1", "n1").with(["a", "b"]));
        stage.server(reply(kind, "2", "n2").with(["b"]));
        stage.hears([&*format!("{} 2 [b]", short(kind.type_url()))]);
    }
}

#[test]
fn present_but_invalid_is_not_removed() {
    let mut stage = sotw().open();
    stage.subscribe(CDS, ["a", "b"]);
    stage.client(["CDS [a,b] v= n= node"]);
    stage.takes(reply(CDS, "1", "n1").with(["a", "b"]));
    stage.server(reply(CDS, "2", "n2").with(["a"]).entry("b", None, None).refused("a", 5));
    stage.hears(["CDS 2 [a] bad(resource 1 \"b\": it has no contents)"]);
    // The user found nothing to complain about; the response is rejected for the other half.
    stage.accept();
    stage.client(["CDS [a,b] v=1 n=n2 error: resource 1 \"b\": it has no contents"]);
}

#[test]
fn malformed_entries_come_first_in_the_message() {
    let mut stage = sotw().open();
    stage.subscribe(CDS, ["a"]);
    stage.client(["CDS [a] v= n= node"]);
    stage.server(reply(CDS, "1", "n1").with(["a"]).any(CDS.type_url(), b"\xff"));
    stage.hears(["reachable", "CDS 1 [a] bad(resource 1: it is not an encoded message)"]);
    stage.reject("a: bad lb_policy");
    stage.client(["CDS [a] v= n=n1 error: resource 1: it is not an encoded message\n\
                   a: bad lb_policy"]);
}

#[test]
fn nack_message_is_bounded() {
    let mut stage = sotw().open();
    stage.subscribe(CDS, ["a"]);
    stage.client(["CDS [a] v= n= node"]);
    let bad = (0..10_000).fold(reply(CDS, "1", "n1"), |reply, _| reply.any("other", b""));
    stage.server(bad);
    while let Some(event) = stage.session.poll_event() {
        if let Event::Update(update) = event {
            assert_eq!(update.malformed.len(), 10_000);
            let message = "x".repeat(100_000);
            stage.session.finish(update.ticket, Verdict::Reject { message });
        }
    }
    let request = stage.session.poll_request(stage.now);
    let Some(Request::StateOfTheWorld(request)) = request else { panic!("{request:?}") };
    assert!((4_000..=4_096).contains(&request.error_detail.unwrap().message.len()));
}

#[test]
fn refused_resources_are_told_apart() {
    let mut stage = sotw().open();
    stage.subscribe(LDS, ["a", "b"]);
    stage.client(["LDS [a,b] v= n= node"]);
    stage.takes(reply(LDS, "1", "n1").with(["a"]));
    stage.server(reply(LDS, "2", "n2").refused("a", 7).refused("b", 5).refused("other", 5));
    stage.hears(["LDS 2 [] refused(a: 7 no) refused(b: 5 no)"]);
    stage.accept();
    stage.client(["LDS [a,b] v=2 n=n2"]);
    assert_eq!(stage.wakes_in(), None);
}

#[test]
fn wildcard_brings_what_nobody_named() {
    let mut stage = sotw().open();
    stage.subscribe(CDS, ["*"]);
    stage.client(["CDS [*] v= n= node"]);
    assert_eq!(stage.wakes_in(), None);
    stage.takes(reply(CDS, "1", "n1").with(["a", "b"]));
    stage.server(reply(CDS, "2", "n2").with(["b"]));
    stage.hears(["CDS 2 [b] removed(a)"]);
    stage.accept();
    stage.unsubscribe(CDS, ["*"]);
    stage.client(["CDS [] v=2 n=n2"]);
    stage.server(reply(CDS, "3", "n3").with(["b"]));
    stage.hears(["CDS 3 []"]);
    assert_eq!(stage.session.status().types[2].received, 0);
}

#[test]
fn status_tells_versions_and_the_last_rejection() {
    let mut stage = sotw().open();
    stage.subscribe(RDS, ["a", "b"]);
    stage.client(["RDS [a,b] v= n= node"]);
    stage.takes(reply(RDS, "1", "n1").with(["a"]));
    stage.server(reply(RDS, "2", "n2").with(["a"]));
    stage.hears(["RDS 2 [a]"]);
    stage.reject("a: no");
    let status = stage.session.status();
    assert_eq!(status.stream, StreamStatus::Up { answered: true });
    assert_eq!((status.streams, status.failure, status.ignored), (1, None, 0));
    assert_eq!(
        status.types[1],
        TypeStatus {
            kind: RDS,
            version: "1".to_owned(),
            nonce: "n2".to_owned(),
            wanted: 2,
            received: 1,
            accepts: 1,
            rejects: 1,
            last_rejection: Some(Rejection {
                version: "2".to_owned(),
                message: "a: no".to_owned()
            }),
        }
    );
}

#[test]
fn a_response_without_what_was_asked_for_says_so() {
    let left_out = |stage: &mut Stage| {
        let mut updates = Vec::new();
        while let Some(event) = stage.session.poll_event() {
            if let Event::Update(update) = event {
                updates.push(update);
            }
        }
        let update = updates.last().unwrap();
        stage.session.finish(update.ticket, Verdict::Accept);
        update.left_out.iter().map(|name| name.to_string()).collect::<Vec<_>>()
    };
    let mut stage = sotw().open();
    stage.subscribe(LDS, ["a", "b"]);
    stage.subscribe(RDS, ["r"]);
    stage.sends();
    // Not yet asked for.
    stage.subscribe(LDS, ["c"]);
    stage.server(reply(LDS, "1", "n1").with(["a"]));
    assert_eq!(left_out(&mut stage), ["b"]);
    stage.sends();
    stage.server(reply(LDS, "2", "n2").with(["b"]));
    // What has been there is removed, which is another matter.
    assert_eq!(left_out(&mut stage), ["c"]);
    stage.sends();
    stage.server(reply(RDS, "1", "n1"));
    assert!(left_out(&mut stage).is_empty());
}
