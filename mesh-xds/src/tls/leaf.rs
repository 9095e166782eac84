//! What decisions read of a certificate, out of its bytes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_core::identity::{KeyUsage, Leaf, Refusal, SubjectNames};
use x509_parser::der_parser::oid::Oid;
use x509_parser::extensions::{
    GeneralName, ParsedExtension, SubjectAlternativeName, X509Extension,
};
use x509_parser::oid_registry::{
    OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_KEY_USAGE, OID_X509_EXT_SUBJECT_ALT_NAME,
};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

/// What decisions read of the certificate in `der`.
///
/// Unlike the verifier of rustls, it counts names that it cannot read: they are an error.
///
/// # Errors
/// [`Refusal::Unreadable`] says what cannot be read.
pub fn leaf(der: &[u8]) -> Result<Leaf, Refusal> {
    let certificate = parse(der)?;
    let mut leaf = Leaf {
        names: SubjectNames::default(),
        usage: None,
        is_authority: false,
        not_before: time(certificate.validity().not_before)?,
        not_after: time(certificate.validity().not_after)?,
    };
    let mut seen = Vec::new();
    for extension in certificate.extensions() {
        // RFC 5280 §4.2: none stands twice. Which of two counts would be anybody's guess.
        if seen.contains(&&extension.oid) {
            return Err(unreadable("an extension stands twice"));
        }
        seen.push(&extension.oid);
        read(extension, &mut leaf)?;
    }
    Ok(leaf)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "of many extensions three are read")]
fn read(extension: &X509Extension<'_>, leaf: &mut Leaf) -> Result<(), Refusal> {
    const READ: [Oid<'_>; 3] =
        [OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_KEY_USAGE, OID_X509_EXT_SUBJECT_ALT_NAME];
    match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => leaf.names = subject_names(names)?,
        ParsedExtension::KeyUsage(usage) => {
            leaf.usage = Some(KeyUsage {
                digital_signature: usage.digital_signature(),
                key_cert_sign: usage.key_cert_sign(),
                crl_sign: usage.crl_sign(),
            });
        }
        ParsedExtension::BasicConstraints(constraints) => leaf.is_authority = constraints.ca,
        // One of those three that is something else could not be read.
        _ if READ.contains(&extension.oid) => {
            return Err(unreadable("one of its extensions is malformed"));
        }
        _ => {}
    }
    Ok(())
}

/// Whether `der` is a certificate, and nothing else.
pub(crate) fn is_certificate(der: &[u8]) -> bool {
    parse(der).is_ok()
}

/// The certificate in `der`, with nothing after it.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Refusal> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(unreadable("something follows it")),
        Err(_) => Err(unreadable("it is no certificate")),
    }
}

fn subject_names(names: &SubjectAlternativeName<'_>) -> Result<SubjectNames, Refusal> {
    let (mut uris, mut dns_names) = (Vec::new(), Vec::new());
    let (mut emails, mut ips) = (Vec::new(), Vec::new());
    for name in &names.general_names {
        match name {
            GeneralName::URI(uri) => uris.push(Arc::from(*uri)),
            GeneralName::DNSName(name) => dns_names.push(Arc::from(*name)),
            GeneralName::RFC822Name(name) => emails.push(Arc::from(*name)),
            GeneralName::IPAddress(bytes) => ips.push(address(bytes)?),
            GeneralName::Invalid(..) => return Err(unreadable("one of its names is malformed")),
            GeneralName::OtherName(..)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::RegisteredID(_) => {}
        }
    }
    Ok(SubjectNames {
        uris: uris.into(),
        dns_names: dns_names.into(),
        emails: emails.into(),
        ips: ips.into(),
    })
}

fn address(bytes: &[u8]) -> Result<IpAddr, Refusal> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| v6()).map_err(|_| unreadable("one of its addresses is malformed"))
}

fn time(time: ASN1Time) -> Result<SystemTime, Refusal> {
    let seconds = time.timestamp();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.ok_or_else(|| unreadable("its time is out of range"))
}

fn unreadable(why: &str) -> Refusal {
    Refusal::Unreadable(why.into())
}
