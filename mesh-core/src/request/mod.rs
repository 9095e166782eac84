//! The one view of a request that every decision looks at.
//!
//! Built once per call by the shell; routes, authorization, limits and logs read it and nobody
//! parses the URI or the headers again. It borrows, so building it allocates nothing.

mod criticality;
mod paths;

pub use criticality::Criticality;
pub use paths::{EscapedSlashes, Paths, Rewritten};

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

/// How the request is spoken, which decides what of it routing may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// gRPC: header matchers see what gRFC A28 lets them see.
    Grpc,
    /// Plain HTTP: header matchers see every header as it is.
    Http,
}

impl Protocol {
    /// The protocol of a message with these header fields: gRPC when `content-type` is
    /// `application/grpc` or starts with `application/grpc+` or `application/grpc;`.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        match headers.get(CONTENT_TYPE) {
            Some(value) if is_grpc(value.as_bytes()) => Self::Grpc,
            _ => Self::Http,
        }
    }
}

/// Which of a cluster's limits a request counts against (`RoutingPriority`).
///
/// Not to be mistaken for the priority of endpoints, nor for [`Criticality`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RoutingPriority {
    /// `DEFAULT`.
    #[default]
    Default,
    /// `HIGH`.
    High,
}

impl RoutingPriority {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Default, Self::High];

    /// Its position among [`ALL`](Self::ALL).
    #[inline]
    pub(crate) fn index(self) -> usize {
        usize::from(self == Self::High)
    }
}

/// Everything a decision may look at before the request is sent.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method; `POST` for gRPC.
    pub method: &'a http::Method,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host and optional port as the caller wrote it, never with user information.
    pub authority: &'a str,
    /// The path, without the query. Starts with `/` unless it is `*`.
    pub path: &'a str,
    /// What follows the `?`, if there is one.
    pub query: Option<&'a str>,
    /// The header fields, without pseudo headers.
    pub headers: &'a HeaderMap,
    /// How the request is spoken.
    pub protocol: Protocol,
}

impl<'a> RequestHead<'a> {
    /// The view of `parts`, addressed to `authority`.
    ///
    /// The protocol is what [`Protocol::of`] says.
    #[must_use]
    pub fn new(parts: &'a http::request::Parts, authority: &'a str) -> Self {
        Self::from_pieces(&parts.method, &parts.uri, &parts.headers, authority)
    }

    /// The view of a request given by its pieces, addressed to `authority`.
    #[must_use]
    pub fn from_pieces(
        method: &'a http::Method,
        uri: &'a http::Uri,
        headers: &'a HeaderMap,
        authority: &'a str,
    ) -> Self {
        Self {
            method,
            scheme: uri.scheme_str().unwrap_or("http"),
            authority,
            path: uri.path(),
            query: uri.query(),
            headers,
            protocol: Protocol::of(headers),
        }
    }

    /// The path with the query, as `:path` carries it.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        match self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.to_owned(),
        }
    }

    /// Whether the path is that of a gRPC method and nothing else: `/package.Service/Method`, without
    /// a query, an escape, an empty segment or one of dots.
    ///
    /// Everything else has readers who disagree about what it names.
    #[must_use]
    pub fn names_grpc_method(&self) -> bool {
        let is_name = |name: &str| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            name.bytes().all(is_allowed) && name.bytes().any(|byte| byte != b'.')
        };
        let names = self.path.strip_prefix('/').and_then(|path| path.split_once('/'));
        self.query.is_none()
            && names.is_some_and(|(service, method)| is_name(service) && is_name(method))
    }

    /// The values of a header field in order of arrival, as routing may see them.
    ///
    /// For gRPC, fields that gRFC A28 hides (`-bin`, `grpc-*` transport fields, `user-agent`) have
    /// no values.
    pub fn values(&self, name: &HeaderName) -> impl Iterator<Item = &'a HeaderValue> + use<'a> {
        let visible = self.protocol == Protocol::Http || is_visible_to_grpc(name);
        let all = visible.then(|| self.headers.get_all(name).into_iter());
        all.into_iter().flatten()
    }
}

/// Whether a `content-type` says gRPC.
#[must_use]
pub fn is_grpc(content_type: &[u8]) -> bool {
    match content_type.strip_prefix(b"application/grpc") {
        Some(rest) => matches!(rest.first(), None | Some(b'+' | b';')),
        None => false,
    }
}

/// Whether gRPC lets a header matcher see the field (gRFC A28, "header matching").
#[must_use]
pub fn is_visible_to_grpc(name: &HeaderName) -> bool {
    let name = name.as_str();
    if name.ends_with("-bin") {
        return false;
    }
    !matches!(
        name,
        "grpc-timeout"
            | "grpc-encoding"
            | "grpc-accept-encoding"
            | "grpc-previous-rpc-attempts"
            | "user-agent"
            | "te"
            | "host"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(request: &http::Request<()>) -> Vec<String> {
        let head = RequestHead::from_pieces(
            request.method(),
            request.uri(),
            request.headers(),
            "greeter:80",
        );
        let names = ["x-a", "x-bin", "grpc-timeout"];
        names
            .iter()
            .flat_map(|n| head.values(&HeaderName::from_static(n)))
            .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
            .collect()
    }

    #[test]
    fn grpc_hides_what_a28_hides() {
        let request = |content_type: &str| {
            http::Request::post("http://h/p")
                .header("content-type", content_type)
                .header("x-a", "1")
                .header("x-a", "2")
                .header("x-bin", "AA")
                .header("grpc-timeout", "1S")
                .body(())
                .unwrap()
        };
        assert_eq!(head(&request("application/grpc+proto")), ["1", "2"]);
        assert_eq!(head(&request("application/json")), ["1", "2", "AA", "1S"]);
    }

    #[test]
    fn only_plain_paths_name_a_method() {
        let names = |uri: &'static str| {
            let (uri, headers) = (http::Uri::from_static(uri), HeaderMap::new());
            RequestHead::from_pieces(&http::Method::POST, &uri, &headers, "a").names_grpc_method()
        };
        for path in ["/pkg.v1.Svc/Do", "/Svc/do_1", "/my-svc/Do"] {
            assert!(names(path), "{path}");
        }
        for path in [
            "/",
            "/Svc",
            "/Svc/",
            "//Do",
            "/Svc/Do/",
            "/a/Svc/Do",
            "/Svc/Do?x=1",
            "/../Do",
            "/Svc/.",
            "/Svc/D%6f",
            "/Svc;a/Do",
            "//Svc/Do",
            "*",
        ] {
            assert!(!names(path), "{path}");
        }
    }

    #[test]
    fn only_the_grpc_types_are_grpc() {
        assert!(is_grpc(b"application/grpc") && is_grpc(b"application/grpc;x=1"));
        assert!(!is_grpc(b"application/grpc-web") && !is_grpc(b"text/plain"));
    }
}
