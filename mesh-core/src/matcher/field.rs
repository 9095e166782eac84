use std::borrow::Cow;
use std::fmt;

use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};

use super::Error;
use crate::request::{Protocol, RequestHead};

/// What a header matcher reads: a header field or one of the pseudo headers of HTTP/2.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// `:method`.
    Method,
    /// `:path`, with the query.
    Path,
    /// `:authority`, also known as `host`.
    Authority,
    /// `:scheme`.
    Scheme,
    /// `content-type`, which for gRPC always reads `application/grpc` (gRFC A28).
    ContentType,
    /// Any other header field; several values are joined with `,`.
    Header(HeaderName),
}

impl Field {
    /// The field called `name`, in any case.
    ///
    /// # Errors
    ///
    /// [`Error::HeaderName`] when `name` is neither a known pseudo header nor a field name.
    pub fn new(name: &str) -> Result<Self, Error> {
        match name {
            ":method" => return Ok(Self::Method),
            ":path" => return Ok(Self::Path),
            ":authority" => return Ok(Self::Authority),
            ":scheme" => return Ok(Self::Scheme),
            _ => {}
        }
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(HOST) => Ok(Self::Authority),
            Ok(CONTENT_TYPE) => Ok(Self::ContentType),
            Ok(name) => Ok(Self::Header(name)),
            Err(_) => Err(Error::HeaderName),
        }
    }

    /// The value in `head` as a matcher may see it, or `None` when the field is absent.
    #[must_use]
    pub fn value<'a>(&self, head: &RequestHead<'a>) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Method => Some(Cow::Borrowed(head.method.as_str().as_bytes())),
            Self::Path if head.query.is_none() => Some(Cow::Borrowed(head.path.as_bytes())),
            Self::Path => Some(Cow::Owned(head.path_and_query().into_bytes())),
            Self::Authority => Some(Cow::Borrowed(head.authority.as_bytes())),
            Self::Scheme => Some(Cow::Borrowed(head.scheme.as_bytes())),
            Self::ContentType if head.protocol == Protocol::Grpc => {
                Some(Cow::Borrowed(b"application/grpc"))
            }
            Self::ContentType => joined(head.values(&CONTENT_TYPE)),
            Self::Header(name) => joined(head.values(name)),
        }
    }

    /// The value in the header fields of a response, or `None` when the field is absent.
    pub(crate) fn value_in<'a>(&self, headers: &'a HeaderMap) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Method | Self::Path | Self::Authority | Self::Scheme => None,
            Self::ContentType => joined(headers.get_all(CONTENT_TYPE).into_iter()),
            Self::Header(name) => joined(headers.get_all(name).into_iter()),
        }
    }

    /// The name in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Method => ":method",
            Self::Path => ":path",
            Self::Authority => ":authority",
            Self::Scheme => ":scheme",
            Self::ContentType => "content-type",
            Self::Header(name) => name.as_str(),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn joined<'a>(mut values: impl Iterator<Item = &'a HeaderValue>) -> Option<Cow<'a, [u8]>> {
    let first = values.next()?.as_bytes();
    let Some(second) = values.next() else { return Some(Cow::Borrowed(first)) };
    let mut all = first.to_vec();
    for value in std::iter::once(second).chain(values) {
        all.push(b',');
        all.extend_from_slice(value.as_bytes());
    }
    Some(Cow::Owned(all))
}
