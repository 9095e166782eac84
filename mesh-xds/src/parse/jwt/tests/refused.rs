//! Configurations that are refused.

use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::route::v3::HeaderMatcher;
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::jwt_provider::JwksSourceSpecifier;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::jwt_requirement::RequiresType;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::requirement_rule::RequirementType;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::{
    FilterStateRule, JwtAuthentication, JwtClaimToHeader, JwtHeader, JwtProvider, JwtRequirement,
    JwtRequirementAndList,
};
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use mesh_core::filter::{Factory, Side};
use prost::Message;

use super::kit::{named, needs, provider, remote, rule, strict};
use crate::parse::jwt::JwtFactory;

/// The whole reason why `message` is refused.
fn refused(message: &JwtAuthentication) -> String {
    JwtFactory::default().parse(&message.encode_to_vec()).err().unwrap()
}

fn with(change: impl FnOnce(&mut JwtAuthentication)) -> String {
    let mut message = strict(provider("me"));
    change(&mut message);
    refused(&message)
}

fn of_provider(mut message: JwtProvider, change: impl FnOnce(&mut JwtProvider)) -> String {
    change(&mut message);
    refused(&strict(message))
}

#[test]
fn rules_that_are_not_understood_are_refused() {
    let rules = |requirement: JwtRequirement| with(|it| it.rules = vec![rule("/", requirement)]);
    let state = with(|it| it.filter_state_rules = Some(FilterStateRule::default()));
    assert_eq!(state, "filter_state_rules: is not supported");
    assert_eq!(
        rules(JwtRequirement { requires_type: None }),
        "rules[0].requires: has no requirement that is known"
    );
    assert_eq!(
        rules(needs(RequiresType::ExtractOnlyWithoutValidation(Default::default()))),
        "rules[0].requires.extract_only_without_validation: is not supported: its claims are anybody's"
    );
    assert_eq!(
        rules(needs(RequiresType::RequiresAll(JwtRequirementAndList::default()))),
        "rules[0].requires.requires_all.requirements: is empty"
    );
    assert_eq!(
        rules(named("q")),
        "rules[0].requires.provider_name: \"q\" is none of the providers"
    );
    let lost = with(|it| {
        it.rules[0].requirement_type = Some(RequirementType::RequirementName("x".into()));
    });
    assert_eq!(lost, "rules[0].requirement_name: \"x\" is not in requirement_map");
    assert_eq!(with(|it| it.rules[0].r#match = None), "rules[0].match: is required");
    let chance = with(|it| {
        let half = FractionalPercent { numerator: 50, denominator: 0 };
        let half = RuntimeFractionalPercent { default_value: Some(half), runtime_key: "".into() };
        it.rules[0].r#match.as_mut().unwrap().runtime_fraction = Some(half);
    });
    assert_eq!(chance, "rules[0].match.runtime_fraction: is not supported");
    let hidden = with(|it| {
        it.rules[0].r#match.as_mut().unwrap().headers.push(HeaderMatcher {
            name: "user-agent".into(),
            header_match_specifier: Some(HeaderMatchSpecifier::PresentMatch(true)),
            ..HeaderMatcher::default()
        });
    });
    assert_eq!(hidden, "rules[0].match.headers[0].name: user-agent is not seen in gRPC requests");
}

#[test]
fn providers_that_are_not_understood_are_refused() {
    let local = |specifier: Option<Specifier>| {
        of_provider(provider("me"), |it| {
            let Some(JwksSourceSpecifier::LocalJwks(source)) = &mut it.jwks_source_specifier else {
                panic!("local")
            };
            source.specifier = specifier;
        })
    };
    let here = |text: &str| format!("providers[\"p\"].{text}");
    for (seen, why) in [
        (local(None), "local_jwks: is empty"),
        (
            local(Some(Specifier::InlineString("{}".into()))),
            "local_jwks.inline_string: is no JSON Web Key Set",
        ),
        (
            local(Some(Specifier::EnvironmentVariable("X".into()))),
            "local_jwks.environment_variable: is not supported",
        ),
        (
            local(Some(Specifier::Filename("/nonexistent".into()))),
            "local_jwks.filename: cannot be read: entity not found",
        ),
        (
            of_provider(provider("me"), |it| it.forward_payload_header = "host".into()),
            "forward_payload_header: host is not for filters to write",
        ),
        (
            of_provider(provider("me"), |it| it.clear_route_cache = true),
            "clear_route_cache: is not supported",
        ),
        (
            of_provider(provider("me"), |it| {
                it.claim_to_headers = vec![JwtClaimToHeader {
                    header_name: "x".into(),
                    claim_name: "a..b".into(),
                    claim_path: vec![],
                }];
            }),
            "claim_to_headers[0].claim_name: has an empty part",
        ),
        (
            of_provider(provider("me"), |it| {
                it.from_headers = vec![JwtHeader { name: ":path".into(), value_prefix: "".into() }];
            }),
            "from_headers[0].name: is no header field's name",
        ),
    ] {
        assert_eq!(seen, here(why));
    }
    let none = of_provider(provider("me"), |it| it.jwks_source_specifier = None);
    assert_eq!(none, "providers[\"p\"]: has neither local_jwks nor remote_jwks");
    let remote = |change: fn(&mut envoy_types::pb::envoy::config::core::v3::HttpUri)| {
        of_provider(remote("me"), |it| {
            let Some(JwksSourceSpecifier::RemoteJwks(source)) = &mut it.jwks_source_specifier
            else {
                panic!("remote")
            };
            change(source.http_uri.as_mut().unwrap());
        })
    };
    for (seen, why) in [
        (remote(|it| it.uri = "/keys".into()), "uri: is no absolute URI"),
        (remote(|it| it.timeout = None), "timeout: is required"),
        (remote(|it| it.http_upstream_type = None), "cluster: is required"),
    ] {
        assert_eq!(seen, here(&format!("remote_jwks.http_uri.{why}")));
    }
}

#[test]
fn the_filter_is_for_servers_and_names_its_clusters() {
    let factory = JwtFactory::default();
    assert!(factory.is_for(Side::Server) && !factory.is_for(Side::Client));
    let fetched = factory.parse(&strict(remote("me")).encode_to_vec()).unwrap();
    assert_eq!(factory.clusters(&fetched), ["issuer".into()]);
    let local = factory.parse(&strict(provider("me")).encode_to_vec()).unwrap();
    assert!(factory.clusters(&local).is_empty());
}
