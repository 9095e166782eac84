//! Rules of connections, and filters on the wrong side.

use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use envoy_types::pb::envoy::extensions::filters::network::rbac::v3::Rbac as NetworkRbac;
use envoy_types::pb::envoy::extensions::path::r#match::uri_template::v3::UriTemplateMatchConfig;
use envoy_types::pb::google::protobuf::Duration as DurationMessage;

use super::*;
use crate::fixtures::{http_filter, listener, manager, rds, router};
use crate::parse::authz::{ConnectionRules, connection};
use crate::parse::{Path, Registry, Reject};

fn parse(rules: pb::Rbac, change: fn(&mut NetworkRbac)) -> Result<ConnectionRules, Reject> {
    let stat_prefix = "tcp".into();
    let mut message = NetworkRbac { rules: Some(rules), stat_prefix, ..Default::default() };
    change(&mut message);
    connection(&message.encode_to_vec(), &Path::root().element("filters", 0))
}

#[test]
fn connections_are_judged_by_what_is_known_of_them() {
    let from = |network: &str| {
        let source = Identifier::DirectRemoteIp(cidr(network, 24));
        parse(allowing(policy(Rule::DestinationPort(443), source)), |_| {}).unwrap()
    };
    let local = Some(([10, 0, 9, 9], 443).into());
    let peer = Peer { remote: Some(([10, 0, 0, 1], 4711).into()), local, session: None };
    let allowed = |network: &str, peer: &Peer| {
        from(network).rules.judge(&Facts::connection(peer)).is_allowed()
    };
    assert!(allowed("10.0.0.0", &peer));
    assert!(!allowed("10.0.1.0", &peer));
    assert!(!allowed("10.0.0.0", &Peer::default()));
}

#[test]
fn what_only_requests_have_is_refused() {
    let at = |rule: Rule| {
        let path = parse(allowing(policy(rule, Identifier::Any(true))), |_| {}).unwrap_err().path;
        path.strip_prefix(r#"filters[0].rules.policies["p"].permissions[0]."#).unwrap().to_owned()
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
    let refused = |change| parse(pb::Rbac::default(), change).unwrap_err().path;
    assert_eq!(&*refused(|m| m.stat_prefix.clear()), "filters[0].stat_prefix");
    assert_eq!(&*refused(|m| m.enforcement_type = 9), "filters[0].enforcement_type");
    let delay = |seconds| Some(DurationMessage { seconds, nanos: 0 });
    assert_eq!(
        &*refused(|m| m.delay_deny = Some(DurationMessage { seconds: -1, nanos: 0 })),
        "filters[0].delay_deny"
    );
    let mut slow = NetworkRbac { stat_prefix: "x".into(), ..Default::default() };
    slow.delay_deny = delay(3);
    let rules = connection(&slow.encode_to_vec(), &Path::root()).unwrap();
    assert_eq!((rules.delay_deny, rules.rules.is_empty()), (Some(Duration::from_secs(3)), true));
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
    assert!(refused.why.ends_with("RBAC is not supported here"), "{refused}");
    assert!(parse(true).unwrap().filters.is_empty());
}
