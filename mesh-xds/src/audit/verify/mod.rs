//! Whether a chain is whole.
//!
//! Takes bytes, and never panics. What it finds right was written in this order, at least as far as
//! the last signature goes; whether records were cut off the end, it cannot know
//! (`docs/audit.md`).

mod report;
mod verifier;

pub use report::{Break, Cause, Report};
pub use verifier::Verifier;

use super::chain::Key;

/// What there is to say of a chain in one file.
///
/// # Errors
/// The first place where the chain breaks.
pub fn verify(bytes: &[u8], key: Option<&Key>) -> Result<Report, Break> {
    let mut verifier = Verifier::new(key.cloned());
    verifier.file("", bytes)?;
    Ok(verifier.finish())
}
