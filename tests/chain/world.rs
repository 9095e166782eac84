//! The services, and a control plane that says how they call each other.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;

use mesh_tests::Control;
use mesh_tonic::{Channel, Mesh};

use crate::hop::{Hop, Weather};

/// Instances of each service, one a zone.
pub(crate) const ZONES: usize = 3;

/// The services, the last first, each with the one that it asks.
pub(crate) const SERVICES: [(&str, Option<&str>); 4] =
    [("d", None), ("c", Some("d")), ("b", Some("c")), ("a", Some("b"))];

/// What bounds the retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Each hop its own.
    Hop,
    /// Nobody sends a retry again.
    Chain,
}

/// The chain.
pub(crate) struct World {
    pub(crate) weather: Arc<Weather>,
    /// Calls the first service. It sends nothing again.
    pub(crate) callers: Channel,
    /// What stops when it is dropped.
    pub(crate) _keep: Box<dyn Any>,
}

impl World {
    pub(crate) async fn start(bound: Bound) -> Self {
        let control = Control::start().await.unwrap();
        let weather = Arc::new(Weather::default());
        let channel = |service: &str| {
            let mesh = Mesh::builder().bootstrap(control.bootstrap(&[]).unwrap());
            Channel::new(&mesh.build().unwrap(), &format!("xds:///{service}")).unwrap()
        };
        let (mut hops, mut resources) = (Vec::new(), String::new());
        for (service, next) in SERVICES {
            let mut endpoints = String::new();
            for zone in 0..ZONES {
                let hop = Hop::start(zone, next.map(channel), &weather).await;
                endpoints.push_str(&endpoint(zone, hop.address));
                hops.push(hop);
            }
            resources.push_str(&of(service, bound, &endpoints));
        }
        control.push(&resources).unwrap();
        Self { callers: channel("a"), weather, _keep: Box::new((hops, control)) }
    }
}

/// The instance in `zone` at `address`.
pub(crate) fn endpoint(zone: usize, address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        "  - locality: {{ zone: z{zone} }}\n    load_balancing_weight: 1\n    lb_endpoints:\n      - endpoint: {{ address: {{ socket_address: {{ address: {ip}, port_value: {port} }} }} }}\n"
    )
}

/// What callers of `service` need to know.
pub(crate) fn of(service: &str, bound: Bound, endpoints: &str) -> String {
    let retry = match service {
        "a" => "",
        _ => ", retry_policy: { retry_on: unavailable, num_retries: 2 }",
    };
    let metadata = match (service, bound) {
        ("a", _) | (_, Bound::Hop) => "",
        (_, Bound::Chain) => {
            ", metadata: { filter_metadata: { mesh.retry: { of_retries: once } } }"
        }
    };
    format!(
        r#"---
"@type": type.googleapis.com/envoy.config.listener.v3.Listener
name: {service}
api_listener:
  api_listener:
    "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
    route_config:
      virtual_hosts:
        - name: {service}
          domains: ["*"]
          routes: [{{ match: {{ prefix: "" }}, route: {{ cluster: {service}{retry} }}{metadata} }}]
    http_filters:
      - name: router
        typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
---
"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
name: {service}
type: EDS
connect_timeout: 5s
eds_cluster_config: {{ eds_config: {{ ads: {{}}, resource_api_version: V3 }} }}
circuit_breakers:
  thresholds: [{{ retry_budget: {{ budget_percent: {{ value: 20 }}, min_retry_concurrency: 0 }} }}]
---
"@type": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
cluster_name: {service}
endpoints:
{endpoints}"#
    )
}
