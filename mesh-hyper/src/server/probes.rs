//! Plain-text answers for those who watch a process: `/healthz`, `/ready`, `/metrics`, nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::state::{ServingState, Status};

/// What `/metrics` answers.
pub(super) type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Connections at once: more are closed. Watchers are few.
const CONNECTIONS: usize = 64;

/// How long a request may take to come, and a connection may live.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const LIFETIME: Duration = Duration::from_secs(60);

/// Answers on `listener` until it is dropped.
pub(super) async fn serve(listener: TcpListener, status: Arc<Status>, metrics: Option<Metrics>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < CONNECTIONS => {
                    connections.spawn(connection(stream, status.clone(), metrics.clone()));
                }
                Ok(_) => {}
                // Out of descriptors, most likely: those who watch come again.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, status: Arc<Status>, metrics: Option<Metrics>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let response = answer(&request, &status, metrics.as_ref());
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(32)
        .max_buf_size(8 * 1024);
    let served = builder.serve_connection(TokioIo::new(stream), answer);
    // Watchers that break off are none of our business.
    drop(tokio::time::timeout(LIFETIME, served).await);
}

fn answer<B>(
    request: &Request<B>,
    status: &Status,
    metrics: Option<&Metrics>,
) -> Response<Full<Bytes>> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (code, text) = match (request.uri().path(), metrics) {
        _ if !is_read => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        ("/healthz", _) => (StatusCode::OK, "ok\n".to_owned()),
        ("/ready", _) => match status.serving() {
            ServingState::Serving => match status.check_ready() {
                Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
                Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
            },
            ServingState::NotServing { why } => {
                (StatusCode::SERVICE_UNAVAILABLE, format!("not serving: {why}\n"))
            }
            ServingState::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned()),
        },
        ("/metrics", Some(metrics)) => (StatusCode::OK, metrics()),
        _ => (StatusCode::NOT_FOUND, String::new()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = code;
    let kind = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}
