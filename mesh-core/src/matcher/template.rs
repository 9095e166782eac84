use super::{Error, FullRegex};

/// A pattern for whole paths (Envoy's `UriTemplateMatchConfig`): `/shops/{shop}/carts/*.json`.
///
/// `*` is one segment that is not empty; `**` is any number of segments, and comes last of all
/// operators; `{name}` is `*`, `{name=a/*}` is `a/*`, and literal text may stand around a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate(FullRegex);

impl PathTemplate {
    /// The pattern written as `template`.
    ///
    /// # Errors
    /// [`Error::Template`] when it is not written like one, [`Error::Regex`] when it is too large.
    pub fn new(template: &str) -> Result<Self, Error> {
        let mut parser =
            Parser { rest: template, pattern: String::new(), names: Vec::new(), open: false };
        parser.template()?;
        Ok(Self(FullRegex::new(&parser.pattern)?))
    }

    /// Whether `path` matches; `None` if that depends on how one reads characters that have no
    /// place in a path.
    ///
    /// Envoy lets operators stand for the characters of RFC 3986 and for no others. Somebody who
    /// puts a stray `"` in a path would so get by a rule that denies it.
    #[must_use]
    pub fn matches(&self, path: &str) -> Option<bool> {
        if !self.0.matches(path.as_bytes()) {
            return Some(false);
        }
        path.bytes().all(|byte| byte == b'/' || is_literal(byte)).then_some(true)
    }
}

struct Parser<'t> {
    rest: &'t str,
    pattern: String,
    names: Vec<&'t str>,
    /// Whether a `**` has been seen.
    open: bool,
}

impl<'t> Parser<'t> {
    fn template(&mut self) -> Result<(), Error> {
        if self.rest.len() > MAX_LENGTH {
            return Err(Error::Template("is too long"));
        }
        self.rest = self.rest.strip_prefix('/').ok_or(Error::Template("does not start with /"))?;
        self.pattern.push('/');
        while !self.rest.is_empty() {
            self.segment()?;
            if let Some(rest) = self.rest.strip_prefix('/') {
                self.pattern.push('/');
                self.rest = rest;
                if rest.starts_with('/') {
                    return Err(Error::Template("has an empty segment"));
                }
            }
        }
        Ok(())
    }

    /// One segment, up to a slash or the end.
    fn segment(&mut self) -> Result<(), Error> {
        if self.rest.starts_with('*') {
            self.operator()?;
            // As in Envoy, text may follow an operator only at the very end.
            let has_text = self.literal();
            return match self.rest.is_empty() || (self.rest.starts_with('/') && !has_text) {
                true => Ok(()),
                false => Err(Error::Template("has text after an operator")),
            };
        }
        while !self.rest.is_empty() && !self.rest.starts_with('/') {
            match self.rest.strip_prefix('{') {
                Some(rest) => {
                    let (variable, rest) =
                        rest.split_once('}').ok_or(Error::Template("has an open bracket"))?;
                    self.rest = rest;
                    self.variable(variable)?;
                }
                None if self.literal() => {}
                None => return Err(Error::Template("has a character that may not be in a path")),
            }
        }
        Ok(())
    }

    /// What literal text comes next, and whether there was any.
    fn literal(&mut self) -> bool {
        let end = self.rest.bytes().position(|byte| !is_literal(byte));
        let (text, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        self.pattern.push_str(&regex::escape(text));
        !text.is_empty()
    }

    fn operator(&mut self) -> Result<(), Error> {
        if self.open {
            return Err(Error::Template("has an operator after **"));
        }
        if let Some(rest) = self.rest.strip_prefix("**") {
            self.rest = rest;
            self.open = true;
            self.pattern.push_str("(?s:.*)");
        } else if let Some(rest) = self.rest.strip_prefix('*') {
            self.rest = rest;
            self.pattern.push_str("[^/]+");
        }
        Ok(())
    }

    fn variable(&mut self, variable: &'t str) -> Result<(), Error> {
        let (name, pattern) = variable.split_once('=').unwrap_or((variable, "*"));
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && name.len() <= MAX_NAME;
        if !is_name || self.names.contains(&name) || self.names.len() == MAX_VARIABLES {
            return Err(Error::Template("has a variable that is not valid"));
        }
        self.names.push(name);
        let after = std::mem::replace(&mut self.rest, pattern);
        loop {
            let is_operator = self.rest.starts_with('*');
            if is_operator {
                self.operator()?;
            } else if !self.literal() {
                return Err(Error::Template("has a variable that is not valid"));
            }
            match self.rest.strip_prefix('/') {
                Some(rest) => self.rest = rest,
                None if self.rest.is_empty() => break,
                None => return Err(Error::Template("has a variable that is not valid")),
            }
            self.pattern.push('/');
        }
        self.rest = after;
        Ok(())
    }
}

/// What RFC 3986 lets a segment be made of, but for `*` and `=`, as in Envoy.
fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@".contains(&byte)
}

/// Bytes of a template, names and variables in it at the most (Envoy's limits).
const MAX_LENGTH: usize = 256;
const MAX_NAME: usize = 16;
const MAX_VARIABLES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_whole_paths() {
        let (yes, no, unsure) = (Some(true), Some(false), None);
        for (template, path, expect) in [
            ("/a/*", "/a/b", yes),
            ("/a/*", "/a/", no),
            ("/a/*", "/a/b/c", no),
            ("/a/*", "/a/b\"c", unsure),
            ("/a/*", "/b/b\"c", no),
            ("/a/**", "/a/", yes),
            ("/a/**", "/a/b/c", yes),
            ("/a/**", "/a", no),
            ("/a/**", "/a/{x}", unsure),
            ("/**", "/", yes),
            ("/**.mpd", "/x/y/m.mpd", yes),
            ("/**.mpd", "/x/y/m_mpd", no),
            ("/videos/*/*/*.m4s", "/videos/1/hls/x.m4s", yes),
            ("/videos/*/*/*.m4s", "/videos/1/hls/.m4s", no),
            ("/{shop}/x/{cart=a/*}", "/s/x/a/1", yes),
            ("/{shop}/x/{cart=a/*}", "/s/x/b/1", no),
            ("/{rest=**}", "/s/x", yes),
            ("/api/v{version}/{id}.json", "/api/v2/7.json", yes),
            ("/api/v{version}/{id}.json", "/api/v/7.json", no),
            ("/a/", "/a/", yes),
            ("/a/", "/a", no),
            ("/", "/", yes),
            ("/a.b+c", "/a.b+c", yes),
            ("/a.b", "/axb", no),
        ] {
            assert_eq!(
                PathTemplate::new(template).unwrap().matches(path),
                expect,
                "{template} {path}"
            );
        }
    }

    #[test]
    fn what_is_not_a_template_is_an_error() {
        for template in [
            "",
            "a",
            "/a//b",
            "/a b",
            "/***",
            "/*x/y",
            "/**/*",
            "/**/{a}",
            "/{a=**}/*",
            "/{a",
            "/{}",
            "/{1a}",
            "/{a=}",
            "/{a=/b}",
            "/{a=b/}",
            "/{a=*x}",
            "/{a}/{a}",
            "/a*",
            "/}",
            "/{a-b}",
            "/{abcdefghijklmnopq}",
            "/{a}/{b}/{c}/{d}/{e}/{f}",
            "/\u{e4}",
        ] {
            assert!(matches!(PathTemplate::new(template), Err(Error::Template(_))), "{template}");
        }
        assert!(PathTemplate::new(&format!("/{}", "a".repeat(256))).is_err());
    }
}
