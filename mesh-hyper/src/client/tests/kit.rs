//! A mesh with one service, and backends that answer by a script.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::time::{Instant, Interval};
use tower::service_fn;

use crate::Body;
use crate::body::empty;
use crate::client::{Options, ResponseFuture};
use crate::error::BoxError;
use crate::testing::{Backend, Mesh, Reply};

pub(super) const MS: Duration = Duration::from_millis(1);

pub(super) const URI: &str = "http://shop/";

/// What differs from a plain route to a plain cluster with one endpoint, in YAML's flow style.
#[derive(Clone, Copy, Default)]
pub(super) struct Config<'a> {
    /// Fields of the route action.
    pub(super) route: &'a str,
    /// Fields of the virtual host.
    pub(super) host: &'a str,
    /// Fields of the cluster.
    pub(super) cluster: &'a str,
    /// Endpoints at 127.0.0.1:1 and so on, each with the fields it has besides its address.
    pub(super) endpoints: &'a [&'a str],
    /// How many priorities there are besides theirs, each with an endpoint at the next address.
    pub(super) lower: usize,
}

impl Config<'_> {
    fn yaml(&self) -> String {
        let Self { route, host, cluster, endpoints, lower } = *self;
        let more = |fields: &str| match fields {
            "" => String::new(),
            fields => format!(", {fields}"),
        };
        let (route, host) = (more(route), more(host));
        let endpoints = if endpoints.is_empty() { &[""][..] } else { endpoints };
        let endpoint = |port: usize, fields: &str| {
            let more = more(fields);
            format!(
                "{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}{more} }}"
            )
        };
        let all = endpoints.iter().enumerate().map(|(at, fields)| endpoint(at + 1, fields));
        let all = all.collect::<Vec<_>>().join(", ");
        let lower = (1..=lower).map(|priority| {
            let one = endpoint(endpoints.len() + priority, "");
            format!(", {{ locality: {{ zone: z }}, priority: {priority}, load_balancing_weight: 1, lb_endpoints: [{one}] }}")
        });
        let lower = lower.collect::<String>();
        format!(
            r#"---
"@type": type.googleapis.com/envoy.config.listener.v3.Listener
name: shop
api_listener:
  api_listener:
    "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
    route_config: {{ name: shop, virtual_hosts: [{{ name: all, domains: ["*"]{host}, routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: shop{route} }} }}] }}] }}
    http_filters:
      - name: router
        typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
---
"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
name: shop
type: STATIC
load_assignment: {{ cluster_name: shop, endpoints: [{{ locality: {{ zone: z }}, load_balancing_weight: 1, lb_endpoints: [{all}] }}{lower}] }}
{cluster}
"#
        )
    }

    pub(super) fn mesh(&self) -> Mesh {
        Mesh::from_yaml(&self.yaml()).unwrap()
    }
}

/// A mesh with this policy for retries.
pub(super) fn retrying(policy: &str) -> Mesh {
    let route = format!("retry_policy: {{ {policy} }}");
    Config { route: &route, ..Config::default() }.mesh()
}

/// A request that no test's kit waits for.
pub(super) fn get(mesh: &Mesh) -> ResponseFuture {
    let request = Request::get(URI).body(empty()).unwrap();
    mesh.client().send(request, Options::default())
}

/// A request body of chunks, a millisecond after each other.
pub(super) struct Slow {
    chunk: Bytes,
    left: usize,
    ticks: Interval,
    is_endless: bool,
}

impl Slow {
    pub(super) fn new(length: usize, chunks: usize) -> Self {
        let (chunk, ticks) = (vec![7; length].into(), tokio::time::interval(MS));
        Self { chunk, left: chunks, ticks, is_endless: false }
    }

    /// The same, after which nothing comes, not even the end.
    pub(super) fn then_silence(mut self) -> Self {
        self.is_endless = true;
        self
    }
}

impl http_body::Body for Slow {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == 0 {
            return if self.is_endless { Poll::Pending } else { Poll::Ready(None) };
        }
        ready!(self.ticks.poll_tick(cx));
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(self.chunk.clone()))))
    }
}

/// How a backend answers one request: after a while, or never.
pub(super) struct Turn(Duration, Option<Reply>);

pub(super) fn at_once(reply: impl Into<Reply>) -> Turn {
    Turn(Duration::ZERO, Some(reply.into()))
}

pub(super) fn after(delay: Duration, reply: impl Into<Reply>) -> Turn {
    Turn(delay, Some(reply.into()))
}

pub(super) fn never() -> Turn {
    Turn(Duration::ZERO, None)
}

/// A request that has arrived.
pub(super) struct Got {
    /// How long after the script was given out.
    pub(super) at: Duration,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What has arrived at a backend.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Got>>>, Arc<AtomicUsize>);

/// A request that is being answered, and counts as given up if that does not come to an end.
struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Log {
    pub(super) fn see<R>(&self, see: impl FnOnce(&[Got]) -> R) -> R {
        see(&self.0.lock().unwrap())
    }

    /// Requests that were given up while they were being answered, once all have noticed.
    pub(super) async fn given_up(&self) -> usize {
        tokio::time::sleep(MS * 10).await;
        self.1.load(Ordering::SeqCst)
    }

    pub(super) fn times(&self) -> Vec<u128> {
        self.see(|all| all.iter().map(|got| got.at.as_millis()).collect())
    }

    /// A header field of each request.
    pub(super) fn fields(&self, name: &str) -> Vec<Option<String>> {
        let text = |got: &Got| Some(got.headers.get(name)?.to_str().unwrap().to_owned());
        self.see(|all| all.iter().map(text).collect())
    }
}

/// Answers the requests to come by `turns`, and with 200 when there are no more.
pub(super) fn script(backend: &Backend, turns: impl IntoIterator<Item = Turn>) -> Log {
    let turns = Arc::new(Mutex::new(turns.into_iter().collect::<VecDeque<_>>()));
    let (log, start) = (Log::default(), Instant::now());
    let seen = log.clone();
    backend.serve(service_fn(move |request: Request<Body>| {
        let turn = turns.lock().unwrap().pop_front();
        let (log, at) = (log.clone(), start.elapsed());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            log.0.lock().unwrap().push(Got { at, headers: parts.headers, body });
            let Turn(delay, reply) = turn.unwrap_or_else(|| at_once("done"));
            let under_way = UnderWay(log.1.clone());
            tokio::time::sleep(delay).await;
            let answer = match reply {
                Some(reply) => reply.into_response(),
                None => pending::<Result<_, BoxError>>().await,
            };
            std::mem::forget(under_way);
            answer
        }
    }));
    seen
}
