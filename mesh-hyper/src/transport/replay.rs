//! What is kept of a request until the peer has begun to process it.
//!
//! A peer that goes away may leave requests untouched: never written, refused, or above the last
//! stream of its GOAWAY. Those are sent again on another connection, which takes a copy of the head
//! (values share their bytes, lists are used again) and of the body as far as it has been read.

use std::cell::RefCell;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri};
use tokio::sync::oneshot;

use super::h1::{Outgoing, outgoing};

/// Body bytes kept for sending again, at the most (gRFC A6 leaves the bound to the client).
pub(crate) const MAX_BODY: usize = 256 * 1024;

type Fields = Vec<(HeaderName, HeaderValue)>;

/// Lists kept per thread for the next calls.
const SPARE: usize = 64;

/// A list of more fields than that is not kept.
const SPARE_FIELDS: usize = 64;

thread_local! {
    static SPARES: RefCell<Vec<Fields>> = const { RefCell::new(Vec::new()) };
}

/// Fields that belong to one connection, which HTTP/2 does not have (RFC 9113 §8.2.2).
const HOP_BY_HOP: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te"];

/// The head of a request, ready to be sent once more.
#[derive(Debug)]
pub(crate) struct Head {
    method: Method,
    path: Option<PathAndQuery>,
    authority: Authority,
    headers: Fields,
}

impl Head {
    /// A copy of the head in `parts`, which is sent to `authority`.
    pub(crate) fn copy(parts: &http::request::Parts, authority: &Authority) -> Self {
        let mut headers = SPARES.with_borrow_mut(Vec::pop).unwrap_or_default();
        headers.reserve(parts.headers.len());
        for (name, value) in &parts.headers {
            headers.push((name.clone(), value.clone()));
        }
        Self {
            method: parts.method.clone(),
            path: parts.uri.path_and_query().cloned(),
            authority: authority.clone(),
            headers,
        }
    }

    /// Takes out what HTTP/2 does not have; `true` if there was any of it.
    pub(crate) fn strip(&mut self) -> bool {
        let before = self.headers.len();
        self.headers.retain(|(name, value)| {
            let is_trailers = name == "te" && value == "trailers";
            is_trailers || !HOP_BY_HOP.contains(&name.as_str())
        });
        self.headers.len() < before
    }

    /// The head as a request again.
    pub(crate) fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = absolute(self.path.clone(), self.authority.clone());
        // As many values of one name as there are here need not be as many names as a map can hold.
        let mut headers = HeaderMap::try_with_capacity(self.headers.len()).unwrap_or_default();
        for (name, value) in &self.headers {
            // Those of a map fit into a map.
            let _ = headers.try_append(name.clone(), value.clone());
        }
        *request.headers_mut() = headers;
        request
    }
}

impl Drop for Head {
    #[inline]
    fn drop(&mut self) {
        let mut fields = std::mem::take(&mut self.headers);
        fields.clear();
        if fields.capacity() <= SPARE_FIELDS {
            // Without effect in a thread that is ending.
            let _ = SPARES.try_with(|spares| {
                let mut spares = spares.borrow_mut();
                if spares.len() < SPARE {
                    spares.push(fields);
                }
            });
        }
    }
}

/// A request that is to be sent once more.
pub(crate) struct Again(Box<(Request<()>, Back)>);

/// The body of a request that is to be sent once more.
pub(crate) enum Back {
    Here(Outgoing),
    /// It comes from the pump that was sending it, if that still has all of it.
    Coming(oneshot::Receiver<Outgoing>),
}

impl Again {
    pub(crate) fn new(request: Request<()>, body: Back) -> Self {
        Self(Box::new((request, body)))
    }

    /// The request with the `head` and `body` that were kept of it.
    pub(crate) fn copy(head: &Head, body: Bytes) -> Self {
        Self::new(head.request(), Back::Here(outgoing(http_body_util::Full::new(body))))
    }

    /// The request in full; `None` when too much of its body has gone already.
    pub(crate) async fn into_request(self) -> Option<Request<Outgoing>> {
        let (request, body) = *self.0;
        let body = match body {
            Back::Here(body) => body,
            Back::Coming(body) => body.await.ok()?,
        };
        Some(request.map(|()| body))
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
    /// More than can be kept, or its pump has it.
    Gone,
}
