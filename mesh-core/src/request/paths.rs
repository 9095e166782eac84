//! One way to write each path, before anything is decided by it.

use std::borrow::Cow;

/// How the paths of requests are rewritten before routes, policies and the application see them
/// (`normalize_path`, `merge_slashes` and `path_with_escaped_slashes_action` of Envoy's connection
/// manager). Default: not at all.
///
/// In this order: escaped slashes, dots and escapes, repeated slashes. A normal path stays what it
/// is. To that end a `%` that begins no escape is escaped itself, and dots are looked for in what is
/// left of a segment; Envoy does neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// What becomes of `%2f` and `%5c`.
    pub escaped_slashes: EscapedSlashes,
    /// Whether `.` and `..` are resolved, `\` is `/`, and what needs no escape has none
    /// (RFC 3986 §6.2.2.2 and §6.2.2.3). A path with `%00` is refused then.
    pub normalize: bool,
    /// Whether several `/` in a row are one.
    pub merge_slashes: bool,
}

/// What becomes of `%2f` and `%5c` in paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EscapedSlashes {
    /// They stay.
    #[default]
    Keep,
    /// The request is refused.
    Reject,
    /// They are `/` and `\`, and the client is asked to say so itself.
    Redirect,
    /// They are `/` and `\`.
    Unescape,
}

/// What a path is rewritten to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewritten<'p> {
    /// This path.
    To(Cow<'p, str>),
    /// This path, which the client is redirected to.
    Redirect(String),
    /// Nothing: the request is refused.
    Refused,
}

impl Paths {
    /// Whether all paths stay as they are.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    /// `path`, without its query, rewritten. `*` stays what it is.
    #[must_use]
    pub fn rewrite<'p>(&self, path: &'p str) -> Rewritten<'p> {
        let mut path = Cow::Borrowed(path);
        if !path.starts_with('/') {
            return Rewritten::To(path);
        }
        let unescaped = match self.escaped_slashes {
            EscapedSlashes::Keep => None,
            EscapedSlashes::Reject | EscapedSlashes::Redirect | EscapedSlashes::Unescape => {
                slashes_unescaped(&path)
            }
        };
        let is_unescaped = unescaped.is_some();
        if let Some(unescaped) = unescaped {
            if self.escaped_slashes == EscapedSlashes::Reject {
                return Rewritten::Refused;
            }
            path = Cow::Owned(unescaped);
        }
        if self.normalize {
            match normalized(&path) {
                Some(normal) if normal == *path => {}
                Some(normal) => path = Cow::Owned(normal),
                None => return Rewritten::Refused,
            }
        }
        if self.merge_slashes && path.contains("//") {
            path = Cow::Owned(merged(&path));
        }
        if is_unescaped && self.escaped_slashes == EscapedSlashes::Redirect {
            return Rewritten::Redirect(path.into_owned());
        }
        Rewritten::To(path)
    }
}

/// `path` with `%2f` and `%5c` as what they stand for; `None` if it has neither.
fn slashes_unescaped(path: &str) -> Option<String> {
    let mut pieces = path.split('%');
    let mut unescaped = String::with_capacity(path.len());
    unescaped.push_str(pieces.next()?);
    let mut found = false;
    for piece in pieces {
        let slash = match piece.as_bytes() {
            [b'2', b'f' | b'F', ..] => '/',
            [b'5', b'c' | b'C', ..] => '\\',
            _ => {
                unescaped.push('%');
                unescaped.push_str(piece);
                continue;
            }
        };
        found = true;
        unescaped.push(slash);
        unescaped.push_str(piece.get(2..).unwrap_or_default());
    }
    found.then_some(unescaped)
}

/// `path` with the fewest escapes and no dots that lead somewhere; `None` if it has a `%00`.
fn normalized(path: &str) -> Option<String> {
    let plain = plain(path)?;
    let mut normal = String::with_capacity(plain.len());
    let mut segments = plain.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        // What stands behind a `;` is for the application, which may look at the dots alone.
        match segment.split(';').next() {
            Some(".") => {}
            Some("..") => normal.truncate(normal.rfind('/').unwrap_or(0)),
            Some(_) | None => {
                normal.push('/');
                normal.push_str(segment);
                continue;
            }
        }
        if is_last {
            normal.push('/');
        }
    }
    if normal.is_empty() {
        normal.push('/');
    }
    Some(normal)
}

/// `path` with slashes that lean one way only, and escapes where there must be some; `None` if it
/// has a `%00`.
fn plain(path: &str) -> Option<String> {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let escaped = match (byte, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        match (byte, escaped) {
            (b'%', None) => plain.push_str("%25"),
            (_, Some(0)) => return None,
            (_, Some(byte)) if is_unreserved(byte) => {
                plain.push(char::from(byte));
                rest = after.get(2..).unwrap_or_default();
            }
            // As if it were escaped, which it would be from here on.
            (0, _) => return None,
            (b'\\', _) => plain.push('/'),
            (byte, _) if is_kept(byte) => plain.push(char::from(byte)),
            (byte, _) => {
                plain.push('%');
                plain.push(char::from(HEX[usize::from(byte >> 4)]));
                plain.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    Some(plain)
}

fn merged(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    merged
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What may stand in a path as it is.
fn is_kept(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}')
}

const HEX: [u8; 16] = *b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NORMAL: Paths =
        Paths { escaped_slashes: EscapedSlashes::Keep, normalize: true, merge_slashes: false };

    fn to(path: &str) -> Rewritten<'_> {
        Rewritten::To(path.into())
    }

    /// What Envoy 1.3x does with the same, but for the last ones.
    #[test]
    fn paths_are_normalized_as_envoy_does() {
        let table = [
            ("/a/../b", "/b"),
            ("/a/./b", "/a/b"),
            ("/a//b", "/a//b"),
            ("/a/%2e%2E/b", "/b"),
            (r"/a\b", "/a/b"),
            ("/a%2fb%5Cc", "/a%2fb%5Cc"),
            ("/%41%7e%2d", "/A~-"),
            ("/a%20b%c3%A9", "/a%20b%c3%A9"),
            ("/..", "/"),
            ("/../a", "/a"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("/a/b/..", "/a/"),
            ("/a/b/../../../c", "/c"),
            ("/a//../b", "/a/b"),
            ("/a;x=1/..;/b", "/b"),
            ("/a/..;x=1/b", "/b"),
            ("/a/.;", "/a/"),
            ("/a/...;/b", "/a/...;/b"),
            ("/a/;../b", "/a/;../b"),
            ("/a;x/b", "/a;x/b"),
            ("/a%252e", "/a%252e"),
            ("/a'\"<>|^`{}[]", "/a'%22%3C%3E%7C%5E%60%7B%7D[]"),
            ("/a/...", "/a/..."),
            ("/", "/"),
            ("*", "*"),
            // Envoy stops half way.
            ("/a/.%2e;/b", "/b"),
            (r"/a\..;\b", "/b"),
            // Envoy would make `%2e` of the last.
            ("/a%", "/a%25"),
            ("/a%zz%2", "/a%25zz%252"),
            ("/%2%65", "/%252e"),
        ];
        for (path, normal) in table {
            assert_eq!(NORMAL.rewrite(path), to(normal), "{path}");
        }
        assert_eq!(NORMAL.rewrite("/a%00b"), Rewritten::Refused);
        // Found by the fuzz target `paths`.
        assert_eq!(NORMAL.rewrite("/a\0b"), Rewritten::Refused);
    }

    #[test]
    fn slashes_are_merged_last() {
        let merge_slashes = true;
        let both = Paths { merge_slashes, ..NORMAL };
        assert_eq!(both.rewrite("//a///b/"), to("/a/b/"));
        assert_eq!(both.rewrite("/a//../b"), to("/a/b"));
        let alone = Paths { merge_slashes, ..Paths::default() };
        assert_eq!(alone.rewrite("/a//../b"), to("/a/../b"));
    }

    #[test]
    fn escaped_slashes_stay_or_go() {
        let with =
            |escaped_slashes, normalize| Paths { escaped_slashes, normalize, ..Paths::default() };
        let paths = with(EscapedSlashes::Reject, false);
        assert_eq!(paths.rewrite("/a%2Fb"), Rewritten::Refused);
        assert_eq!(paths.rewrite("/a%5cb"), Rewritten::Refused);
        assert_eq!(paths.rewrite("/a%2b"), to("/a%2b"));
        let paths = with(EscapedSlashes::Unescape, false);
        assert_eq!(paths.rewrite("/a/%2f/../b%5c"), to(r"/a///../b\"));
        let paths = with(EscapedSlashes::Unescape, true);
        assert_eq!(paths.rewrite("/a/b%2f..;%2fc"), to("/a/c"));
        let paths = with(EscapedSlashes::Redirect, true);
        assert_eq!(paths.rewrite("/a%5c..%5cb"), Rewritten::Redirect("/b".into()));
        assert_eq!(paths.rewrite("/a/../b"), to("/b"));
    }

    proptest! {
        #[test]
        fn a_normal_path_stays(path in r"/[a.;%/\\2eE56c~]{0,12}", merge_slashes: bool) {
            let paths = Paths { merge_slashes, ..NORMAL };
            if let Rewritten::To(once) = paths.rewrite(&path) {
                prop_assert_eq!(paths.rewrite(&once), to(&once));
                prop_assert!(!once.split('/').any(|it| it == ".." || it == "."));
            }
        }
    }
}
