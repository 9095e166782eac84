//! Conditions under AND, OR and NOT.

use super::{Condition, Facts, Truth};

/// Conditions under AND, OR and NOT (Envoy's `Permission`, `Principal` and `Predicate`).
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// Holds always (`any`).
    Always,
    /// All of them hold (`and_rules`, `and_ids`).
    All(Vec<Expression>),
    /// At least one of them holds (`or_rules`, `or_ids`).
    Any(Vec<Expression>),
    /// It does not hold (`not_rule`, `not_id`).
    Not(Box<Expression>),
    /// The condition holds.
    Is(Condition),
}

impl Expression {
    /// The opposite of `self`.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "it builds, it does not compute")]
    pub fn not(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Whether it holds.
    pub(super) fn evaluate(&self, facts: &Facts<'_>) -> Truth {
        match self {
            Self::Always => Truth::Yes,
            Self::All(parts) => Truth::all(parts.iter().map(|part| part.evaluate(facts))),
            Self::Any(parts) => Truth::any(parts.iter().map(|part| part.evaluate(facts))).0,
            Self::Not(part) => !part.evaluate(facts),
            Self::Is(condition) => condition.evaluate(facts),
        }
    }

    /// Refuses to go deeper than `levels`, which evaluation does by recursion.
    pub(super) fn check_depth(&self, levels: usize) -> Result<(), TooDeep> {
        let below = levels.checked_sub(1).ok_or(TooDeep)?;
        match self {
            Self::Always => Ok(()),
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().try_for_each(|part| part.check_depth(below))
            }
            Self::Not(part) => part.check_depth(below),
            Self::Is(Condition::Metadata(matcher) | Condition::RouteMetadata(matcher)) => {
                if matcher.value.depth() > below { Err(TooDeep) } else { Ok(()) }
            }
            Self::Is(_) => Ok(()),
        }
    }
}

impl From<Condition> for Expression {
    fn from(condition: Condition) -> Self {
        Self::Is(condition)
    }
}

/// An expression, or a tree of matchers, is nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is nested too deeply")]
pub struct TooDeep;

/// Levels of an [`Expression`] at the most, with those of matchers of metadata in it.
pub const MAX_DEPTH: usize = 32;
