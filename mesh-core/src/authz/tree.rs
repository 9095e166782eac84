//! Rules as a tree of matchers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::expression::MAX_DEPTH;
use super::input::{Input, Seen};
use super::{Action, Decision, Expression, Facts, TooDeep, Truth, Verdict};

/// A tree of matchers whose leaves say what happens (`xds.type.matcher.v3.Matcher`, gRFC A106).
/// What reaches no leaf is denied.
///
/// Where it cannot be known which way a request goes, it goes all of them: it is allowed only if
/// each ends at a leaf that allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    branches: Branches,
    otherwise: Option<OnMatch>,
    /// The lengths of prefixes, longest first.
    lengths: Box<[usize]>,
    /// Whether any leaf says [`Action::Log`].
    logs: bool,
}

/// How a [`Tree`] goes on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Branches {
    /// In order: the first whose predicate holds (`matcher_list`).
    List(Vec<(Expression, OnMatch)>),
    /// By a value (`exact_match_map`).
    Exact(Input, BTreeMap<Box<[u8]>, OnMatch>),
    /// By how a value starts, the longest first (`prefix_match_map`).
    Prefix(Input, BTreeMap<Box<[u8]>, OnMatch>),
}

/// What happens at a match.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum OnMatch {
    /// This.
    Act(Outcome),
    /// What another tree says. If it says nothing, there was no match.
    Tree(Box<Tree>),
}

/// A leaf (Envoy's `config.rbac.v3.Action`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What decisions call it.
    pub name: Arc<str>,
    /// What it does.
    pub action: Action,
}

impl Tree {
    /// A tree of `branches`, with `otherwise` for what matches none of them.
    ///
    /// # Errors
    /// [`TooDeep`] when it has more than [`MAX_TREE_DEPTH`] levels, or a predicate more than
    /// [`MAX_DEPTH`].
    pub fn new(branches: Branches, otherwise: Option<OnMatch>) -> Result<Self, TooDeep> {
        let mut lengths = Vec::new();
        if let Branches::Prefix(_, map) = &branches {
            lengths.extend(map.keys().map(|prefix| prefix.len()));
            lengths.sort_unstable_by(|a, b| b.cmp(a));
            lengths.dedup();
        }
        let mut tree = Self { branches, otherwise, lengths: lengths.into(), logs: false };
        tree.check_depth(MAX_TREE_DEPTH)?;
        let logs = tree.children().any(OnMatch::logs);
        tree.logs = logs;
        Ok(tree)
    }

    /// What the leaf says that is reached.
    #[must_use]
    pub fn evaluate(&self, facts: &Facts<'_>) -> Decision<'_> {
        let Reached { outcome, may_miss, is_certain } = self.reach(facts);
        // One way to be denied is enough, be it by a leaf or by reaching none.
        let decisive = outcome.filter(|outcome| outcome.action == Action::Deny || !may_miss);
        let action = decisive.map(|outcome| outcome.action);
        let matched = match (outcome, is_certain) {
            (Some(_), true) => Truth::Yes,
            (None, true) => Truth::No,
            (_, false) => Truth::Unknown,
        };
        Decision {
            verdict: match action {
                Some(Action::Allow | Action::Log) => Verdict::Allow,
                Some(Action::Deny) | None => Verdict::Deny,
            },
            policy: decisive.map(|outcome| &outcome.name),
            rule: None,
            matched,
            log: self.logs.then_some(action == Some(Action::Log)),
            audit: false,
        }
    }

    fn reach(&self, facts: &Facts<'_>) -> Reached<'_> {
        match &self.branches {
            Branches::List(list) => {
                let found = list.iter().map(|(predicate, to)| (predicate.evaluate(facts), to));
                self.first(found, facts)
            }
            Branches::Exact(input, map) => self.by_value((input, map), facts, |value| {
                self.first(map.get(value).map(|to| (Truth::Yes, to)).into_iter(), facts)
            }),
            Branches::Prefix(input, map) => self.by_value((input, map), facts, |value| {
                let prefixes = self.lengths.iter().filter_map(|length| value.get(..*length));
                let found = prefixes.filter_map(|prefix| map.get(prefix));
                self.first(found.map(|to| (Truth::Yes, to)), facts)
            }),
        }
    }

    /// Where the first of `candidates` leads to that matches, or else what `otherwise` says.
    fn first<'t>(
        &'t self,
        candidates: impl Iterator<Item = (Truth, &'t OnMatch)>,
        facts: &Facts<'_>,
    ) -> Reached<'t> {
        let mut reached = Reached { outcome: None, may_miss: false, is_certain: true };
        let otherwise = self.otherwise.iter().map(|to| (Truth::Yes, to));
        for (truth, to) in candidates.chain(otherwise).filter(|(truth, _)| *truth != Truth::No) {
            let found = to.reach(facts);
            if found.outcome.is_some() {
                reached.outcome = worse(reached.outcome, found.outcome);
                reached.is_certain &= found.is_certain && truth == Truth::Yes;
            }
            if truth == Truth::Yes && !found.may_miss {
                return reached;
            }
        }
        reached.may_miss = true;
        reached
    }

    /// Where the readings of `input` lead to, one by one.
    fn by_value<'t>(
        &'t self,
        (input, map): (&Input, &'t BTreeMap<Box<[u8]>, OnMatch>),
        facts: &Facts<'_>,
        reach: impl Fn(&[u8]) -> Reached<'t>,
    ) -> Reached<'t> {
        let mut reached: Option<Reached<'t>> = None;
        let seen = input.read(facts, &mut |value| {
            let one = reach(value);
            reached = Some(reached.map_or(one, |others| others.or(one)));
        });
        match (seen, reached) {
            (Seen::Unavailable, _) => {
                self.first(map.values().map(|to| (Truth::Unknown, to)), facts)
            }
            (Seen::Absent | Seen::Present, Some(reached)) => reached,
            (Seen::Absent | Seen::Present, None) => self.first(std::iter::empty(), facts),
        }
    }

    /// Where it may go: the branches, then `otherwise`.
    fn children(&self) -> Box<dyn Iterator<Item = &OnMatch> + '_> {
        match &self.branches {
            Branches::List(list) => Box::new(list.iter().map(|(_, to)| to).chain(&self.otherwise)),
            Branches::Exact(_, map) | Branches::Prefix(_, map) => {
                Box::new(map.values().chain(&self.otherwise))
            }
        }
    }

    fn check_depth(&self, levels: usize) -> Result<(), TooDeep> {
        let below = levels.checked_sub(1).ok_or(TooDeep)?;
        if let Branches::List(list) = &self.branches {
            list.iter().try_for_each(|(predicate, _)| predicate.check_depth(MAX_DEPTH))?;
        }
        self.children().try_for_each(|child| match child {
            OnMatch::Act(_) => Ok(()),
            OnMatch::Tree(tree) => tree.check_depth(below),
        })
    }
}

impl OnMatch {
    fn reach(&self, facts: &Facts<'_>) -> Reached<'_> {
        match self {
            Self::Act(outcome) => {
                Reached { outcome: Some(outcome), may_miss: false, is_certain: true }
            }
            Self::Tree(tree) => tree.reach(facts),
        }
    }

    fn logs(&self) -> bool {
        match self {
            Self::Act(outcome) => outcome.action == Action::Log,
            Self::Tree(tree) => tree.logs,
        }
    }
}

/// Where a request may end.
#[derive(Clone, Copy)]
struct Reached<'t> {
    /// The leaf; of several, one that denies if there is one.
    outcome: Option<&'t Outcome>,
    /// Whether it may reach none.
    may_miss: bool,
    /// Whether there is only one way.
    is_certain: bool,
}

impl<'t> Reached<'t> {
    /// This or that.
    fn or(self, other: Self) -> Self {
        let is_same = self.outcome == other.outcome && self.may_miss == other.may_miss;
        Self {
            outcome: worse(self.outcome, other.outcome),
            may_miss: self.may_miss || other.may_miss,
            is_certain: is_same && self.is_certain && other.is_certain,
        }
    }
}

fn worse<'t>(one: Option<&'t Outcome>, other: Option<&'t Outcome>) -> Option<&'t Outcome> {
    match (one, other) {
        (Some(one), Some(other)) if one.action != Action::Deny && other.action == Action::Deny => {
            Some(other)
        }
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}

/// Levels of trees in trees at the most (gRFC A106).
pub const MAX_TREE_DEPTH: usize = 16;
