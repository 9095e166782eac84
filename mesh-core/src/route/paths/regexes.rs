use regex_automata::meta::{BuildError, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::{Anchored, Input, MatchKind, PatternSet};

use super::Entry;
use crate::matcher::{FullRegex, anchored, syntax};

/// The regular expressions of one virtual host that start alike.
#[derive(Debug)]
pub(super) struct Regexes {
    /// The route of each pattern, ascending.
    routes: Box<[u32]>,
    program: Program,
}

#[derive(Debug)]
enum Program {
    One(FullRegex),
    Many {
        /// Reports the lowest pattern that matches.
        lowest: Regex,
        /// Reports all patterns that match. Absent when no route asks for more than its path: then
        /// the lowest is the answer.
        all: Option<Regex>,
    },
}

impl Regexes {
    /// Compiles `patterns`, which are ascending by route: one stays as it is, several become one
    /// automaton.
    pub(super) fn new(patterns: &[(&FullRegex, Entry)]) -> Result<Self, String> {
        let routes = patterns.iter().map(|(_, entry)| entry.route).collect();
        let program = match patterns {
            [(only, _)] => Program::One((*only).clone()),
            _ => Program::many(patterns)?,
        };
        Ok(Self { routes, program })
    }

    /// The first route.
    pub(super) fn first(&self) -> u32 {
        self.route(0)
    }

    /// The route of a pattern; `u32::MAX` after the last.
    pub(super) fn route(&self, pattern: usize) -> u32 {
        self.routes.get(pattern).copied().unwrap_or(u32::MAX)
    }

    /// The first pattern that matches `path`.
    pub(super) fn lowest(&self, path: &str) -> Option<usize> {
        match &self.program {
            Program::One(regex) => regex.matches(path.as_bytes()).then_some(0),
            Program::Many { lowest, .. } => {
                lowest.search_half(&input(path)).map(|found| found.pattern().as_usize())
            }
        }
    }

    /// All patterns that match `path`, as far as there are several.
    pub(super) fn all(&self, path: &str) -> PatternSet {
        let mut found = PatternSet::new(self.routes.len());
        if let Program::Many { all: Some(all), .. } = &self.program {
            all.which_overlapping_matches(&input(path), &mut found);
        }
        found
    }
}

impl Program {
    fn many(patterns: &[(&FullRegex, Entry)]) -> Result<Self, String> {
        let anchored: Vec<_> =
            patterns.iter().map(|(regex, _)| anchored(regex.pattern())).collect();
        let is_asked_on = patterns.iter().any(|(_, entry)| !entry.closes);
        let build = |kind| automaton(&anchored, kind);
        Ok(Self::Many {
            lowest: build(MatchKind::LeftmostFirst)?,
            all: is_asked_on.then(|| build(MatchKind::All)).transpose()?,
        })
    }
}

fn input(path: &str) -> Input<'_> {
    Input::new(path).anchored(Anchored::Yes)
}

fn automaton(patterns: &[String], kind: MatchKind) -> Result<Regex, String> {
    // States of the lazy automaton grow with the number of patterns that may still match.
    let cache = patterns.len().saturating_mul(STATES_PER_PATTERN).clamp(CACHE.0, CACHE.1);
    Regex::builder()
        .syntax(syntax())
        .configure(
            Regex::config()
                .match_kind(kind)
                .utf8_empty(false)
                .which_captures(WhichCaptures::Implicit)
                .nfa_size_limit(Some(PROGRAM_LIMIT))
                .hybrid_cache_capacity(cache),
        )
        .build_many(patterns)
        .map_err(|error| reason(&error))
}

fn reason(error: &BuildError) -> String {
    match error.size_limit() {
        Some(limit) => format!("more than {limit} bytes"),
        None => error.to_string(),
    }
}

/// Bytes of all compiled patterns that start alike.
const PROGRAM_LIMIT: usize = 32 << 20;

/// Bytes of cached states per pattern, and their bounds in sum, per automaton and thread in use.
/// Reserved as paths ask for it, not at once.
const STATES_PER_PATTERN: usize = 16 << 10;
const CACHE: (usize, usize) = (2 << 20, 16 << 20);
