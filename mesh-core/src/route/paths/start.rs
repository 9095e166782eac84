use regex_automata::util::syntax::parse_with;
use regex_syntax::hir::{Class, ClassBytesRange, Hir, HirKind, Repetition};

use crate::matcher::{anchored, syntax};

/// What every path that a regular expression matches starts with.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Start {
    /// Whether the case of its ASCII letters does not matter. Then they are in lower case.
    pub(super) any_case: bool,
    /// Byte by byte; `None` stands for any one byte. Does not end with that.
    pub(super) bytes: Vec<Option<u8>>,
}

impl Start {
    /// The start of `pattern`, or a part of it if it is long; empty if it has none.
    pub(super) fn of(pattern: &str) -> Self {
        let Ok(pattern) = parse_with(&anchored(pattern), &syntax()) else {
            return Self::default();
        };
        let mut one_of = Known::of(&pattern).start;
        let known = one_of.iter().rposition(|one_of| *one_of != OneOf::Any);
        one_of.truncate(known.map_or(0, |last| last + 1));
        let any_case = one_of.iter().any(|one_of| matches!(one_of, OneOf::Letter(_)));
        let byte = |one_of: OneOf| match one_of {
            OneOf::Byte(byte) if any_case => Some(byte.to_ascii_lowercase()),
            OneOf::Byte(byte) | OneOf::Letter(byte) => Some(byte),
            OneOf::Any => None,
        };
        Self { any_case, bytes: one_of.into_iter().map(byte).collect() }
    }
}

/// What is known of the texts that an expression matches.
#[derive(Debug)]
struct Known {
    /// How all of them start.
    start: Vec<OneOf>,
    /// Whether that is all of each.
    is_whole: bool,
}

/// Which bytes may be in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OneOf {
    Byte(u8),
    /// An ASCII letter, here in lower case, in either case.
    Letter(u8),
    Any,
}

impl Known {
    /// Of the empty text, and only that.
    const EMPTY: Self = Self { start: Vec::new(), is_whole: true };

    /// Nothing.
    const NOTHING: Self = Self { start: Vec::new(), is_whole: false };

    fn of(expression: &Hir) -> Self {
        match expression.kind() {
            // What is looked at only narrows what is matched.
            HirKind::Empty | HirKind::Look(_) => Self::EMPTY,
            HirKind::Literal(literal) => {
                let start = literal.0.iter().map(|byte| OneOf::Byte(*byte)).collect();
                Self::EMPTY.then(&Self { start, is_whole: true })
            }
            HirKind::Class(class) => match OneOf::of(class) {
                Some(one_of) => Self { start: vec![one_of], is_whole: true },
                None => Self::NOTHING,
            },
            HirKind::Repetition(repetition) => Self::of_repetition(repetition),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Concat(parts) => parts.iter().fold(Self::EMPTY, |all, part| {
                // What cannot add anything is not looked into.
                if all.is_whole { all.then(&Self::of(part)) } else { all }
            }),
            HirKind::Alternation(branches) => {
                let common = branches.iter().map(Self::of).reduce(|one, other| one.common(&other));
                common.unwrap_or(Self::NOTHING)
            }
        }
    }

    fn of_repetition(repetition: &Repetition) -> Self {
        let once = Self::of(&repetition.sub);
        let mut all = Self::EMPTY;
        for _ in 0..repetition.min {
            if !all.is_whole || once.start.is_empty() {
                break;
            }
            all = all.then(&once);
        }
        let is_fixed = repetition.max == Some(repetition.min);
        Self { is_whole: all.is_whole && once.is_whole && is_fixed, ..all }
    }

    /// Of texts like this one with texts like `more` after them.
    fn then(mut self, more: &Self) -> Self {
        if self.is_whole {
            self.start.extend(&more.start);
            self.is_whole = more.is_whole && self.start.len() <= MOST;
            self.start.truncate(MOST);
        }
        self
    }

    /// Of texts of which some are like this one, and some like `other`.
    fn common(self, other: &Self) -> Self {
        let both = self.start.iter().zip(&other.start);
        let start: Vec<_> = both.map(|(one, other)| one.or(*other)).collect();
        let is_all = |known: &Self| known.is_whole && known.start.len() == start.len();
        let is_whole = is_all(&self) && is_all(other);
        Self { start, is_whole }
    }
}

impl OneOf {
    /// `None` if what `class` matches may be several bytes, or nothing.
    fn of(class: &Class) -> Option<Self> {
        let bytes = match class {
            Class::Bytes(class) => class,
            Class::Unicode(class) => &class.to_byte_class()?,
        };
        let is_one = |range: &ClassBytesRange| range.start() == range.end();
        match bytes.ranges() {
            [] => None,
            [one] if is_one(one) => Some(Self::Byte(one.start())),
            // In order, so upper case first.
            [upper, lower] if is_one(upper) && is_one(lower) => {
                Some(Self::Byte(lower.start()).or(Self::Byte(upper.start())))
            }
            [_, ..] => Some(Self::Any),
        }
    }

    /// What is in a place where there is this or `other`.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Byte(one), Self::Byte(other)) if one == other => self,
            (Self::Byte(one) | Self::Letter(one), Self::Byte(other) | Self::Letter(other))
                if one.eq_ignore_ascii_case(&other) =>
            {
                Self::Letter(one.to_ascii_lowercase())
            }
            (Self::Byte(_) | Self::Letter(_) | Self::Any, _) => Self::Any,
        }
    }
}

/// How much of a start is of use: paths that differ do so before.
const MOST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_what_all_matches_have_in_common() {
        // A `_` stands for any byte.
        let cases = [
            ("", "", false),
            (".*", "", false),
            ("/a", "/a", false),
            ("/a/.*", "/a/", false),
            ("/a/v[0-9]+/b", "/a/v", false),
            (r"/a\.b/c?", "/a.b/", false),
            // Places of one byte, as an unescaped dot is; not those at the end.
            ("/a.b/[0-9]{2}/c.[ab]+", "/a_b/__/c", false),
            ("/a[^/]", "/a", false),
            ("..", "", false),
            // A part that may be missing, be there often, or be there so many times.
            ("/a(?:bc)?d", "/a", false),
            ("/a(?:bc)*d", "/a", false),
            ("/a(?:bc)+d", "/abc", false),
            ("/a(bc){2}d", "/abcbcd", false),
            ("/a(bc){2,}d", "/abcbc", false),
            ("/(?:[0-9]a){2}", "/_a_a", false),
            ("/(?:a|bcd){2}e", "/", false),
            // Alternatives, inside and on top.
            ("/a/b|/a/c", "/a/", false),
            ("/a/b/d|/a/c/d", "/a/_/d", false),
            ("/a/b|/c", "/", false),
            ("/a|b", "", false),
            ("/a|", "", false),
            ("/a/(?:bx|by)/c", "/a/b_/c", false),
            ("/(?:ab|a)c", "/a", false),
            // Where case does not matter.
            ("(?i)/Ab/C.*", "/ab/c", true),
            ("/A(?i:B)/C[0-9]", "/ab/c", true),
            ("/A/[0-9](?i:B)", "/a/_b", true),
            ("/A/[0-9]+(?i:B)", "/A/", false),
            ("/Ab|/aB", "/ab", true),
            ("/[aA]", "/a", true),
            ("/[aB]b", "/_b", false),
            ("(?i)/1/\u{e9}.", "/1/\u{e9}", false),
            ("(?iu)/s", "/", false),
            ("(?iu)/a", "/a", true),
            // What is looked at, what never matches, and what may be several bytes.
            (r"^/a\b$|\A/ab", "/a", false),
            (r"/a[^\x00-\xff]b", "/a", false),
            ("(?s:/a.b)", "/a_b", false),
            ("(?u:/a.b)", "/a", false),
        ];
        for (pattern, expect, any_case) in cases {
            let bytes = expect.bytes().map(|byte| Some(byte).filter(|byte| *byte != b'_'));
            let expect = Start { any_case, bytes: bytes.collect() };
            assert_eq!(Start::of(pattern), expect, "{pattern}");
        }
    }

    #[test]
    fn a_start_may_be_no_text_and_is_not_endless() {
        assert_eq!(Start::of(r"/\xff.").bytes, [Some(b'/'), Some(0xff)]);
        assert_eq!(Start::of("a{1000}b").bytes, [Some(b'a'); MOST]);
        assert_eq!(Start::of("(?:a{100}){100}b").bytes, [Some(b'a'); MOST]);
    }
}
