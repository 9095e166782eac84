use std::borrow::Cow;

use http::StatusCode;

use super::RegexRewrite;
use crate::request::RequestHead;

/// Sends the caller elsewhere (Envoy's `RedirectAction`). What is not set stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// The new scheme: `scheme_redirect`, or `https` for `https_redirect`.
    pub scheme: Option<Box<str>>,
    /// The new host, put in as it is (`host_redirect`).
    pub host: Option<Box<str>>,
    /// The new port (`port_redirect`).
    pub port: Option<u16>,
    /// The new path.
    pub path: PathRedirect,
    /// The status of the answer. Default 301.
    pub code: RedirectCode,
    /// Whether the query is left out (`strip_query`). Default `false`.
    pub strip_query: bool,
}

/// What becomes of the path (Envoy's `path_rewrite_specifier`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathRedirect {
    /// It stays.
    #[default]
    Keep,
    /// It is replaced (`path_redirect`). A query in it replaces the one of the request, and is kept
    /// even where queries are left out.
    Replace(Box<str>),
    /// The part that the route matched is replaced (`prefix_rewrite`).
    Prefix(Box<str>),
    /// What a pattern finds in it is replaced (`regex_rewrite`).
    Regex(RegexRewrite),
}

/// The status of a redirect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RedirectCode {
    /// 301.
    #[default]
    MovedPermanently,
    /// 302.
    Found,
    /// 303.
    SeeOther,
    /// 307.
    TemporaryRedirect,
    /// 308.
    PermanentRedirect,
}

impl RedirectCode {
    /// The status code.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::MovedPermanently => StatusCode::MOVED_PERMANENTLY,
            Self::Found => StatusCode::FOUND,
            Self::SeeOther => StatusCode::SEE_OTHER,
            Self::TemporaryRedirect => StatusCode::TEMPORARY_REDIRECT,
            Self::PermanentRedirect => StatusCode::PERMANENT_REDIRECT,
        }
    }
}

impl Redirect {
    /// The value of `location` for the request `head`, of whose path the route matched `matched`
    /// ([`PathMatcher::matched`](crate::matcher::PathMatcher::matched)).
    #[must_use]
    pub fn location(&self, head: &RequestHead<'_>, matched: &str) -> String {
        let scheme = self.scheme.as_deref().unwrap_or(head.scheme);
        let host = match &self.host {
            Some(host) => host,
            None => self.kept_host(head, scheme),
        };
        let mut location = format!("{scheme}://{host}");
        if let Some(port) = self.port {
            location.push_str(&format!(":{port}"));
        }
        let path = self.path(head.path, matched);
        if !path.starts_with('/') {
            location.push('/');
        }
        location.push_str(&path);
        if let Some(query) = head.query.filter(|_| self.keeps_query()) {
            location.push('?');
            location.push_str(query);
        }
        location
    }

    /// The host of the request, without a port that is replaced or is the default of the scheme
    /// that is replaced.
    fn kept_host<'a>(&self, head: &RequestHead<'a>, scheme: &str) -> &'a str {
        let Some((host, port)) = super::domains::split_port(head.authority) else {
            return head.authority;
        };
        let was_default = matches!((head.scheme, port), ("http", "80") | ("https", "443"));
        let is_dropped = self.port.is_some() || (scheme != head.scheme && was_default);
        if is_dropped { host } else { head.authority }
    }

    fn path<'a>(&'a self, path: &'a str, matched: &str) -> Cow<'a, str> {
        match &self.path {
            PathRedirect::Keep => Cow::Borrowed(path),
            PathRedirect::Replace(new) => Cow::Borrowed(new),
            PathRedirect::Prefix(new) => {
                let rest = path.get(matched.len()..).unwrap_or_default();
                Cow::Owned(format!("{new}{rest}"))
            }
            PathRedirect::Regex(rewrite) => {
                rewrite.apply(path).map_or(Cow::Borrowed(path), Cow::Owned)
            }
        }
    }

    fn keeps_query(&self) -> bool {
        !self.strip_query && !self.replaces_query()
    }

    fn replaces_query(&self) -> bool {
        matches!(&self.path, PathRedirect::Replace(path) if path.contains('?'))
    }
}
