//! The path of a request, in the form that its connection manager wants.

use bytes::Bytes;
use http::header::{HeaderValue, LOCATION};
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri};
use mesh_core::request::{Paths, Protocol, Rewritten};

use super::answer;

/// Rewrites the path of `request`, before anything is decided by it, or gives the answer to a
/// request that goes no further.
pub(super) fn rewrite<B>(
    request: &mut Request<B>,
    paths: Paths,
    protocol: Protocol,
) -> Option<Response<Bytes>> {
    if paths.is_identity() {
        return None;
    }
    let uri = request.uri();
    let rewritten = match paths.rewrite(uri.path()) {
        Rewritten::To(path) if path == uri.path() => return None,
        Rewritten::To(path) => with_query(&path, uri.query()).map(|it| (it, Step::GoOn)),
        Rewritten::Redirect(path) => with_query(&path, uri.query()).map(|it| (it, Step::Redirect)),
        Rewritten::Refused => None,
    };
    match rewritten {
        Some((path, Step::GoOn)) => {
            let mut pieces = std::mem::take(request.uri_mut()).into_parts();
            pieces.path_and_query = Some(path);
            let Ok(uri) = Uri::from_parts(pieces) else {
                return Some(answer::malformed_path(protocol));
            };
            *request.uri_mut() = uri;
            None
        }
        Some((path, Step::Redirect)) => Some(redirect(&path, protocol)),
        None => Some(answer::malformed_path(protocol)),
    }
}

enum Step {
    GoOn,
    Redirect,
}

fn with_query(path: &str, query: Option<&str>) -> Option<PathAndQuery> {
    let whole = match query {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    whole.ok()
}

/// As Envoy's, for HTTP. gRPC knows no redirects.
fn redirect(path: &PathAndQuery, protocol: Protocol) -> Response<Bytes> {
    match (protocol, HeaderValue::from_str(path.as_str())) {
        (Protocol::Http, Ok(location)) => {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            response.headers_mut().insert(LOCATION, location);
            response
        }
        (_, _) => answer::malformed_path(protocol),
    }
}
