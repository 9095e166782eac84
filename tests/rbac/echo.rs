//! What requests are answered with that a route does not answer: how they have come.

use axum::body::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Method, Uri};
use serde_json::{Value, json};

/// The request in JSON, in which a character is a byte of values and of the body.
pub(crate) async fn echo(
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> ([(HeaderName, &'static str); 1], String) {
    let fields: Vec<Value> = headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), text(value.as_bytes())]))
        .collect();
    let path = uri.path_and_query().map(|path| path.as_str());
    let seen = json!({
        "method": method.as_str(), "path": path, "headers": fields, "body": text(&body),
    });
    ([(CONTENT_TYPE, "application/json")], seen.to_string())
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
