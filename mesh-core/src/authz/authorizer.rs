//! All the rules of one filter.

use std::sync::Arc;

use super::{Decision, Facts, Judgement, Rules, Tree};

/// All the rules of one filter: those that are enforced, and those that are tried out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Authorizer {
    /// What is enforced. Default: nothing, and everything is allowed.
    pub enforced: Option<Ruleset>,
    /// What is only evaluated and reported (`shadow_rules`). Default: nothing.
    pub shadow: Option<Ruleset>,
    /// What names of shadow results begin with (`shadow_rules_stat_prefix`). Default: empty.
    pub shadow_prefix: Arc<str>,
}

/// How rules are written.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Ruleset {
    /// As policies (`rules`).
    Rules(Rules),
    /// As a tree of matchers (`matcher`).
    Tree(Tree),
}

impl Authorizer {
    /// Rules that allow nothing.
    #[must_use]
    pub fn closed() -> Self {
        Self { enforced: Some(Ruleset::Rules(Rules::closed())), ..Self::default() }
    }

    /// What the rules say.
    #[must_use]
    pub fn judge(&self, facts: &Facts<'_>) -> Judgement<'_> {
        Judgement {
            decision: self.enforced.as_ref().map(|rules| rules.evaluate(facts)),
            shadow: self.shadow.as_ref().map(|rules| rules.evaluate(facts)),
        }
    }

    /// Whether there is nothing to evaluate.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.enforced.is_none() && self.shadow.is_none()
    }
}

impl Ruleset {
    /// May it happen, and why?
    #[must_use]
    pub fn evaluate(&self, facts: &Facts<'_>) -> Decision<'_> {
        match self {
            Self::Rules(rules) => rules.evaluate(facts),
            Self::Tree(tree) => tree.evaluate(facts),
        }
    }
}
