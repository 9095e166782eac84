//! The trust bundle map of gRFC A87.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh_core::identity::Trust;

use crate::identity::DevCa;
use crate::identity::bundle_map::parse;

/// The bundle of `ca`.
pub(super) fn bundle(ca: &DevCa) -> String {
    let x5c = STANDARD.encode(ca.root_der());
    format!(
        r#"{{"spiffe_sequence": 7, "keys": [{{"kty": "EC", "use": "x509-svid", "x5c": ["{x5c}"]}}]}}"#
    )
}

pub(super) fn map(bundles: &[(&str, &str)]) -> String {
    let entries: Vec<_> = bundles.iter().map(|(name, it)| format!(r#""{name}": {it}"#)).collect();
    format!(r#"{{"trust_domains": {{{}}}}}"#, entries.join(", "))
}

#[test]
fn each_trust_domain_has_authorities_of_its_own() {
    let (a, b) = (DevCa::new("a").unwrap(), DevCa::new("b").unwrap());
    let json = map(&[("a", &bundle(&a)), ("b", &bundle(&b)), ("c", r#"{"keys": []}"#)]);
    let (mut domains, faults) = parse(json.as_bytes()).unwrap();
    assert!(faults.is_empty());
    let c = mesh_core::identity::TrustDomain::parse("c").unwrap();
    assert_eq!(domains.remove(&c), Some(Vec::new()));
    assert_eq!(Trust::Domains(domains), a.trust(&[&b]));
}

#[test]
fn a_bundle_with_a_bad_key_is_left_out_and_the_others_stay() {
    let ca = DevCa::new("a").unwrap();
    let good = bundle(&ca);
    let x5c = STANDARD.encode(ca.root_der());
    for (bad, why) in [
        ("1", "keys is missing, or is no list"),
        ("{}", "keys is missing, or is no list"),
        (r#"{"keys": {}}"#, "keys is missing, or is no list"),
        (r#"{"keys": [1]}"#, "keys[0]: kty is neither RSA nor EC"),
        (&good.replace("\"EC\"", "\"oct\""), "keys[0]: kty is neither RSA nor EC"),
        (&good.replace("x509-svid", "jwt-svid"), "keys[0]: use is not x509-svid"),
        (&good.replace("7,", "\"7\","), "spiffe_sequence is no number"),
        (&good.replace("x5c", "x5t"), "keys[0]: x5c has not exactly one certificate"),
        (
            &good.replace(&format!("\"{x5c}\""), &format!("\"{x5c}\", \"{x5c}\"")),
            "keys[0]: x5c has not exactly one certificate",
        ),
        (&good.replace(&x5c, "!"), "keys[0]: x5c[0] is not base64"),
        (&good.replace(&x5c, "AAAA"), "keys[0]: x5c[0] is no certificate"),
    ] {
        let json = map(&[("a", &good), ("b", bad)]);
        let (domains, faults) = parse(json.as_bytes()).unwrap();
        assert_eq!(Trust::Domains(domains), ca.trust(&[]), "{bad}");
        assert_eq!(faults, [format!("trust domain b: {why}")], "{bad}");
    }
}

#[test]
fn a_map_that_is_none_is_an_error() {
    for (json, why) in [
        ("", "no JSON: EOF while parsing a value at line 1 column 0"),
        ("{}", "trust_domains is missing, or is no object"),
        (r#"{"trust_domains": []}"#, "trust_domains is missing, or is no object"),
        (
            r#"{"trust_domains": {"A": {"keys": []}}}"#,
            "trust domain \"A\": 'A' may not be in a trust domain",
        ),
    ] {
        assert_eq!(parse(json.as_bytes()).unwrap_err(), why);
    }
}
