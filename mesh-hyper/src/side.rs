//! Side calls over the mesh's own pools.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Limited};
use mesh_core::cluster::Cluster;
use mesh_core::request::RoutingPriority;
use mesh_core::side::{Answer, Call, Encoding, Failure, Reply};

use crate::body::{Body, Guard, ResponseBody, full};
use crate::context::Context;
use crate::pool::{Draw, Pool, Want};
use crate::runtime;
use crate::transport::exchange::{self, Broken, Keep, Returned, Way};

/// The most bytes of a gRPC answer that are read.
const MAX_MESSAGE: usize = 4 << 20;

/// The most bytes of an HTTP answer that are read.
const MAX_BODY: usize = 1 << 20;

/// Sends `call` to `cluster`, which is what its name stands for.
///
/// # Cancel safety
/// Dropping the answer resets the stream.
pub(crate) fn answer(context: Arc<Context>, cluster: Option<Arc<Cluster>>, call: Call) -> Answer {
    Box::pin(async move {
        let cluster = cluster.ok_or_else(|| Failure::NoCluster(call.cluster.clone()))?;
        let (timeout, deadline) = (call.timeout, runtime::after(call.timeout));
        match send(&context, &cluster, call, deadline).await {
            Err(Failure::Transport(_)) if runtime::now() >= deadline => {
                Err(Failure::Timeout(timeout))
            }
            sent => sent,
        }
    })
}

async fn send(
    context: &Arc<Context>,
    cluster: &Arc<Cluster>,
    call: Call,
    deadline: Instant,
) -> Result<Reply, Failure> {
    let encoding = call.encoding.clone();
    let response = exchanged(context, cluster, call, deadline).await?;
    match encoding {
        Encoding::Grpc => grpc(response).await,
        Encoding::Http(_) => http(response).await,
    }
}

/// The head of the response, and its body to come. Both fail at the deadline, which the endpoint is
/// blamed for once it has the call.
async fn exchanged(
    context: &Arc<Context>,
    cluster: &Arc<Cluster>,
    call: Call,
    deadline: Instant,
) -> Result<Response<ResponseBody>, Failure> {
    let (parts, body) = request(&call)?.into_parts();
    let name = if call.authority.is_empty() { &call.cluster } else { &call.authority };
    let authority = Authority::try_from(&**name).map_err(|e| broken(&e))?;
    let pool = Pool::of(cluster, context);
    let pool = pool.ok_or_else(|| Failure::NoCluster(call.cluster.clone()))?;
    let priority = RoutingPriority::Default;
    let pending = match call.encoding {
        // gRPC calls wait however many do (gRFC A32).
        Encoding::Grpc => None,
        Encoding::Http(_) => Some(priority),
    };
    let (avoid, draw) = (None, Draw::Due);
    let want = Want { deadline: Some(deadline), patient: false, draw, avoid, pending };
    let stream = pool.wait(want).await.map_err(|e| broken(&e))?;
    let permit = pool.admit(cluster, priority, &stream).map_err(|e| broken(&e))?;
    let way = Way { stream: &stream, authority: &authority, keep: Keep::Unprocessed };
    let mut started = exchange::start(way, parts, body).map_err(|e| broken(&e))?;
    let answer =
        std::future::poll_fn(|cx| started.exchange.poll(&stream, started.pump.as_deref_mut(), cx));
    let Ok(answer) = tokio::time::timeout_at(deadline.into(), answer).await else {
        stream.overdue();
        return Err(Failure::Timeout(call.timeout));
    };
    let response = answer.map_err(|failed| match failed {
        Broken::Unprocessed(Returned { error, .. }) | Broken::Failed(error) => broken(&error),
    })?;
    let mut guard = Guard::new(permit, Some(deadline));
    guard.stream = Some(stream);
    guard.pump = started.pump;
    let (parts, source) = response.into_parts();
    Ok(Response::from_parts(parts, ResponseBody::new(source, guard)))
}

fn broken(why: &dyn std::fmt::Display) -> Failure {
    Failure::Transport(why.to_string())
}

async fn http(response: Response<ResponseBody>) -> Result<Reply, Failure> {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|e| broken(&e))?;
    Ok(Reply { status: parts.status, headers: parts.headers, message: body.to_bytes() })
}

async fn grpc(response: Response<ResponseBody>) -> Result<Reply, Failure> {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_MESSAGE).collect().await.map_err(|e| broken(&e))?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let code = |fields: &HeaderMap| {
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

fn request(call: &Call) -> Result<Request<Body>, Failure> {
    let malformed =
        |what: &str| Failure::Transport(format!("{what} of the side call is malformed"));
    let path = PathAndQuery::try_from(&*call.path).map_err(|_| malformed("the path"))?;
    let mut request = Request::new(match &call.encoding {
        Encoding::Grpc => full(framed(&call.message).ok_or_else(|| malformed("the length"))?),
        Encoding::Http(_) => full(call.message.clone()),
    });
    *request.uri_mut() = Uri::from(path);
    *request.headers_mut() = call.headers.clone();
    match &call.encoding {
        Encoding::Http(method) => *request.method_mut() = method.clone(),
        Encoding::Grpc => {
            *request.method_mut() = Method::POST;
            let fields = request.headers_mut();
            fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            fields.insert(TE, HeaderValue::from_static("trailers"));
            let timeout = mesh_core::deadline::format(call.timeout.max(Duration::from_millis(1)));
            fields.insert(HeaderName::from_static("grpc-timeout"), timeout);
        }
    }
    Ok(request)
}

/// A message with gRPC's framing.
fn framed(message: &Bytes) -> Option<Bytes> {
    let length = u32::try_from(message.len()).ok()?;
    let mut framed = BytesMut::with_capacity(message.len().saturating_add(5));
    framed.put_u8(0);
    framed.put_u32(length);
    framed.put_slice(message);
    Some(framed.freeze())
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
