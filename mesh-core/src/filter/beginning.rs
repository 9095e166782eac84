//! What there is of a request's body.

use bytes::Bytes;

/// The first bytes of a request's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The bytes: what was waited for at least, unless the body is shorter. There may be more of
    /// them, as they came.
    pub bytes: Bytes,
    /// Whether that is all.
    pub is_whole: bool,
}
