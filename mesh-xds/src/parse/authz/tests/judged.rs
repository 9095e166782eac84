//! Messages become rules that say what the messages say.

use envoy_types::pb::envoy::config::rbac::v3::principal::Authenticated;
use envoy_types::pb::envoy::config::rbac::v3::rbac::audit_logging_options::{
    AuditCondition, AuditLoggerConfig,
};
use envoy_types::pb::envoy::config::rbac::v3::rbac::{Action, AuditLoggingOptions};
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::RbacPerRoute;
use envoy_types::pb::envoy::extensions::path::r#match::uri_template::v3::UriTemplateMatchConfig;
use envoy_types::pb::envoy::extensions::rbac::principals::mtls_authenticated::v3::Config;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::SubjectAltNameMatcher;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use envoy_types::pb::envoy::r#type::v3::Int32Range;
use mesh_core::authz::Ruleset;

use super::*;

/// Whether a policy of `rule` matches, under three levels of AND, OR and NOT as well.
fn permits(rule: Rule) -> bool {
    let set = |rules: Vec<Rule>| pb::permission::Set {
        rules: rules.into_iter().map(permission).collect(),
    };
    let not = |rule: Rule| Rule::NotRule(Box::new(permission(rule)));
    let nested = Rule::AndRules(set(vec![
        Rule::OrRules(set(vec![not(Rule::Any(true)), not(not(rule.clone()))])),
        Rule::Any(true),
    ]));
    let answers = [rule.clone(), nested].map(|rule| {
        allows(&parse(&filter(allowing(policy(rule, Identifier::Any(true))))).unwrap())
    });
    let opposite = filter(allowing(policy(not(rule), Identifier::Any(true))));
    assert_eq!([answers[0], !answers[0]], [answers[1], allows(&parse(&opposite).unwrap())]);
    answers[0]
}

/// As [`permits`], for a principal.
fn knows(identifier: Identifier) -> bool {
    let set =
        |ids: Vec<Identifier>| pb::principal::Set { ids: ids.into_iter().map(principal).collect() };
    let not = |id: Identifier| Identifier::NotId(Box::new(principal(id)));
    let nested = Identifier::OrIds(set(vec![
        Identifier::AndIds(set(vec![Identifier::Any(true), not(not(identifier.clone()))])),
        not(Identifier::Any(true)),
    ]));
    let answers = [identifier.clone(), nested].map(|identifier| {
        allows(&parse(&filter(allowing(policy(Rule::Any(true), identifier)))).unwrap())
    });
    let opposite = filter(allowing(policy(Rule::Any(true), not(identifier))));
    assert_eq!([answers[0], !answers[0]], [answers[1], allows(&parse(&opposite).unwrap())]);
    answers[0]
}

fn of_route(matcher: matcher::MetadataMatcher) -> pb::SourcedMetadata {
    let metadata_source = pb::MetadataSource::Route.into();
    pb::SourcedMetadata { metadata_matcher: Some(matcher), metadata_source }
}

#[test]
#[expect(deprecated, reason = "control planes send the older rules")]
fn every_permission_is_asked() {
    let template = |text: &str| {
        Rule::UriTemplate(extension(&UriTemplateMatchConfig { path_template: text.into() }))
    };
    let ports = |start, end| Rule::DestinationPortRange(Int32Range { start, end });
    for (holds, does_not) in [
        (Rule::Header(header("X-A", "1")), Rule::Header(header("x-a", "2"))),
        (Rule::UrlPath(path("/pkg.Svc/Do")), Rule::UrlPath(path("/pkg.Svc/Undo"))),
        (Rule::DestinationIp(cidr("10.0.9.0", 24)), Rule::DestinationIp(cidr("10.0.0.0", 24))),
        (Rule::DestinationPort(443), Rule::DestinationPort(80)),
        (ports(443, 444), ports(0, 443)),
        (Rule::Metadata(metadata("ns", "k", "v")), Rule::Metadata(metadata("ns", "k", "w"))),
        (
            Rule::SourcedMetadata(of_route(metadata("ns", "k", "v"))),
            Rule::SourcedMetadata(of_route(metadata("ns", "l", "v"))),
        ),
        (Rule::RequestedServerName(exact("shop")), Rule::RequestedServerName(exact("cart"))),
        (template("/pkg.Svc/*"), template("/other/*")),
    ] {
        assert!(permits(holds.clone()), "{holds:?}");
        assert!(!permits(does_not.clone()), "{does_not:?}");
    }
}

#[test]
#[expect(deprecated, reason = "control planes send the older identifiers")]
fn every_principal_is_asked() {
    let named =
        |name: &str| Identifier::Authenticated(Authenticated { principal_name: Some(exact(name)) });
    let certificate = |san_type: SanType, name: &str| {
        let matcher = Some(exact(name));
        let san_type = san_type.into();
        let san = SubjectAltNameMatcher { san_type, matcher, ..Default::default() };
        Identifier::Custom(extension(&Config { san_matcher: Some(san), ..Default::default() }))
    };
    for (holds, does_not) in [
        (named("spiffe://td/a"), named("a.test")),
        (Identifier::SourceIp(cidr("10.0.0.0", 8)), Identifier::SourceIp(cidr("11.0.0.0", 8))),
        (
            Identifier::DirectRemoteIp(cidr("10.0.0.1", 32)),
            Identifier::DirectRemoteIp(cidr("10.0.0.2", 32)),
        ),
        (Identifier::RemoteIp(cidr("0.0.0.0", 0)), Identifier::RemoteIp(cidr("::", 0))),
        (Identifier::Header(header("x-a", "1")), Identifier::Header(header(":path", "/"))),
        (Identifier::UrlPath(path("/pkg.Svc/Do")), Identifier::UrlPath(path("/"))),
        (
            Identifier::Metadata(metadata("ns", "k", "v")),
            Identifier::Metadata(metadata("other", "k", "v")),
        ),
        (
            Identifier::SourcedMetadata(of_route(metadata("ns", "k", "v"))),
            Identifier::SourcedMetadata(of_route(metadata("ns", "k", ""))),
        ),
        (certificate(SanType::Uri, "spiffe://td/a"), certificate(SanType::Uri, "a.test")),
        (certificate(SanType::Dns, "a.test"), certificate(SanType::Dns, "spiffe://td/a")),
    ] {
        assert!(knows(holds.clone()), "{holds:?}");
        assert!(!knows(does_not.clone()), "{does_not:?}");
    }
    assert!(knows(Identifier::Authenticated(Authenticated::default())));
    let any = Config { any_validated_client_certificate: true, ..Default::default() };
    assert!(knows(Identifier::Custom(extension(&any))));
}

#[test]
fn actions_decide_what_a_match_means() {
    let with = |action: Action, text| {
        let mut rules = allowing(policy(Rule::UrlPath(path(text)), Identifier::Any(true)));
        rules.action = action.into();
        allows(&parse(&filter(rules)).unwrap())
    };
    for (action, matching, other) in
        [(Action::Allow, true, false), (Action::Deny, false, true), (Action::Log, true, true)]
    {
        assert_eq!((with(action, "/pkg.Svc/Do"), with(action, "/")), (matching, other));
    }
}

#[test]
fn absent_rules_allow_and_empty_rules_deny() {
    assert!(allows(&parse(&Rbac::default()).unwrap()));
    assert!(!allows(&parse(&filter(pb::Rbac::default())).unwrap()));
    let shadow = Rbac { shadow_rules: Some(pb::Rbac::default()), ..Default::default() };
    let shadow = parse(&shadow).unwrap();
    assert!(allows(&shadow) && shadow.enforced.is_none() && shadow.shadow.is_some());
}

#[test]
fn routes_replace_or_switch_off() {
    let factory = RbacFactory::default();
    let parse = |rbac| factory.parse_override(&RbacPerRoute { rbac }.encode_to_vec()).unwrap();
    let closed = parse(Some(filter(pb::Rbac::default())));
    let open = parse(None);
    let filter = |settings: &[_]| format!("{:?}", factory.build(&closed, settings));
    assert!(filter(&[]).contains("enforced: Some"));
    assert!(filter(std::slice::from_ref(&open)).contains("enforced: None"));
    assert!(filter(&[open.clone(), closed.clone()]).contains("enforced: Some"));
    // Not what the factory has parsed.
    let foreign = factory.build(&(std::sync::Arc::new(()) as mesh_core::filter::Settings), &[]);
    assert!(format!("{foreign:?}").contains("enforced: Some"));
}

#[test]
fn audit_conditions_are_kept() {
    let options = |condition: AuditCondition| AuditLoggingOptions {
        audit_condition: condition.into(),
        logger_configs: vec![AuditLoggerConfig { is_optional: true, audit_logger: None }],
    };
    let with = |condition| {
        let audit_logging_options = Some(options(condition));
        let rules = pb::Rbac { audit_logging_options, ..Default::default() };
        match parse(&filter(rules)).unwrap().enforced {
            Some(Ruleset::Rules(rules)) => rules.audit_condition(),
            other => panic!("made of rules: {other:?}"),
        }
    };
    use mesh_core::authz::AuditCondition as Ours;
    for (theirs, ours) in [
        (AuditCondition::None, Ours::None),
        (AuditCondition::OnDeny, Ours::OnDeny),
        (AuditCondition::OnAllow, Ours::OnAllow),
        (AuditCondition::OnDenyAndAllow, Ours::OnDenyAndAllow),
    ] {
        assert_eq!(with(theirs), ours);
    }
}
