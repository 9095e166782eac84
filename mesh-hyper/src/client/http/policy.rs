//! What becomes of requests that are not for the mesh.

/// What becomes of requests to authorities that are not in the mesh: those that have no
/// configuration a second after their first use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutboundPolicy {
    /// They fail with [`Kind::Outside`](crate::Kind::Outside).
    #[default]
    RegistryOnly,
    /// They are sent to the host and port of the URI (80 if it has none), found by DNS, in plain
    /// text. `https` fails as with [`RegistryOnly`](Self::RegistryOnly).
    ///
    /// This is also where requests go for something in the mesh while the control plane is slow to
    /// say so. Where that matters, wait for readiness first, or leave the policy as it is.
    #[cfg(feature = "xds")]
    AllowAny,
}
