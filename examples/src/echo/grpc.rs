//! Unary gRPC without generated code: one message in, one message out.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt, Empty, Full};

use super::Answer;

/// Answers the one message in `content` with one made by `reply`.
pub(super) fn answer(content: Result<Bytes, String>, reply: impl FnOnce(&[u8]) -> Bytes) -> Answer {
    let message = content.map_err(|why| (13, why)).and_then(unframe);
    let mut response = match message.map(|message| frame(&reply(&message))) {
        Ok(Some(framed)) => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let trailers = async move { Some(Ok(trailers)) };
            Response::new(Full::new(framed).with_trailers(trailers).boxed())
        }
        Ok(None) => refusal(8, "the answer is too long"),
        Err((code, why)) => refusal(code, &why),
    };
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// A response whose status is in the header fields.
pub(super) fn refusal(code: u16, why: &str) -> Answer {
    let mut response = Response::new(Empty::new().boxed());
    let fields = response.headers_mut();
    fields.insert("grpc-status", HeaderValue::from(code));
    if let Ok(why) = HeaderValue::from_str(why) {
        fields.insert("grpc-message", why);
    }
    response
}

/// A message with its five bytes of prefix; `None` if it is longer than they can say.
#[must_use]
pub fn frame(message: &[u8]) -> Option<Bytes> {
    let length = u32::try_from(message.len()).ok()?;
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(length);
    framed.put_slice(message);
    Some(framed.freeze())
}

/// The one message of a unary call.
///
/// # Errors
/// The gRPC code, and what is wrong: a compressed message (12), or not exactly one (13).
pub fn unframe(mut body: Bytes) -> Result<Bytes, (u16, String)> {
    let malformed = || (13, "the content is not one message".to_owned());
    let [compressed, a, b, c, d, ..] = *body else { return Err(malformed()) };
    if compressed != 0 {
        return Err((12, "compressed messages are not supported".to_owned()));
    }
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).map_err(|_| malformed())?;
    let message = body.split_off(5);
    if message.len() == length { Ok(message) } else { Err(malformed()) }
}
