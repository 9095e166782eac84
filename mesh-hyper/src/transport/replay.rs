//! What is kept of a request until the peer has begun to process it.
//!
//! A peer that goes away may leave requests untouched: never written, refused, or above the last
//! stream of its GOAWAY. Those are sent again on another connection, which takes a copy of the head
//! (one allocation; values share their bytes) and of the body as far as it has been read.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri};

/// Body bytes kept for sending again, at the most (gRFC A6 leaves the bound to the client).
pub(crate) const MAX_BODY: usize = 256 * 1024;

/// The head of a request, ready to be sent once more.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    method: Method,
    path: Option<PathAndQuery>,
    authority: Authority,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Head {
    /// A copy of the head in `parts`, which is sent to `authority`.
    pub(crate) fn copy(parts: &http::request::Parts, authority: &Authority) -> Self {
        let fields = parts.headers.iter().map(|(n, v)| (n.clone(), v.clone()));
        Self {
            method: parts.method.clone(),
            path: parts.uri.path_and_query().cloned(),
            authority: authority.clone(),
            headers: fields.collect(),
        }
    }

    /// The head as a request again.
    pub(crate) fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = absolute(self.path.clone(), self.authority.clone());
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            headers.append(name.clone(), value.clone());
        }
        *request.headers_mut() = headers;
        request
    }
}

/// The URI that HTTP/2 takes `:scheme`, `:authority` and `:path` from.
pub(crate) fn absolute(path: Option<PathAndQuery>, authority: Authority) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    parts.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    // Scheme, authority and path together are always a URI.
    Uri::from_parts(parts).unwrap_or_default()
}

/// A request body as far as it has been read.
#[derive(Debug, Default)]
pub(crate) enum Kept {
    /// It had no content.
    #[default]
    Empty,
    /// All of it.
    Whole(Bytes),
    /// More than can be kept, or it goes on after what was read.
    Gone,
}
