//! What is asked: the same, whether the command line or a line of JSON says it.

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use serde::Deserialize;

use crate::args::{self, Arguments};

/// Some requests that are all alike.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) grpc: bool,
    method: Method,
    path: PathAndQuery,
    /// In place of the target's.
    authority: Option<Authority>,
    headers: HeaderMap,
    body: Bytes,
    pub(crate) timeout: Option<Duration>,
    pub(crate) count: NonZeroU64,
    pub(crate) concurrency: NonZeroUsize,
}

/// A line of `--interactive`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    path: String,
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Values>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    grpc: bool,
    n: Option<NonZeroU64>,
    c: Option<NonZeroUsize>,
    timeout_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

impl Ask {
    /// What the command line asks.
    pub(crate) fn from_arguments(arguments: Arguments) -> Result<Self, String> {
        let Arguments { grpc, method, headers, data, count, concurrency, timeout, path, .. } =
            arguments;
        let has_body = data.is_some();
        let mut fields = HeaderMap::new();
        for (name, value) in headers {
            fields.append(name, value);
        }
        let ask = Self {
            grpc,
            method: method.unwrap_or(if has_body { Method::POST } else { Method::GET }),
            path: path.ok_or("there is no path")?,
            authority: None,
            headers: fields,
            body: data.unwrap_or_default().into(),
            timeout,
            count,
            concurrency,
        };
        ask.finished()
    }

    /// What a line of JSON asks; `timeout` is for lines that say none.
    pub(crate) fn from_json(line: &[u8], timeout: Option<Duration>) -> Result<Self, String> {
        let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let mut headers = HeaderMap::new();
        for (name, values) in line.headers {
            let name = HeaderName::try_from(&name).map_err(|e| format!("header {name:?}: {e}"))?;
            let values = match values {
                Values::One(value) => vec![value],
                Values::Many(values) => values,
            };
            for value in values {
                let value =
                    HeaderValue::try_from(value).map_err(|e| format!("header {name}: {e}"))?;
                headers.append(&name, value);
            }
        }
        let method = match &line.method {
            Some(method) => method.parse().map_err(|e| format!("method {method:?}: {e}"))?,
            None if line.body.is_empty() => Method::GET,
            None => Method::POST,
        };
        let own = line.timeout_ms.map(|ms| args::bounded(Duration::from_millis(ms))).transpose()?;
        let ask = Self {
            grpc: line.grpc,
            method,
            path: args::path(&line.path)?,
            authority: None,
            headers,
            body: line.body.into(),
            timeout: own.or(timeout),
            count: line.n.unwrap_or(NonZeroU64::MIN),
            concurrency: line.c.unwrap_or(NonZeroUsize::MIN),
        };
        ask.finished()
    }

    /// Moves `host` to where it counts, and makes a gRPC call of it if it is one.
    fn finished(mut self) -> Result<Self, String> {
        if let Some(host) = self.headers.remove(HOST) {
            let host = Authority::try_from(host.as_bytes());
            self.authority = Some(host.map_err(|error| format!("header host: {error}"))?);
        }
        if self.grpc {
            self.method = Method::POST;
            let framed = mesh_examples::echo::grpc::frame(&self.body);
            self.body = framed.ok_or("the message is too long")?;
            let grpc = HeaderValue::from_static("application/grpc");
            self.headers.entry(CONTENT_TYPE).or_insert(grpc);
            self.headers.insert(TE, HeaderValue::from_static("trailers"));
            if let Some(timeout) = self.timeout {
                self.headers.insert("grpc-timeout", mesh_core::deadline::format(timeout));
            }
        }
        Ok(self)
    }

    /// One of the requests, to the target that goes by `authority`.
    pub(crate) fn request(&self, authority: &Authority) -> Result<Request<Bytes>, http::Error> {
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.as_ref().unwrap_or(authority).clone())
            .path_and_query(self.path.clone())
            .build()?;
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }
}
