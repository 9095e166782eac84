//! Which policies a request can match at all.

mod demand;
mod ranges;
mod texts;

use http::header::HeaderName;

use self::demand::{Attribute, Counts, End, Key};
use self::ranges::Ranges;
use self::texts::{Reading, Search, Texts};
use super::condition::names;
use super::{Facts, Policy};

/// Finds the first of many policies to match without looking at most of them.
///
/// A policy that demands, under ANDs and ORs, that an attribute of the request equals or starts
/// with a text, or that an address is in a range, is filed under that text or range, and looked at
/// only by requests that have it. Where a policy offers several demands, the rarest among all
/// policies is taken. Policies without one are looked at by all requests.
///
/// A demand may be unknown instead of true, and a policy that denies fires then. So where an
/// attribute has no single reading, all policies filed under it are looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    path: Texts,
    method: Texts,
    authority: Texts,
    name: Texts,
    headers: Vec<(HeaderName, Texts)>,
    source: Ranges,
    destination: Ranges,
    always: Vec<u32>,
}

impl Index {
    /// Files `policies` under their positions.
    pub(super) fn new<'p>(policies: impl Iterator<Item = &'p Policy> + Clone) -> Self {
        let mut counts = Counts::default();
        for policy in policies.clone() {
            for part in policy.permissions.iter().chain(&policy.principals) {
                demand::count(part, &mut counts);
            }
        }
        let mut index = Self::default();
        for (at, policy) in (0_u32..).zip(policies) {
            let demands = [&policy.permissions, &policy.principals]
                .map(|parts| demand::of_any(parts, &counts));
            match demands.into_iter().flatten().min_by_key(|demand| demand.cost) {
                Some(demand) => demand.keys.into_iter().for_each(|key| index.file(key, at)),
                None => index.always.push(at),
            }
        }
        index
    }

    /// The first policy that `matches`, of those that can.
    pub(super) fn first(
        &self,
        facts: &Facts<'_>,
        mut matches: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        let mut search = Search::new(&mut matches);
        self.path.search(&mut search, |see| match facts.head {
            Some(head) if facts.path_is_plain => see(head.path.as_bytes()),
            Some(_) | None => Reading::Unclear,
        });
        self.method.search(&mut search, |see| match facts.head {
            Some(head) => see(head.method.as_str().as_bytes()),
            None => Reading::Unclear,
        });
        self.authority.search(&mut search, |see| match facts.head {
            Some(head) => see(head.authority.as_bytes()),
            None => Reading::Unclear,
        });
        self.name.search(&mut search, |see| match facts.peer {
            None => Reading::Unclear,
            Some(peer) if peer.session.is_none() => Reading::Clear,
            Some(peer) => {
                names(peer.certificate()).map(|name| see(name.as_bytes())).last();
                Reading::Clear
            }
        });
        for (name, texts) in &self.headers {
            texts.search(&mut search, |see| read_header(name, facts, see));
        }
        self.source.search(&mut search, facts.source().map(|it| it.ip()));
        self.destination.search(&mut search, facts.destination().map(|it| it.ip()));
        search.all(&self.always);
        search.found()
    }

    fn file(&mut self, key: Key<'_>, at: u32) {
        let (attribute, form, text) = match key {
            Key::Text { attribute, form, text } => (attribute, form, text),
            Key::Range(End::Source, range) => return self.source.file(range, at),
            Key::Range(End::Destination, range) => return self.destination.file(range, at),
        };
        let texts = match attribute {
            Attribute::Path => &mut self.path,
            Attribute::Method => &mut self.method,
            Attribute::Authority => &mut self.authority,
            Attribute::Name => &mut self.name,
            Attribute::Header(name) => {
                let found = self.headers.iter().position(|(known, _)| known == name);
                let found = found.unwrap_or_else(|| {
                    self.headers.push((name.clone(), Texts::default()));
                    self.headers.len() - 1
                });
                match self.headers.get_mut(found) {
                    Some((_, texts)) => texts,
                    None => return self.always.push(at),
                }
            }
        };
        texts.file(form, text, at);
    }
}

fn read_header(
    name: &HeaderName,
    facts: &Facts<'_>,
    see: &mut dyn FnMut(&[u8]) -> Reading,
) -> Reading {
    let Some(head) = facts.head else { return Reading::Unclear };
    let mut values = head.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Reading::Clear,
        (Some(value), None) => see(value.as_bytes()),
        (Some(_), Some(_)) => Reading::Unclear,
    }
}
