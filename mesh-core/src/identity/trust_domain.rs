//! The name of a trust domain.

use std::fmt;
use std::sync::Arc;

use super::spiffe_id::SpiffeIdError;

/// Bytes of a trust domain's name at the most (SPIFFE-ID §2.1).
const MAX_LENGTH: usize = 255;

/// The name of a trust domain, such as `cluster.local`.
///
/// Compared byte by byte, as it may only hold lower-case letters, digits, dots, dashes and
/// underscores.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// The trust domain called `name`.
    ///
    /// # Errors
    /// When the name is empty, longer than 255 bytes, or has a character that may not be in it.
    pub fn parse(name: &str) -> Result<Self, SpiffeIdError> {
        check(name)?;
        Ok(Self(name.into()))
    }

    /// The trust domain of a name that has been checked.
    pub(super) fn checked(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `name` can be a trust domain's.
pub(super) fn check(name: &str) -> Result<(), SpiffeIdError> {
    if name.is_empty() {
        return Err(SpiffeIdError::NoTrustDomain);
    }
    if name.len() > MAX_LENGTH {
        return Err(SpiffeIdError::TrustDomainTooLong(name.len()));
    }
    let is_allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-' | '_');
    match name.chars().find(|c| !is_allowed(*c)) {
        Some(c) => Err(SpiffeIdError::TrustDomainCharacter(c)),
        None => Ok(()),
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
