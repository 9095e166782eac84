//! SPIFFE IDs, such as `spiffe://cluster.local/ns/shop/sa/cart`.

use std::fmt;
use std::sync::Arc;

use super::trust_domain::{self, TrustDomain};

const SCHEME: &str = "spiffe://";

/// Bytes of a SPIFFE ID at the most (SPIFFE-ID §2.3).
const MAX_LENGTH: usize = 2048;

/// The name of a workload or, without a path, of a trust domain.
///
/// Parsed as strictly as the specification writes it, and compared byte by byte: nothing is
/// decoded, lower-cased or cleaned up.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    text: Arc<str>,
    /// Where the path begins.
    path: usize,
}

/// Why something is no SPIFFE ID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpiffeIdError {
    /// It does not begin with `spiffe://`.
    #[error("a SPIFFE ID begins with spiffe://")]
    Scheme,
    /// It is too long.
    #[error("a SPIFFE ID has at most {MAX_LENGTH} bytes, not {0}")]
    TooLong(usize),
    /// Nothing stands where the trust domain should.
    #[error("the trust domain is missing")]
    NoTrustDomain,
    /// The trust domain is too long.
    #[error("a trust domain has at most 255 bytes, not {0}")]
    TrustDomainTooLong(usize),
    /// The trust domain has a character that may not be in it.
    #[error("{0:?} may not be in a trust domain")]
    TrustDomainCharacter(char),
    /// The path has a character that may not be in it.
    #[error("{0:?} may not be in the path of a SPIFFE ID")]
    PathCharacter(char),
    /// The path has a segment without content, or ends with a slash.
    #[error("the path of a SPIFFE ID has an empty segment")]
    EmptySegment,
    /// The path has a segment `.` or `..`.
    #[error("the path of a SPIFFE ID has a segment of dots")]
    DotSegment,
}

impl SpiffeId {
    /// The SPIFFE ID that `text` is.
    ///
    /// # Errors
    /// [`SpiffeIdError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
        if text.len() > MAX_LENGTH {
            return Err(SpiffeIdError::TooLong(text.len()));
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
        let (domain, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        trust_domain::check(domain)?;
        if !path.is_empty() {
            path.split('/').skip(1).try_for_each(check_segment)?;
        }
        Ok(Self { text: text.into(), path: text.len() - path.len() })
    }

    /// The trust domain that it is of.
    #[must_use]
    pub fn trust_domain(&self) -> TrustDomain {
        // It was checked with the rest.
        TrustDomain::checked(self.trust_domain_str())
    }

    /// The name of the trust domain that it is of.
    #[must_use]
    pub fn trust_domain_str(&self) -> &str {
        self.text.get(SCHEME.len()..self.path).unwrap_or_default()
    }

    /// What follows the trust domain: empty, or beginning with a slash.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text.get(self.path..).unwrap_or_default()
    }

    /// All of it, as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn check_segment(segment: &str) -> Result<(), SpiffeIdError> {
    match segment {
        "" => return Err(SpiffeIdError::EmptySegment),
        "." | ".." => return Err(SpiffeIdError::DotSegment),
        _ => {}
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match segment.chars().find(|c| !is_allowed(*c)) {
        Some(c) => Err(SpiffeIdError::PathCharacter(c)),
        None => Ok(()),
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpiffeId({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::SpiffeIdError::*;
    use super::*;

    fn parts(text: &str) -> Result<(String, String), SpiffeIdError> {
        let id = SpiffeId::parse(text)?;
        assert_eq!(id.as_str(), text);
        assert_eq!(id.trust_domain().as_str(), id.trust_domain_str());
        Ok((id.trust_domain_str().to_owned(), id.path().to_owned()))
    }

    #[test]
    fn trust_domain_and_path_are_told_apart() {
        let ok = |domain: &str, path: &str| Ok((domain.to_owned(), path.to_owned()));
        assert_eq!(parts("spiffe://td"), ok("td", ""));
        assert_eq!(parts("spiffe://a-b_c.d1/ns/x/sa/Y_z.-"), ok("a-b_c.d1", "/ns/x/sa/Y_z.-"));
        assert_eq!(parts("spiffe://td/..."), ok("td", "/..."));
    }

    #[test]
    fn what_the_specification_does_not_allow_is_refused() {
        for (text, why) in [
            ("", Scheme),
            ("SPIFFE://td/x", Scheme),
            ("spiffe:/td/x", Scheme),
            ("https://td/x", Scheme),
            ("spiffe://", NoTrustDomain),
            ("spiffe:///x", NoTrustDomain),
            ("spiffe://TD/x", TrustDomainCharacter('T')),
            ("spiffe://td:80/x", TrustDomainCharacter(':')),
            ("spiffe://u@td/x", TrustDomainCharacter('@')),
            ("spiffe://td?q", TrustDomainCharacter('?')),
            ("spiffe://t\u{e4}/x", TrustDomainCharacter('\u{e4}')),
            ("spiffe://td/", EmptySegment),
            ("spiffe://td/x/", EmptySegment),
            ("spiffe://td//x", EmptySegment),
            ("spiffe://td/./x", DotSegment),
            ("spiffe://td/x/..", DotSegment),
            ("spiffe://td/x%2fy", PathCharacter('%')),
            ("spiffe://td/x?q", PathCharacter('?')),
            ("spiffe://td/x#f", PathCharacter('#')),
            ("spiffe://td/x\0y", PathCharacter('\0')),
            ("spiffe://td/ x", PathCharacter(' ')),
        ] {
            assert_eq!(parts(text), Err(why), "{text}");
        }
    }

    #[test]
    fn lengths_are_bounded_as_specified() {
        let domain = "a".repeat(255);
        assert!(parts(&format!("spiffe://{domain}/x")).is_ok());
        assert_eq!(parts(&format!("spiffe://{domain}a/x")), Err(TrustDomainTooLong(256)));
        let path = "b".repeat(2048 - "spiffe://td/".len());
        assert!(parts(&format!("spiffe://td/{path}")).is_ok());
        assert_eq!(parts(&format!("spiffe://td/{path}b")), Err(TooLong(2049)));
    }
}
