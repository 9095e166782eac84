//! Bodies: what requests carry out and responses carry in.

mod course;
mod guard;
mod pace;
mod passing;
mod response;
mod tries;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

use crate::error::BoxError;
pub(crate) use course::Course;
pub(crate) use guard::{Guard, Owner};
pub(crate) use pace::Late;
pub(crate) use passing::Passing;
pub use response::{Collected, ResponseBody};

/// A request body of any kind, for [`Client`](crate::Client).
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// No content.
#[must_use]
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Content that is there already.
#[must_use]
pub fn full(content: impl Into<Bytes>) -> Body {
    Full::new(content.into()).map_err(|never| match never {}).boxed_unsync()
}
