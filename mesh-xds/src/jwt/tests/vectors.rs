//! Tokens and keys by themselves.

use mesh_core::jwt::Failure;
use serde_json::json;

use super::kit::{Signer, encoded, set};
use crate::jwt::token::Token;
use crate::jwt::{Keys, KeysError};

fn verify(keys: &str, token: &str) -> Result<(), Failure> {
    Keys::parse(keys.as_bytes()).unwrap().verify(&Token::parse(token)?)
}

/// RFC 7515, A.2 and A.3.
const RS256: [&str; 2] = [
    concat!(
        r#"{"keys":[{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0"#,
        "l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ",
        "47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMT",
        r#"BQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9"#,
        r#"gb54h4FRWyuXpoQ"}]}"#
    ),
    concat!(
        "eyJhbGciOiJSUzI1NiJ9.",
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.",
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5j",
        "ujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L",
        "07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUi",
        "pUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    ),
];
const ES256: [&str; 2] = [
    concat!(
        r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","#,
        r#""y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#
    ),
    concat!(
        "eyJhbGciOiJFUzI1NiJ9.",
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    ),
];

#[test]
fn the_examples_of_rfc_7515_are_valid() {
    for [keys, token] in [RS256, ES256] {
        assert_eq!(verify(keys, token), Ok(()));
        // With another claim, or another signature.
        let other = token.replace("eyJpc3MiOiJqb2U", "eyJpc3MiOiJqb2k");
        assert_eq!(verify(keys, &other), Err(Failure::Signature));
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert_eq!(verify(keys, &format!("{signed}.AAAA")), Err(Failure::Signature));
    }
    assert_eq!(verify(RS256[0], ES256[1]), Err(Failure::NoKey));
}

#[test]
fn every_kind_of_key_verifies_its_own_tokens_only() {
    let signers = [
        ("ES256", Signer::ec()),
        ("EdDSA", Signer::ed()),
        ("RS256", Signer::rsa(false)),
        ("PS256", Signer::rsa(true)),
    ];
    for (algorithm, signer) in &signers {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"k"}}"#);
        let token = signer.token(&header, "{}");
        for (other, key) in &signers {
            let is_rsa = |name: &str| name.ends_with("S256") && name != "ES256";
            let expected = match algorithm == other {
                true => Ok(()),
                false if is_rsa(algorithm) && is_rsa(other) => Err(Failure::Signature),
                false => Err(Failure::NoKey),
            };
            assert_eq!(verify(&set(&[key.key("k")]), &token), expected, "{algorithm} {other}");
        }
    }
}

#[test]
fn names_and_algorithms_choose_the_key() {
    let (one, two) = (Signer::ec(), Signer::ec());
    let token = one.token(r#"{"alg":"ES256","kid":"a"}"#, "{}");
    let nameless = one.token(r#"{"alg":"ES256"}"#, "{}");
    let with = |mut key: serde_json::Value, name: &str, value: &str| {
        key[name] = value.into();
        key
    };
    let key = || one.key("a");
    assert_eq!(verify(&set(&[two.key("b"), key()]), &token), Ok(()));
    assert_eq!(verify(&set(&[two.key("a")]), &token), Err(Failure::Signature));
    assert_eq!(verify(&set(&[one.key("b")]), &token), Err(Failure::NoKey));
    assert_eq!(verify(&set(&[two.key("b"), key()]), &nameless), Ok(()));
    assert_eq!(verify(&set(&[with(key(), "alg", "ES256")]), &token), Ok(()));
    assert_eq!(verify(&set(&[with(key(), "alg", "ES384")]), &token), Err(Failure::NoKey));
    assert_eq!(verify(&set(&[with(key(), "use", "jwt-svid")]), &token), Ok(()));
    for (name, value) in [("use", "enc"), ("use", "x509-svid"), ("alg", "HS256"), ("crv", "P-384")]
    {
        let keys = set(&[with(key(), name, value)]);
        assert_eq!(Keys::parse(keys.as_bytes()).unwrap_err(), KeysError::NoKeys, "{name}");
    }
}

#[test]
fn algorithms_cannot_be_confused() {
    let signer = Signer::rsa(false);
    let key = signer.key("k");
    // An attacker would sign with the public key as the secret; whatever is signed, none is tried.
    for alg in ["none", "None", "HS256", "hs256", "", "RS1", "ES256K"] {
        let token = signer.token(&format!(r#"{{"alg":"{alg}","kid":"k"}}"#), "{}");
        let seen = verify(&set(std::slice::from_ref(&key)), &token);
        assert_eq!(seen, Err(Failure::UnsupportedAlgorithm), "{alg}");
    }
    let secret = json!({"kty": "oct", "k": encoded("secret"), "alg": "HS256"});
    assert_eq!(Keys::parse(set(&[secret]).as_bytes()).unwrap_err(), KeysError::NoKeys);
}

#[test]
fn malformed_tokens_are_refused_for_what_they_are() {
    let good = |header: &str, claims: &str| {
        format!("{}.{}.{}", encoded(header), encoded(claims), encoded("signature"))
    };
    let es = r#"{"alg":"ES256"}"#;
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(14), "]".repeat(14));
    for (token, failure) in [
        (String::new(), Failure::Format),
        ("a.b".into(), Failure::Format),
        (format!("{}.x", good(es, "{}")), Failure::Format),
        (good(es, &format!("{{\"a\":\"{}\"}}", "x".repeat(16 << 10))), Failure::Format),
        (good("[]", "{}"), Failure::Header),
        (good(r#"{"alg":"ES256","alg":"none"}"#, "{}"), Failure::Header),
        (good(r#"{"alg":"ES256"} x"#, "{}"), Failure::Header),
        (format!("{}=.{}.x", encoded(es), encoded("{}")), Failure::Header),
        (good("{}", "{}"), Failure::Algorithm),
        (good(r#"{"alg":1}"#, "{}"), Failure::Algorithm),
        (good(r#"{"alg":"ES256","kid":1}"#, "{}"), Failure::KeyName),
        (good(r#"{"alg":"ES256","crit":["exp"]}"#, "{}"), Failure::Critical),
        (good(r#"{"alg":"ES256","b64":false}"#, "{}"), Failure::Critical),
        (good(es, r#"{"sub":"a","sub":"b"}"#), Failure::Payload),
        (good(es, r#"{"a":{"b":1,"b":2}}"#), Failure::Payload),
        (good(es, "\"a\""), Failure::Payload),
        (good(es, "{\"a\":1e999}"), Failure::Payload),
        (good(es, &deep), Failure::Payload),
        (format!("{}.{}.a+b", encoded(es), encoded("{}")), Failure::Format),
        // Bits that mean nothing: another text for the same token.
        (format!("{}.{}.AB", encoded(es), encoded("{}")), Failure::Format),
    ] {
        assert_eq!(Token::parse(&token).unwrap_err(), failure, "{token:.80}");
    }
}

#[test]
fn sets_that_are_none_are_refused() {
    let many = vec![Signer::ec().key("k"); 65];
    for (json, why) in [
        ("", KeysError::Json),
        ("[]", KeysError::Json),
        ("{}", KeysError::Json),
        (r#"{"keys":{}}"#, KeysError::Json),
        (r#"{"keys":[],"keys":[]}"#, KeysError::Json),
        (r#"{"keys":[]}"#, KeysError::NoKeys),
        (r#"{"keys":[1,{"kty":"EC"},{"kty":"RSA","n":"AQAB"},{"kty":"x"}]}"#, KeysError::NoKeys),
        (&set(&many), KeysError::TooMany),
    ] {
        assert_eq!(Keys::parse(json.as_bytes()).unwrap_err(), why, "{json:.40}");
    }
    let missing = Keys::read("/nonexistent/keys.json").unwrap_err();
    assert_eq!(missing, KeysError::File(std::io::ErrorKind::NotFound));
}
