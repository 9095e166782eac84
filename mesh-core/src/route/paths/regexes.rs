use regex_automata::meta::{BuildError, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::{Anchored, Input, MatchKind, PatternID, PatternSet};

use super::Entry;
use crate::matcher::{anchored, syntax};

/// The regular expressions of one virtual host in one automaton.
#[derive(Debug)]
pub(super) struct Regexes {
    /// Reports the lowest pattern that matches.
    lowest: Regex,
    /// Reports all patterns that match. Absent when no route asks for more than its path: then the
    /// lowest is the answer.
    all: Option<Regex>,
    /// The route of each pattern, ascending.
    routes: Box<[u32]>,
}

impl Regexes {
    /// Compiles `patterns`, which are ascending by route.
    pub(super) fn new(patterns: &[(&str, Entry)]) -> Result<Self, String> {
        let anchored: Vec<_> = patterns.iter().map(|(pattern, _)| anchored(pattern)).collect();
        let is_asked_on = patterns.iter().any(|(_, entry)| !entry.closes);
        let build = |kind| automaton(&anchored, kind);
        Ok(Self {
            lowest: build(MatchKind::LeftmostFirst)?,
            all: is_asked_on.then(|| build(MatchKind::All)).transpose()?,
            routes: patterns.iter().map(|(_, entry)| entry.route).collect(),
        })
    }

    fn lowest(&self, path: &str) -> Option<PatternID> {
        let input = Input::new(path).anchored(Anchored::Yes);
        self.lowest.search_half(&input).map(|found| found.pattern())
    }

    fn all(&self, path: &str) -> PatternSet {
        let mut found = PatternSet::new(self.routes.len());
        if let Some(all) = &self.all {
            let input = Input::new(path).anchored(Anchored::Yes);
            all.which_overlapping_matches(&input, &mut found);
        }
        found
    }

    fn route(&self, pattern: PatternID) -> Option<u32> {
        self.routes.get(pattern.as_usize()).copied()
    }
}

/// A lazy run of the automaton over one path: not before a route is asked for that may lose
/// against a pattern, and for all patterns only once the lowest was not enough.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    regexes: Option<&'a Regexes>,
    state: State,
}

#[derive(Debug)]
enum State {
    NotRun,
    /// The next pattern to give out.
    Found(Source, PatternID),
    /// The last pattern that was given out.
    GivenOut(Source, PatternID),
    Done,
}

/// Where patterns come from.
#[derive(Debug)]
enum Source {
    Lowest,
    All(PatternSet),
}

impl<'a> Scan<'a> {
    pub(super) fn new(regexes: Option<&'a Regexes>) -> Self {
        let state = if regexes.is_some() { State::NotRun } else { State::Done };
        Self { regexes, state }
    }

    /// The next route whose pattern matches `path`, if it is below `limit`.
    #[inline]
    pub(super) fn next_below(&mut self, limit: u32, path: &str) -> Option<u32> {
        let regexes = self.regexes?;
        let possible = regexes.routes.first().is_some_and(|first| *first < limit);
        if possible { self.run(regexes, limit, path) } else { None }
    }

    fn run(&mut self, regexes: &Regexes, limit: u32, path: &str) -> Option<u32> {
        let found = match std::mem::replace(&mut self.state, State::Done) {
            State::NotRun => regexes.lowest(path).map(|pattern| (Source::Lowest, pattern)),
            State::GivenOut(source, last) => {
                let all = match source {
                    Source::Lowest => regexes.all(path),
                    Source::All(all) => all,
                };
                after(last, &all).map(|pattern| (Source::All(all), pattern))
            }
            State::Found(source, pattern) => Some((source, pattern)),
            State::Done => None,
        };
        let (source, pattern) = found?;
        let route = regexes.route(pattern)?;
        let is_next = route < limit;
        self.state = match is_next {
            true => State::GivenOut(source, pattern),
            false => State::Found(source, pattern),
        };
        is_next.then_some(route)
    }
}

fn after(last: PatternID, all: &PatternSet) -> Option<PatternID> {
    let above = (last.as_usize().saturating_add(1)..all.capacity()).map(PatternID::new);
    above.flatten().find(|pattern| all.contains(*pattern))
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

/// Bytes of all compiled patterns of a virtual host.
const PROGRAM_LIMIT: usize = 32 << 20;

/// Bytes of cached states per pattern, and their bounds in sum, per automaton and thread in use.
/// Reserved as paths ask for it, not at once.
const STATES_PER_PATTERN: usize = 16 << 10;
const CACHE: (usize, usize) = (2 << 20, 16 << 20);
