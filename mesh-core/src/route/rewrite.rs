use std::fmt;

use regex::bytes::{Captures, Regex, RegexBuilder};

use crate::matcher::Error;

/// Replaces what a pattern finds in a path (Envoy's `RegexMatchAndSubstitute`).
///
/// Every match is replaced, not only the first. In the substitution, `\0` is the whole match, `\1`
/// to `\9` are its groups and `\\` is a backslash.
#[derive(Clone)]
pub struct RegexRewrite {
    regex: Regex,
    substitution: Box<str>,
    pieces: Box<[Piece]>,
}

#[derive(Clone)]
enum Piece {
    Text(Box<str>),
    Group(usize),
}

impl RegexRewrite {
    /// Compiles `pattern` and `substitution`.
    ///
    /// # Errors
    ///
    /// [`Error::Regex`] for a pattern that is none, [`Error::Substitution`] for a substitution with
    /// a group that `pattern` does not have, or a `\` before anything else.
    pub fn new(pattern: &str, substitution: &str) -> Result<Self, Error> {
        let regex = RegexBuilder::new(pattern)
            .unicode(false)
            .size_limit(1 << 20)
            .build()
            .map_err(|error| crate::matcher::regex_error(&error))?;
        let pieces = pieces(substitution, regex.captures_len())?;
        Ok(Self { regex, substitution: substitution.into(), pieces })
    }

    /// `path`, rewritten. `None` when nothing is left of it, or more than 64 KiB.
    #[must_use]
    pub fn apply(&self, path: &str) -> Option<String> {
        let mut rewritten = Vec::with_capacity(path.len());
        let mut end = 0;
        for captures in self.regex.captures_iter(path.as_bytes()) {
            let whole = captures.get(0)?;
            rewritten.extend_from_slice(path.as_bytes().get(end..whole.start())?);
            self.substitute(&captures, &mut rewritten);
            end = whole.end();
            if rewritten.len() > PATH_LIMIT {
                return None;
            }
        }
        rewritten.extend_from_slice(path.as_bytes().get(end..)?);
        // A pattern of bytes may cut a character in two.
        let rewritten = String::from_utf8(rewritten).ok()?;
        (1..=PATH_LIMIT).contains(&rewritten.len()).then_some(rewritten)
    }

    fn substitute(&self, captures: &Captures<'_>, into: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => into.extend_from_slice(text.as_bytes()),
                Piece::Group(group) => {
                    into.extend_from_slice(
                        captures.get(*group).map_or(b"", |group| group.as_bytes()),
                    );
                }
            }
        }
    }
}

fn pieces(substitution: &str, groups: usize) -> Result<Box<[Piece]>, Error> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut chars = substitution.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            text.push(char);
            continue;
        }
        match chars.next() {
            Some('\\') => text.push('\\'),
            Some(digit) => {
                let group = digit.to_digit(10).and_then(|group| usize::try_from(group).ok());
                let group = group.filter(|group| *group < groups).ok_or(Error::Substitution)?;
                pieces.push(Piece::Text(std::mem::take(&mut text).into()));
                pieces.push(Piece::Group(group));
            }
            None => return Err(Error::Substitution),
        }
    }
    pieces.push(Piece::Text(text.into()));
    Ok(pieces.into())
}

impl PartialEq for RegexRewrite {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str() && self.substitution == other.substitution
    }
}

impl Eq for RegexRewrite {}

impl fmt::Debug for RegexRewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegexRewrite")
            .field("pattern", &self.regex.as_str())
            .field("substitution", &self.substitution)
            .finish()
    }
}

/// Bytes of a rewritten path. A short pattern that matches everywhere must not blow a request up.
const PATH_LIMIT: usize = 64 << 10;
