//! What policies demand of a request.

use http::header::{CONTENT_TYPE, COOKIE, HeaderName, TE};
use rustc_hash::FxHashMap;

use crate::authz::{Condition, Expression};
use crate::matcher::{Cidr, Field, HeaderMatcher, StringMatcher, StringPattern, ValueMatcher};

/// What an attribute must have.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key<'p> {
    /// This text.
    Text { attribute: Attribute<'p>, form: Form, text: &'p [u8] },
    /// An address of this range.
    Range(End, Cidr),
}

/// Which address of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum End {
    Source,
    Destination,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Attribute<'p> {
    Path,
    Method,
    Authority,
    /// A name of the client.
    Name,
    Header(&'p HeaderName),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    Exact,
    /// Exact, but for the case of letters.
    Folded,
    Prefix,
}

/// Keys of which at least one must be there.
pub(super) struct Demand<'p> {
    pub(super) keys: Vec<Key<'p>>,
    /// How many other conditions share them.
    pub(super) cost: usize,
}

pub(super) type Counts<'p> = FxHashMap<Key<'p>, usize>;

pub(super) fn count<'p>(part: &'p Expression, counts: &mut Counts<'p>) {
    match part {
        Expression::All(parts) | Expression::Any(parts) => {
            parts.iter().for_each(|part| count(part, counts));
        }
        Expression::Is(condition) => {
            for key in keys(condition) {
                *counts.entry(key).or_default() += 1;
            }
        }
        Expression::Always | Expression::Not(_) => {}
    }
}

fn demand<'p>(part: &'p Expression, counts: &Counts<'p>) -> Option<Demand<'p>> {
    match part {
        Expression::All(parts) => {
            parts.iter().filter_map(|part| demand(part, counts)).min_by_key(|it| it.cost)
        }
        Expression::Any(parts) => of_any(parts, counts),
        Expression::Is(condition) => {
            let keys = keys(condition);
            let cost = keys.iter().map(|key| counts.get(key).copied().unwrap_or(0)).sum();
            (!keys.is_empty()).then_some(Demand { keys, cost })
        }
        Expression::Always | Expression::Not(_) => None,
    }
}

pub(super) fn of_any<'p>(parts: &'p [Expression], counts: &Counts<'p>) -> Option<Demand<'p>> {
    let none = Demand { keys: Vec::new(), cost: 0 };
    parts.iter().try_fold(none, |mut all, part| {
        let one = demand(part, counts)?;
        all.keys.extend(one.keys);
        all.cost = all.cost.saturating_add(one.cost);
        Some(all)
    })
}

/// Of what something must be there for `condition` to be anything but false; nothing, if that
/// cannot be said.
fn keys(condition: &Condition) -> Vec<Key<'_>> {
    let ranges = |end, ranges: &[Cidr]| ranges.iter().map(|it| Key::Range(end, *it)).collect();
    if let Condition::SourceIp(all) = condition {
        ranges(End::Source, all)
    } else if let Condition::DestinationIp(all) = condition {
        ranges(End::Destination, all)
    } else {
        text_of(condition).into_iter().collect()
    }
}

fn text_of(condition: &Condition) -> Option<Key<'_>> {
    match condition {
        Condition::Path(matcher) => text_key(Attribute::Path, matcher),
        Condition::Authenticated(Some(matcher)) => text_key(Attribute::Name, matcher),
        Condition::Header(matcher) => header_key(matcher),
        Condition::PathTemplate(_)
        | Condition::Authenticated(None)
        | Condition::DestinationIp(_)
        | Condition::DestinationPort(_)
        | Condition::SourceIp(_)
        | Condition::ServerName(_)
        | Condition::Certificate(_)
        | Condition::Metadata(_)
        | Condition::RouteMetadata(_)
        | Condition::Text(..) => None,
    }
}

fn header_key(matcher: &HeaderMatcher) -> Option<Key<'_>> {
    let ValueMatcher::String(text) = &matcher.value else { return None };
    if matcher.invert || matcher.treat_missing_as_empty {
        return None;
    }
    match &matcher.field {
        Field::Method => text_key(Attribute::Method, text),
        Field::Authority => text_key(Attribute::Authority, text),
        Field::ContentType => text_key(Attribute::Header(&CONTENT_TYPE), text),
        // Both have readings of their own.
        Field::Header(name) if *name == TE || *name == COOKIE => None,
        Field::Header(name) => text_key(Attribute::Header(name), text),
        Field::Path => full_path_key(text),
        Field::Scheme => None,
    }
}

fn text_key<'p>(attribute: Attribute<'p>, matcher: &'p StringMatcher) -> Option<Key<'p>> {
    let (form, text) = match (matcher.pattern(), matcher.ignores_case()) {
        (StringPattern::Exact(text), false) => (Form::Exact, text),
        (StringPattern::Exact(text), true) if text.len() <= MAX_FOLDED => (Form::Folded, text),
        (StringPattern::Prefix(text), false) => (Form::Prefix, text),
        (
            StringPattern::Exact(_)
            | StringPattern::Prefix(_)
            | StringPattern::Suffix(_)
            | StringPattern::Contains(_)
            | StringPattern::Regex(_),
            _,
        ) => return None,
    };
    Some(Key::Text { attribute, form, text: text.as_bytes() })
}

/// `:path` has the query, which paths are not filed with.
fn full_path_key(matcher: &StringMatcher) -> Option<Key<'_>> {
    let key = text_key(Attribute::Path, matcher)?;
    let Key::Text { attribute, form, text } = key else { return Some(key) };
    let Some(end) = text.iter().position(|byte| *byte == b'?') else { return Some(key) };
    let form = match form {
        Form::Exact | Form::Prefix => Form::Exact,
        Form::Folded => Form::Folded,
    };
    Some(Key::Text { attribute, form, text: text.get(..end)? })
}

/// Bytes of a text at the most whose case is ignored. Host names have 253.
pub(super) const MAX_FOLDED: usize = 256;
