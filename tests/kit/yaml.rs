//! Resources as text. Other names than `greeter` come by [`str::replace`].

use crate::Backend;

/// A listener that takes its routes from `greeter-routes`.
pub const LISTENER: &str = r#"---
"@type": type.googleapis.com/envoy.config.listener.v3.Listener
name: greeter
api_listener:
  api_listener:
    "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
    rds: { route_config_name: greeter-routes, config_source: { ads: {}, resource_api_version: V3 } }
    http_filters:
      - name: router
        typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
"#;

/// The route configuration with these routes, one flow mapping each.
#[must_use]
pub fn routes(routes: &[&str]) -> String {
    let mut text = String::from(
        r#"---
"@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
name: greeter-routes
virtual_hosts:
  - name: greeter
    domains: ["*"]
    routes:
"#,
    );
    for route in routes {
        text.push_str(&format!("      - {route}\n"));
    }
    text
}

/// An EDS cluster and its assignment: a list of endpoints per priority.
#[must_use]
pub fn cluster(name: &str, priorities: &[&[&Backend]]) -> String {
    let mut text = format!(
        r#"---
"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
name: {name}
type: EDS
connect_timeout: 5s
eds_cluster_config: {{ eds_config: {{ ads: {{}}, resource_api_version: V3 }} }}
---
"@type": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
cluster_name: {name}
endpoints:
"#
    );
    for (priority, backends) in priorities.iter().enumerate() {
        text.push_str(&format!(
            "  - locality: {{ zone: z{priority} }}\n    priority: {priority}\n    load_balancing_weight: 1\n    lb_endpoints:{}\n",
            if backends.is_empty() { " []" } else { "" }
        ));
        for backend in *backends {
            let (ip, port) = (backend.address().ip(), backend.address().port());
            text.push_str(&format!("      - endpoint: {{ address: {{ socket_address: {{ address: {ip}, port_value: {port} }} }} }}\n"));
        }
    }
    text
}
