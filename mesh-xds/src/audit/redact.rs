//! What records leave out, besides what they never hold.

use std::fmt;
use std::sync::Arc;

/// Which principals and paths are not written down. Default: all are.
///
/// Header fields, queries and bodies never are.
#[derive(Clone, Default)]
pub struct Redaction {
    paths: Vec<Predicate>,
    principals: Vec<Predicate>,
}

type Predicate = Arc<dyn Fn(&str) -> bool + Send + Sync>;

impl Redaction {
    /// The same, and without paths of which `is_secret` says so. Called on the request path.
    #[must_use]
    pub fn paths(mut self, is_secret: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.paths.push(Arc::new(is_secret));
        self
    }

    /// The same, and without paths that begin with one of `prefixes`.
    #[must_use]
    pub fn paths_under<P: Into<Box<str>>>(self, prefixes: impl IntoIterator<Item = P>) -> Self {
        let prefixes: Vec<Box<str>> = prefixes.into_iter().map(Into::into).collect();
        self.paths(move |path| prefixes.iter().any(|prefix| path.starts_with(&**prefix)))
    }

    /// The same, and without principals of which `is_secret` says so. Called on the request path.
    #[must_use]
    pub fn principals(mut self, is_secret: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.principals.push(Arc::new(is_secret));
        self
    }

    pub(super) fn path<'a>(&self, path: &'a str) -> &'a str {
        hide(&self.paths, path)
    }

    pub(super) fn principal<'a>(&self, principal: &'a str) -> &'a str {
        hide(&self.principals, principal)
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redaction")
            .field("paths", &self.paths.len())
            .field("principals", &self.principals.len())
            .finish()
    }
}

fn hide<'a>(predicates: &[Predicate], text: &'a str) -> &'a str {
    let is_secret = predicates.iter().any(|is_secret| is_secret(text));
    if is_secret { REDACTED } else { text }
}

/// Stands where something was left out.
const REDACTED: &str = "[redacted]";
