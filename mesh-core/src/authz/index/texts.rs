//! The policies that demand something of one attribute.

use rustc_hash::FxHashMap;

use super::demand::{Form, MAX_FOLDED};

/// The policies that demand something of one attribute.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    exact: Map,
    /// As `exact`, by texts in lower case.
    folded: Map,
    /// By the length of the prefix.
    prefixes: Vec<(usize, Map)>,
    /// All of them, in order.
    all: Vec<u32>,
}

/// What there is to read of an attribute.
pub(super) enum Reading {
    /// Only what was seen.
    Clear,
    /// More than was seen, or nothing that can be known.
    Unclear,
}

impl Texts {
    pub(super) fn file(&mut self, form: Form, text: &[u8], at: u32) {
        let map = match form {
            Form::Exact => &mut self.exact,
            Form::Folded => &mut self.folded,
            Form::Prefix => {
                let found = self.prefixes.iter().position(|(length, _)| *length == text.len());
                let found = found.unwrap_or_else(|| {
                    self.prefixes.push((text.len(), Map::default()));
                    self.prefixes.len() - 1
                });
                match self.prefixes.get_mut(found) {
                    Some((_, map)) => map,
                    None => return,
                }
            }
        };
        let text: Box<[u8]> = match form {
            Form::Folded => text.to_ascii_lowercase().into(),
            Form::Exact | Form::Prefix => text.into(),
        };
        for list in [map.entry(text).or_default(), &mut self.all] {
            if list.last() != Some(&at) {
                list.push(at);
            }
        }
    }

    pub(super) fn search(
        &self,
        search: &mut Search<'_>,
        read: impl FnOnce(&mut dyn FnMut(&[u8]) -> Reading) -> Reading,
    ) {
        if self.all.is_empty() {
            return;
        }
        let reading = read(&mut |value| {
            self.one(value, search);
            Reading::Clear
        });
        match reading {
            Reading::Clear => {}
            Reading::Unclear => search.all(&self.all),
        }
    }

    fn one(&self, value: &[u8], search: &mut Search<'_>) {
        if let Some(list) = self.exact.get(value) {
            search.all(list);
        }
        for (length, map) in &self.prefixes {
            if let Some(list) = value.get(..*length).and_then(|prefix| map.get(prefix)) {
                search.all(list);
            }
        }
        if !self.folded.is_empty() {
            let mut lower = [0_u8; MAX_FOLDED];
            // What is longer than that was not filed.
            if let Some(lower) = lower.get_mut(..value.len()) {
                lower.copy_from_slice(value);
                lower.make_ascii_lowercase();
                self.folded.get(&*lower).into_iter().for_each(|list| search.all(list));
            }
        }
    }
}

/// The positions of policies, by the text that they demand.
type Map = FxHashMap<Box<[u8]>, Vec<u32>>;

/// A search for the first policy that matches.
pub(super) struct Search<'m> {
    best: u32,
    matches: &'m mut dyn FnMut(usize) -> bool,
}

impl<'m> Search<'m> {
    pub(super) fn new(matches: &'m mut dyn FnMut(usize) -> bool) -> Self {
        Self { best: u32::MAX, matches }
    }

    pub(super) fn found(&self) -> Option<usize> {
        usize::try_from(self.best).ok().filter(|_| self.best != u32::MAX)
    }

    /// Asks the policies of `list` that come before the best so far.
    pub(super) fn all(&mut self, list: &[u32]) {
        for at in list.iter().take_while(|at| **at < self.best) {
            if usize::try_from(*at).is_ok_and(&mut *self.matches) {
                self.best = *at;
                return;
            }
        }
    }
}
