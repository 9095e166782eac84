//! What policies that are not acted on cost: no allocation.
//!
//! A test binary of its own, as all of a process counts.

use std::alloc::System;

use mesh_hyper::testing::Mesh;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A mesh whose only route has these fields besides its cluster.
fn mesh(route: &str) -> Result<Mesh, Box<dyn std::error::Error>> {
    let yaml = format!(
        r#"---
"@type": type.googleapis.com/envoy.config.listener.v3.Listener
name: shop
api_listener:
  api_listener:
    "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
    route_config: {{ name: shop, virtual_hosts: [{{ name: all, domains: ["*"], routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: shop{route} }} }}] }}] }}
    http_filters:
      - name: router
        typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
---
"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
name: shop
type: STATIC
load_assignment: {{ cluster_name: shop, endpoints: [{{ locality: {{ zone: z }}, load_balancing_weight: 1, lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: 1 }} }} }} }}] }}] }}
"#
    );
    Ok(Mesh::from_yaml(&yaml)?)
}

const CALLS: usize = 1_000;

/// Allocations of so many calls, the kit's and the backend's included.
async fn allocations(mesh: &Mesh) -> usize {
    mesh.post("http://shop/").body("content").times(CALLS).await;
    let region = Region::new(ALLOCATOR);
    let seen = mesh.post("http://shop/").body("content").times(CALLS).await;
    let change = region.change();
    assert_eq!(seen.failures(), 0);
    change.allocations + change.reallocations
}

#[tokio::test(start_paused = true)]
async fn policies_that_are_not_acted_on_allocate_nothing() {
    let plain = allocations(&mesh("").unwrap()).await;
    for policy in [
        "retry_policy: { retry_on: 5xx, num_retries: 3 }",
        "retry_policy: { retry_on: 5xx, retry_priority: { name: p, typed_config: { \
         '@type': type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig, \
         update_frequency: 1 } } }",
        "retry_policy: { retry_on: 5xx, per_try_timeout: 2s, per_try_idle_timeout: 1s }",
        "idle_timeout: 2s",
        "hedge_policy: { hedge_on_per_try_timeout: true }, \
         retry_policy: { retry_on: 5xx, per_try_timeout: 2s }",
    ] {
        let idle = allocations(&mesh(&format!(", {policy}")).unwrap()).await;
        // What grows by doubling may do so at another moment.
        assert!(idle < plain + CALLS / 20, "{policy}: {idle} instead of {plain}");
    }
}
