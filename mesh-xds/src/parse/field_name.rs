//! Names of header fields that filters may write.

use http::HeaderName;
use mesh_core::filter::is_writable;

use super::{Path, Reject};

/// The header field `name`, which a filter may write: not one that says how the message is framed or
/// whom it is addressed to.
pub(super) fn writable(name: &str, path: &Path<'_>) -> Result<HeaderName, Reject> {
    let parsed = HeaderName::try_from(name);
    let parsed = parsed.map_err(|_| path.reject("is no header field's name"))?;
    if is_writable(&parsed) {
        Ok(parsed)
    } else {
        Err(path.reject(format_args!("{parsed} is not for filters to write")))
    }
}
