use std::{collections::HashSet, sync::OnceLock};

use prost_reflect::DescriptorPool;

static SET: &[u8] = include_bytes!("descriptors.bin");
static SENSITIVE: &str = include_str!("sensitive.txt");

/// The descriptors of what mesh reads from and prints to text.
///
/// Decoded on first use, which takes some milliseconds, and kept for the life of the process.
#[must_use]
pub fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        #[expect(clippy::expect_used, reason = "the bytes are part of the program and tested")]
        DescriptorPool::decode(SET).expect("the embedded descriptor set is valid")
    })
}

/// Whether a field, by its full name, holds a secret (`udpa.annotations.sensitive`).
#[must_use]
pub fn is_sensitive(field: &str) -> bool {
    static FIELDS: OnceLock<HashSet<&str>> = OnceLock::new();
    FIELDS.get_or_init(|| SENSITIVE.lines().collect()).contains(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_mesh_reads_are_there() {
        for name in [
            "envoy.config.listener.v3.Listener",
            "envoy.config.route.v3.RouteConfiguration",
            "envoy.config.cluster.v3.Cluster",
            "envoy.config.endpoint.v3.ClusterLoadAssignment",
            "envoy.extensions.clusters.aggregate.v3.ClusterConfig",
            "envoy.extensions.clusters.dns.v3.DnsCluster",
            "envoy.extensions.filters.common.fault.v3.FaultDelay",
            "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
            "envoy.extensions.filters.http.fault.v3.HTTPFault",
            "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
            "envoy.extensions.filters.http.ratelimit.v3.RateLimit",
            "envoy.extensions.filters.http.rbac.v3.RBAC",
            "envoy.extensions.filters.http.router.v3.Router",
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash",
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig",
            "envoy.extensions.transport_sockets.tls.v3.Secret",
            "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "envoy.admin.v3.ConfigDump",
            "envoy.service.discovery.v3.DeltaDiscoveryResponse",
            "envoy.service.status.v3.ClientStatusResponse",
            "google.protobuf.Struct",
            "udpa.type.v1.TypedStruct",
            "xds.type.v3.TypedStruct",
        ] {
            assert!(pool().get_message_by_name(name).is_some(), "{name}");
        }
    }

    #[test]
    fn private_keys_are_sensitive() {
        const CERTIFICATE: &str = "envoy.extensions.transport_sockets.tls.v3.TlsCertificate";
        assert!(is_sensitive(&format!("{CERTIFICATE}.private_key")));
        assert!(!is_sensitive(&format!("{CERTIFICATE}.certificate_chain")));
    }

    #[test]
    fn listed_fields_exist() {
        for field in SENSITIVE.lines() {
            let (message, name) = field.rsplit_once('.').unwrap();
            let message = pool().get_message_by_name(message).unwrap();
            assert!(message.get_field_by_name(name).is_some(), "{field}");
        }
    }
}
