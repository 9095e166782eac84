//! A line of a chain, taken apart without changing a byte.

use super::Kind;
use super::link::hash;

/// A line whose hash is right.
#[derive(Clone, Copy, Debug)]
pub(in crate::audit) struct Line<'a> {
    pub(in crate::audit) seq: u64,
    pub(in crate::audit) prev: &'a str,
    pub(in crate::audit) kind: Kind,
    /// The signature, and what it is of.
    pub(in crate::audit) mac: Option<(&'a str, &'a [u8])>,
    pub(in crate::audit) hash: &'a str,
}

impl<'a> Line<'a> {
    /// Takes apart a line without its line feed; `None` if it is not exactly what would have been
    /// written.
    pub(in crate::audit) fn read(text: &'a str) -> Option<Self> {
        let (hashed, hash_text) = ending(text.strip_suffix('}')?, ",\"hash\":\"")?;
        if hash(hashed.as_bytes()) != hash_text {
            return None;
        }
        let (seq, rest) = hashed.strip_prefix("{\"seq\":")?.split_once(",\"prev\":\"")?;
        let number: u64 = seq.parse().ok()?;
        let (prev, rest) = rest.split_once("\",\"kind\":\"")?;
        let (kind, _) = rest.split_once("\",")?;
        let kind = Kind::ALL.into_iter().find(|it| it.name() == kind)?;
        let mac = ending(hashed, ",\"mac\":\"").map(|(signed, mac)| (mac, signed.as_bytes()));
        let is_canonical = number.to_string() == seq && is_hash(prev);
        is_canonical.then_some(Self { seq: number, prev, kind, mac, hash: hash_text })
    }
}

/// `text` before a last member called `name` whose value is a hash, and the value.
fn ending<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let text = text.strip_suffix('"')?;
    let (before, value) = text.split_at_checked(text.len().checked_sub(HASH)?)?;
    Some((before.strip_suffix(name)?, value)).filter(|_| is_hash(value))
}

fn is_hash(text: &str) -> bool {
    text.len() == HASH && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Hexadecimal digits of SHA-256.
const HASH: usize = 64;
