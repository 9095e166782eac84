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
    /// Only what the control plane has answered without, or what nobody can be asked about, is not
    /// in the mesh. Requests to what is in it and cannot be used fail, and while nothing is known
    /// they wait: 15 s at the most for a control plane that does not answer at all.
    #[cfg(feature = "xds")]
    AllowAny,
}
