//! Every condition, in every answer, under NOT, AND and OR.

use super::*;
use crate::matcher::{
    Cidr, ContentMatcher, HeaderMatcher, MetadataMatcher, PathTemplate, ValueMatcher,
};
use Truth::{No, Unknown, Yes};

/// `leaf` under three or more levels of AND, OR and NOT, and whether that is the leaf or its
/// opposite.
fn nested(leaf: &Condition) -> [(Expression, bool); 6] {
    let leaf = || Expression::Is(leaf.clone());
    let (all, any) = (Expression::All, Expression::Any);
    let (always, never) = (|| Expression::Always, || Expression::Always.not());
    [
        (all(vec![leaf(), always()]).not().not(), true),
        (all(vec![any(vec![never(), leaf()]), always(), any(vec![always().not().not()])]), true),
        (any(vec![all(vec![always(), leaf().not()]).not(), never()]), true),
        (any(vec![leaf(), all(vec![always(), never()])]).not(), false),
        (any(vec![all(vec![leaf().not(), always()]), any(vec![never(), never()])]), false),
        (all(vec![any(vec![leaf(), leaf()]).not(), any(vec![always()])]).not().not(), false),
    ]
}

/// Asserts what `leaf` says of `request`, by itself and nested, under each action, as permission
/// and as principal, and as predicate of a tree.
fn check(leaf: impl Into<Condition>, request: &Request, expect: Truth) {
    let leaf = leaf.into();
    for (expression, is_same) in nested(&leaf).into_iter().chain([(leaf.clone().into(), true)]) {
        let expect = if is_same { expect } else { !expect };
        let denied =
            [(Action::Allow, expect != Yes), (Action::Deny, expect != No), (Action::Log, false)];
        let policies = [
            policy(expression.clone(), Expression::Always),
            policy(Expression::Always, expression.clone()),
        ];
        for (policy, (action, denied)) in
            policies.iter().flat_map(|policy| denied.map(|denied| (policy, denied)))
        {
            let rules = rules(action, [("p", policy.clone())]);
            let decision = request.judged(|facts| rules.evaluate(facts).verdict);
            assert_eq!(decision == Verdict::Deny, denied, "{action:?} {expression:?} {expect:?}");
        }
        // A tree that allows what matches, and one that denies it.
        for (action, otherwise, denied) in [
            (Action::Allow, None, expect != Yes),
            (Action::Deny, Some(Action::Allow), expect != No),
        ] {
            let act = |action| OnMatch::Act(Outcome { name: "a".into(), action });
            let list = Branches::List(vec![(expression.clone(), act(action))]);
            let tree = Tree::new(list, otherwise.map(act)).unwrap();
            let decision = request.judged(|facts| tree.evaluate(facts).verdict);
            assert_eq!(decision == Verdict::Deny, denied, "{tree:?} {expect:?}");
        }
    }
}

fn header(name: &str, value: ValueMatcher) -> Condition {
    Condition::Header(HeaderMatcher::new(name, value).unwrap())
}

fn text(text: &str) -> ValueMatcher {
    ValueMatcher::String(exact(text))
}

fn cidrs(ranges: &[(&str, u8)]) -> Box<[Cidr]> {
    let one = |(address, bits): &(&str, u8)| Cidr::new(address.parse().unwrap(), *bits).unwrap();
    ranges.iter().map(one).collect()
}

fn metadata(namespace: &str, value: &str) -> MetadataMatcher {
    MetadataMatcher {
        namespace: namespace.into(),
        path: ["k".into()].into(),
        value: ContentMatcher::String(exact(value)),
        invert: false,
    }
}

/// A connection in plain text, over a Unix domain socket, and one of which nothing is known.
fn strangers() -> [Request; 3] {
    let plain = Request::with(|r| r.peer.as_mut().unwrap().session = None);
    let local = Request::with(|r| r.peer = Some(Peer::default()));
    let unknown = Request::with(|r| r.peer = None);
    [plain, local, unknown]
}

#[test]
fn headers_are_matched_by_every_reading() {
    let (present, range) = (ValueMatcher::Present, |start, end| ValueMatcher::Range { start, end });
    let once = Request::default().header("x-a", b"1");
    let twice = Request::default().header("x-a", b"1").header("x-a", b"2");
    let same = Request::default().header("x-a", b"1").header("x-a", b"1");
    for (request, matcher, expect) in [
        (&once, text("1"), Yes),
        (&once, text("2"), No),
        (&once, range(0, 2), Yes),
        (&once, range(2, 3), No),
        (&once, present(true), Yes),
        (&once, present(false), No),
        (&twice, text("1"), Unknown),
        (&twice, text("1,2"), Unknown),
        (&twice, text("3"), No),
        (&twice, range(0, 3), Unknown),
        (&twice, range(5, 9), No),
        (&twice, present(true), Yes),
        (&same, text("1"), Unknown),
        (&twice, ValueMatcher::String(StringMatcher::prefix("1").unwrap()), Unknown),
        (&same, ValueMatcher::String(StringMatcher::prefix("1").unwrap()), Yes),
        (&twice, ValueMatcher::String(StringMatcher::contains("2").unwrap()), Unknown),
    ] {
        check(header("x-a", matcher), request, expect);
    }
    let inverted = HeaderMatcher::new("x-a", text("1")).unwrap().inverted();
    check(Condition::Header(inverted.clone()), &once, No);
    check(Condition::Header(inverted.clone()), &twice, Unknown);
    check(Condition::Header(inverted.clone()), &Request::default(), No);
    check(Condition::Header(inverted.missing_as_empty()), &Request::default(), Yes);
}

#[test]
fn pseudo_headers_and_hop_headers_are_as_a41_says() {
    let request = Request::default()
        .header("te", b"trailers")
        .header("content-type", b"application/grpc+proto")
        .header("user-agent", b"grpc")
        .header("x-bin", b"AA\xff");
    let bytes = ValueMatcher::String(StringMatcher::safe_regex("AA.").unwrap());
    for (name, value, expect) in [
        (":method", text("POST"), Yes),
        (":path", text("/pkg.Svc/Do"), Yes),
        (":authority", text("shop:80"), Yes),
        ("Host", text("shop:80"), Yes),
        (":scheme", text("https"), Yes),
        ("te", ValueMatcher::Present(true), No),
        ("te", ValueMatcher::Present(false), Yes),
        ("Content-Type", text("application/grpc+proto"), Yes),
        ("user-agent", text("grpc"), Yes),
        ("x-bin", bytes, Yes),
    ] {
        check(header(name, value), &request, expect);
    }
    let http = Request { protocol: Protocol::Http, ..request };
    check(header("te", text("trailers")), &http, Yes);
}

#[test]
fn cookies_belong_together() {
    let request = Request::default().header("cookie", b"a=1").header("cookie", b"b=2");
    check(header("cookie", text("a=1; b=2")), &request, Yes);
    check(header("cookie", text("a=1")), &request, No);
    let long = Request::default().header("x-a", &[b'a'; 900]).header("x-a", &[b'b'; 900]);
    let joined = format!("{},{}", "a".repeat(900), "b".repeat(900));
    check(header("x-a", text(&joined)), &long, Unknown);
}

#[test]
fn paths_have_one_reading_or_are_unknown() {
    let at = |path, query| Request::with(|r| (r.path, r.query) = (path, query));
    let http = |path, query| Request { protocol: Protocol::Http, ..at(path, query) };
    let template = |text| Condition::PathTemplate(PathTemplate::new(text).unwrap());
    let do_it = at("/pkg.Svc/Do", None);
    check(Condition::Path(exact("/pkg.Svc/Do")), &do_it, Yes);
    check(Condition::Path(exact("/pkg.Svc/Undo")), &do_it, No);
    check(template("/pkg.Svc/*"), &do_it, Yes);
    check(template("/other/*"), &do_it, No);
    for request in [at("/pkg.Svc/Do", Some("x")), at("/x/../Do", None), at("/pkg.Svc/D%6f", None)] {
        check(Condition::Path(exact("/pkg.Svc/Do")), &request, Unknown);
        check(header(":path", text("/pkg.Svc/Do")), &request, Unknown);
        check(template("/pkg.Svc/*"), &request, Unknown);
    }
    check(Condition::Path(exact("/a")), &http("/a", Some("q")), Yes);
    check(header(":path", text("/a?q")), &http("/a", Some("q")), Yes);
    check(header(":path", text("/a")), &http("/a", Some("q")), No);
    check(template("/a/*"), &http("/a/b", Some("q")), Yes);
    check(template("/a/*"), &http("/a/\"", None), Unknown);
}

#[test]
fn addresses_are_those_of_the_connection() {
    let request = Request::default();
    let [_, local, unknown] = strangers();
    check(Condition::SourceIp(cidrs(&[("10.0.0.0", 24)])), &request, Yes);
    check(Condition::SourceIp(cidrs(&[("10.0.9.0", 24)])), &request, No);
    check(Condition::SourceIp(cidrs(&[("11.0.0.0", 8), ("10.0.0.1", 32)])), &request, Yes);
    check(Condition::DestinationIp(cidrs(&[("10.0.9.0", 24)])), &request, Yes);
    check(Condition::DestinationIp(cidrs(&[("10.0.0.0", 24)])), &request, No);
    check(Condition::DestinationPort(443..444), &request, Yes);
    check(Condition::DestinationPort(444..65_536), &request, No);
    check(Condition::DestinationPort(0..443), &request, No);
    for request in [local, unknown] {
        check(Condition::SourceIp(cidrs(&[("0.0.0.0", 0)])), &request, Unknown);
        check(Condition::DestinationIp(cidrs(&[("0.0.0.0", 0)])), &request, Unknown);
        check(Condition::DestinationPort(0..65_536), &request, Unknown);
    }
    let mapped = "[::ffff:10.0.0.1]:1".parse().unwrap();
    let mapped = Request::with(|r| r.peer.as_mut().unwrap().remote = Some(mapped));
    check(Condition::SourceIp(cidrs(&[("10.0.0.0", 24)])), &mapped, Yes);
}

#[test]
fn identities_are_those_that_tls_has_proved() {
    let named = |name: &str| Condition::Authenticated(Some(exact(name)));
    let request = Request::default();
    check(named("spiffe://td/a"), &request, Yes);
    check(named("spiffe://td/b"), &request, No);
    // Not the first kind of name that there is.
    check(named("a.test"), &request, No);
    check(named("CN=a"), &request, No);
    check(Condition::Authenticated(None), &request, Yes);
    let certificate = |change: fn(&mut Certificate)| {
        Request::with(|r| {
            let session = r.peer.as_mut().unwrap().session.as_mut().unwrap();
            change(session.certificate.as_mut().unwrap());
        })
    };
    let no_uri = certificate(|it| it.uris = [].into());
    check(named("b.test"), &no_uri, Yes);
    check(named("CN=a"), &no_uri, No);
    let subject = certificate(|it| (it.uris, it.dns_names) = ([].into(), [].into()));
    check(named("CN=a"), &subject, Yes);
    let anonymous = Request::with(|r| {
        r.peer.as_mut().unwrap().session.as_mut().unwrap().certificate = None;
    });
    check(named(""), &anonymous, Yes);
    check(named("spiffe://td/a"), &anonymous, No);
    check(Condition::Authenticated(None), &anonymous, Yes);
    check(Condition::Certificate(None), &anonymous, No);
    check(Condition::Certificate(None), &request, Yes);
    check(Condition::Certificate(Some(NameMatcher::Uri(exact("spiffe://td/a")))), &request, Yes);
    check(Condition::Certificate(Some(NameMatcher::Dns(exact("b.test")))), &request, Yes);
    check(Condition::Certificate(Some(NameMatcher::Uri(exact("b.test")))), &request, No);
    let [plain, local, unknown] = strangers();
    for (request, expect) in [(plain, No), (local, No), (unknown, Unknown)] {
        check(named(""), &request, expect);
        check(Condition::Authenticated(None), &request, expect);
        check(Condition::Certificate(None), &request, expect);
    }
}

#[test]
fn server_names_and_texts_are_read_from_the_connection() {
    let request = Request::default();
    let [plain, local, unknown] = strangers();
    check(Condition::ServerName(exact("shop")), &request, Yes);
    check(Condition::ServerName(exact("cart")), &request, No);
    check(Condition::ServerName(exact("")), &plain, Yes);
    check(Condition::ServerName(exact("")), &unknown, Unknown);
    for (input, value) in [
        (Input::SourceIp, "10.0.0.1"),
        (Input::SourcePort, "4711"),
        (Input::DestinationIp, "10.0.9.9"),
        (Input::DestinationPort, "443"),
        (Input::ServerName, "shop"),
        (Input::UriNames, "spiffe://td/a"),
        (Input::DnsNames, "a.test,b.test"),
        (Input::Subject, "CN=a"),
    ] {
        check(Condition::Text(input.clone(), exact(value)), &request, Yes);
        check(Condition::Text(input.clone(), exact("x")), &request, No);
        check(Condition::Text(input, exact(value)), &unknown, Unknown);
    }
    let any = || StringMatcher::safe_regex(".*").unwrap();
    let session = |certificate| Some(Session { certificate, ..Session::default() });
    let nameless =
        Request::with(|r| r.peer = Some(Peer { session: session(None), ..Peer::default() }));
    let unnamed = session(Some(Certificate::default()));
    let unnamed = Request::with(|r| r.peer = Some(Peer { session: unnamed, ..Peer::default() }));
    for input in [Input::UriNames, Input::DnsNames, Input::Subject] {
        check(Condition::Text(input.clone(), any()), &plain, Unknown);
        check(Condition::Text(input.clone(), any()), &nameless, No);
        check(Condition::Text(input, any()), &unnamed, No);
    }
    check(Condition::Text(Input::SourcePort, any()), &local, Unknown);
}

#[test]
fn metadata_is_of_the_request_or_of_its_route() {
    let request = Request::default();
    check(Condition::Metadata(metadata("ns", "v")), &request, Yes);
    check(Condition::Metadata(metadata("ns", "w")), &request, No);
    check(Condition::Metadata(metadata("other", "v")), &request, No);
    let inverted = MetadataMatcher { invert: true, ..metadata("other", "v") };
    check(Condition::Metadata(inverted), &request, Yes);
    check(Condition::RouteMetadata(metadata("ns", "v")), &request, Yes);
    check(Condition::RouteMetadata(metadata("ns", "w")), &request, No);
    let nowhere = Request::with(|r| r.route = None);
    check(Condition::RouteMetadata(metadata("ns", "v")), &nowhere, Unknown);
}

#[test]
fn connections_have_no_requests() {
    let peer = Request::default().peer.unwrap();
    let unknown = [
        header("x-a", ValueMatcher::Present(false)),
        Condition::Path(exact("/")),
        Condition::PathTemplate(PathTemplate::new("/**").unwrap()),
        Condition::Metadata(metadata("ns", "v")),
        Condition::RouteMetadata(metadata("ns", "v")),
    ];
    for condition in unknown {
        assert_eq!(condition.evaluate(&Facts::connection(&peer)), Unknown, "{condition:?}");
    }
    let known = Condition::SourceIp(cidrs(&[("10.0.0.0", 8)]));
    assert_eq!(known.evaluate(&Facts::connection(&peer)), Yes);
}
