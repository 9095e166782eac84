//! Side calls over the mesh's own pools.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, Uri};
use mesh_core::cluster::Cluster;
use mesh_core::side::{Answer, Call, Failure, Reply, SideCalls};
use mesh_core::snapshot::{ClusterSlot, Root};

use super::call::answered;
use super::target::Inner;
use crate::body::{Guard, full};
use crate::pool::{Draw, Pool, Want};
use crate::runtime;
use crate::transport::exchange::{self, Broken, Returned};

/// The most bytes of an answer that are read.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// Sends side calls to the clusters of a target's configuration.
pub(super) struct Side {
    target: Arc<Inner>,
}

impl Side {
    pub(super) fn new(target: &Arc<Inner>) -> Self {
        Self { target: target.clone() }
    }

    fn cluster(&self, name: &str) -> Option<Arc<Cluster>> {
        let root = self.target.root.load();
        let Some(Root::Ready(snapshot)) = root.as_deref() else { return None };
        match snapshot.cluster(name)? {
            ClusterSlot::Ready(cluster) => Some(cluster.clone()),
            ClusterSlot::Broken(_) => None,
        }
    }
}

impl SideCalls for Side {
    fn unary(&self, call: Call) -> Answer {
        let target = self.target.clone();
        let cluster = self.cluster(&call.cluster);
        Box::pin(async move {
            let cluster = cluster.ok_or_else(|| Failure::NoCluster(call.cluster.clone()))?;
            let timeout = call.timeout;
            let sent = tokio::time::timeout(timeout, send(&target, &cluster, call)).await;
            sent.unwrap_or(Err(Failure::Timeout(timeout)))
        })
    }
}

async fn send(target: &Arc<Inner>, cluster: &Arc<Cluster>, call: Call) -> Result<Reply, Failure> {
    let broken = |why: &dyn std::fmt::Display| Failure::Transport(why.to_string());
    let (parts, body) = request(&call)?.into_parts();
    let name = if call.authority.is_empty() { &call.cluster } else { &call.authority };
    let authority = Authority::try_from(&**name).map_err(|e| broken(&e))?;
    let pool = Pool::of(cluster, &target.context);
    let pool = pool.ok_or_else(|| Failure::NoCluster(call.cluster.clone()))?;
    let deadline = Some(runtime::after(call.timeout));
    let stream = pool.wait(Want { deadline, patient: false, draw: Draw::Due }).await;
    let stream = stream.map_err(|e| broken(&e))?;
    let mut started = exchange::start(&stream, &authority, parts, body).map_err(|e| broken(&e))?;
    let answer =
        std::future::poll_fn(|cx| started.exchange.poll(&stream, started.pump.as_deref_mut(), cx))
            .await;
    let response = answer.map_err(|failed| match failed {
        Broken::Unprocessed(Returned { error, .. }) | Broken::Failed(error) => broken(&error),
    })?;
    let mut guard = Guard::default();
    guard.stream = Some(stream);
    guard.pump = started.pump;
    let (parts, body) = answered(guard, response).into_parts();
    let body = http_body_util::BodyExt::collect(http_body_util::Limited::new(body, MAX_MESSAGE));
    let body = body.await.map_err(|e| broken(&e))?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let code = |fields: &http::HeaderMap| {
        fields.get("grpc-status").and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u16>().ok())
    };
    match code(&trailers).or_else(|| code(&parts.headers)) {
        Some(0) => {
            let message = unframe(body.to_bytes())?;
            Ok(Reply { status: parts.status, headers: parts.headers, message })
        }
        Some(code) => {
            let message = trailers.get("grpc-message").or(parts.headers.get("grpc-message"));
            let message = message.and_then(|m| m.to_str().ok()).unwrap_or_default().to_owned();
            Err(Failure::Status { code, message })
        }
        None => Err(Failure::Transport(format!("HTTP status {} and no grpc-status", parts.status))),
    }
}

fn request(call: &Call) -> Result<Request<crate::body::Body>, Failure> {
    let malformed =
        |what: &str| Failure::Transport(format!("{what} of the side call is malformed"));
    let path = PathAndQuery::try_from(&*call.path).map_err(|_| malformed("the path"))?;
    let length = u32::try_from(call.message.len()).map_err(|_| malformed("the length"))?;
    let mut framed = BytesMut::with_capacity(5 + call.message.len());
    framed.put_u8(0);
    framed.put_u32(length);
    framed.put_slice(&call.message);
    let mut request = Request::new(full(framed.freeze()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from(path);
    *request.headers_mut() = call.headers.clone();
    let fields = request.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    fields.insert(TE, HeaderValue::from_static("trailers"));
    let timeout = mesh_core::deadline::format(call.timeout.max(Duration::from_millis(1)));
    fields.insert(HeaderName::from_static("grpc-timeout"), timeout);
    Ok(request)
}

/// The one message of a unary answer.
fn unframe(mut body: Bytes) -> Result<Bytes, Failure> {
    let malformed = || Failure::Transport("the answer is not one gRPC message".into());
    let [compressed, a, b, c, d, ..] = *body else { return Err(malformed()) };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).map_err(|_| malformed())?;
    if compressed != 0 || body.len() != 5 + length {
        return Err(malformed());
    }
    Ok(body.split_off(5))
}
