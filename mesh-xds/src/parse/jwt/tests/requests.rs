//! Requests with and without tokens.

use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::jwt_claim_to_header::PathSegment;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::jwt_provider::NormalizePayload;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::jwt_requirement::RequiresType;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::per_route_config::RequirementSpecifier;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::{
    JwtClaimToHeader, JwtProvider, JwtRequirementOrList, PerRouteConfig,
};
use http::Method;
use mesh_core::filter::{Factory, Step};
use mesh_core::metadata::Value;
use prost::Message;

use super::kit::{Ask, filter, named, needs, provider, rule, strict, token};
use crate::jwt::tests::kit::{Signer, encoded};
use crate::parse::jwt::JwtFactory;

const NAMESPACE: &str = "envoy.filters.http.jwt_authn";

#[test]
fn every_failure_denies() {
    let mut message = provider("me");
    message.audiences = vec!["api".into()];
    let filter = filter(&strict(message));
    let ours = |claims: &str| token(&format!(r#"{{"iss":"me","aud":"api"{claims}}}"#));
    let header = r#"{"alg":"ES256","kid":"k"}"#;
    let foreign = Signer::ec().token(header, r#"{"iss":"me","aud":"api"}"#);
    let unsigned = format!("{}.{}.", encoded(r#"{"alg":"none"}"#), encoded(r#"{"iss":"me"}"#));
    assert_eq!(Ask::with(&ours("")).seen(&*filter), None);
    for (token, status, text) in [
        (ours(r#","exp":999939"#), 401, "Jwt is expired"),
        (ours(r#","exp":"9999999999""#), 401, "Jwt payload [exp] field is of the wrong type"),
        (ours(r#","nbf":1000061"#), 401, "Jwt not yet valid"),
        (ours(r#","aud":"x""#), 401, "Jwt payload is an invalid JSON"),
        (token(r#"{"iss":"you","aud":"api"}"#), 401, "Jwt issuer is not configured"),
        (token(r#"{"aud":"api"}"#), 401, "Jwt issuer is not configured"),
        (token(r#"{"iss":"me","aud":"x"}"#), 403, "Audiences in Jwt are not allowed"),
        (token(r#"{"iss":"me"}"#), 403, "Audiences in Jwt are not allowed"),
        (foreign, 401, "Jwt verification fails"),
        (unsigned, 401, "Jwt header [alg] is not supported"),
        (
            "x".into(),
            401,
            "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
        ),
    ] {
        assert_eq!(Ask::with(&token).seen(&*filter), Some((status, text.to_owned())));
        // A good one beside it does not help, wherever it stands.
        let good = format!("Bearer {}", ours(""));
        let beside = Ask::with(&token).header("authorization", &good).seen(&*filter);
        assert_eq!(beside, Some((status, text.to_owned())));
    }
    assert_eq!(Ask::get("/").seen(&*filter), Some((401, "Jwt is missing".to_owned())));
}

#[test]
fn answers_challenge_as_envoy_does() {
    let mut message = strict(provider("me"));
    let challenge = |filter: &dyn mesh_core::filter::Filter, ask: Ask| {
        let mut ask = ask;
        let Step::Respond(response) = ask.poll(filter, None) else { panic!("passes") };
        let challenge = response.headers.get("www-authenticate");
        (response.grpc, challenge.map(|it| it.to_str().unwrap().to_owned()))
    };
    let strict = filter(&message);
    let missing = challenge(&*strict, Ask::get("/a?b=1"));
    assert_eq!(missing, (16, Some("Bearer realm=\"http://host/a?b=1\"".to_owned())));
    let text = "Bearer realm=\"http://host/\", error=\"invalid_token\"";
    assert_eq!(challenge(&*strict, Ask::with("x")), (16, Some(text.to_owned())));
    message.strip_failure_response = true;
    let stripped = filter(&message);
    assert_eq!(challenge(&*stripped, Ask::with("x")), (16, None));
    assert_eq!(Ask::with("x").seen(&*stripped), Some((401, String::new())));
}

fn rich() -> JwtProvider {
    let claim = |header: &str, claim: &str, path: &[&str]| JwtClaimToHeader {
        header_name: header.into(),
        claim_name: claim.into(),
        claim_path: path.iter().map(|key| PathSegment { key: (*key).into() }).collect(),
    };
    JwtProvider {
        forward_payload_header: "x-payload".into(),
        payload_in_metadata: "payload".into(),
        header_in_metadata: "header".into(),
        normalize_payload_in_metadata: Some(NormalizePayload {
            space_delimited_claims: vec!["scope".into()],
        }),
        claim_to_headers: vec![
            claim("x-sub", "sub", &[]),
            claim("x-tenant", "org.tenant", &[]),
            claim("x-dotted", "", &["a.b"]),
            claim("x-list", "list", &[]),
            claim("x-none", "none", &[]),
        ],
        ..provider("me")
    }
}

#[test]
fn claims_go_into_header_fields_and_metadata() {
    let filter = filter(&strict(rich()));
    let claims =
        r#"{"iss":"me","sub":"s","org":{"tenant":7},"a.b":true,"list":[1],"scope":"r  w"}"#;
    // What a client writes there is not believed.
    let mut ask = Ask::with(&token(claims)).header("x-none", "forged").header("x-sub", "forged");
    assert_eq!(ask.seen(&*filter), None);
    let header = |name: &str| ask.headers.get(name).map(|it| it.to_str().unwrap().to_owned());
    assert_eq!(header("x-payload"), Some(encoded(claims)));
    assert_eq!(header("x-sub").as_deref(), Some("s"));
    assert_eq!(header("x-tenant").as_deref(), Some("7"));
    assert_eq!(header("x-dotted").as_deref(), Some("true"));
    assert_eq!(header("x-list"), Some(encoded("[1.0]")));
    assert_eq!(header("x-none"), None);
    // The token is for this filter, unless it is to be forwarded.
    assert_eq!(header("authorization"), None);
    assert_eq!(ask.headers.get_all("x-sub").iter().count(), 1);
    let find = |path: &[&str]| ask.metadata.find(NAMESPACE, path).cloned();
    assert_eq!(find(&["payload", "org", "tenant"]), Some(Value::Number(7.0)));
    let words = Value::List(vec!["r".into(), "w".into()]);
    assert_eq!(find(&["payload", "scope"]), Some(words));
    assert_eq!(find(&["header", "kid"]), Some("k".into()));
}

#[test]
fn forged_claims_are_removed_where_no_token_is_needed() {
    let mut message = strict(rich());
    message.rules.clear();
    let filter = filter(&message);
    let mut ask = Ask::get("/").header("x-sub", "forged").header("x-payload", "forged");
    assert_eq!(ask.seen(&*filter), None);
    assert!(ask.headers.is_empty());
}

#[test]
fn tokens_are_forwarded_where_they_are_to_be() {
    let mut message = provider("me");
    message.forward = true;
    message.forward_payload_header = "x-payload".into();
    message.pad_forward_payload_header = true;
    let filter = filter(&strict(message));
    let mut ask = Ask::with(&token(r#"{"iss":"me","a":12}"#));
    assert_eq!(ask.seen(&*filter), None);
    assert!(ask.headers.contains_key("authorization"));
    assert_eq!(ask.headers["x-payload"], format!("{}==", encoded(r#"{"iss":"me","a":12}"#)));
}

#[test]
fn the_first_rule_that_matches_counts() {
    let any = RequiresType::RequiresAny(JwtRequirementOrList {
        requirements: vec![named("p"), needs(RequiresType::AllowMissing(Default::default()))],
    });
    let mut message = strict(provider("me"));
    let mut health = rule("/health", named("p"));
    health.requirement_type = None;
    message.rules.insert(0, health);
    message.rules.insert(1, rule("/maybe", needs(any)));
    let whatever = needs(RequiresType::AllowMissingOrFailed(Default::default()));
    message.rules.insert(2, rule("/whatever", whatever));
    message.providers.get_mut("p").unwrap().failed_status_in_metadata = "failed".into();
    let filter = filter(&message);
    let seen = |path: &str, token: Option<&str>| {
        let ask = Ask::get(path);
        let ask = match token {
            Some(token) => ask.header("authorization", &format!("Bearer {token}")),
            None => ask,
        };
        let mut ask = ask;
        let status = ask.seen(&*filter).map(|it| it.0);
        let code = ask.metadata.find(NAMESPACE, &["failed", "code"]).cloned();
        (status, code)
    };
    let good = token(r#"{"iss":"me"}"#);
    let missing = Some(Value::from("1"));
    assert_eq!(seen("/health", None), (None, None));
    assert_eq!(seen("/maybe", None), (None, missing.clone()));
    assert_eq!(seen("/maybe", Some(&good)), (None, None));
    assert_eq!(seen("/maybe", Some("x")), (Some(401), Some("4".into())));
    assert_eq!(seen("/whatever", Some("x")), (None, Some("4".into())));
    assert_eq!(seen("/", None), (Some(401), missing));
}

#[test]
fn preflight_requests_pass_where_they_may() {
    let mut message = strict(provider("me"));
    let preflight = || {
        let ask =
            Ask::get("/").header("origin", "a").header("access-control-request-method", "GET");
        Ask { method: Method::OPTIONS, ..ask }
    };
    assert_eq!(preflight().seen(&*filter(&message)).unwrap().0, 401);
    message.bypass_cors_preflight = true;
    let filter = filter(&message);
    assert_eq!(preflight().seen(&*filter), None);
    assert_eq!(Ask { method: Method::GET, ..preflight() }.seen(&*filter).unwrap().0, 401);
}

#[test]
fn routes_choose_another_requirement_or_none() {
    let mut message = strict(provider("me"));
    let whatever = needs(RequiresType::AllowMissingOrFailed(Default::default()));
    message.requirement_map.insert("lax".into(), whatever);
    let factory = JwtFactory::default();
    let base = factory.parse(&message.encode_to_vec()).unwrap();
    let on = |specifier| {
        let message = PerRouteConfig { requirement_specifier: Some(specifier) };
        let own = factory.parse_override(&message.encode_to_vec())?;
        Ok::<_, String>(Ask::get("/").seen(&*factory.build(&base, &[own])))
    };
    assert_eq!(on(RequirementSpecifier::Disabled(true)), Ok(None));
    assert_eq!(on(RequirementSpecifier::RequirementName("lax".into())), Ok(None));
    let text = "Failed JWT authentication: Wrong requirement_name: other";
    let other = on(RequirementSpecifier::RequirementName("other".into()));
    assert_eq!(other, Ok(Some((403, text.to_owned()))));
    assert!(on(RequirementSpecifier::Disabled(false)).is_err());
    // What is not its own configuration lets nothing through.
    let closed = factory.build(&base, &[std::sync::Arc::new(())]);
    assert_eq!(Ask::get("/").seen(&*closed).unwrap().0, 403);
    let closed = factory.build(&(std::sync::Arc::new(()) as _), &[]);
    assert_eq!(Ask::get("/").seen(&*closed).unwrap().0, 403);
}
