//! Whose a request is, where several parties share what serves it.

use std::fmt;
use std::sync::Arc;

/// The name of a tenant: 1 to 128 of `A-Z a-z 0-9 . _ - : @`, compared byte by byte.
///
/// A request has one if the mesh has found out whose it is
/// ([`filter::Tenancy`](crate::filter::Tenancy)), and cannot choose it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(Arc<str>);

/// Why something is no tenant's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TenantError {
    /// It is empty or too long.
    #[error("the name of a tenant has 1 to {MAX_LENGTH} bytes, not {0}")]
    Length(usize),
    /// It has a character that may not be in it.
    #[error("{0:?} may not be in the name of a tenant")]
    Character(char),
}

impl Tenant {
    /// The tenant called `name`.
    ///
    /// # Errors
    /// [`TenantError`] says why nobody is called so.
    pub fn new(name: &str) -> Result<Self, TenantError> {
        if name.is_empty() || name.len() > MAX_LENGTH {
            return Err(TenantError::Length(name.len()));
        }
        let is_allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '@');
        match name.chars().find(|c| !is_allowed(*c)) {
            Some(c) => Err(TenantError::Character(c)),
            None => Ok(Self(name.into())),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The namespace in [`Metadata`](crate::metadata::Metadata) that the tenant stands in, which no
/// filter writes to.
pub const NAMESPACE: &str = "mesh.tenant";

/// The field there that holds the name.
pub const NAME: &str = "name";

/// Bytes of a name at the most: it goes into logs, and may go into labels and header fields.
const MAX_LENGTH: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        let long = "a".repeat(129);
        for (name, error) in [
            ("", Some(TenantError::Length(0))),
            ("red", None),
            ("Red_1.example-org:eu@x", None),
            ("a/b", Some(TenantError::Character('/'))),
            ("a,b", Some(TenantError::Character(','))),
            ("a*", Some(TenantError::Character('*'))),
            ("\u{e9}", Some(TenantError::Character('\u{e9}'))),
            (&long, Some(TenantError::Length(129))),
            (&long[..128], None),
        ] {
            assert_eq!(Tenant::new(name).err(), error, "{name}");
        }
    }
}
