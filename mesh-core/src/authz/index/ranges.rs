//! The policies that demand an address of one end of the connection.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::texts::Search;
use crate::matcher::Cidr;

/// The policies that demand an address of one end of the connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    /// The lengths that there are, of both families.
    lengths: Vec<u8>,
    by_range: FxHashMap<Cidr, Vec<u32>>,
    /// All of them, in order.
    all: Vec<u32>,
}

impl Ranges {
    pub(super) fn file(&mut self, range: Cidr, at: u32) {
        if !self.lengths.contains(&range.prefix_len()) {
            self.lengths.push(range.prefix_len());
        }
        for list in [self.by_range.entry(range).or_default(), &mut self.all] {
            if list.last() != Some(&at) {
                list.push(at);
            }
        }
    }

    /// Asks those that demand a range with `address` in it; all of them, if nobody knows it.
    pub(super) fn search(&self, search: &mut Search<'_>, address: Option<IpAddr>) {
        if self.all.is_empty() {
            return;
        }
        let Some(address) = address else { return search.all(&self.all) };
        let address = address.to_canonical();
        for length in &self.lengths {
            // A length that its family does not have is one of the other.
            let range = Cidr::new(address, *length).ok();
            if let Some(list) = range.and_then(|range| self.by_range.get(&range)) {
                search.all(list);
            }
        }
    }
}
