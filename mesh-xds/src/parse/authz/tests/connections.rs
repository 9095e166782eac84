//! Rules of connections, and filters on the wrong side.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use envoy_types::pb::envoy::extensions::filters::network::rbac::v3::Rbac as NetworkRbac;
use envoy_types::pb::envoy::extensions::path::r#match::uri_template::v3::UriTemplateMatchConfig;
use envoy_types::pb::google::protobuf::Duration as DurationMessage;
use mesh_core::filter::{ConnectionFactory, ConnectionFilter};

use super::*;
use crate::fixtures::{http_filter, listener, manager, rds, router};
use crate::parse::Registry;
use crate::parse::authz::NetworkRbacFactory;
use crate::parse::listener::Listener;

fn parse(
    rules: pb::Rbac,
    change: fn(&mut NetworkRbac),
) -> Result<Arc<dyn ConnectionFilter>, String> {
    let stat_prefix = "tcp".into();
    let mut message = NetworkRbac { rules: Some(rules), stat_prefix, ..Default::default() };
    change(&mut message);
    NetworkRbacFactory::default().build(&message.encode_to_vec())
}

/// The path at the beginning of an error.
fn path_of(why: &str) -> &str {
    why.split_once(": ").map_or(why, |(path, _)| path)
}

#[test]
fn connections_are_judged_by_what_is_known_of_them() {
    let from = |network: &str| {
        let source = Identifier::DirectRemoteIp(cidr(network, 24));
        parse(allowing(policy(Rule::DestinationPort(443), source)), |_| {}).unwrap()
    };
    let local = Some(([10, 0, 9, 9], 443).into());
    let peer = Peer { remote: Some(([10, 0, 0, 1], 4711).into()), local, session: None };
    let denied = |network: &str, peer: &Peer| from(network).admit(peer).err();
    assert_eq!(denied("10.0.0.0", &peer), None);
    let why = "denied: no policy matches";
    assert_eq!(denied("10.0.1.0", &peer).map(|it| it.rule), Some(why.into()));
    assert_eq!(denied("10.0.0.0", &Peer::default()).map(|it| it.hold), Some(Duration::ZERO));
}

#[test]
fn what_only_requests_have_is_refused() {
    let at = |rule: Rule| {
        let why = parse(allowing(policy(rule, Identifier::Any(true))), |_| {}).unwrap_err();
        let path = path_of(&why).strip_prefix(r#"rules.policies["p"].permissions[0]."#);
        path.unwrap().to_owned()
    };
    assert_eq!(at(Rule::Header(header("x-a", "1"))), "header");
    assert_eq!(at(Rule::UrlPath(path("/"))), "url_path");
    let template = extension(&UriTemplateMatchConfig { path_template: "/**".into() });
    assert_eq!(at(Rule::UriTemplate(template)), "uri_template");
    let sourced = pb::SourcedMetadata {
        metadata_matcher: Some(metadata("ns", "k", "v")),
        metadata_source: 0,
    };
    assert_eq!(at(Rule::SourcedMetadata(sourced)), "sourced_metadata.metadata_matcher");
}

#[test]
fn the_rest_of_the_message_is_read() {
    let refused = |change| path_of(&parse(pb::Rbac::default(), change).unwrap_err()).to_owned();
    assert_eq!(refused(|m| m.stat_prefix.clear()), "stat_prefix");
    assert_eq!(refused(|m| m.enforcement_type = 9), "enforcement_type");
    let seconds = |seconds| Some(DurationMessage { seconds, nanos: 0 });
    assert_eq!(
        refused(|m| m.delay_deny = Some(DurationMessage { seconds: -1, nanos: 0 })),
        "delay_deny"
    );
    let mut slow = NetworkRbac { stat_prefix: "x".into(), ..Default::default() };
    (slow.rules, slow.delay_deny) = (Some(pb::Rbac::default()), seconds(3));
    let denied = NetworkRbacFactory::default().build(&slow.encode_to_vec()).unwrap();
    assert_eq!(denied.admit(&Peer::default()).unwrap_err().hold, Duration::from_secs(3));
}

#[test]
fn listeners_of_clients_have_no_authorization() {
    let parse = |is_optional| {
        let mut manager = manager(rds("r"));
        let rbac = http_filter("rbac", packed(&Rbac::default()));
        let rbac = HttpFilter { is_optional, ..rbac };
        manager.http_filters = vec![rbac, router()];
        let listener = listener("l", &manager).encode_to_vec();
        crate::parse::listener::parse(&listener, &Registry::default())
    };
    let refused = parse(false).unwrap_err();
    assert_eq!(&*refused.path, "api_listener.api_listener.http_filters[0].typed_config");
    assert!(refused.why.ends_with("RBAC is not supported"), "{refused}");
    let Listener::Client(listener) = parse(true).unwrap() else { panic!("it is a client's") };
    assert!(listener.filters.is_empty());
}
