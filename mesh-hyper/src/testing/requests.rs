//! Requests of a test.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderName, HeaderValue, Method, Request};
use mesh_core::rng::{Rng, XorShift};
use tokio::task::JoinSet;

use super::mesh::Mesh;
use super::reply::framed;
use super::seeded::seeded;
use super::seen::{Answer, Received, Seen};
use crate::body::full;
use crate::client::{Client, Options};
use crate::error::{Error, Kind};
use crate::runtime;

/// Requests of a test, which are sent when this is awaited. Made by [`Mesh::get`] and others.
///
/// One request, unless [`times`](Self::times) says more; one after the other, unless
/// [`concurrency`](Self::concurrency) says otherwise. A request that is malformed fails like any
/// other.
#[must_use = "requests are sent when they are awaited"]
pub struct Requests<'m> {
    mesh: &'m Mesh,
    request: http::request::Builder,
    body: Bytes,
    plan: Plan,
}

/// How requests are sent.
#[derive(Clone, Copy, Debug)]
struct Plan {
    times: usize,
    concurrency: usize,
    seed: Option<u64>,
    timeout: Option<Duration>,
    is_grpc: bool,
}

impl<'m> Requests<'m> {
    pub(super) fn new(mesh: &'m Mesh, method: Method, uri: &str) -> Self {
        let request = Request::builder().method(method).uri(uri);
        let plan = Plan { times: 1, concurrency: 1, seed: None, timeout: None, is_grpc: false };
        Self { mesh, request, body: Bytes::new(), plan }
    }

    pub(super) fn grpc(mut self) -> Self {
        self.request = self.request.header(CONTENT_TYPE, "application/grpc").header(TE, "trailers");
        self.plan.is_grpc = true;
        self
    }

    /// Adds a header field.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        HeaderName: TryFrom<N>,
        <HeaderName as TryFrom<N>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.request = self.request.header(name, value);
        self
    }

    /// The content; of a gRPC call the message, as encoded as protobuf. Default: empty.
    pub fn body(mut self, content: impl Into<Bytes>) -> Self {
        self.body = content.into();
        self
    }

    /// Sends it so often. Default: once.
    pub fn times(mut self, times: usize) -> Self {
        self.plan.times = times;
        self
    }

    /// Has so many under way at once. Default, and at the least: one.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.plan.concurrency = concurrency.max(1);
        self
    }

    /// What the choices for these requests follow from: which of several weighted clusters, which
    /// endpoint, whether a fraction matches. Each request has a generator of its own, so the choices
    /// for one do not depend on what becomes of another. Default: a seed that is another one for each
    /// `Requests` of a mesh, and the same ones in each run.
    pub fn seed(mut self, seed: u64) -> Self {
        self.plan.seed = Some(seed);
        self
    }

    /// Bounds each request, to the end of its response. Default: no bound but the routes'.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.plan.timeout = Some(timeout);
        self
    }
}

impl<'m> IntoFuture for Requests<'m> {
    type Output = Seen;
    type IntoFuture = Pin<Box<dyn Future<Output = Seen> + Send + 'm>>;

    fn into_future(self) -> Self::IntoFuture {
        let seed = self.plan.seed.unwrap_or_else(|| self.mesh.next_seed());
        let body = if self.plan.is_grpc { framed(&self.body) } else { self.body };
        let request = self.request.body(body).map_err(|error| error.to_string().into());
        let call = Call { client: self.mesh.client().clone(), request, plan: self.plan };
        Box::pin(send(call, XorShift::new(seed)))
    }
}

impl fmt::Debug for Requests<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests")
            .field("request", &self.request)
            .field("plan", &self.plan)
            .finish()
    }
}

async fn send(call: Call, mut seeds: XorShift) -> Seen {
    let start = runtime::now();
    let mut answers = Vec::with_capacity(call.plan.times);
    let mut under_way = JoinSet::new();
    for number in 0..call.plan.times {
        if under_way.len() >= call.plan.concurrency {
            answers.extend(next(&mut under_way).await);
        }
        let one = seeded(seeds.next_u64(), call.clone().answer());
        under_way.spawn(async move { (number, one.await) });
    }
    while !under_way.is_empty() {
        answers.extend(next(&mut under_way).await);
    }
    answers.sort_unstable_by_key(|(number, _)| *number);
    let answers = answers.into_iter().map(|(_, answer)| answer).collect();
    Seen::new(answers, runtime::now().saturating_duration_since(start))
}

/// The next one that has ended. A panic in it is one of the test.
async fn next(under_way: &mut JoinSet<(usize, Answer)>) -> Option<(usize, Answer)> {
    match under_way.join_next().await? {
        Ok(ended) => Some(ended),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down, and this future with it.
        Err(_) => None,
    }
}

/// One of many equal requests.
#[derive(Clone)]
struct Call {
    client: Client,
    request: Result<Request<Bytes>, Arc<str>>,
    plan: Plan,
}

impl Call {
    async fn answer(self) -> Answer {
        let start = runtime::now();
        let is_grpc = self.plan.is_grpc;
        let received = self.receive().await;
        Answer::new(received, runtime::now().saturating_duration_since(start), is_grpc)
    }

    async fn receive(self) -> Result<Received, Error> {
        let request = self
            .request
            .map_err(|why| Error::new(Kind::Request, format!("the request is malformed: {why}")))?;
        let options = match self.plan.timeout {
            Some(timeout) => Options::default().timeout(timeout),
            None => Options::default(),
        };
        let response = self.client.send(request.map(full), options).await?;
        let (head, body) = response.into_parts();
        let (upstream, attempts) = (body.upstream().cloned(), body.attempts());
        let body = body.collected().await?;
        Ok(Received { head, body, upstream, attempts })
    }
}
