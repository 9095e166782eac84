//! Who gives an identity or authorities.

use std::fmt;
use std::sync::Arc;

/// Who gives an identity or authorities, as configuration names it. An instance and a secret are
/// never the same, whatever they are called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// The certificate provider of this instance name, from the bootstrap or from code (gRFC A29).
    Instance(Arc<str>),
    /// The secret of this name, in canonical form, from the management server that this
    /// configuration comes from, or that its authority names (SDS).
    Secret(Arc<str>),
}

impl Provider {
    /// The name of the secret, if it is one.
    #[must_use]
    pub fn secret(&self) -> Option<&Arc<str>> {
        match self {
            Self::Secret(name) => Some(name),
            Self::Instance(_) => None,
        }
    }
}

impl From<&str> for Provider {
    /// The instance called `name`.
    fn from(name: &str) -> Self {
        Self::Instance(name.into())
    }
}

impl fmt::Display for Provider {
    /// Writes the name of an instance, and `sds:` before that of a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(name) => f.write_str(name),
            Self::Secret(name) => write!(f, "sds:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_and_a_secret_of_one_name_are_two() {
        let (instance, secret) = (Provider::from("default"), Provider::Secret("default".into()));
        assert_ne!(instance, secret);
        assert_eq!((instance.secret(), secret.secret()), (None, Some(&"default".into())));
        assert_eq!(format!("{instance} {secret}"), "default sds:default");
    }
}
