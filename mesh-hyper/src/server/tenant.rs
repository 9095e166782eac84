//! Whose a request is, as the application sees it.

use std::ops::Deref;

use mesh_core::tenant;

/// Whose a request is, as the mesh has found out ([`Tenancy`](mesh_core::filter::Tenancy)): in the
/// extensions of each request that is somebody's, and with the feature `axum` an extractor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tenant(pub(crate) tenant::Tenant);

impl Deref for Tenant {
    type Target = tenant::Tenant;

    fn deref(&self) -> &tenant::Tenant {
        &self.0
    }
}

#[cfg(feature = "axum")]
impl<S: Send + Sync> axum_core::extract::FromRequestParts<S> for Tenant {
    type Rejection = http::StatusCode;

    /// Fails, with 403, on a request that is nobody's.
    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        parts.extensions.get().cloned().ok_or(http::StatusCode::FORBIDDEN)
    }
}
