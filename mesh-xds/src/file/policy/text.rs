//! What a value matches: `exact`, `prefix*`, `*suffix`, or `*` for anything that is there.

use std::net::IpAddr;

use envoy_types::pb::envoy::config::core::v3::CidrRange;
use envoy_types::pb::envoy::config::route::v3::HeaderMatcher;
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher};
use envoy_types::pb::google::protobuf::UInt32Value;

use crate::file::cursor::Cursor;
use crate::file::error::FileError;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form<'v> {
    /// `*`: anything that is not empty.
    Present,
    Exact(&'v str),
    Prefix(&'v str),
    Suffix(&'v str),
}

/// Whether letters of either case are the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Matters,
    Ignored,
}

impl<'v> Form<'v> {
    /// The form of the text at `cursor`.
    ///
    /// A `*` elsewhere would match nothing but itself, which nobody means: a rule that denies
    /// would let everything pass.
    pub(super) fn read(cursor: &Cursor<'v>) -> Result<Self, FileError> {
        let value = filled(cursor)?;
        let form = Self::of(value);
        let rest = match form {
            Self::Present => "",
            Self::Exact(rest) | Self::Prefix(rest) | Self::Suffix(rest) => rest,
        };
        if rest.contains('*') {
            return Err(cursor.invalid("`*` may only stand alone, or at one end"));
        }
        Ok(form)
    }

    pub(super) fn of(value: &'v str) -> Self {
        if value == "*" {
            return Self::Present;
        }
        match (value.strip_prefix('*'), value.strip_suffix('*')) {
            (Some(rest), _) => Self::Suffix(rest),
            (None, Some(rest)) => Self::Prefix(rest),
            (None, None) => Self::Exact(value),
        }
    }

    /// What it matches.
    pub(super) fn matcher(self, case: Case) -> StringMatcher {
        let pattern = match self {
            Self::Present => return regex("(?s).+".to_owned()),
            Self::Exact(text) => MatchPattern::Exact(text.to_owned()),
            Self::Prefix(text) => MatchPattern::Prefix(text.to_owned()),
            Self::Suffix(text) => MatchPattern::Suffix(text.to_owned()),
        };
        StringMatcher { match_pattern: Some(pattern), ignore_case: case == Case::Ignored }
    }

    /// The same of the header field `name`.
    pub(super) fn header(self, name: &str, case: Case) -> HeaderMatcher {
        let specifier = match self {
            Self::Present => HeaderMatchSpecifier::PresentMatch(true),
            Self::Exact(_) | Self::Prefix(_) | Self::Suffix(_) => {
                HeaderMatchSpecifier::StringMatch(self.matcher(case))
            }
        };
        HeaderMatcher {
            name: name.to_owned(),
            header_match_specifier: Some(specifier),
            ..Default::default()
        }
    }
}

/// What matches the whole of `pattern`.
pub(super) fn regex(pattern: String) -> StringMatcher {
    let regex = RegexMatcher { regex: pattern, ..Default::default() };
    StringMatcher { match_pattern: Some(MatchPattern::SafeRegex(regex)), ignore_case: false }
}

/// A text that is not empty.
pub(super) fn filled<'v>(cursor: &Cursor<'v>) -> Result<&'v str, FileError> {
    match cursor.text()? {
        "" => Err(cursor.invalid("may not be empty")),
        text => Ok(text),
    }
}

/// An address, or a range of them as `10.0.0.0/8`.
pub(super) fn range(cursor: &Cursor<'_>) -> Result<CidrRange, FileError> {
    let text = filled(cursor)?;
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let wrong = || cursor.invalid("expected an IP address or a range such as `10.0.0.0/8`");
    let ip: IpAddr = address.parse().map_err(|_| wrong())?;
    let max: u32 = if ip.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Some(max), |it| it.parse().ok().filter(|it| *it <= max));
    let value = length.ok_or_else(wrong)?;
    Ok(CidrRange { address_prefix: ip.to_string(), prefix_len: Some(UInt32Value { value }) })
}

/// A port, which is a string as in Istio, or a number.
pub(super) fn port(cursor: &Cursor<'_>) -> Result<u32, FileError> {
    let number = if cursor.is_text() {
        // Rust also reads a sign.
        let digits = cursor.text()?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| is_number).map(u32::from)
    } else {
        Some(cursor.number(u32::from(u16::MAX))?)
    };
    let number = number.filter(|port| *port != 0);
    number.ok_or_else(|| cursor.invalid("a port is a number from 1 to 65535"))
}
