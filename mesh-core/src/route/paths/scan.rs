use regex_automata::{PatternID, PatternSet};

use super::regexes::Regexes;

/// A lazy run of regular expressions over one path: not before a route is asked for that may lose
/// against one of them, and for all of them only once the lowest was not enough.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    regexes: &'a Regexes,
    /// The pattern that is next, if it matches.
    next: usize,
    /// Whether it does, or there is none.
    is_sure: bool,
    /// All that match, once that is known. In a box, as few searches get that far.
    all: Option<Box<PatternSet>>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(regexes: &'a Regexes) -> Self {
        Self { regexes, next: 0, is_sure: false, all: None }
    }

    /// No route before this one is left; `u32::MAX` if none is left at all.
    pub(super) fn route(&self) -> u32 {
        self.regexes.route(self.next)
    }

    /// Gives [`route`](Self::route) out if its pattern matches `path`. Otherwise goes on to the
    /// next one that does.
    pub(super) fn pop(&mut self, path: &str) -> Option<u32> {
        if !self.is_sure {
            self.is_sure = true;
            let before = self.next;
            self.next = self.matching(path).unwrap_or(usize::MAX);
            if self.next != before {
                return None;
            }
        }
        let route = self.route();
        self.next = self.next.saturating_add(1);
        self.is_sure = false;
        Some(route)
    }

    /// The first pattern from the next one on that matches `path`.
    fn matching(&mut self, path: &str) -> Option<usize> {
        if self.next == 0 {
            return self.regexes.lowest(path);
        }
        let all = self.all.get_or_insert_with(|| Box::new(self.regexes.all(path)));
        let left = (self.next..all.capacity()).filter_map(|pattern| PatternID::new(pattern).ok());
        left.into_iter().find(|pattern| all.contains(*pattern)).map(|pattern| pattern.as_usize())
    }
}
