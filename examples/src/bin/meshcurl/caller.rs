//! Sends single requests, and turns whatever comes of them into outcomes.

use std::error::Error as _;
use std::future::poll_fn;
use std::pin::Pin;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use mesh_examples::echo::grpc;
use mesh_hyper::{Error, Kind, Mesh, Options, ResponseBody, Target};
use mesh_tonic::Channel;
use tonic::{Code, Status};
use tower_service::Service;

use crate::ask::Ask;
use crate::outcome::{Outcome, chain};

/// The one target that all requests go to, for both protocols.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    target: Target,
    channel: Channel,
}

impl Caller {
    pub(crate) fn new(mesh: &Mesh, target: &str) -> Result<Self, Error> {
        let target = Target::of(mesh, target)?;
        let channel = Channel::from(target.clone());
        Ok(Self { target, channel })
    }

    /// Sends one of the requests that `ask` is about.
    pub(crate) async fn call(&self, ask: &Ask) -> Outcome {
        let request = match ask.request(self.target.authority()) {
            Ok(request) => request,
            Err(error) => return Outcome::impossible(chain(&error)),
        };
        if ask.grpc {
            let request = request.map(|message| tonic::body::Body::new(Full::new(message)));
            let answer = self.channel.clone().call(request).await;
            return match answer {
                Ok(response) => grpc_response(response).await,
                Err(status) => grpc_failure(Outcome::default(), &status),
            };
        }
        match self.target.call(request.map(Full::new), options(ask)).await {
            Ok(response) => http_response(response).await,
            Err(error) if error.kind() == Kind::Request => Outcome::impossible(chain(&error)),
            Err(error) => Outcome {
                http_status: Some(error.status().as_u16()),
                upstream: error.upstream().map(ToString::to_string),
                attempts: error.attempts(),
                why: Some(chain(&error)),
                ..Outcome::default()
            },
        }
    }

    /// Why such requests go where they go, or why that is not known.
    pub(crate) async fn explain(&self, ask: &Ask) -> String {
        let ready = self.target.ready(options(ask)).await;
        let request = match (ready, ask.request(self.target.authority())) {
            (Err(error), _) => return chain(&error),
            (_, Err(error)) => return chain(&error),
            (Ok(()), Ok(request)) => request,
        };
        let explanation = self.target.explain(&request);
        explanation.map_or_else(|| "no configuration".to_owned(), |e| e.to_string())
    }
}

fn options(ask: &Ask) -> Options {
    ask.timeout.map_or_else(Options::default, |timeout| Options::default().timeout(timeout))
}

async fn http_response(response: Response<ResponseBody>) -> Outcome {
    let (parts, body) = response.into_parts();
    let outcome = Outcome {
        http_status: Some(parts.status.as_u16()),
        upstream: body.upstream().map(ToString::to_string),
        attempts: body.attempts(),
        ..Outcome::default()
    };
    let local = outcome.upstream.is_none();
    let (content, trailers, broken) = read(body).await;
    let why = match &broken {
        Some(error) => Some(chain(error)),
        None => local.then(|| "answered by the mesh itself".to_owned()),
    };
    Outcome { why, ..outcome }.with_head(&parts.headers).with_content(&content, &trailers)
}

async fn grpc_response(response: Response<mesh_tonic::ResponseBody>) -> Outcome {
    let (parts, body) = response.into_parts();
    let outcome = Outcome {
        http_status: Some(parts.status.as_u16()),
        upstream: body.upstream().map(ToString::to_string),
        attempts: body.attempts(),
        ..Outcome::default()
    };
    let local = outcome.upstream.is_none();
    let (content, trailers, broken) = read(body).await;
    let outcome = outcome.with_head(&parts.headers);
    if let Some(status) = broken {
        let (upstream, attempts) = (outcome.upstream.clone(), outcome.attempts);
        let failed = grpc_failure(outcome, &status).with_content(&[], &trailers);
        return Outcome { upstream, attempts, ..failed };
    }
    let told = [&trailers, &parts.headers].into_iter().find_map(Status::from_header_map);
    let mut status = told.unwrap_or_else(|| without_status(parts.status));
    let mut message = Bytes::new();
    if status.code() == Code::Ok {
        match grpc::unframe(content.into()) {
            Ok(content) => message = content,
            Err((code, why)) => status = Status::new(Code::from(i32::from(code)), why),
        }
    }
    Outcome {
        grpc_status: Some(i32::from(status.code())),
        grpc_message: Some(status.message().to_owned()),
        why: local.then(|| format!("answered by the mesh itself: {}", status.message())),
        ..outcome
    }
    .with_content(&message, &trailers)
}

/// A gRPC call that has brought no status from the server.
fn grpc_failure(outcome: Outcome, status: &Status) -> Outcome {
    let error = status.source().and_then(|source| source.downcast_ref::<Error>());
    if error.is_some_and(|error| error.kind() == Kind::Request) {
        return Outcome::impossible(status.message());
    }
    Outcome {
        // A gRPC error is a 200 to HTTP, also where a proxy makes it.
        http_status: Some(StatusCode::OK.as_u16()),
        grpc_status: Some(i32::from(status.code())),
        grpc_message: Some(status.message().to_owned()),
        upstream: error.and_then(Error::upstream).map(ToString::to_string),
        attempts: error.map_or(0, Error::attempts),
        why: Some(error.map_or_else(|| status.message().to_owned(), |error| chain(error))),
        ..outcome
    }
}

/// The status of a response without `grpc-status` ("HTTP to gRPC status code mapping" of gRPC).
fn without_status(status: StatusCode) -> Status {
    let code = match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    Status::new(code, format!("HTTP status {} without grpc-status", status.as_u16()))
}

/// Everything that comes of a body, and what it broke off with.
async fn read<B>(mut body: B) -> (Vec<u8>, HeaderMap, Option<B::Error>)
where
    B: Body<Data = Bytes> + Unpin,
{
    let (mut content, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) => content.extend_from_slice(&data),
            Ok(Err(frame)) => trailers.extend(frame.into_trailers().unwrap_or_default()),
            Err(error) => return (content, trailers, Some(error)),
        }
    }
    (content, trailers, None)
}
