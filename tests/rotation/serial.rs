//! What a certificate is known by: who has issued it, and its serial number.

use x509_parser::certificate::TbsCertificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The serial of a certificate (DER).
pub(crate) fn of_certificate(der: &[u8]) -> String {
    let (_, certificate) = X509Certificate::from_der(der).unwrap();
    of(&certificate.tbs_certificate)
}

/// The serial of what an authority has signed, if that is a certificate.
pub(crate) fn of_signed(der: &[u8]) -> Option<String> {
    match TbsCertificate::from_der(der) {
        Ok(([], certificate)) => Some(of(&certificate)),
        Ok(_) | Err(_) => None,
    }
}

fn of(certificate: &TbsCertificate<'_>) -> String {
    let mut issuer = String::new();
    for extension in certificate.extensions() {
        if let ParsedExtension::AuthorityKeyIdentifier(id) = extension.parsed_extension()
            && let Some(id) = &id.key_identifier
        {
            issuer = id.0.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        }
    }
    format!("{issuer}/{}", certificate.raw_serial_as_string())
}
