//! Side calls of a server's filters.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use mesh_core::cluster::{
    Address, Assignment, Cluster, Config, Discovery, Endpoint, Locality, Version,
};
use mesh_core::filter::{Context as Asked, Factory, Filter, Settings, Slot, Step};
use mesh_core::request::RequestHead;
use mesh_core::route::Action;
use mesh_core::side::{Call, Encoding, Failure};
use mesh_core::snapshot::{ClusterSlot, HttpFilter};
use tokio::io::DuplexStream;
use tokio::runtime::Handle;

use super::kit::{App, Kit, ask, get, routes};
use crate::context::Context;
use crate::transport::connect::{Connect, Connecting, Dialer, Io};

/// A context whose connections lead to [`answer`].
pub(super) fn context() -> Arc<Context> {
    let dialer = Dialer { connector: Arc::new(Beyond), secure: None };
    Context::new(Handle::current(), dialer, None)
}

struct Beyond;

impl Connect for Beyond {
    fn connect(&self, _: &Address) -> Connecting {
        let (near, far) = tokio::io::duplex(1 << 16);
        tokio::spawn(serve(far));
        Box::pin(async { Ok(Box::new(near) as Box<dyn Io>) })
    }
}

async fn serve(io: DuplexStream) {
    let mut connection = h2::server::handshake(io).await.unwrap();
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(request, respond));
    }
}

/// Says what it was asked; in gRPC too, but for `/fails/…`. Never answers `/hangs`.
async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
) -> Option<()> {
    let (head, mut body) = request.into_parts();
    let mut seen = format!("{} {} ", head.method, head.uri.path()).into_bytes();
    let is_grpc = head.headers.contains_key("grpc-timeout");
    let mut message = Vec::new();
    while let Some(data) = body.data().await {
        message.extend_from_slice(&data.ok()?);
    }
    seen.extend_from_slice(&message[if is_grpc { 5 } else { 0 }..]);
    if head.uri.path() == "/hangs" {
        std::future::pending::<()>().await;
    }
    let mut stream = respond.send_response(Response::new(()), false).ok()?;
    if !is_grpc {
        return stream.send_data(seen.into(), true).ok();
    }
    let length = u8::try_from(seen.len()).ok()?;
    stream.send_data([&[0, 0, 0, 0, length][..], &seen].concat().into(), false).ok()?;
    let code = if head.uri.path().starts_with("/fails") { "7" } else { "0" };
    let trailers = [("grpc-status", code), ("grpc-message", "no")];
    let trailers = trailers.map(|(name, value)| {
        (http::HeaderName::from_static(name), HeaderValue::from_static(value))
    });
    stream.send_trailers(HeaderMap::from_iter(trailers)).ok()
}

/// Asks the cluster that the request's query names, and tells the application what it said.
#[derive(Debug)]
struct Asks;

impl Filter for Asks {
    fn poll_request(&self, _: &mut Slot, head: &RequestHead<'_>, cx: &mut Asked<'_>) -> Step {
        let said = match cx.answer.take() {
            None => {
                let is_http = head.path.starts_with("/http") || head.path == "/hangs";
                let http = Encoding::Http(Method::PUT);
                return Step::Ask(Box::new(Call {
                    cluster: head.query.unwrap_or("auth").into(),
                    authority: Arc::default(),
                    path: head.path.into(),
                    headers: HeaderMap::new(),
                    encoding: if is_http { http } else { Encoding::Grpc },
                    message: "hi".into(),
                    timeout: Duration::from_secs(1),
                }));
            }
            Some(Ok(reply)) => HeaderValue::from_maybe_shared(reply.message).unwrap(),
            Some(Err(Failure::Status { code, message })) => {
                HeaderValue::try_from(format!("{code} {message}")).unwrap()
            }
            Some(Err(why)) => HeaderValue::try_from(why.to_string()).unwrap(),
        };
        cx.changes.set.push((http::HeaderName::from_static("x-said"), said));
        Step::Continue
    }
}

struct Make;

impl Factory for Make {
    fn type_url(&self) -> &str {
        "test.Asks"
    }

    fn parse(&self, _: &[u8]) -> Result<Settings, String> {
        Ok(Arc::new(()))
    }

    fn build(&self, _: &Settings, _: &[Settings]) -> Arc<dyn Filter> {
        Arc::new(Asks)
    }
}

fn cluster() -> Arc<Cluster> {
    let endpoint = Arc::new(Endpoint::new(Address::Socket(([192, 0, 2, 9], 1).into())));
    let locality =
        Locality { name: Arc::default(), weight: 1, priority: 0, endpoints: [endpoint].into() };
    let assignment = Assignment { localities: vec![locality], ..Assignment::default() };
    let assignment = Arc::new(assignment);
    let config = Arc::new(Config::new("auth", Discovery::Static(assignment.clone())));
    Cluster::new(Version { config, assignment, note: None })
}

#[tokio::test(start_paused = true)]
async fn filters_ask_the_clusters_of_their_routes() {
    let app = App::new(|request| async move {
        let said = request.headers()["x-said"].to_str().unwrap().to_owned();
        Response::new(crate::full(said))
    });
    let kit = Kit::serving(app);
    let filter = HttpFilter {
        name: "asks".into(),
        factory: Arc::new(Make),
        settings: Arc::new(()),
        disabled: false,
    };
    let routes = routes(&[("/", Action::NonForwarding)], &[filter]);
    let clusters = [
        ("auth".into(), ClusterSlot::Ready(cluster())),
        ("gone".into(), ClusterSlot::Broken("gone".into())),
    ];
    kit.publish(1, routes.with_clusters(clusters));
    let (sender, _) = kit.h2().await;
    for (path, said) in [
        ("/a.B/C", "POST /a.B/C hi"),
        ("/http", "PUT /http hi"),
        ("/fails/C", "7 no"),
        ("/hangs", "no answer within 1s"),
        ("/a.B/C?gone", "cluster gone is not known"),
        ("/a.B/C?other", "cluster other is not known"),
    ] {
        assert_eq!(ask(&sender, get(path)).await.unwrap().body, said, "{path}");
    }
}
