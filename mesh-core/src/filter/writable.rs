//! Which header fields filters may write.

use http::HeaderName;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};

/// Whether a filter may write the header field: not one that says how the message is framed or whom
/// it is addressed to.
#[must_use]
pub fn is_writable(name: &HeaderName) -> bool {
    let framing = [CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    !framing.contains(name) && !["keep-alive", "proxy-connection"].contains(&name.as_str())
}
