//! Who is told of decisions.

use std::sync::Arc;

use super::{AuditEvent, Decision, Effect, Facts, Unrecorded, Verdict};

/// When decisions are audited (Envoy's `AuditLoggingOptions.AuditCondition`, gRFC A59).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AuditCondition {
    /// Never.
    #[default]
    None,
    /// When something is denied.
    OnDeny,
    /// When something is allowed.
    OnAllow,
    /// Always.
    OnDenyAndAllow,
}

impl AuditCondition {
    /// Whether a decision for `verdict` is audited.
    #[must_use]
    pub fn is_met(self, verdict: Verdict) -> bool {
        match (self, verdict) {
            (Self::None, Verdict::Allow | Verdict::Deny)
            | (Self::OnDeny, Verdict::Allow)
            | (Self::OnAllow, Verdict::Deny) => false,
            (Self::OnDeny, Verdict::Deny)
            | (Self::OnAllow, Verdict::Allow)
            | (Self::OnDenyAndAllow, Verdict::Allow | Verdict::Deny) => true,
        }
    }
}

/// What all the rules of a filter say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judgement<'r> {
    /// The name of the filter that judges; empty if it has none.
    pub filter: &'r str,
    /// What was decided; `None` if there are only shadow rules.
    pub decision: Option<Decision<'r>>,
    /// What the shadow rules would have decided, if there are any.
    pub shadow: Option<Decision<'r>>,
}

impl<'r> Judgement<'r> {
    /// The same, said by the filter called `name`.
    #[must_use]
    pub fn by(self, name: &'r str) -> Self {
        Self { filter: name, ..self }
    }

    /// The decision that counts on `facts`, for loggers.
    #[must_use]
    pub fn enforced<'a>(&'a self, facts: &Facts<'a>) -> Option<AuditEvent<'a>> {
        Some(self.event(self.decision?, Effect::Enforced, facts))
    }

    /// The decision of shadow rules on `facts`, for loggers.
    #[must_use]
    pub fn tried<'a>(&'a self, facts: &Facts<'a>) -> Option<AuditEvent<'a>> {
        Some(self.event(self.shadow?, Effect::Shadow, facts))
    }

    fn event<'a>(
        &'a self,
        decision: Decision<'a>,
        effect: Effect,
        facts: &Facts<'a>,
    ) -> AuditEvent<'a> {
        AuditEvent { filter: self.filter, decision, effect, facts: *facts }
    }

    /// Whether it may happen. Shadow rules have no say.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.decision.is_none_or(|decision| decision.is_allowed())
    }
}

/// Is told of every judgement, for metrics and audit logs. Called on the request path, before the
/// request goes on: implementations are quick and never block.
pub trait Observer: Send + Sync {
    /// This was said of that.
    ///
    /// # Errors
    /// [`Unrecorded`] if nothing may happen without a record, and there can be none: what the rules
    /// allow is then refused.
    fn judged(&self, judgement: &Judgement<'_>, facts: &Facts<'_>) -> Result<(), Unrecorded>;

    /// What was refused passes nevertheless: an emergency called `title`, for which somebody has
    /// signed, lets it in. By default nothing is done about it.
    ///
    /// # Errors
    /// [`Unrecorded`] if nothing may happen without a record, and there can be none: it is refused
    /// then.
    fn let_in(&self, title: &Arc<str>, facts: &Facts<'_>) -> Result<(), Unrecorded> {
        let _ = (title, facts);
        Ok(())
    }
}
