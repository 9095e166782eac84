//! What an authorization service for tests says.

use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::rpc;
use tonic::Status;
use tonic::body::Body;

/// What an [`Authorization`](super::Authorization) says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a permission does nothing until it is given"]
pub struct Permission {
    kind: Kind,
    headers: Vec<(String, String)>,
    removed: Vec<String>,
    body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Allowed,
    Denied(u16),
    Broken,
}

impl Permission {
    /// It may pass.
    pub fn allowed() -> Self {
        Self::of(Kind::Allowed)
    }

    /// It may not, and is answered with the HTTP status `status`; 403 where that is none.
    pub fn denied(status: u16) -> Self {
        Self::of(Kind::Denied(status))
    }

    /// Nothing: the service fails, over gRPC with UNAVAILABLE, over HTTP with 503.
    pub fn broken() -> Self {
        Self::of(Kind::Broken)
    }

    fn of(kind: Kind) -> Self {
        Self { kind, headers: Vec::new(), removed: Vec::new(), body: String::new() }
    }

    /// Sets a header field: of the request that may pass, or of the answer to one that may not. Over
    /// HTTP the filter's configuration says which fields it takes.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes a header field out of a request that may pass.
    pub fn without(mut self, name: &str) -> Self {
        self.removed.push(name.to_owned());
        self
    }

    /// The body of the answer to a request that may not pass.
    pub fn body(mut self, text: &str) -> Self {
        text.clone_into(&mut self.body);
        self
    }

    pub(super) fn grpc(self) -> Result<CheckResponse, Status> {
        let option = |(key, value)| HeaderValueOption {
            header: Some(HeaderValue { key, value, ..HeaderValue::default() }),
            ..HeaderValueOption::default()
        };
        let headers = self.headers.into_iter().map(option).collect();
        let (code, response) = match self.kind {
            Kind::Broken => return Err(Status::unavailable("told to be")),
            Kind::Allowed => {
                let headers_to_remove = self.removed;
                let ok = OkHttpResponse { headers, headers_to_remove, ..OkHttpResponse::default() };
                (0, HttpResponse::OkResponse(ok))
            }
            Kind::Denied(status) => {
                let status = Some(HttpStatus { code: status.into() });
                let denied = DeniedHttpResponse { status, headers, body: self.body };
                (PERMISSION_DENIED, HttpResponse::DeniedResponse(denied))
            }
        };
        let status = Some(rpc::Status { code, ..rpc::Status::default() });
        Ok(CheckResponse { status, http_response: Some(response), ..CheckResponse::default() })
    }

    pub(super) fn http(self) -> http::Response<Body> {
        let status = match self.kind {
            Kind::Allowed => http::StatusCode::OK,
            Kind::Denied(status) => {
                http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::FORBIDDEN)
            }
            Kind::Broken => http::StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = http::Response::new(Body::new(self.body));
        *response.status_mut() = status;
        let removed = (!self.removed.is_empty())
            .then(|| ("x-envoy-auth-headers-to-remove".to_owned(), self.removed.join(",")));
        for (name, value) in self.headers.into_iter().chain(removed) {
            if let (Ok(name), Ok(value)) =
                (http::HeaderName::try_from(name), http::HeaderValue::try_from(value))
            {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// gRPC's status code.
const PERMISSION_DENIED: i32 = 7;
