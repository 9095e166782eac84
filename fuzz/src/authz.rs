//! Rules of every kind, against a handful of requests: what holds for all rules.

use envoy_types::pb::envoy::config::rbac::v3 as pb;
use envoy_types::pb::envoy::config::rbac::v3::rbac::Action;
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::Rbac;
use envoy_types::pb::envoy::extensions::filters::network::rbac::v3::Rbac as NetworkRbac;
use http::Request;
use http::request::Parts;
use mesh_core::authz::{Authorizer, Facts};
use mesh_core::filter::{ConnectionFactory, Factory};
use mesh_core::identity::{Certificate, Peer, Session, SpiffeId};
use mesh_core::metadata::{Fields, Metadata};
use mesh_core::request::RequestHead;
use mesh_xds::parse::authz::{NetworkRbacFactory, RbacFactory};
use prost::Message as _;

/// More policies than this would be tried in too many ways.
const POLICIES: usize = 8;

/// The input is the configuration of an RBAC filter of requests.
///
/// Each policy is also tried on its own, without the index over all of them; from that follow the
/// verdicts of all together. Names say in which order policies are asked, and nothing else.
pub(crate) fn authz(input: &[u8]) {
    let Some(all) = parse(input) else { return };
    let Ok(message) = Rbac::decode(input) else { return };
    let verdicts = judged(&all);
    let Some(rules) = message.rules.as_ref().filter(|rules| rules.policies.len() <= POLICIES)
    else {
        return;
    };
    let single = |name: &String| {
        let policies = [(name.clone(), rules.policies[name].clone())].into();
        verdicts_of(pb::Rbac { policies, ..rules.clone() })
    };
    let alone: Vec<_> = rules.policies.keys().map(single).collect();
    for (at, verdict) in verdicts.iter().enumerate() {
        let mut alone = alone.iter().map(|verdicts| verdicts[at]);
        let expect = match Action::try_from(rules.action) {
            Ok(Action::Allow) => alone.any(|allowed| allowed),
            Ok(Action::Deny) => alone.all(|allowed| allowed),
            Ok(Action::Log) => true,
            Err(_) => panic!("an action that is unknown was taken"),
        };
        assert_eq!(*verdict, expect, "request {at}");
    }
    assert_eq!(verdicts_of(renamed(rules)), verdicts);
}

/// The input is the configuration of an RBAC filter of connections.
///
/// What it decides of a connection, the same rules decide of every request on it.
pub(crate) fn connections(input: &[u8]) {
    let Ok(gate) = NetworkRbacFactory::default().build(input) else { return };
    let message = NetworkRbac::decode(input).expect("the factory has read it");
    let same = Rbac { rules: message.rules, matcher: message.matcher, ..Rbac::default() };
    let requests =
        parse(&same.encode_to_vec()).expect("rules of connections are for requests, too");
    for (peer, verdicts) in peers().iter().zip(judged(&requests).chunks(requests_made().len())) {
        let admitted = gate.admit(peer).is_ok();
        assert!(verdicts.iter().all(|allowed| *allowed == admitted), "{peer:?}");
    }
}

/// Whether it is a configuration of an RBAC filter that is taken.
pub(crate) fn is_valid(message: &[u8]) -> bool {
    parse(message).is_some()
}

fn parse(message: &[u8]) -> Option<Authorizer> {
    let settings = RbacFactory::default().parse(message).ok()?;
    let rules = settings.downcast::<Authorizer>();
    Some((*rules.expect("the factory gives nothing else")).clone())
}

fn verdicts_of(rules: pb::Rbac) -> Vec<bool> {
    let message = Rbac { rules: Some(rules), ..Rbac::default() };
    judged(&parse(&message.encode_to_vec()).expect("rules that are good are so under other names"))
}

/// The same policies in the opposite order.
fn renamed(rules: &pb::Rbac) -> pb::Rbac {
    let mut names: Vec<_> = rules.policies.keys().collect();
    names.sort_unstable();
    let policies = names.iter().rev().zip(&names);
    let policies = policies.map(|(new, old)| ((*new).clone(), rules.policies[*old].clone()));
    pb::Rbac { policies: policies.collect(), ..rules.clone() }
}

/// What `rules` say to every request of every peer.
fn judged(rules: &Authorizer) -> Vec<bool> {
    let mut metadata = Metadata::default();
    let fields = Fields::from_iter([("k", "v".into()), ("b", true.into())]);
    metadata.add("ns", fields).expect("there is room");
    let requests = requests_made();
    let mut verdicts = Vec::new();
    for peer in peers() {
        for parts in &requests {
            let head = RequestHead::new(parts, "shop:80");
            let facts = Facts::request(&head, &metadata, Some(&peer)).on_route(&metadata);
            let judgement = rules.judge(&facts);
            // Evaluated for its own sake, and written down as logs do.
            drop((judgement.shadow.map(|it| it.to_string()), rules.is_empty()));
            verdicts.push(judgement.decision.is_none_or(|decision| decision.is_allowed()));
        }
    }
    verdicts
}

fn requests_made() -> [Parts; 5] {
    let request = |method, target, fields: &[(&str, &str)]| {
        let request = Request::builder().method(method).uri(target);
        let request =
            fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).expect("the request is good").into_parts().0
    };
    [
        request("GET", "http://shop/", &[]),
        request("GET", "http://shop/a/b?q=1", &[("x-a", "1"), ("x-a", "2"), ("cookie", "a=1")]),
        request("POST", "http://shop/pkg.Svc/Do", &[("content-type", "application/grpc")]),
        request("POST", "http://shop/pkg.Svc/Do?x", &[("content-type", "application/grpc")]),
        request("DELETE", "http://shop/admin%2f..", &[("x-a", "-5"), ("te", "trailers")]),
    ]
}

fn peers() -> [Peer; 4] {
    let peer = |remote: &str, local: &str, session| Peer {
        remote: remote.parse().ok(),
        local: local.parse().ok(),
        session,
    };
    let session = |certificate| Session {
        server_name: Some("shop".into()),
        protocol: Some(b"h2"[..].into()),
        certificate,
    };
    let certificate = Certificate {
        spiffe_id: SpiffeId::parse("spiffe://td/ns/shop/sa/cart").ok(),
        uris: ["spiffe://td/ns/shop/sa/cart".into()].into(),
        dns_names: ["a.test".into(), "b.test".into()].into(),
        subject: "CN=a,O=td".into(),
        ..Certificate::default()
    };
    [
        Peer::default(),
        peer("10.0.0.1:4711", "10.0.9.9:443", None),
        peer("[2001:db8::1]:1", "[::1]:80", Some(session(None))),
        peer("192.0.2.1:65535", "10.0.9.9:80", Some(session(Some(certificate)))),
    ]
}
