use super::List;
use super::regexes::{Regexes, Scan};

/// The routes whose pattern matches one path, given one by one in ascending order.
///
/// Holds its lists in place; only a path under more than [`INLINE`] nested prefixes allocates, as
/// does asking on after a regular expression matched and another condition did not.
#[derive(Debug)]
pub(in crate::route) struct Candidates<'a> {
    lists: [&'a [u32]; INLINE],
    used: usize,
    /// The content of lists for which there was no place, sorted and read from `spilled_from`.
    spill: Vec<u32>,
    spilled_from: usize,
    /// No route from this one on can be first.
    limit: u32,
    path: &'a str,
    scan: Scan<'a>,
}

impl<'a> Candidates<'a> {
    pub(super) fn new(path: &'a str, regexes: Option<&'a Regexes>) -> Self {
        Self {
            lists: [&[]; INLINE],
            used: 0,
            spill: Vec::new(),
            spilled_from: 0,
            limit: u32::MAX,
            path,
            scan: Scan::new(regexes),
        }
    }

    /// Adds the routes of `list`, whose pattern matches.
    pub(super) fn add(&mut self, list: &'a List) {
        let routes = list.routes.as_slice();
        let (Some(first), Some(last)) = (routes.first(), routes.last()) else { return };
        if *first >= self.limit {
            return;
        }
        if list.is_closed {
            self.limit = self.limit.min(last.saturating_add(1));
        }
        match self.lists.get_mut(self.used) {
            Some(place) => {
                *place = routes;
                self.used += 1;
            }
            None => self.spill.extend_from_slice(routes),
        }
    }

    /// No route from this one on can be first, as far as is known.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// Ends the adding of lists.
    pub(super) fn seal(&mut self) {
        if !self.spill.is_empty() {
            self.spill.sort_unstable();
        }
    }

    /// The next route.
    pub(in crate::route) fn pop(&mut self) -> Option<u32> {
        let (source, route) = self.lowest();
        let below = route.min(self.limit);
        if let Some(route) = self.scan.next_below(below, self.path) {
            return Some(route);
        }
        if route >= self.limit {
            return None;
        }
        match source {
            Source::List(at) => self.lists[at] = self.lists[at].get(1..).unwrap_or_default(),
            Source::Spill => self.spilled_from += 1,
        }
        Some(route)
    }

    /// The list with the lowest route, and that route.
    fn lowest(&self) -> (Source, u32) {
        let spilled = self.spill.get(self.spilled_from).copied().unwrap_or(u32::MAX);
        let mut lowest = (Source::Spill, spilled);
        for (at, list) in self.lists.iter().enumerate().take(self.used) {
            if let Some(route) = list.first().filter(|route| **route < lowest.1) {
                lowest = (Source::List(at), *route);
            }
        }
        lowest
    }
}

#[derive(Clone, Copy)]
enum Source {
    List(usize),
    Spill,
}

/// How many lists have a place without allocation: an exact path, `/`, and six prefixes below it.
const INLINE: usize = 8;
