//! What lets in, for a while, what policies refuse.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use crate::authz::{Authorizer, Facts};

/// Rules that let in, for a while, what the policies of a [`Guard`](super::Guard) refuse: an
/// emergency, which somebody has signed for.
#[derive(Clone, Debug)]
pub struct BreakGlass {
    title: Arc<str>,
    rules: Arc<Authorizer>,
    window: Range<Instant>,
}

impl BreakGlass {
    /// Lets in what `rules` allow, at a time in `window`. Reports call it `title`: who has asked
    /// for it, and why.
    #[must_use]
    pub fn new(title: impl Into<Arc<str>>, rules: Arc<Authorizer>, window: Range<Instant>) -> Self {
        Self { title: title.into(), rules, window }
    }

    /// What reports call it.
    #[must_use]
    pub fn title(&self) -> &Arc<str> {
        &self.title
    }

    /// Whether it lets the request of `facts` in. Rules that are only tried out let nothing in.
    #[must_use]
    pub fn lets_in(&self, facts: &Facts<'_>, now: Instant) -> bool {
        let decision = || self.rules.judge(facts).decision;
        self.window.contains(&now) && decision().is_some_and(|decision| decision.is_allowed())
    }
}
