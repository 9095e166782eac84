//! Trees of matchers.

use std::collections::BTreeMap;

use super::*;
use crate::matcher::Field;

fn act(name: &str) -> OnMatch {
    let action = match name.split_at(1).0 {
        "a" => Action::Allow,
        "l" => Action::Log,
        _ => Action::Deny,
    };
    OnMatch::Act(Outcome { name: name.into(), action })
}

fn map<const N: usize>(entries: [(&str, OnMatch); N]) -> BTreeMap<Box<[u8]>, OnMatch> {
    entries.into_iter().map(|(key, to)| (key.as_bytes().into(), to)).collect()
}

fn tenant() -> Input {
    Input::Header(Field::new("x-tenant").unwrap())
}

fn sub(branches: Branches, otherwise: Option<OnMatch>) -> OnMatch {
    OnMatch::Tree(Box::new(Tree::new(branches, otherwise).unwrap()))
}

/// The verdict, what decided, and how sure it is.
fn asks(tree: &Tree, values: &[&str]) -> (Verdict, Option<String>, Truth) {
    let mut request = Request::default();
    for value in values {
        request = request.header("x-tenant", value.as_bytes());
    }
    request.judged(|facts| {
        let decision = tree.evaluate(facts);
        (decision.verdict, decision.policy.map(|name| name.to_string()), decision.matched)
    })
}

fn allow(name: &str) -> (Verdict, Option<String>, Truth) {
    (Verdict::Allow, Some(name.into()), Truth::Yes)
}

fn deny(name: &str) -> (Verdict, Option<String>, Truth) {
    (Verdict::Deny, Some(name.into()), Truth::Yes)
}

fn nothing() -> (Verdict, Option<String>, Truth) {
    (Verdict::Deny, None, Truth::No)
}

#[test]
fn values_are_looked_up() {
    let tree = Tree::new(Branches::Exact(tenant(), map([("t", act("a")), ("u", act("d"))])), None);
    let tree = tree.unwrap();
    assert_eq!(asks(&tree, &["t"]), allow("a"));
    assert_eq!(asks(&tree, &["u"]), deny("d"));
    assert_eq!(asks(&tree, &["v"]), nothing());
    assert_eq!(asks(&tree, &[]), nothing());
    // Both readings, and the joined one.
    assert_eq!(asks(&tree, &["t", "t"]), (Verdict::Deny, None, Truth::Unknown));
    assert_eq!(asks(&tree, &["t", "u"]), (Verdict::Deny, Some("d".into()), Truth::Unknown));
}

#[test]
fn the_longest_prefix_wins_unless_it_leads_nowhere() {
    let dead_end = sub(Branches::List(vec![(Expression::Always.not(), act("d"))]), None);
    let prefixes = map([("t", act("a1")), ("te", act("d2")), ("tes", dead_end), ("x", act("l"))]);
    let tree = Tree::new(Branches::Prefix(tenant(), prefixes), Some(act("a3"))).unwrap();
    assert_eq!(asks(&tree, &["t1"]), allow("a1"));
    assert_eq!(asks(&tree, &["te"]), deny("d2"));
    assert_eq!(asks(&tree, &["test"]), deny("d2"));
    assert_eq!(asks(&tree, &["x"]), allow("l"));
    assert_eq!(asks(&tree, &["y"]), allow("a3"));
    assert_eq!(asks(&tree, &[]), allow("a3"));
    assert_eq!(asks(&tree, &["t", "t"]), allow("a1"));
}

#[test]
fn unknown_predicates_go_both_ways() {
    let unknown = || Expression::Is(Condition::Text(Input::SourceIp, exact("10.0.0.1")));
    let list =
        |to, then| Branches::List(vec![(unknown(), act(to)), (Expression::Always, act(then))]);
    let asks = |to, then| {
        let tree = Tree::new(list(to, then), None).unwrap();
        let request = Request::with(|r| r.peer = None);
        request.judged(|facts| {
            let decision = tree.evaluate(facts);
            (decision.verdict, decision.policy.map(|name| name.to_string()), decision.matched)
        })
    };
    let unsure = |verdict, name: &str| (verdict, Some(name.to_owned()), Truth::Unknown);
    assert_eq!(asks("a1", "d2"), unsure(Verdict::Deny, "d2"));
    assert_eq!(asks("d1", "a2"), unsure(Verdict::Deny, "d1"));
    assert_eq!(asks("a1", "a2"), unsure(Verdict::Allow, "a1"));
}

#[test]
fn hints_are_given_where_a_leaf_logs() {
    let tree = |to| Tree::new(Branches::List(vec![(Expression::Always, act(to))]), Some(act("l")));
    let hint = |tree: &Tree| Request::default().judged(|facts| tree.evaluate(facts).log);
    assert_eq!(hint(&tree("l1").unwrap()), Some(true));
    assert_eq!(hint(&tree("a1").unwrap()), Some(false));
    let silent = Tree::new(Branches::List(vec![(Expression::Always, act("a1"))]), None).unwrap();
    assert_eq!(hint(&silent), None);
}

#[test]
fn trees_in_trees_are_bounded() {
    let branches = |to| Branches::List(vec![(Expression::Always, to)]);
    let nested = |levels: usize| {
        let inner = Tree::new(branches(act("a")), None);
        (1..levels).fold(inner, |inner, _| {
            inner.and_then(|inner| Tree::new(branches(OnMatch::Tree(Box::new(inner))), None))
        })
    };
    assert_eq!(asks(&nested(MAX_TREE_DEPTH).unwrap(), &[]), allow("a"));
    assert_eq!(nested(MAX_TREE_DEPTH + 1).unwrap_err(), TooDeep);
}
