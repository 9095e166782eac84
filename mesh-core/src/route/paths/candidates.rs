use super::List;
use super::regexes::Regexes;
use super::scan::Scan;

/// The routes whose pattern matches one path, given one by one in ascending order.
///
/// Holds its sources in place; only a path under more than [`LISTS`] nested prefixes or [`SCANS`]
/// nested starts of regular expressions allocates, as does asking on after one of several of those
/// matched and another condition did not.
#[derive(Debug)]
pub(in crate::route) struct Candidates<'a> {
    lists: [&'a [u32]; LISTS],
    used: usize,
    /// The content of lists for which there was no place, sorted and read from `spilled_from`.
    spill: Vec<u32>,
    spilled_from: usize,
    /// No route from this one on can be first.
    limit: u32,
    path: &'a str,
    scans: [Option<Scan<'a>>; SCANS],
    /// Those for which there was no place.
    more_scans: Vec<Scan<'a>>,
}

impl<'a> Candidates<'a> {
    #[inline]
    pub(in crate::route) fn new(path: &'a str) -> Self {
        Self {
            lists: [&[]; LISTS],
            used: 0,
            spill: Vec::new(),
            spilled_from: 0,
            limit: u32::MAX,
            path,
            scans: [const { None }; SCANS],
            more_scans: Vec::new(),
        }
    }

    pub(super) fn path(&self) -> &'a str {
        self.path
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

    /// Adds the routes of those of `regexes` whose pattern matches.
    pub(super) fn add_regexes(&mut self, regexes: &'a Regexes) {
        if regexes.first() >= self.limit {
            return;
        }
        match self.scans.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(Scan::new(regexes)),
            None => self.more_scans.push(Scan::new(regexes)),
        }
    }

    /// No route from this one on can be first, as far as is known.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// Ends the adding.
    pub(super) fn seal(&mut self) {
        if !self.spill.is_empty() {
            self.spill.sort_unstable();
        }
    }

    /// The next route.
    pub(in crate::route) fn pop(&mut self) -> Option<u32> {
        loop {
            let (source, route) = self.lowest();
            if route >= self.limit {
                return None;
            }
            match source {
                Source::List(at) => {
                    self.lists[at] = self.lists[at].get(1..).unwrap_or_default();
                    return Some(route);
                }
                Source::Spill => {
                    self.spilled_from += 1;
                    return Some(route);
                }
                Source::Scan(at) => {
                    let path = self.path;
                    let found = self.scan(at).and_then(|scan| scan.pop(path));
                    if found.is_some() {
                        return found;
                    }
                }
            }
        }
    }

    /// The source with the lowest route, and that route.
    fn lowest(&self) -> (Source, u32) {
        let spilled = self.spill.get(self.spilled_from).copied().unwrap_or(u32::MAX);
        let mut lowest = (Source::Spill, spilled);
        for (at, list) in self.lists.iter().enumerate().take(self.used) {
            if let Some(route) = list.first().filter(|route| **route < lowest.1) {
                lowest = (Source::List(at), *route);
            }
        }
        let scans = self.scans.iter().map_while(Option::as_ref).chain(&self.more_scans);
        for (at, scan) in scans.enumerate() {
            if scan.route() < lowest.1 {
                lowest = (Source::Scan(at), scan.route());
            }
        }
        lowest
    }

    fn scan(&mut self, at: usize) -> Option<&mut Scan<'a>> {
        match self.scans.get_mut(at) {
            Some(place) => place.as_mut(),
            None => self.more_scans.get_mut(at.checked_sub(SCANS)?),
        }
    }
}

#[derive(Clone, Copy)]
enum Source {
    List(usize),
    Spill,
    Scan(usize),
}

/// How many lists have a place without allocation: an exact path, `/`, and six prefixes below it.
const LISTS: usize = 8;

/// The same of regular expressions: those without a start, `/`, and two longer starts.
const SCANS: usize = 4;
