//! All the rules of one filter.

use std::sync::Arc;

use super::{AuditEvent, Decision, Facts, Judgement, Observer, Rules, Tree, Unrecorded};

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
            filter: "",
            decision: self.enforced.as_ref().map(|rules| rules.evaluate(facts)),
            shadow: self.shadow.as_ref().map(|rules| rules.evaluate(facts)),
        }
    }

    /// Tells `observer` of `judgement`, and the loggers that the rules name of what in it is to be
    /// audited, each once.
    ///
    /// # Errors
    /// [`Unrecorded`] if anybody must not miss what counts, and has. Loggers of shadow rules
    /// have no say.
    pub fn report(
        &self,
        judgement: &Judgement<'_>,
        facts: &Facts<'_>,
        observer: Option<&dyn Observer>,
    ) -> Result<(), Unrecorded> {
        let told = observer.map_or(Ok(()), |observer| observer.judged(judgement, facts));
        let audit = |rules: &Option<Ruleset>, event: Option<AuditEvent<'_>>| {
            rules.as_ref().zip(event).map_or(Ok(()), |(rules, event)| rules.audit(&event))
        };
        let _ = audit(&self.shadow, judgement.tried(facts));
        let audited = audit(&self.enforced, judgement.enforced(facts));
        told.and(audited)
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

    /// Trees name no loggers.
    fn audit(&self, event: &AuditEvent<'_>) -> Result<(), Unrecorded> {
        match self {
            Self::Rules(rules) if event.decision.audit => rules.loggers().log(event),
            Self::Rules(_) | Self::Tree(_) => Ok(()),
        }
    }
}
