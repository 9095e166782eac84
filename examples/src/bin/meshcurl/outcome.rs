//! What became of one request: one line of JSON.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use http::HeaderMap;
use mesh_examples::echo::fields;
use serde::Serialize;

/// What became of one request.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Outcome {
    /// The position of the request in the order of starts, from 0.
    pub(crate) n: u64,
    /// What a proxy would have answered with, if there was no HTTP exchange.
    pub(crate) http_status: Option<u16>,
    /// Of gRPC calls, always.
    pub(crate) grpc_status: Option<i32>,
    pub(crate) grpc_message: Option<String>,
    /// The endpoint that the request was last sent to.
    pub(crate) upstream: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) elapsed_ms: f64,
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    pub(crate) trailers: BTreeMap<String, Vec<String>>,
    pub(crate) body: String,
    /// Why the request could not even be tried.
    pub(crate) error: Option<String>,
    /// Why the mesh has answered in place of an upstream.
    pub(crate) why: Option<String>,
}

impl Outcome {
    /// A request that could not be tried.
    pub(crate) fn impossible(why: impl Into<String>) -> Self {
        Self { error: Some(why.into()), ..Self::default() }
    }

    /// The same with what there was of the response.
    pub(crate) fn with_head(mut self, head: &HeaderMap) -> Self {
        self.headers = owned(head);
        self
    }

    pub(crate) fn with_content(mut self, content: &[u8], trailers: &HeaderMap) -> Self {
        self.body = String::from_utf8_lossy(content).into_owned();
        self.trailers = owned(trailers);
        self
    }

    /// The same for the `n`th request, which took `elapsed`.
    pub(crate) fn of(mut self, n: u64, elapsed: Duration) -> Self {
        self.n = n;
        self.elapsed_ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3;
        self
    }
}

fn owned(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    fields(headers).into_iter().map(|(name, values)| (name.to_owned(), values)).collect()
}

/// What `error` says, and its causes as far as they add to that.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
