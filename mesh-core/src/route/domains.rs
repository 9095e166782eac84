use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{Error, VirtualHost};

/// Finds the virtual host of an authority.
///
/// As in Envoy (and gRFC A28): an exact domain, else the longest `*suffix`, else the longest
/// `prefix*`, else `*`. A `*` stands for at least one character. The port belongs to the authority
/// and is compared as written, unless the table ignores it.
#[derive(Debug, Default)]
pub(super) struct Domains {
    exact: FxHashMap<Box<str>, u32>,
    /// Without their `*`, by length, longest first.
    suffixes: Vec<(usize, FxHashMap<Box<str>, u32>)>,
    prefixes: Vec<(usize, FxHashMap<Box<str>, u32>)>,
    any: Option<u32>,
    ignore_port: bool,
}

/// The domain that an authority matched, without its `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match<'a> {
    Exact(&'a str),
    Suffix(&'a str),
    Prefix(&'a str),
    Any,
}

impl Domains {
    /// Has no domains.
    pub(super) fn new(ignore_port: bool) -> Self {
        Self { ignore_port, ..Self::default() }
    }

    /// Adds the domains of `host`, which is called `index` in what [`find`](Self::find) returns.
    pub(super) fn add(&mut self, host: &VirtualHost, index: u32) -> Result<(), Error> {
        let virtual_host = || Arc::clone(&host.name);
        if host.domains.is_empty() {
            return Err(Error::NoDomains { virtual_host: virtual_host() });
        }
        for given in &host.domains {
            let domain = given.to_ascii_lowercase();
            let slot = self.slot(&domain).ok_or_else(|| Error::Domain {
                virtual_host: virtual_host(),
                domain: given.clone(),
            })?;
            if !slot.claim(index) {
                return Err(Error::DuplicateDomain { virtual_host: virtual_host(), domain });
            }
        }
        Ok(())
    }

    /// The virtual host for `authority`, and by which domain.
    pub(super) fn find(&self, authority: &str) -> Option<(u32, Match<'_>)> {
        let authority = match self.ignore_port {
            true => split_port(authority).map_or(authority, |(host, _)| host),
            false => authority,
        };
        // Almost every authority is in lower case, and exact. If it is not, this finds nothing.
        if let Some((domain, index)) = self.exact.get_key_value(authority) {
            return Some((*index, Match::Exact(domain)));
        }
        if authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.find_lower(&authority.to_ascii_lowercase())
        } else {
            self.find_lower(authority)
        }
    }

    fn find_lower(&self, authority: &str) -> Option<(u32, Match<'_>)> {
        if let Some((domain, index)) = self.exact.get_key_value(authority) {
            return Some((*index, Match::Exact(domain)));
        }
        for (length, domains) in &self.suffixes {
            let start = authority.len().checked_sub(*length).filter(|start| *start > 0);
            let Some(suffix) = start.and_then(|start| authority.get(start..)) else { continue };
            if let Some((suffix, index)) = domains.get_key_value(suffix) {
                return Some((*index, Match::Suffix(suffix)));
            }
        }
        for (length, domains) in &self.prefixes {
            let shorter = *length < authority.len();
            let Some(prefix) = authority.get(..*length).filter(|_| shorter) else { continue };
            if let Some((prefix, index)) = domains.get_key_value(prefix) {
                return Some((*index, Match::Prefix(prefix)));
            }
        }
        self.any.map(|index| (index, Match::Any))
    }

    fn slot(&mut self, domain: &str) -> Option<Slot<'_>> {
        if domain == "*" {
            return Some(Slot::Any(&mut self.any));
        }
        let suffix = domain.strip_prefix('*');
        let prefix = domain.strip_suffix('*');
        let fixed = suffix.or(prefix).unwrap_or(domain);
        if fixed.is_empty() || fixed.contains('*') {
            return None;
        }
        let map = match (suffix, prefix) {
            (Some(_), _) => of_length(&mut self.suffixes, fixed.len()),
            (None, Some(_)) => of_length(&mut self.prefixes, fixed.len()),
            (None, None) => &mut self.exact,
        };
        Some(Slot::Map(map, fixed.into()))
    }
}

/// The place of one domain.
enum Slot<'a> {
    Any(&'a mut Option<u32>),
    Map(&'a mut FxHashMap<Box<str>, u32>, Box<str>),
}

impl Slot<'_> {
    /// Puts `index` there, unless the place is taken.
    fn claim(self, index: u32) -> bool {
        match self {
            Self::Any(any) => any.replace(index).is_none(),
            Self::Map(map, key) => map.insert(key, index).is_none(),
        }
    }
}

fn of_length(
    by_length: &mut Vec<(usize, FxHashMap<Box<str>, u32>)>,
    length: usize,
) -> &mut FxHashMap<Box<str>, u32> {
    let at = by_length.partition_point(|(other, _)| *other > length);
    if by_length.get(at).is_none_or(|(other, _)| *other != length) {
        by_length.insert(at, (length, FxHashMap::default()));
    }
    &mut by_length[at].1
}

/// The host and the port of an authority, if it has one. The colons of a bracketed IPv6 address
/// are none of a port.
pub(super) fn split_port(authority: &str) -> Option<(&str, &str)> {
    authority.rsplit_once(':').filter(|(_, port)| !port.contains(']'))
}
