//! Trees of matchers (`xds.type.matcher.v3.Matcher`, gRFC A106).

use std::collections::{BTreeMap, HashMap};

use envoy_types::pb::envoy::config::rbac::v3::Action as ActionMessage;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use envoy_types::pb::xds::r#type::matcher::v3::Matcher;
use envoy_types::pb::xds::r#type::matcher::v3::matcher::matcher_list::Predicate;
use envoy_types::pb::xds::r#type::matcher::v3::matcher::matcher_list::predicate::{
    MatchType, PredicateList,
};
use envoy_types::pb::xds::r#type::matcher::v3::matcher::matcher_tree::TreeType;
use envoy_types::pb::xds::r#type::matcher::v3::matcher::{
    self, MatcherList, MatcherTree, MatcherType,
};
use mesh_core::authz::{Branches, Expression, MAX_TREE_DEPTH, OnMatch, Outcome, TooDeep, Tree};

use super::input;
use super::rules::action;
use super::scope::{Levels, Scope};
use crate::parse::value::unpack;
use crate::parse::{Path, Reject};

/// The tree in `message`.
pub(super) fn tree(message: &Matcher, scope: &Scope<'_>, path: &Path<'_>) -> Result<Tree, Reject> {
    nested(message, (scope, MAX_TREE_DEPTH), path)
}

fn nested(
    message: &Matcher,
    (scope, levels): (&Scope<'_>, usize),
    path: &Path<'_>,
) -> Result<Tree, Reject> {
    let below = levels.checked_sub(1).ok_or_else(|| path.reject(TooDeep))?;
    let within = (scope, below);
    let branches = match &message.matcher_type {
        Some(MatcherType::MatcherList(list)) => {
            list_branches(list, within, &path.field("matcher_list"))?
        }
        Some(MatcherType::MatcherTree(tree)) => {
            map_branches(tree, within, &path.field("matcher_tree"))?
        }
        // Nothing matches, and what nothing matches is denied.
        None => Branches::List(Vec::new()),
    };
    let otherwise = message.on_no_match.as_ref();
    let otherwise = otherwise.map(|to| on_match(to, within, &path.field("on_no_match")));
    Tree::new(branches, otherwise.transpose()?).map_err(|why| path.reject(why))
}

fn list_branches(
    list: &MatcherList,
    within: (&Scope<'_>, usize),
    path: &Path<'_>,
) -> Result<Branches, Reject> {
    if list.matchers.is_empty() {
        return Err(path.field("matchers").reject("is empty"));
    }
    let mut branches = Vec::new();
    for (at, message) in list.matchers.iter().enumerate() {
        let path = path.element("matchers", at);
        let (when, then) = (path.field("predicate"), path.field("on_match"));
        let predicate = message.predicate.as_ref().ok_or_else(|| when.reject("is required"))?;
        let to = message.on_match.as_ref().ok_or_else(|| then.reject("is required"))?;
        let predicate = expression(predicate, (within.0, Levels::ALL), &when)?;
        branches.push((predicate, on_match(to, within, &then)?));
    }
    Ok(Branches::List(branches))
}

fn map_branches(
    tree: &MatcherTree,
    within: (&Scope<'_>, usize),
    path: &Path<'_>,
) -> Result<Branches, Reject> {
    let at = path.field("input");
    let input = tree.input.as_ref().ok_or_else(|| at.reject("is required"))?;
    let input = input::text(input, within.0, &at)?;
    match &tree.tree_type {
        Some(TreeType::ExactMatchMap(map)) => {
            let map = entries(&map.map, within, &path.field("exact_match_map"))?;
            Ok(Branches::Exact(input, map))
        }
        Some(TreeType::PrefixMatchMap(map)) => {
            let map = entries(&map.map, within, &path.field("prefix_match_map"))?;
            Ok(Branches::Prefix(input, map))
        }
        Some(TreeType::CustomMatch(extension)) => {
            let kind = extension.typed_config.as_ref().map_or("nothing", |any| &any.type_url);
            let why = format_args!("{kind} is not supported");
            Err(path.field("custom_match").reject(why))
        }
        None => Err(path.reject("has no tree_type that is known")),
    }
}

fn entries(
    map: &HashMap<String, matcher::OnMatch>,
    within: (&Scope<'_>, usize),
    path: &Path<'_>,
) -> Result<BTreeMap<Box<[u8]>, OnMatch>, Reject> {
    if map.is_empty() {
        return Err(path.field("map").reject("is empty"));
    }
    let mut messages: Vec<_> = map.iter().collect();
    messages.sort_unstable_by_key(|(key, _)| *key);
    let mut entries = BTreeMap::new();
    for (key, message) in messages {
        within.0.count(path)?;
        let to = on_match(message, within, &path.entry("map", key))?;
        entries.insert(key.as_bytes().into(), to);
    }
    Ok(entries)
}

fn on_match(
    message: &matcher::OnMatch,
    within: (&Scope<'_>, usize),
    path: &Path<'_>,
) -> Result<OnMatch, Reject> {
    if message.keep_matching {
        return Err(path.field("keep_matching").reject("is not supported"));
    }
    match &message.on_match {
        Some(matcher::on_match::OnMatch::Matcher(message)) => {
            let tree = nested(message, within, &path.field("matcher"))?;
            Ok(OnMatch::Tree(Box::new(tree)))
        }
        Some(matcher::on_match::OnMatch::Action(extension)) => {
            outcome(extension, &path.field("action")).map(OnMatch::Act)
        }
        None => Err(path.reject("has neither matcher nor action")),
    }
}

fn outcome(extension: &TypedExtensionConfig, path: &Path<'_>) -> Result<Outcome, Reject> {
    let at = path.field("typed_config");
    let any = extension.typed_config.as_ref().ok_or_else(|| at.reject("is required"))?;
    let Some(message) = unpack::<ActionMessage>(any, &at)? else {
        return Err(at.reject(format_args!("{} is not supported", any.type_url)));
    };
    if message.name.is_empty() {
        return Err(at.field("name").reject("is empty"));
    }
    Ok(Outcome { name: message.name.as_str().into(), action: action(message.action, &at)? })
}

fn expression(
    message: &Predicate,
    (scope, levels): (&Scope<'_>, Levels),
    path: &Path<'_>,
) -> Result<Expression, Reject> {
    let within = (scope, levels.below(path)?);
    match &message.match_type {
        Some(MatchType::SinglePredicate(message)) => {
            scope.count(path)?;
            input::single(message, scope, &path.field("single_predicate")).map(Expression::Is)
        }
        Some(MatchType::OrMatcher(list)) => {
            several(list, within, &path.field("or_matcher")).map(Expression::Any)
        }
        Some(MatchType::AndMatcher(list)) => {
            several(list, within, &path.field("and_matcher")).map(Expression::All)
        }
        Some(MatchType::NotMatcher(message)) => {
            expression(message, within, &path.field("not_matcher")).map(Expression::not)
        }
        None => Err(path.reject("has no match_type that is known")),
    }
}

fn several(
    list: &PredicateList,
    within: (&Scope<'_>, Levels),
    path: &Path<'_>,
) -> Result<Vec<Expression>, Reject> {
    if list.predicate.len() < 2 {
        return Err(path.field("predicate").reject("has fewer than two"));
    }
    let one = |(at, message)| expression(message, within, &path.element("predicate", at));
    list.predicate.iter().enumerate().map(one).collect()
}
