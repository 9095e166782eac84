//! The path patterns of one virtual host, compiled: which routes may match a path, in order.
//!
//! Exact paths are one hash look-up, prefixes one walk down a radix trie. Regular expressions hang
//! in the trie as well, by what all their matches start with: those that start alike are one
//! automaton, which runs over paths with that start, and only if its lowest route may be first.
//! Those without such a start are one automaton at the root.
//! Each gives routes in ascending order, and the candidates are their merge. So first-match
//! semantics stay, and what a look-up costs depends on the path and on how many patterns match it,
//! not on how many there are.

mod candidates;
mod regexes;
mod scan;
mod start;
mod trie;

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

pub(super) use candidates::Candidates;
use regexes::Regexes;
use start::Start;
use trie::{Ends, Trie};

use super::Route;
use crate::matcher::PathPattern;

/// The path patterns of one virtual host. Routes are called by their index in it.
#[derive(Debug)]
pub(super) struct Paths {
    exact: FxHashMap<Box<str>, List>,
    /// Prefixes, and regular expressions whose start minds case or is empty.
    prefixes: Trie,
    /// All patterns that ignore case, exact paths included.
    any_case: Trie,
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
        let mut paths =
            Self { exact: FxHashMap::default(), prefixes: Trie::new(), any_case: Trie::any_case() };
        let mut regexes = BTreeMap::<_, Vec<_>>::new();
        for (index, route) in routes {
            let path = &route.matcher.path;
            let entry = Entry { route: index, closes: route.matcher.is_unconditional() };
            let (pattern, ends) = match path.pattern() {
                PathPattern::Exact(exact) if !path.ignores_case() => {
                    paths.exact.entry(exact.clone()).or_default().push(entry);
                    continue;
                }
                PathPattern::Regex(regex) => {
                    let start = Start::of(regex.pattern());
                    regexes.entry(start).or_default().push((regex, entry));
                    continue;
                }
                PathPattern::Exact(exact) => (exact, Ends::Here),
                PathPattern::Prefix(prefix) => (prefix, Ends::Anywhere),
                PathPattern::PathSeparatedPrefix(prefix) => (prefix, Ends::AtSegment),
            };
            paths.trie(path.ignores_case()).push(pattern, ends, entry);
        }
        for (start, regexes) in regexes {
            paths.trie(start.any_case).push_regexes(&start.bytes, Regexes::new(&regexes)?);
        }
        Ok(paths)
    }

    /// Adds to `candidates` the routes whose pattern matches their path.
    pub(super) fn collect<'a>(&'a self, candidates: &mut Candidates<'a>) {
        let path = candidates.path();
        if !self.exact.is_empty()
            && let Some(list) = self.exact.get(path)
        {
            candidates.add(list);
        }
        self.prefixes.walk(path.as_bytes(), candidates);
        self.any_case.walk(path.as_bytes(), candidates);
        candidates.seal();
    }

    fn trie(&mut self, any_case: bool) -> &mut Trie {
        if any_case { &mut self.any_case } else { &mut self.prefixes }
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
