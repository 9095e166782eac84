//! Requests that need no token but may carry some: what counts is each token, not each provider.

use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::jwt_requirement::RequiresType;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::{
    JwtAuthentication, JwtHeader, JwtProvider, JwtRequirement, JwtRequirementAndList,
    JwtRequirementOrList,
};
use envoy_types::pb::google::protobuf::Empty;

use super::kit::{Ask, filter, named, needs, provider, rule, token};
use crate::jwt::tests::kit::Signer;

/// A provider whose tokens stand in a header field of their own.
fn at(issuer: &str, header: &str, prefix: &str) -> JwtProvider {
    let header = JwtHeader { name: header.into(), value_prefix: prefix.into() };
    JwtProvider { from_headers: vec![header], ..provider(issuer) }
}

fn missing() -> JwtRequirement {
    needs(RequiresType::AllowMissing(Empty::default()))
}

fn whatever() -> JwtRequirement {
    needs(RequiresType::AllowMissingOrFailed(Empty::default()))
}

fn any(requirements: Vec<JwtRequirement>) -> JwtRequirement {
    needs(RequiresType::RequiresAny(JwtRequirementOrList { requirements }))
}

fn all(requirements: Vec<JwtRequirement>) -> JwtRequirement {
    needs(RequiresType::RequiresAll(JwtRequirementAndList { requirements }))
}

/// Providers `a` and `b` with header fields of their own, `c` at the usual places, `d` in a cookie
/// for tokens of anybody.
fn message() -> JwtAuthentication {
    let anybody = JwtProvider { from_cookies: vec!["t".into()], ..provider("") };
    let own = [
        ("a", at("a", "x-a", "")),
        ("b", at("b", "x-b", "Jwt ")),
        ("c", provider("c")),
        ("d", anybody),
    ];
    let rules = [
        ("/missing", missing()),
        ("/whatever", whatever()),
        ("/a-or-missing", any(vec![named("a"), missing()])),
        ("/a-b-or-missing", any(vec![missing(), named("a"), named("b")])),
        ("/either-missing", any(vec![missing(), whatever()])),
        ("/both", all(vec![any(vec![named("a"), missing()]), any(vec![named("b"), missing()])])),
    ];
    JwtAuthentication {
        providers: own.map(|(name, one)| (name.to_owned(), one)).into(),
        rules: rules.map(|(path, one)| rule(path, one)).into(),
        ..JwtAuthentication::default()
    }
}

/// A path, header fields, and the status that is answered instead of passing.
type Row<'a> = (&'a str, &'a [&'a (&'static str, String)], Option<u16>);

#[test]
fn a_forged_token_beside_a_good_one_denies() {
    let filter = filter(&message());
    let of = |issuer: &str| token(&format!(r#"{{"iss":"{issuer}"}}"#));
    let header = r#"{"alg":"ES256","kid":"k"}"#;
    let forged = |issuer: &str| Signer::ec().token(header, &format!(r#"{{"iss":"{issuer}"}}"#));
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let (a, b, c) = (("x-a", of("a")), ("x-b", format!("jwt {}", of("b"))), bearer(&of("c")));
    let late = ("x-a", token(r#"{"iss":"a","exp":1}"#));
    let cookie = |token: &str| ("cookie", format!("t={token}"));
    let table: &[Row<'_>] = &[
        ("/missing", &[], None),
        ("/missing", &[&a], None),
        ("/missing", &[&a, &b, &c], None),
        ("/missing", &[&late], Some(401)),
        // Of an issuer that is known, but nowhere near where its tokens stand.
        ("/missing", &[&("x-a", of("b"))], Some(401)),
        // One good token excuses no other: forged, of a stranger, of the wrong place, no token.
        ("/missing", &[&a, &bearer(&forged("c"))], Some(401)),
        ("/missing", &[&a, &bearer(&of("x"))], Some(401)),
        ("/missing", &[&a, &bearer(&of("a"))], Some(401)),
        ("/missing", &[&a, &bearer("x")], Some(401)),
        ("/missing", &[&c, &bearer(&forged("x"))], Some(401)),
        ("/missing", &[&bearer(&forged("x")), &c], Some(401)),
        ("/missing", &[&c, &("x-b", format!("Jwt {}", forged("b")))], Some(401)),
        ("/missing", &[&cookie(&of("anybody"))], None),
        ("/missing", &[&cookie(&of("anybody")), &late], Some(401)),
        ("/missing", &[&cookie(&forged("anybody"))], Some(401)),
        // Without its prefix it is none.
        ("/missing", &[&("x-b", of("b"))], None),
        ("/missing", &[&("authorization", format!("Basic Bearer {}", of("c")))], Some(401)),
        ("/whatever", &[&late, &bearer("x")], None),
        ("/a-or-missing", &[], None),
        ("/a-or-missing", &[&a], None),
        ("/a-or-missing", &[&late], Some(401)),
        ("/a-or-missing", &[&("x-a", of("x"))], Some(401)),
        // It is about the providers that it stands beside.
        ("/a-or-missing", &[&bearer("x")], None),
        ("/a-b-or-missing", &[&a, &b], None),
        ("/a-b-or-missing", &[&("x-b", format!("Jwt {}", of("x")))], Some(401)),
        ("/either-missing", &[&late], None),
        ("/both", &[], None),
        ("/both", &[&a], None),
        ("/both", &[&a, &b], None),
        ("/both", &[&a, &("x-b", "Jwt x".to_owned())], Some(401)),
    ];
    for (path, headers, status) in table {
        let ask = headers.iter().fold(Ask::get(path), |ask, (name, value)| ask.header(name, value));
        let mut ask = ask;
        assert_eq!(ask.seen(&*filter).map(|it| it.0), *status, "{path} {headers:?}");
    }
}

#[test]
fn tokens_of_one_place_may_be_of_several_providers() {
    let mut message = message();
    message.providers.insert("e".into(), provider("e"));
    // The same issuer with other keys, as while it changes them.
    let mut other = at("c", "authorization", "Bearer ");
    let keys = crate::jwt::tests::kit::set(&[Signer::ec().key("k")]);
    other.jwks_source_specifier = super::kit::inline(keys);
    message.providers.insert("a-c".into(), other);
    let filter = filter(&message);
    let of = |issuer: &str| format!("Bearer {}", token(&format!(r#"{{"iss":"{issuer}"}}"#)));
    let seen = |issuers: &[&str]| {
        let ask = issuers.iter().map(|issuer| of(issuer));
        let mut ask =
            ask.fold(Ask::get("/missing"), |ask, value| ask.header("authorization", &value));
        ask.seen(&*filter).map(|it| it.0)
    };
    assert_eq!(seen(&["c", "e"]), None);
    assert_eq!(seen(&["e", "c"]), None);
    assert_eq!(seen(&["e", "c", "x"]), Some(401));
}
