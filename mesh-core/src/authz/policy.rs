//! One policy: permissions and principals.

use super::expression::MAX_DEPTH;
use super::{Expression, Facts, Rule, TooDeep, Truth};

/// What may be done, and by whom (Envoy's `Policy`): one of the permissions and one of the
/// principals must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// What is done. Nothing, if there is none.
    pub permissions: Vec<Expression>,
    /// Who does it. Nobody, if there is none.
    pub principals: Vec<Expression>,
}

impl Policy {
    /// Whether it matches, and by which permission and principal.
    pub(super) fn evaluate(&self, facts: &Facts<'_>) -> (Truth, Rule) {
        let any = |parts: &[Expression]| Truth::any(parts.iter().map(|part| part.evaluate(facts)));
        let (permitted, permission) = any(&self.permissions);
        if permitted == Truth::No {
            return (Truth::No, Rule::default());
        }
        let (known, principal) = any(&self.principals);
        (permitted.min(known), Rule { permission, principal })
    }

    pub(super) fn check_depth(&self) -> Result<(), TooDeep> {
        let mut all = self.permissions.iter().chain(&self.principals);
        all.try_for_each(|part| part.check_depth(MAX_DEPTH))
    }
}
