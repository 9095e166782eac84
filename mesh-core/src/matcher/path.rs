use super::{Error, FullRegex};

/// A predicate on the path of a request, without its query (Envoy's `path_specifier`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathMatcher {
    pattern: PathPattern,
    ignore_case: bool,
}

/// What a [`PathMatcher`] compares with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathPattern {
    /// The whole path (Envoy's `path`).
    Exact(Box<str>),
    /// How the path starts; empty and `/` match every path.
    Prefix(Box<str>),
    /// How the path starts, ending there or before a `/`: `/a` matches `/a` and `/a/b`, not `/ab`.
    PathSeparatedPrefix(Box<str>),
    /// A pattern for the whole path (Envoy's `safe_regex`).
    Regex(FullRegex),
}

impl PathMatcher {
    /// Matches exactly `path`.
    #[must_use]
    pub fn exact(path: &str) -> Self {
        Self::from_pattern(PathPattern::Exact(path.into()))
    }

    /// Matches every path that starts with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &str) -> Self {
        Self::from_pattern(PathPattern::Prefix(prefix.into()))
    }

    /// Matches `prefix` and every path below it.
    ///
    /// # Errors
    ///
    /// [`Error::SeparatedPrefix`] when `prefix` is empty, ends in `/` or has a `?` or `#`.
    pub fn path_separated_prefix(prefix: &str) -> Result<Self, Error> {
        if prefix.is_empty() || prefix.ends_with('/') || prefix.contains(['?', '#']) {
            return Err(Error::SeparatedPrefix);
        }
        Ok(Self::from_pattern(PathPattern::PathSeparatedPrefix(prefix.into())))
    }

    /// Matches every path that `pattern` matches as a whole.
    ///
    /// # Errors
    ///
    /// As [`FullRegex::new`].
    pub fn safe_regex(pattern: &str) -> Result<Self, Error> {
        Ok(Self::from_pattern(PathPattern::Regex(FullRegex::new(pattern)?)))
    }

    /// The same, not minding the case of ASCII letters (Envoy's `case_sensitive: false`). Without
    /// effect on a regex.
    #[must_use]
    pub fn ignore_case(mut self) -> Self {
        self.ignore_case = !matches!(self.pattern, PathPattern::Regex(_));
        self
    }

    /// Whether `path` matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.matched(path).is_some()
    }

    /// The part of `path` that matched, which is what a prefix rewrite replaces: the prefix, or
    /// all of the path for the other patterns. `None` when `path` does not match.
    #[must_use]
    pub fn matched<'p>(&self, path: &'p str) -> Option<&'p str> {
        match &self.pattern {
            PathPattern::Exact(expected) => self.equal(path, expected).then_some(path),
            PathPattern::Prefix(prefix) => self.start(path, prefix),
            PathPattern::PathSeparatedPrefix(prefix) => {
                let start = self.start(path, prefix)?;
                let next = path.as_bytes().get(start.len());
                matches!(next, None | Some(b'/')).then_some(start)
            }
            PathPattern::Regex(regex) => regex.matches(path.as_bytes()).then_some(path),
        }
    }

    /// What paths are compared with.
    #[must_use]
    pub fn pattern(&self) -> &PathPattern {
        &self.pattern
    }

    /// Whether the case of ASCII letters does not matter. Always `false` for a regex.
    #[must_use]
    pub fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    fn from_pattern(pattern: PathPattern) -> Self {
        Self { pattern, ignore_case: false }
    }

    fn start<'p>(&self, path: &'p str, prefix: &str) -> Option<&'p str> {
        path.get(..prefix.len()).filter(|start| self.equal(start, prefix))
    }

    fn equal(&self, path: &str, expected: &str) -> bool {
        if self.ignore_case { path.eq_ignore_ascii_case(expected) } else { path == expected }
    }
}
