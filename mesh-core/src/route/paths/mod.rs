//! The path patterns of one virtual host, compiled: which routes may match a path, in order.
//!
//! Exact paths are one hash look-up, prefixes one walk down a radix trie, regular expressions one
//! pass of an automaton that holds all of them. Each gives lists of routes in ascending order, and
//! the candidates are their merge. So first-match semantics stay, and what a look-up costs depends
//! on the path and on how many patterns match it, not on how many there are.

mod candidates;
mod regexes;
mod trie;

use rustc_hash::FxHashMap;

pub(super) use candidates::Candidates;
use regexes::Regexes;
use trie::{Ends, Trie};

use super::Route;
use crate::matcher::PathPattern;

/// The path patterns of one virtual host. Routes are called by their index in it.
#[derive(Debug)]
pub(super) struct Paths {
    exact: FxHashMap<Box<str>, List>,
    prefixes: Trie,
    /// All patterns that ignore case except regular expressions, exact paths included.
    any_case: Trie,
    regexes: Option<Regexes>,
}

/// Routes with the same pattern, in ascending order.
///
/// It ends with the first route that needs nothing but the path: those after it never match.
#[derive(Clone, Debug, Default)]
struct List {
    routes: Vec<u32>,
    is_closed: bool,
}

/// A route, on its way into a list.
#[derive(Clone, Copy, Debug)]
struct Entry {
    route: u32,
    /// Whether the route needs nothing but the path.
    closes: bool,
}

impl Paths {
    /// Compiles the patterns of `routes`.
    ///
    /// # Errors
    ///
    /// What the compiler of regular expressions says when there are too many.
    pub(super) fn new<'a>(routes: impl Iterator<Item = (u32, &'a Route)>) -> Result<Self, String> {
        let mut paths = Self {
            exact: FxHashMap::default(),
            prefixes: Trie::new(),
            any_case: Trie::any_case(),
            regexes: None,
        };
        let mut regexes = Vec::new();
        for (index, route) in routes {
            let path = &route.matcher.path;
            let entry = Entry { route: index, closes: route.matcher.is_unconditional() };
            let (pattern, ends) = match path.pattern() {
                PathPattern::Exact(exact) if !path.ignores_case() => {
                    paths.exact.entry(exact.clone()).or_default().push(entry);
                    continue;
                }
                PathPattern::Regex(regex) => {
                    regexes.push((regex.pattern(), entry));
                    continue;
                }
                PathPattern::Exact(exact) => (exact, Ends::Here),
                PathPattern::Prefix(prefix) => (prefix, Ends::Anywhere),
                PathPattern::PathSeparatedPrefix(prefix) => (prefix, Ends::AtSegment),
            };
            let trie = match path.ignores_case() {
                true => &mut paths.any_case,
                false => &mut paths.prefixes,
            };
            trie.push(pattern, ends, entry);
        }
        if !regexes.is_empty() {
            paths.regexes = Some(Regexes::new(&regexes)?);
        }
        Ok(paths)
    }

    /// The routes whose pattern matches `path`, in order.
    pub(super) fn candidates<'a>(&'a self, path: &'a str) -> Candidates<'a> {
        let mut candidates = Candidates::new(path, self.regexes.as_ref());
        if !self.exact.is_empty()
            && let Some(list) = self.exact.get(path)
        {
            candidates.add(list);
        }
        self.prefixes.walk(path.as_bytes(), &mut candidates);
        self.any_case.walk(path.as_bytes(), &mut candidates);
        candidates.seal();
        candidates
    }
}

impl List {
    fn push(&mut self, entry: Entry) {
        if !self.is_closed {
            self.routes.push(entry.route);
            self.is_closed = entry.closes;
        }
    }
}
