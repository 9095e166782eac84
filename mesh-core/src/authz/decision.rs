//! What comes of judging.

use std::fmt;
use std::sync::Arc;

use super::Truth;

/// What rules do to what they match (Envoy's `RBAC.Action`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It is allowed, and everything else is not.
    Allow,
    /// It is denied, and everything else is not.
    Deny,
    /// It is noted. Everything is allowed.
    Log,
}

/// May it happen?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It may.
    Allow,
    /// It may not.
    Deny,
}

/// What a [`Ruleset`](super::Ruleset) says, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision<'r> {
    /// May it happen?
    pub verdict: Verdict,
    /// The policy that decided; `None` if none matched.
    pub policy: Option<&'r Arc<str>>,
    /// What in the policy decided, if it is one with permissions and principals.
    pub rule: Option<Rule>,
    /// How sure it is that the policy matches: [`Truth::Unknown`] if it denies because it could
    /// not be ruled out.
    pub matched: Truth,
    /// Whether the request should be in the access log (Envoy's `access_log_hint`); `None` where no
    /// rule says so.
    pub log: Option<bool>,
    /// Whether the decision is to be audited (gRFC A59).
    pub audit: bool,
}

/// The permission and the principal of a policy that decided, by their positions in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The first permission that holds.
    pub permission: usize,
    /// The first principal that holds.
    pub principal: usize,
}

impl Decision<'_> {
    /// Whether it may happen.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.verdict == Verdict::Allow
    }
}

/// Names what decided, and nothing of the request: it ends up in logs.
impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.verdict {
            Verdict::Allow => "allowed: ",
            Verdict::Deny => "denied: ",
        })?;
        let Some(policy) = self.policy else { return f.write_str("no policy matches") };
        write!(f, "policy {policy:?}")?;
        if let Some(rule) = self.rule {
            write!(f, ", permission {}, principal {}", rule.permission, rule.principal)?;
        }
        match self.matched {
            Truth::Yes => f.write_str(" matches"),
            Truth::Unknown => f.write_str(" cannot be ruled out"),
            Truth::No => f.write_str(" does not match"),
        }
    }
}
