//! Who makes tokens, and what becomes of theirs.

use std::sync::Arc;

use http::HeaderName;
use mesh_core::jwt::{Expectations, Locations};

use super::{Keys, RemoteKeys};

/// Who makes tokens, and what becomes of theirs (`JwtProvider`).
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) locations: Locations,
    pub(crate) expectations: Expectations,
    pub(crate) keys: KeySource,
    /// Whether the token goes on to the service (`forward`).
    pub(crate) forward: bool,
    /// `forward_payload_header`, and whether it is padded.
    pub(crate) payload_header: Option<(HeaderName, bool)>,
    pub(crate) claim_headers: Vec<ClaimHeader>,
    /// `payload_in_metadata`.
    pub(crate) payload_as: Option<Box<str>>,
    /// `header_in_metadata`.
    pub(crate) header_as: Option<Box<str>>,
    /// `failed_status_in_metadata`.
    pub(crate) failure_as: Option<Box<str>>,
    /// Claims that become lists in metadata (`space_delimited_claims`).
    pub(crate) lists: Vec<Box<str>>,
}

/// A claim that goes into a header field (`claim_to_headers`).
#[derive(Debug)]
pub(crate) struct ClaimHeader {
    pub(crate) header: HeaderName,
    pub(crate) path: Vec<Box<str>>,
}

/// Where a provider's keys come from.
#[derive(Debug)]
pub(crate) enum KeySource {
    Local(Keys),
    Remote(Arc<RemoteKeys>),
}
