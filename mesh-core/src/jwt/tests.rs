use http::{HeaderMap, HeaderValue, Method, Uri};

use super::*;
use crate::matcher::StringMatcher;
use crate::metadata::{Fields, Value};
use crate::request::RequestHead;

const NOW: u64 = 1_000_000;

fn claims(all: &[(&str, Value)]) -> Fields {
    all.iter().map(|(name, value)| (*name, value.clone())).collect()
}

fn number(value: u64) -> Value {
    Value::Number(f64::from(u32::try_from(value).unwrap()))
}

fn places(locations: &Locations, uri: &str, headers: &[(&str, &str)]) -> Vec<(String, Place)> {
    let uri: Uri = uri.parse().unwrap();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let head = RequestHead::from_pieces(&Method::GET, &uri, &map, "a");
    let found = locations.find(&head).unwrap();
    found.into_iter().map(|it| (it.token.to_owned(), it.place)).collect()
}

#[test]
fn tokens_stand_where_rfc_6750_says_by_default() {
    let default = Locations::default();
    let place = |uri: &str, headers: &[(&str, &str)]| {
        places(&default, uri, headers).into_iter().map(|it| it.0).collect::<Vec<_>>()
    };
    assert_eq!(place("/", &[("authorization", "Bearer a.b.c")]), ["a.b.c"]);
    assert_eq!(place("/", &[("authorization", "bearer   a.b.c ")]), ["a.b.c"]);
    assert_eq!(place("/?x=1&access_token=q", &[("authorization", "Basic abc")]), ["q"]);
    assert_eq!(
        place("/", &[("authorization", "Bearer a"), ("authorization", "Bearer b")]),
        ["a", "b"]
    );
    assert!(place("/?access_tokens=a", &[("authorization", "Bear")]).is_empty());
    // What others may take for a token is one, which nobody can have made.
    assert_eq!(place("/?access_token", &[("authorization", "Basic a Bearer b")]), ["", ""]);
    // Names are compared as those who read the query do; a token has one spelling.
    assert_eq!(place("/?acc%65ss%5Ftoken=a%2Eb&a%ZZ=b&%=c", &[]), ["a%2Eb"]);
}

#[test]
fn tokens_stand_where_the_provider_says() {
    let header: http::HeaderName = "x-jwt".parse().unwrap();
    let locations = Locations {
        headers: vec![(header.clone(), "".into())],
        params: vec!["p".into()],
        cookies: vec!["c".into()],
    };
    let headers =
        [("x-jwt", "h"), ("cookie", "cc=no; c=k1"), ("cookie", "c=\"k2\""), ("x-jwt", "\u{e9}")];
    let found = places(&locations, "/?p=q&pp=no", &headers);
    let expected = [
        ("h", Place::Header(header.clone())),
        ("\u{e9}", Place::Header(header)),
        ("q", Place::Param),
        ("k1", Place::Cookie),
        ("k2", Place::Cookie),
    ];
    assert_eq!(found, expected.map(|(token, place)| (token.to_owned(), place)));
}

#[test]
fn a_request_with_too_many_tokens_is_not_looked_at() {
    let (uri, mut headers) = (Uri::from_static("/"), HeaderMap::new());
    for _ in 0..9 {
        headers.append("authorization", HeaderValue::from_static("Bearer a"));
    }
    let head = RequestHead::from_pieces(&Method::GET, &uri, &headers, "a");
    assert_eq!(Locations::default().find(&head), Err(Failure::TooMuch));
}

#[test]
fn times_have_bounds_and_a_skew() {
    let default = Expectations::default();
    let must = Expectations { require_expiration: true, ..Expectations::default() };
    let short = Expectations { max_lifetime: Some(100), ..Expectations::default() };
    for (expected, all, outcome) in [
        (&default, vec![], Ok(())),
        (&default, vec![("exp", number(NOW - 60))], Ok(())),
        (&default, vec![("exp", number(NOW - 61))], Err(Failure::Expired)),
        (&default, vec![("nbf", number(NOW + 60))], Ok(())),
        (&default, vec![("nbf", number(NOW + 61))], Err(Failure::NotYetValid)),
        (&default, vec![("exp", "9999999999".into())], Err(Failure::Claim("exp"))),
        (&default, vec![("exp", Value::Null)], Err(Failure::Claim("exp"))),
        (&default, vec![("exp", Value::Number(-1.0))], Err(Failure::Claim("exp"))),
        (&default, vec![("nbf", "0".into())], Err(Failure::Claim("nbf"))),
        (&default, vec![("iat", true.into())], Err(Failure::Claim("iat"))),
        (&must, vec![], Err(Failure::NoClaim("exp"))),
        (&must, vec![("exp", number(NOW))], Ok(())),
        (&short, vec![], Err(Failure::NoClaim("exp"))),
        (&short, vec![("exp", number(NOW + 160))], Ok(())),
        (&short, vec![("exp", number(NOW + 161))], Err(Failure::Lifetime)),
    ] {
        assert_eq!(expected.check(&claims(&all), None, NOW), outcome, "{all:?}");
    }
}

#[test]
fn issuer_audience_and_subject_are_who_they_must_be() {
    let expected = Expectations {
        issuer: Some("me".into()),
        audiences: vec!["https://api/".into()],
        subjects: Some(StringMatcher::prefix("user-").unwrap()),
        ..Expectations::default()
    };
    let check = |iss: Value, aud: Value, sub: Value| {
        expected.check(&claims(&[("iss", iss), ("aud", aud), ("sub", sub)]), None, NOW)
    };
    let list = |all: &[&str]| Value::List(all.iter().map(|it| (*it).into()).collect());
    assert_eq!(check("me".into(), "api".into(), "user-1".into()), Ok(()));
    assert_eq!(check("me".into(), list(&["x", "http://api"]), "user-1".into()), Ok(()));
    assert_eq!(check("you".into(), "api".into(), "user-1".into()), Err(Failure::Issuer));
    assert_eq!(check(Value::Null, "api".into(), "user-1".into()), Err(Failure::Claim("iss")));
    assert_eq!(check("me".into(), "apis".into(), "user-1".into()), Err(Failure::Audience));
    assert_eq!(check("me".into(), list(&[]), "user-1".into()), Err(Failure::Audience));
    let mixed = Value::List(vec!["api".into(), Value::Null]);
    assert_eq!(check("me".into(), mixed, "user-1".into()), Err(Failure::Claim("aud")));
    assert_eq!(check("me".into(), "api".into(), "admin".into()), Err(Failure::Subject));
    let all = claims(&[("iss", "me".into()), ("sub", "user-1".into()), ("aud", "other".into())]);
    assert_eq!(expected.check(&all, Some(&["other".into()]), NOW), Ok(()));
}

#[test]
fn a_token_about_a_spiffe_id_must_be_for_somebody_and_expire() {
    let open = Expectations::default();
    let bound = Expectations { audiences: vec!["api".into()], ..Expectations::default() };
    let (exp, aud) = (("exp", number(NOW)), ("aud", Value::from("api")));
    let id = |text: &str| ("sub", Value::from(text));
    for (expected, all, outcome) in [
        (&bound, vec![id("spiffe://td/a"), exp.clone(), aud.clone()], Ok(())),
        (&open, vec![id("spiffe://td/a"), exp.clone(), aud.clone()], Err(Failure::Audience)),
        (&bound, vec![id("spiffe://td/a"), exp.clone()], Err(Failure::Audience)),
        (&bound, vec![id("spiffe://td/a"), aud.clone()], Err(Failure::NoClaim("exp"))),
        (&bound, vec![id("spiffe://TD/a"), exp.clone(), aud.clone()], Err(Failure::Subject)),
        (&bound, vec![id("SPIFFE://td/a"), exp, aud], Err(Failure::Subject)),
    ] {
        assert_eq!(expected.check(&claims(&all), None, NOW), outcome, "{all:?}");
    }
}

/// Provider `n` answers as the `n`th says; there is one token, which stands where all look.
struct Answers<'a>(&'a [Answer]);

impl Verify for Answers<'_> {
    fn own(&mut self, provider: usize, _: Option<&[Box<str>]>) -> Answer {
        self.0[provider]
    }

    fn each(&mut self, providers: &[usize]) -> Answer {
        one_of(providers.iter().map(|provider| self.0[*provider]))
    }
}

fn decided(requirement: &Requirement, answers: &[Answer]) -> Outcome {
    requirement.evaluate(&mut Answers(answers))
}

const MISSING: Answer = Answer::Failed(Failure::Missing);
const ISSUER: Answer = Answer::Failed(Failure::Issuer);
const EXPIRED: Answer = Answer::Failed(Failure::Expired);

#[test]
fn requirements_are_trees() {
    use Answer::{Pending, Valid};
    let one = |at| Requirement::Provider(at, None);
    let any = Requirement::Any(vec![one(0), one(1)]);
    let all = Requirement::All(vec![one(0), one(1)]);
    let optional = Requirement::Any(vec![Requirement::Valid(vec![0]), one(0)]);
    let whatever = Requirement::Whatever(vec![0, 1]);
    let both = Requirement::All(vec![
        Requirement::Any(vec![one(0), Requirement::Valid(vec![0])]),
        Requirement::Any(vec![one(1), Requirement::Whatever(vec![1])]),
    ]);
    let denied = Outcome::Denied;
    for (requirement, answers, outcome) in [
        (&any, [EXPIRED, Valid], Outcome::Allowed),
        (&any, [MISSING, MISSING], denied(Failure::Missing)),
        (&any, [EXPIRED, ISSUER], denied(Failure::Expired)),
        (&any, [ISSUER, EXPIRED], denied(Failure::Expired)),
        (&any, [EXPIRED, Pending], Outcome::Pending),
        (&all, [Valid, Valid], Outcome::Allowed),
        (&all, [Valid, MISSING], denied(Failure::Missing)),
        (&optional, [Valid, MISSING], Outcome::Allowed),
        (&optional, [MISSING, MISSING], Outcome::Allowed),
        (&optional, [EXPIRED, MISSING], denied(Failure::Expired)),
        (&optional, [ISSUER, MISSING], denied(Failure::Issuer)),
        (&whatever, [EXPIRED, ISSUER], Outcome::Allowed),
        (&whatever, [EXPIRED, Pending], Outcome::Pending),
        (&both, [Valid, EXPIRED], Outcome::Allowed),
        (&both, [EXPIRED, Valid], denied(Failure::Expired)),
        (&Requirement::Nothing, [EXPIRED, EXPIRED], Outcome::Allowed),
        (&Requirement::Any(vec![]), [Valid, Valid], denied(Failure::Missing)),
        (&Requirement::Valid(vec![0, 1]), [Valid, ISSUER], Outcome::Allowed),
        // Providers of one issuer have keys of their own: one that knows the token is enough.
        (&Requirement::Valid(vec![0, 1]), [EXPIRED, Valid], Outcome::Allowed),
        (&Requirement::Valid(vec![0, 1]), [ISSUER, EXPIRED], denied(Failure::Expired)),
        (&Requirement::Valid(vec![0, 1]), [EXPIRED, ISSUER], denied(Failure::Expired)),
        (&Requirement::Valid(vec![0, 1]), [EXPIRED, Pending], Outcome::Pending),
        (&Requirement::Valid(vec![0, 1]), [MISSING, MISSING], Outcome::Allowed),
        (&Requirement::Whatever(vec![0, 1]), [EXPIRED, MISSING], Outcome::Allowed),
    ] {
        assert_eq!(decided(requirement, &answers), outcome, "{requirement:?} {answers:?}");
    }
}

#[test]
fn audiences_of_a_requirement_reach_the_provider() {
    let audiences: Audiences = ["a".into()].into();
    let requirement = Requirement::Provider(3, Some(audiences));
    let mut asked = Asked(None);
    let outcome = requirement.evaluate(&mut asked);
    assert_eq!((outcome, asked.0), (Outcome::Allowed, Some((3, vec!["a".into()]))));
}

/// Which provider was asked, about which audiences.
struct Asked(Option<(usize, Vec<Box<str>>)>);

impl Verify for Asked {
    fn own(&mut self, provider: usize, audiences: Option<&[Box<str>]>) -> Answer {
        self.0 = audiences.map(|all| (provider, all.to_vec()));
        Answer::Valid
    }

    fn each(&mut self, _: &[usize]) -> Answer {
        Answer::Failed(Failure::Missing)
    }
}
