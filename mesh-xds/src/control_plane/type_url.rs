//! The types of resources, and the order in which changes to them are sent.

/// Clusters (CDS).
pub const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
/// Endpoints (EDS).
pub const ENDPOINTS: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
/// Listeners (LDS).
pub const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
/// Routes (RDS).
pub const ROUTES: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

/// Secrets (SDS).
pub const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// Make before break: clusters, their endpoints and secrets, then what sends traffic to them.
///
/// [xDS protocol, eventual consistency](https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#eventual-consistency-considerations).
pub(crate) fn rank(type_url: &str) -> u8 {
    match type_url {
        CLUSTER => 0,
        ENDPOINTS => 1,
        SECRET => 2,
        LISTENER => 3,
        ROUTES => 4,
        _ => 5,
    }
}

/// Whether a response must hold all that the client subscribes to, not only what changed.
///
/// Absence in it then means that the resource does not exist.
pub(crate) fn is_full_state(type_url: &str) -> bool {
    matches!(type_url, CLUSTER | LISTENER)
}
