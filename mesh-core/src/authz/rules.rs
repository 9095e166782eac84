//! Policies under one action.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::index::Index;
use super::{
    Action, AuditCondition, AuditLoggers, Decision, Facts, Policy, Rule, TooDeep, Truth, Verdict,
};

/// Policies under one action (Envoy's `RBAC`). The first that matches, in order of their names,
/// decides.
#[derive(Clone, Debug)]
pub struct Rules {
    action: Action,
    audit: AuditCondition,
    loggers: AuditLoggers,
    policies: Box<[(Arc<str>, Policy)]>,
    pub(super) index: Box<Index>,
}

impl Rules {
    /// `policies` under `action`.
    ///
    /// # Errors
    /// [`TooDeep`] when an expression has more than [`MAX_DEPTH`](super::MAX_DEPTH) levels.
    pub fn new(action: Action, policies: BTreeMap<Arc<str>, Policy>) -> Result<Self, TooDeep> {
        policies.values().try_for_each(Policy::check_depth)?;
        let policies: Box<[_]> = policies.into_iter().collect();
        let index = Box::new(Index::new(policies.iter().map(|(_, policy)| policy)));
        let (audit, loggers) = (AuditCondition::default(), AuditLoggers::default());
        Ok(Self { action, audit, loggers, policies, index })
    }

    /// Rules that allow nothing.
    pub(super) fn closed() -> Self {
        let (audit, loggers) = (AuditCondition::default(), AuditLoggers::default());
        let (policies, index) = (Box::default(), Box::default());
        Self { action: Action::Allow, audit, loggers, policies, index }
    }

    /// The same, with decisions audited on `condition`. Default: never.
    #[must_use]
    pub fn audit(mut self, condition: AuditCondition) -> Self {
        self.audit = condition;
        self
    }

    /// When decisions are audited.
    #[must_use]
    pub fn audit_condition(&self) -> AuditCondition {
        self.audit
    }

    /// The same, with the decisions that are audited told to `loggers`. Default: to nobody.
    #[must_use]
    pub fn log_to(mut self, loggers: AuditLoggers) -> Self {
        self.loggers = loggers;
        self
    }

    pub(super) fn loggers(&self) -> &AuditLoggers {
        &self.loggers
    }

    /// The policies in order.
    #[must_use]
    pub fn policies(&self) -> &[(Arc<str>, Policy)] {
        &self.policies
    }

    /// What the first policy to match says.
    #[must_use]
    pub fn evaluate(&self, facts: &Facts<'_>) -> Decision<'_> {
        // What is unknown satisfies nothing that opens, and everything that shuts.
        let enough = match self.action {
            Action::Allow => Truth::Yes,
            Action::Deny | Action::Log => Truth::Unknown,
        };
        let mut last = (Truth::No, Rule::default());
        let found = self.index.first(facts, |at| {
            let found = self.policies.get(at).map(|(_, policy)| policy.evaluate(facts));
            let matches = found.is_some_and(|(truth, _)| truth >= enough);
            if let (true, Some(found)) = (matches, found) {
                last = found;
            }
            matches
        });
        let policy = found.and_then(|at| self.policies.get(at)).map(|(name, _)| name);
        let matches = policy.is_some();
        let verdict = match (self.action, matches) {
            (Action::Allow, true) | (Action::Deny, false) | (Action::Log, _) => Verdict::Allow,
            (Action::Allow, false) | (Action::Deny, true) => Verdict::Deny,
        };
        Decision {
            verdict,
            policy,
            rule: policy.map(|_| last.1),
            matched: last.0,
            log: (self.action == Action::Log).then_some(matches),
            audit: self.audit.is_met(verdict),
        }
    }
}

/// Two are equal when they say the same; the index follows from it.
impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        let all = |it: &Self| (it.action, it.audit);
        all(self) == all(other) && self.loggers == other.loggers && self.policies == other.policies
    }
}
