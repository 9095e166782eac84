//! Where tokens stand in a request.

use http::header::{AUTHORIZATION, COOKIE, HeaderName};

use super::Failure;
use crate::request::RequestHead;

/// Where a provider's tokens stand (`from_headers`, `from_params`, `from_cookies`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locations {
    /// Header fields, each with what stands before the token.
    pub headers: Vec<(HeaderName, Box<str>)>,
    /// Query parameters.
    pub params: Vec<Box<str>>,
    /// Cookies.
    pub cookies: Vec<Box<str>>,
}

/// `authorization` after `Bearer `, and the query parameter `access_token` (RFC 6750).
impl Default for Locations {
    fn default() -> Self {
        let headers = vec![(AUTHORIZATION, "Bearer ".into())];
        Self { headers, params: vec!["access_token".into()], cookies: Vec::new() }
    }
}

/// A token in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The token; empty if it is not even text.
    pub token: &'a str,
    /// Where it stands.
    pub place: Place,
}

/// Where a token stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this header field.
    Header(HeaderName),
    /// In the query.
    Param,
    /// In a cookie.
    Cookie,
}

/// Tokens of one request that are looked at for one provider. All must be valid, so each costs a
/// signature.
const MOST: usize = 8;

impl Locations {
    /// All tokens of the request that stand where they may.
    ///
    /// What comes before a token is compared without regard to case: a scheme's name has none
    /// (RFC 9110, 11.1). Where it comes later in a value, what follows is a token to Envoy and to
    /// some services, so it is one here that is not valid.
    ///
    /// # Errors
    /// [`Failure::TooMuch`] for more than eight.
    pub fn find<'a>(&self, head: &RequestHead<'a>) -> Result<Vec<Found<'a>>, Failure> {
        let headers = self.headers.iter().flat_map(|(name, prefix)| {
            let values = head.headers.get_all(name).into_iter();
            values.filter_map(move |value| {
                let token = after(value.as_bytes(), prefix.as_bytes())?;
                Some(Found { token: text(token), place: Place::Header(name.clone()) })
            })
        });
        let params = self.params.iter().flat_map(|name| {
            let all = head.query.into_iter().flat_map(|query| query.split('&'));
            let all = all.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            let own = all.filter(move |(key, _)| unescaped(key).eq(name.bytes()));
            own.map(|(_, token)| Found { token, place: Place::Param })
        });
        let cookies = self.cookies.iter().flat_map(|name| {
            let all = head.headers.get_all(COOKIE).into_iter();
            let all = all.flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
            all.filter_map(move |pair| {
                let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
                Some(Found { token: text(unquoted(value)), place: Place::Cookie })
            })
        });
        let found: Vec<_> = headers.chain(params).chain(cookies).take(MOST + 1).collect();
        if found.len() > MOST { Err(Failure::TooMuch) } else { Ok(found) }
    }
}

fn after<'a>(value: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = value.split_at_checked(prefix.len())?;
    if start.eq_ignore_ascii_case(prefix) {
        return Some(rest.trim_ascii());
    }
    let mut later = value.windows(prefix.len().max(1));
    later.any(|it| it.eq_ignore_ascii_case(prefix)).then_some(&[])
}

/// The name of a query parameter without percent-encoding; what is none is as it stands.
fn unescaped(name: &str) -> impl Iterator<Item = u8> {
    let mut rest = name.as_bytes();
    std::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        let escaped = match rest {
            [b'%', high, low, beyond @ ..] => hex(*high).zip(hex(*low)).zip(Some(beyond)),
            _ => None,
        };
        let (byte, left) = match escaped {
            Some(((high, low), beyond)) => (high * 16 + low, beyond),
            None => (*first, after),
        };
        rest = left;
        Some(byte)
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|it| u8::try_from(it).ok())
}

/// The value of a cookie may stand in quotes (RFC 6265, 4.1.1).
fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\"")).unwrap_or(value)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
