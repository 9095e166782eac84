//! What is refused, and where.

use envoy_types::pb::envoy::config::rbac::v3::rbac::AuditLoggingOptions;
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::RbacPerRoute;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::path::r#match::uri_template::v3::UriTemplateMatchConfig;
use envoy_types::pb::envoy::extensions::rbac::matchers::upstream_ip_port::v3::UpstreamIpPortMatcher;
use envoy_types::pb::envoy::extensions::rbac::principals::mtls_authenticated::v3::Config;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::SubjectAltNameMatcher;
use envoy_types::pb::envoy::r#type::v3::Int32Range;
use envoy_types::pb::xds::r#type::matcher::v3::Matcher;
use matcher::value_matcher::MatchPattern as Content;
use proptest::prelude::{prop, proptest};

use super::*;

/// Where in the message it is refused.
fn at(message: &Rbac) -> String {
    let text = parse(message).unwrap_err();
    text.split_once(": ").map_or(text.clone(), |(path, _)| path.to_owned())
}

/// Where in the policy it is refused.
fn in_policy(change: impl FnOnce(&mut pb::Policy)) -> String {
    let mut policy = policy(Rule::Any(true), Identifier::Any(true));
    change(&mut policy);
    let path = at(&filter(allowing(policy)));
    path.strip_prefix(r#"rules.policies["p"]."#).unwrap().to_owned()
}

fn in_rule(rule: Rule) -> String {
    let path = in_policy(|policy| policy.permissions = vec![permission(rule)]);
    path.strip_prefix("permissions[0].").unwrap().to_owned()
}

fn in_principal(identifier: Identifier) -> String {
    let path = in_policy(|policy| policy.principals = vec![principal(identifier)]);
    path.strip_prefix("principals[0].").unwrap().to_owned()
}

#[test]
fn policies_are_whole() {
    assert_eq!(in_policy(|p| p.condition = Some(Default::default())), "condition");
    assert_eq!(in_policy(|p| p.checked_condition = Some(Default::default())), "checked_condition");
    assert_eq!(in_policy(|p| p.permissions.clear()), "permissions");
    assert_eq!(in_policy(|p| p.principals.clear()), "principals");
    assert_eq!(in_policy(|p| p.permissions[0].rule = None), "permissions[0]");
    assert_eq!(in_policy(|p| p.principals[0].identifier = None), "principals[0]");
    let mut rules = pb::Rbac { action: 9, ..Default::default() };
    assert_eq!(at(&filter(rules.clone())), "rules.action");
    // The second of two is looked at as well, and shadow rules as those that are enforced.
    rules = allowing(policy(Rule::Any(true), Identifier::Any(true)));
    rules.policies.insert("q".into(), pb::Policy::default());
    assert_eq!(at(&filter(rules.clone())), r#"rules.policies["q"].permissions"#);
    let shadow = Rbac { shadow_rules: Some(rules), ..Default::default() };
    assert_eq!(at(&shadow), r#"shadow_rules.policies["q"].permissions"#);
    let both = |matcher, shadow_matcher| Rbac {
        matcher,
        shadow_matcher,
        shadow_rules: Some(pb::Rbac::default()),
        ..filter(pb::Rbac::default())
    };
    assert_eq!(at(&both(Some(Matcher::default()), None)), "matcher");
    assert_eq!(at(&both(None, Some(Matcher::default()))), "shadow_matcher");
}

#[test]
#[expect(deprecated, reason = "control planes send the older rules")]
fn permissions_are_understood() {
    let header = |change: fn(&mut HeaderMatcher)| {
        let mut matcher = header("x-a", "1");
        change(&mut matcher);
        in_rule(Rule::Header(matcher))
    };
    assert_eq!(header(|h| h.name = "grpc-timeout".into()), "header.name");
    assert_eq!(header(|h| h.name = "GRPC-x".into()), "header.name");
    assert_eq!(header(|h| h.name = ":scheme".into()), "header.name");
    assert_eq!(header(|h| h.name = ":other".into()), "header.name");
    assert_eq!(header(|h| h.header_match_specifier = None), "header");
    let empty = || pb::permission::Set::default();
    assert_eq!(in_rule(Rule::AndRules(empty())), "and_rules.rules");
    assert_eq!(in_rule(Rule::OrRules(empty())), "or_rules.rules");
    assert_eq!(in_rule(Rule::NotRule(Box::default())), "not_rule");
    assert_eq!(in_rule(Rule::Any(false)), "any");
    assert_eq!(in_rule(Rule::UrlPath(Default::default())), "url_path");
    let no_length = core::CidrRange { address_prefix: "10.0.0.0".into(), prefix_len: None };
    let range = |range| in_rule(Rule::DestinationIp(range));
    assert_eq!(range(no_length), "destination_ip.prefix_len");
    assert_eq!(range(cidr("10.0.0.0", 33)), "destination_ip.prefix_len");
    assert_eq!(range(cidr("10.0.0.0", 1_000)), "destination_ip.prefix_len");
    assert_eq!(range(cidr("10.0.0", 8)), "destination_ip.address_prefix");
    assert_eq!(in_rule(Rule::DestinationPort(65_536)), "destination_port");
    for (start, end) in [(2, 1), (1, 1), (-1, 1), (1, 65_537)] {
        let ports = Rule::DestinationPortRange(Int32Range { start, end });
        assert_eq!(in_rule(ports), "destination_port_range");
    }
    let name = Rule::RequestedServerName(Default::default());
    assert_eq!(in_rule(name), "requested_server_name");
    assert_eq!(in_rule(Rule::Matcher(extension(&UpstreamIpPortMatcher::default()))), "matcher");
    assert_eq!(in_rule(Rule::Matcher(Default::default())), "matcher.typed_config");
    let template =
        |path_template: &str| UriTemplateMatchConfig { path_template: path_template.into() };
    let template = extension(&template("no-slash"));
    assert_eq!(in_rule(Rule::UriTemplate(template)), "uri_template.typed_config.path_template");
    let other = extension(&Router::default());
    assert_eq!(in_rule(Rule::UriTemplate(other)), "uri_template.typed_config");
    assert_eq!(in_rule(Rule::Metadata(metadata("", "k", "v"))), "metadata.filter");
    let sourced = |change: fn(&mut pb::SourcedMetadata)| {
        let metadata_matcher = Some(metadata("ns", "k", "v"));
        let mut sourced = pb::SourcedMetadata { metadata_matcher, metadata_source: 0 };
        change(&mut sourced);
        in_rule(Rule::SourcedMetadata(sourced))
    };
    assert_eq!(sourced(|it| it.metadata_source = 7), "sourced_metadata.metadata_source");
    assert_eq!(sourced(|it| it.metadata_matcher = None), "sourced_metadata.metadata_matcher");
}

#[test]
#[expect(deprecated, reason = "control planes send the older rules")]
fn values_of_metadata_are_understood() {
    let value = |pattern: Option<Content>| {
        let mut matcher = metadata("ns", "k", "v");
        matcher.value.as_mut().unwrap().match_pattern = pattern;
        let path = in_rule(Rule::Metadata(matcher));
        path.strip_prefix("metadata.value").unwrap().trim_start_matches('.').to_owned()
    };
    assert_eq!(value(None), "");
    assert_eq!(value(Some(Content::PresentMatch(false))), "present_match");
    assert_eq!(value(Some(Content::DoubleMatch(Default::default()))), "double_match");
    assert_eq!(value(Some(Content::StringMatch(Default::default()))), "string_match");
    assert_eq!(value(Some(Content::ListMatch(Default::default()))), "list_match");
    let one = matcher::OrMatcher { value_matchers: vec![Default::default()] };
    assert_eq!(value(Some(Content::OrMatch(one))), "or_match.value_matchers");
    let two = matcher::OrMatcher { value_matchers: vec![Default::default(); 2] };
    assert_eq!(value(Some(Content::OrMatch(two))), "or_match.value_matchers[0]");
    let mut matcher = metadata("ns", "k", "v");
    matcher.path.clear();
    assert_eq!(in_rule(Rule::Metadata(matcher.clone())), "metadata.path");
    matcher.path.push(Default::default());
    assert_eq!(in_rule(Rule::Metadata(matcher.clone())), "metadata.path[0]");
    matcher.value = None;
    matcher.path = metadata("ns", "k", "v").path;
    assert_eq!(in_rule(Rule::Metadata(matcher)), "metadata.value");
}

#[test]
#[expect(deprecated, reason = "control planes send the older identifiers")]
fn principals_are_understood() {
    let empty = || pb::principal::Set::default();
    assert_eq!(in_principal(Identifier::AndIds(empty())), "and_ids.ids");
    assert_eq!(in_principal(Identifier::OrIds(empty())), "or_ids.ids");
    assert_eq!(in_principal(Identifier::NotId(Box::default())), "not_id");
    assert_eq!(in_principal(Identifier::Any(false)), "any");
    let named = pb::principal::Authenticated { principal_name: Some(Default::default()) };
    let named = Identifier::Authenticated(named);
    assert_eq!(in_principal(named), "authenticated.principal_name");
    let bad = || cidr("nowhere", 8);
    assert_eq!(in_principal(Identifier::SourceIp(bad())), "source_ip.address_prefix");
    let direct = Identifier::DirectRemoteIp(bad());
    assert_eq!(in_principal(direct), "direct_remote_ip.address_prefix");
    assert_eq!(in_principal(Identifier::RemoteIp(bad())), "remote_ip.address_prefix");
    let hidden = Identifier::Header(header("grpc-encoding", "x"));
    assert_eq!(in_principal(hidden), "header.name");
    assert_eq!(in_principal(Identifier::FilterState(Default::default())), "filter_state");
    let custom = |config: &Config| in_principal(Identifier::Custom(extension(config)));
    assert_eq!(custom(&Config::default()), "custom.typed_config");
    let san =
        SubjectAltNameMatcher { san_type: 1, matcher: Some(exact("x")), ..Default::default() };
    let email = Config { san_matcher: Some(san), ..Default::default() };
    assert_eq!(custom(&email), "custom.typed_config.san_matcher.san_type");
    let other = Identifier::Custom(extension(&Router::default()));
    assert_eq!(in_principal(other), "custom.typed_config");
}

#[test]
fn depth_is_bounded_with_its_place() {
    let nested = |levels: usize| {
        (1..levels).fold(Rule::Any(true), |inner, _| Rule::NotRule(Box::new(permission(inner))))
    };
    assert!(parse(&filter(allowing(policy(nested(32), Identifier::Any(true))))).is_ok());
    let path = in_rule(nested(33));
    assert_eq!(path, ["not_rule"; 32].join("."));
}

#[test]
fn audit_conditions_that_are_not_known_are_refused() {
    let unknown = AuditLoggingOptions { audit_condition: 9, ..Default::default() };
    let unknown = pb::Rbac { audit_logging_options: Some(unknown), ..Default::default() };
    assert_eq!(at(&filter(unknown)), "rules.audit_logging_options.audit_condition");
}

#[test]
fn overrides_are_checked_like_the_rest() {
    let rbac = Some(filter(pb::Rbac { action: 9, ..Default::default() }));
    let parsed = RbacFactory::default().parse_override(&RbacPerRoute { rbac }.encode_to_vec());
    assert_eq!(parsed.unwrap_err(), "rbac.rules.action: is unknown");
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_panic(
        bytes in prop::collection::vec(proptest::num::u8::ANY, 0..300),
    ) {
        let _ = RbacFactory::default().parse(&bytes);
    }
}
