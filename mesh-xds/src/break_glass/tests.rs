//! Tokens, signed by keys of the development CA's kind.
#![cfg(feature = "dev-ca")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Method, Uri};
use mesh_core::authz::Facts;
use mesh_core::filter::BreakGlass;
use mesh_core::metadata::Metadata;
use mesh_core::request::RequestHead;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SigningKey as _};

use super::{Invalid, PublicKey, Verifier};
use crate::parse::Workload;

const CLAIMS: &str = r#"{ "aud": "shop/web", "sub": "ann", "reason": "fire", "nbf": 1000, "exp": 1100,
    "rules": [{ "methods": "GET", "paths": "/admin*" }] }"#;
const HEADER: &str = r#"{"alg":"EdDSA","typ":"JWT"}"#;

fn sign(header: &str, claims: &str, key: &KeyPair) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    let signature = encode(&key.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

fn ed25519() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).unwrap()
}

fn verifier(key: &KeyPair) -> Verifier {
    Verifier {
        scope: "shop/web".into(),
        key: PublicKey::from_pem(key.public_key_pem().as_bytes()).unwrap(),
        crypto: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
        workload: Workload::unknown(),
    }
}

/// What `token` lets in, read `wall` seconds after 1970, which is at 0 by the steady clock.
fn verify(verifier: &Verifier, token: &str, wall: u64) -> Result<BreakGlass, Invalid> {
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(wall);
    verifier.grant(token, (wall, at(0)))
}

fn at(second: u64) -> Instant {
    mesh_core::testing::at(second)
}

fn lets_in(pass: &BreakGlass, path: &str, now: u64) -> bool {
    let (method, uri, headers) = (Method::GET, path.parse::<Uri>().unwrap(), HeaderMap::new());
    let (head, metadata) =
        (RequestHead::from_pieces(&method, &uri, &headers, "shop"), Metadata::default());
    pass.lets_in(&Facts::request(&head, &metadata, None), at(now))
}

#[test]
fn a_token_lets_in_what_it_names_from_its_start_to_its_end() {
    let key = ed25519();
    let pass = verify(&verifier(&key), &sign(HEADER, CLAIMS, &key), 990).unwrap();
    assert_eq!(&**pass.title(), "ann: fire");
    let seen = [9, 10, 109, 110].map(|now| lets_in(&pass, "/admin/x", now));
    assert_eq!(seen, [false, true, true, false]);
    assert!(!lets_in(&pass, "/other", 50));
    // Read while it is good, it ends at the same moment.
    let late = verify(&verifier(&key), &sign(HEADER, CLAIMS, &key), 1090).unwrap();
    assert_eq!([0, 9, 10].map(|now| lets_in(&late, "/admin", now)), [true, true, false]);
}

#[test]
fn claims_that_are_not_as_they_must_be_have_no_effect() {
    let key = ed25519();
    let verifier = verifier(&key);
    let mut seen = Vec::new();
    for (from, to) in [
        ("shop/web", "shop/cart"),
        (r#""ann""#, r#""""#),
        (r#""fire""#, r#""a\nb""#),
        ("1000", r#""1000""#),
        ("1100", "1000"),
        ("1100", "87401"),
        (r#""reason": "fire","#, ""),
        ("rules", "ruless"),
        ("methods", "method"),
        (r#"[{ "methods": "GET", "paths": "/admin*" }]"#, "[]"),
    ] {
        let claims = CLAIMS.replacen(from, to, 1);
        assert_ne!(claims, CLAIMS);
        let refused = verify(&verifier, &sign(HEADER, &claims, &key), 1050).unwrap_err();
        seen.push(refused.to_string());
    }
    let must = |claim| format!("the claim {claim} is missing or not as it must be");
    assert_eq!(
        seen,
        [
            "the token is for another scope".to_owned(),
            must("sub"),
            must("reason"),
            must("nbf"),
            must("exp"),
            "the token is good for more than 24 hours".to_owned(),
            must("reason"),
            must("rules"),
            "the rules are wrong: rules:1:3: [0]: unrecognized field `method` (did you mean `methods`?)"
                .to_owned(),
            "the rules are wrong: rules:1:1: is empty, which asks for nothing: leave it out"
                .to_owned(),
        ]
    );
    let token = sign(HEADER, CLAIMS, &key);
    assert_eq!(verify(&verifier, &token, 1100).unwrap_err(), Invalid::Expired);
}

#[test]
fn only_the_configured_key_counts_and_only_its_algorithm() {
    let (key, other) = (ed25519(), ed25519());
    let verifier = verifier(&key);
    let good = sign(HEADER, CLAIMS, &key);
    let verify = |token: &str| verify(&verifier, token, 1050).map(drop);
    assert_eq!(verify(&good), Ok(()));
    assert_eq!(verify(&sign(HEADER, CLAIMS, &other)), Err(Invalid::Signature));
    // Every part is signed.
    let claims = CLAIMS.replace("/admin*", "*");
    let forged = sign(HEADER, &claims, &other);
    let (signed, _) = forged.rsplit_once('.').unwrap();
    let (_, signature) = good.rsplit_once('.').unwrap();
    assert_eq!(verify(&format!("{signed}.{signature}")), Err(Invalid::Signature));
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"EdDSA","jwk":{}}"#,
        r#"{"alg":"EdDSA","crit":["x"]}"#,
        "[]",
    ] {
        let refused = verify(&sign(header, CLAIMS, &key)).unwrap_err();
        assert!(matches!(refused, Invalid::Malformed(_)), "{header}: {refused}");
    }
    for token in ["", "a.b", "a.b.c", &format!("{good}=") as &str] {
        assert!(matches!(verify(token), Err(Invalid::Malformed(_))), "{token}");
    }
    let p256 = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let refused = PublicKey::from_pem(p256.public_key_pem().as_bytes());
    assert_eq!(refused, Err(Invalid::Key));
    assert_eq!(PublicKey::from_pem(b"x"), Err(Invalid::Key));
}
