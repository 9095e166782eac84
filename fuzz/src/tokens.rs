//! Tokens, the keys that verify them, and what requests need of them.

use std::sync::OnceLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::route::v3::RouteMatch;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::jwt_provider::JwksSourceSpecifier;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::jwt_requirement::RequiresType;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::per_route_config::RequirementSpecifier;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::requirement_rule::RequirementType;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::{
    JwtAuthentication, JwtProvider, JwtRequirement, PerRouteConfig, RequirementRule,
};
use http::request::Parts;
use http::{HeaderValue, Request};
use mesh_core::filter::{Factory as _, Settings, Step};
use mesh_xds::jwt::Keys;
use mesh_xds::parse::jwt::JwtFactory;
use prost::Message as _;
use serde_json::Value;

use super::asked::ask;

/// While the tokens of RFC 7515 are valid.
const NOW: u64 = 1_300_000_000;

/// The keys of RFC 7515, A.2 and A.3.
const KEYS: &str = include_str!("../corpus/keys/rfc7515");

/// The token of A.3.
const TOKEN: &str = include_str!("../corpus/tokens/rfc7515-es256");

/// The input is a token. The first byte says whether it is one as it is sent, or a header and claims
/// in a line each, which are signed as they are.
///
/// Whoever has a token that is accepted has one of the two that were signed, or one whose claims
/// hold.
pub(crate) fn tokens(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some((header, claims)) = text.strip_prefix('{').and_then(|_| text.split_once('\n')) else {
        if is_allowed(text) {
            let signed = |token: &str| token.trim().rsplit_once('.').map(|it| it.0.to_owned());
            let known = [TOKEN, include_str!("../corpus/tokens/rfc7515-rs256")];
            assert!(
                known.iter().any(|known| signed(known) == signed(text)),
                "nobody has signed it"
            );
        }
        return;
    };
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(signer().sign(signed.as_bytes()));
    if is_allowed(&format!("{signed}.{signature}")) {
        let [header, claims] = [header, claims]
            .map(|text| serde_json::from_str::<Value>(text).expect("what is accepted can be read"));
        assert_eq!(header["alg"], "EdDSA");
        assert!(["crit", "b64", "enc", "zip"].iter().all(|name| header.get(name).is_none()));
        assert_eq!(claims["iss"], "joe");
        // Clocks may differ by a minute.
        let time = |name| claims.get(name).map(|it| it.as_f64().expect("times are numbers"));
        assert!(time("exp").is_none_or(|time| time >= 1_299_999_940.0), "it has expired");
        assert!(time("nbf").is_none_or(|time| time <= 1_300_000_060.0), "it is not valid yet");
    }
}

fn is_allowed(token: &str) -> bool {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    let settings = SETTINGS.get_or_init(|| {
        let mut keys: Value = serde_json::from_str(KEYS).expect("the keys are good");
        let own = URL_SAFE_NO_PAD.encode(signer().public_key());
        let own = serde_json::json!({"kty": "OKP", "crv": "Ed25519", "kid": "own", "x": own});
        keys["keys"].as_array_mut().expect("there is a list").push(own);
        JwtFactory::default().parse(&configuration(keys.to_string())).expect("it is good")
    });
    let Ok(value) = HeaderValue::try_from(format!("Bearer {token}")) else { return false };
    let mut request = request();
    request.headers.insert("authorization", value);
    let filter = JwtFactory::default().build(settings, &[]);
    matches!(ask(&*filter, &request, (NOW, Vec::new())).step, Step::Continue)
}

fn signer() -> &'static Ed25519KeyPair {
    static PAIR: OnceLock<Ed25519KeyPair> = OnceLock::new();
    PAIR.get_or_init(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("it is a seed"))
}

/// The input is a set of keys. A filter takes it just when it can be read, and verifies with it.
pub(crate) fn keys(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let settings = JwtFactory::default().parse(&configuration(text.to_owned()));
    assert_eq!(settings.is_ok(), Keys::parse(input).is_ok(), "{settings:?}");
    let Ok(settings) = settings else { return };
    let mut request = request();
    let token = HeaderValue::try_from(format!("Bearer {}", TOKEN.trim())).expect("it is text");
    request.headers.insert("authorization", token);
    let filter = JwtFactory::default().build(&settings, &[]);
    let step = ask(&*filter, &request, (NOW, Vec::new())).step;
    assert!(matches!(step, Step::Continue | Step::Respond(_)), "{step:?}");
}

/// A filter that needs a token of joe's, which is verified with `keys`.
fn configuration(keys: String) -> Vec<u8> {
    let source =
        DataSource { specifier: Some(Specifier::InlineString(keys)), ..Default::default() };
    let provider = JwtProvider {
        issuer: "joe".into(),
        jwks_source_specifier: Some(JwksSourceSpecifier::LocalJwks(source)),
        payload_in_metadata: "payload".into(),
        header_in_metadata: "header".into(),
        forward_payload_header: "x-payload".into(),
        ..Default::default()
    };
    let requires = JwtRequirement { requires_type: Some(RequiresType::ProviderName("joe".into())) };
    let rule = RequirementRule {
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix("/".into())),
            ..Default::default()
        }),
        requirement_type: Some(RequirementType::Requires(requires)),
    };
    let message = JwtAuthentication {
        providers: [("joe".into(), provider)].into(),
        rules: vec![rule],
        ..Default::default()
    };
    message.encode_to_vec()
}

/// The input is a filter that asks for tokens. Who has none gets as far as each requirement by its
/// name says, read by hand.
pub(crate) fn requirements(input: &[u8]) {
    let factory = JwtFactory::default();
    let Ok(settings) = factory.parse(input) else { return };
    let message = JwtAuthentication::decode(input).expect("the factory has read it");
    drop(factory.clusters(&settings));
    let request = request();
    drop(ask(&*factory.build(&settings, &[]), &request, (NOW, Vec::new())));
    if message.bypass_cors_preflight {
        return;
    }
    for (name, requirement) in message.requirement_map.iter().filter(|(name, _)| !name.is_empty()) {
        let specifier = Some(RequirementSpecifier::RequirementName(name.clone()));
        let own = PerRouteConfig { requirement_specifier: specifier }.encode_to_vec();
        let own = factory.parse_override(&own).expect("the name is good");
        let filter = factory.build(&settings, &[own]);
        let step = ask(&*filter, &request, (NOW, Vec::new())).step;
        assert_eq!(matches!(step, Step::Continue), needs_none(requirement), "{requirement:?}");
    }
}

/// Whether a request without tokens meets the requirement.
fn needs_none(requirement: &JwtRequirement) -> bool {
    match requirement.requires_type.as_ref().expect("what says nothing is refused") {
        RequiresType::ProviderName(_) | RequiresType::ProviderAndAudiences(_) => false,
        RequiresType::RequiresAny(any) => any.requirements.iter().any(needs_none),
        RequiresType::RequiresAll(all) => all.requirements.iter().all(needs_none),
        RequiresType::AllowMissing(_) | RequiresType::AllowMissingOrFailed(_) => true,
        RequiresType::ExtractOnlyWithoutValidation(_) => panic!("what is not verified is taken"),
    }
}

fn request() -> Parts {
    Request::get("http://shop/a?b=1").body(()).expect("it is good").into_parts().0
}
