//! What requests are counted as.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, Method, Uri};

use super::*;
use crate::identity::Peer;
use crate::matcher::{
    Cidr, Field, HeaderMatcher, ParameterMatcher, QueryMatcher, StringMatcher, ValueMatcher,
};
use crate::metadata::{Fields, Metadata, Value};
use crate::request::RequestHead;
use crate::tenant::{self, Tenant};

/// What `rule` counts `PUT /a?q=a%20b&%71=c&flag` as, sent by `remote`.
fn counted(rule: &Rule, remote: Option<&str>) -> Option<Descriptor> {
    let (method, uri) = (Method::PUT, Uri::from_static("/a?q=a%20b&%71=c&flag&bad=%zz"));
    let mut headers = HeaderMap::new();
    headers.append("x-user", "me".parse().unwrap());
    headers.append("x-user", "you".parse().unwrap());
    headers.append("grpc-timeout", "1S".parse().unwrap());
    headers.append("content-type", "application/grpc".parse().unwrap());
    headers.append("x-hits", "7.9".parse().unwrap());
    let head = RequestHead::from_pieces(&method, &uri, &headers, "host");
    let remote = remote.map(|ip| SocketAddr::new(ip.parse().unwrap(), 9));
    let peer = Peer { remote, ..Peer::default() };
    let note = |text: &str| Fields::from_iter([("tier", text.into()), ("none", "".into())]);
    let (mut metadata, mut route) = (Metadata::default(), Metadata::default());
    metadata.add("auth", note("gold")).unwrap();
    metadata.set_tenant(Tenant::new("acme").unwrap()).unwrap();
    route.add("auth", note("silver")).unwrap();
    let limit = |requests, unit: &str| {
        Value::Struct(Fields::from_iter([
            ("requests_per_unit", Value::Number(requests)),
            ("unit", unit.into()),
        ]))
    };
    let limits =
        [("good", limit(42.7, "HOUR")), ("bad", limit(1.0, "EON")), ("minus", limit(-1.0, "DAY"))];
    metadata.add("limits", Fields::from_iter(limits)).unwrap();
    let facts = Facts {
        head: &head,
        peer: Some(&peer),
        cluster: Some("greeter"),
        metadata: &metadata,
        route: &route,
    };
    rule.descriptor(&facts)
}

fn entries(actions: Vec<Action>) -> Option<Vec<(String, String)>> {
    let rule = Rule { actions, ..Rule::default() };
    let entries = counted(&rule, Some("::ffff:192.0.2.77"))?.entries;
    Some(entries.iter().map(|it| (it.key.to_string(), it.value.to_string())).collect())
}

fn check(action: &Action, expect: &[(&str, &str)]) {
    let expect = expect.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    assert_eq!(entries(vec![action.clone()]), Some(expect.collect()), "{action:?}");
}

fn header(name: &str, skip_if_absent: bool) -> Action {
    Action::Header { field: Field::new(name).unwrap(), key: "k".into(), skip_if_absent }
}

fn query(name: &str, skip_if_absent: bool) -> Action {
    Action::Query { name: name.into(), key: "k".into(), skip_if_absent }
}

fn note(source: Source, name: &str, default: Option<&str>, skip_if_absent: bool) -> Action {
    Action::Metadata {
        source,
        namespace: "auth".into(),
        path: [name.into()].into(),
        key: "k".into(),
        default: default.map(Arc::from),
        skip_if_absent,
    }
}

#[test]
fn requests_can_be_counted_by_tenant() {
    let action = Action::Metadata {
        source: Source::Request,
        namespace: tenant::NAMESPACE.into(),
        path: [tenant::NAME.into()].into(),
        key: "tenant".into(),
        default: None,
        skip_if_absent: false,
    };
    check(&action, &[("tenant", "acme")]);
}

fn entry() -> Entry {
    Entry::new(&"k".into(), "v")
}

#[test]
fn each_action_makes_the_entry_it_is_named_for() {
    check(&Action::SourceCluster("here".into()), &[("source_cluster", "here")]);
    check(&Action::DestinationCluster, &[("destination_cluster", "greeter")]);
    check(&Action::Fixed(entry()), &[("k", "v")]);
    check(&Action::RemoteAddress, &[("remote_address", "192.0.2.77")]);
    let masked = Action::MaskedRemoteAddress { v4: 26, v6: 64 };
    check(&masked, &[("masked_remote_address", "192.0.2.64/26")]);
    for (name, value) in [
        ("x-user", "me"),
        ("grpc-timeout", "1S"),
        (":path", "/a?q=a%20b&%71=c&flag&bad=%zz"),
        (":method", "PUT"),
        ("host", "host"),
    ] {
        check(&header(name, false), &[("k", value)]);
    }
    for (name, value) in [("q", "a b"), ("flag", ""), ("bad", "%zz")] {
        check(&query(name, false), &[("k", value)]);
    }
    check(&note(Source::Request, "tier", None, false), &[("k", "gold")]);
    check(&note(Source::Route, "tier", None, false), &[("k", "silver")]);
    check(&note(Source::Route, "none", Some("d"), false), &[("k", "d")]);
}

#[test]
fn what_is_absent_takes_the_descriptor_with_it_unless_it_is_skipped() {
    for absent in
        [header("x-none", true), query("none", true), note(Source::Request, "none", None, true)]
    {
        check(&absent, &[]);
        assert_eq!(entries(vec![absent, Action::Fixed(entry())]).unwrap().len(), 1);
    }
    for absent in
        [header("x-none", false), query("none", false), note(Source::Request, "none", None, false)]
    {
        assert_eq!(entries(vec![Action::Fixed(entry()), absent]), None);
    }
    let rule = |action| Rule { actions: vec![action], ..Rule::default() };
    for action in [Action::RemoteAddress, Action::MaskedRemoteAddress { v4: 8, v6: 8 }] {
        assert_eq!(counted(&rule(action), None), None);
    }
    let masked =
        counted(&rule(Action::MaskedRemoteAddress { v4: 8, v6: 32 }), Some("2001:db8:1::1"));
    assert_eq!(&*masked.unwrap().entries[0].value, "2001:db8::/32");
}

#[test]
fn matches_make_entries_where_they_are_expected() {
    let header = |text: &str| {
        let exact = ValueMatcher::String(StringMatcher::exact(text));
        vec![HeaderMatcher::new("x-user", exact).unwrap()]
    };
    let query = |text: &str| {
        vec![QueryMatcher::new("q", ParameterMatcher::String(StringMatcher::exact(text)))]
    };
    let ranges = |range: &str| Box::from([Cidr::new(range.parse().unwrap(), 24).unwrap()]);
    for (good, is_good) in [(true, true), (false, false)] {
        for expect in [true, false] {
            let user = if good { "me,you" } else { "them" };
            let text = if good { "a b" } else { "a%20b" };
            let range = if good { "192.0.2.0" } else { "192.0.3.0" };
            let entry = entry();
            let actions = [
                Action::HeaderMatch { entry: entry.clone(), headers: header(user), expect },
                Action::QueryMatch { entry: entry.clone(), query: query(text), expect },
                Action::AddressMatch { entry, ranges: ranges(range), invert: !expect },
            ];
            for action in actions {
                assert_eq!(
                    entries(vec![action.clone()]).is_some(),
                    is_good == expect,
                    "{action:?}"
                );
            }
        }
    }
}

#[test]
fn limits_and_hits_go_with_the_descriptor() {
    let limit = |name: &str| {
        let source =
            LimitSource::Metadata { namespace: "limits".into(), path: [name.into()].into() };
        counted(&Rule { limit: Some(source), ..Rule::default() }, None).unwrap().limit
    };
    assert_eq!(limit("good"), Some(Override { requests: 42, unit: Unit::Hour }));
    assert_eq!([limit("bad"), limit("minus"), limit("none")], [None; 3]);
    let fixed = Override { requests: 3, unit: Unit::Day };
    let rule = Rule { limit: Some(LimitSource::Fixed(fixed)), ..Rule::default() };
    assert_eq!(counted(&rule, None).unwrap().limit, Some(fixed));
    let hits = |hits| counted(&Rule { hits: Some(hits), ..Rule::default() }, None);
    let named = |name| hits(Hits::Header(Field::new(name).unwrap()));
    assert_eq!(hits(Hits::Fixed(3)).unwrap().hits, Some(3));
    assert_eq!(named("x-hits").unwrap().hits, Some(7));
    assert_eq!([named("x-user"), named("x-none")], [None, None]);
}

#[test]
fn stages_and_virtual_hosts_choose_the_rules() {
    let rules = |stages: &[u32]| -> Arc<[Rule]> {
        stages.iter().map(|stage| Rule { stage: *stage, ..Rule::default() }).collect()
    };
    let of = |own: &[u32], includes_virtual_host, others| {
        let virtual_host = rules(&[0, 0, 1]);
        let rules = Rules { own: rules(own), virtual_host, includes_virtual_host };
        [0, 1, 2].map(|stage| rules.of_stage(stage, others).count())
    };
    assert_eq!(of(&[0, 2], false, VirtualHostRules::Override), [1, 0, 1]);
    assert_eq!(of(&[], false, VirtualHostRules::Override), [2, 1, 0]);
    assert_eq!(of(&[0, 2], false, VirtualHostRules::Include), [3, 1, 1]);
    assert_eq!(of(&[0, 2], false, VirtualHostRules::Ignore), [1, 0, 1]);
    assert_eq!(of(&[0, 2], true, VirtualHostRules::Ignore), [3, 1, 1]);
}
