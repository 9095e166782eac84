//! A control plane, a server that it configures, and the files of workloads.

use std::fs;
use std::path::{Path, PathBuf};

use mesh_tests::Control;
use mesh_xds::identity::{DevCa, Issued};

use crate::agent::Agent;
use crate::place::{Files, Place};

/// What stands around a client.
pub(crate) struct World {
    program: PathBuf,
    pub(crate) control: Control,
    pub(crate) server: Agent,
    /// The files of the server.
    pub(crate) place: Place,
    port: u16,
}

/// What decides at the server whom to let in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Policy {
    /// Nothing does.
    Absent,
    /// A filter of the listener, which is replaced with each change.
    OfListener(Action),
    /// The routes, which change below the listener.
    OfRoutes(Action),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Allow,
    Deny,
}

impl World {
    /// A server that presents `issued` and trusts the authorities `trusted`.
    pub(crate) async fn start(program: &Path, issued: &Issued, trusted: &[&DevCa]) -> Self {
        let control = Control::start().await.unwrap();
        let place = Place::new(&Files::of(issued, trusted));
        let server = Agent::start(program, "serve", &bootstrap(&place, &control));
        server.until("an address", |book| book.address.is_some()).await;
        let address = server.book().address.clone().unwrap();
        let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
        let world = Self { program: program.to_owned(), control, server, place, port };
        world.push(Policy::Absent).await;
        world.server.until("a server that serves", |book| book.is_serving).await;
        world
    }

    /// A client that reads its identity from `place`, once it has reached the server.
    pub(crate) async fn client(&self, place: &Place) -> Agent {
        let client = Agent::start(&self.program, "call", &bootstrap(place, &self.control));
        client.until("a client that is ready", |book| book.is_ready).await;
        client
    }

    /// Replaces all configuration; afterwards everybody has said to have taken it.
    pub(crate) async fn push(&self, policy: Policy) {
        let revision = self.control.push(&resources(self.port, policy)).unwrap();
        self.control.plane().in_force(&revision).await.unwrap();
    }
}

/// A bootstrap file that says that the identity is in `place`.
fn bootstrap(place: &Place, control: &Control) -> PathBuf {
    let path = |name| place.path(name).to_str().unwrap().to_owned();
    let more = format!(
        r#"{{"server_listener_resource_name_template": "server/%s",
        "certificate_providers": {{ "default": {{ "plugin_name": "file_watcher", "config": {{
            "certificate_file": "{}", "private_key_file": "{}",
            "ca_certificate_file": "{}", "crl_file": "{}" }} }} }}, "#,
        path("cert.pem"),
        path("key.pem"),
        path("ca.pem"),
        path("crl.pem"),
    );
    let file = place.path("bootstrap.json");
    fs::write(&file, control.bootstrap_json(&[]).replacen('{', &more, 1)).unwrap();
    file
}

/// What the server at `port` and its clients ask for. To `fresh` goes each request on a connection
/// of its own (HTTP/1.1), to `kept` on one that is there (HTTP/2).
fn resources(port: u16, policy: Policy) -> String {
    let options = "max_requests_per_connection: 1";
    let fresh = [client("fresh"), cluster("fresh", port, options)].concat();
    // Connections are replaced in time for an authority to go.
    let options = r#"typed_extension_protocol_options: { envoy.extensions.upstreams.http.v3.HttpProtocolOptions: { "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, common_http_protocol_options: { max_connection_duration: 1s }, explicit_http_config: { http2_protocol_options: {} } } }"#;
    let kept = [client("kept"), cluster("kept", port, options)].concat();
    [fresh, kept, server(port, policy)].concat()
}

/// The listener for `http://NAME/`.
fn client(name: &str) -> String {
    format!(
        r#"---
"@type": type.googleapis.com/envoy.config.listener.v3.Listener
name: {name}
api_listener:
  api_listener:
    "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
    route_config: {{ virtual_hosts: [{{ name: v, domains: ['*'], routes: [{{ match: {{ prefix: '' }}, route: {{ cluster: {name} }} }}] }}] }}
    http_filters: [{ROUTER}]
"#
    )
}

fn cluster(name: &str, port: u16, options: &str) -> String {
    let tls = socket(
        "UpstreamTlsContext",
        "",
        "match_typed_subject_alt_names: [{ san_type: URI, matcher: { exact: 'spiffe://td/server' } }]",
    );
    format!(
        r#"---
"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
name: {name}
type: STATIC
load_assignment: {{ cluster_name: {name}, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }} }}] }}] }}
transport_socket: {tls}
{options}
"#
    )
}

/// The listener of the server, and its routes.
fn server(port: u16, policy: Policy) -> String {
    let tls = socket("DownstreamTlsContext", "require_client_certificate: true,", "");
    let filter = |rules: &str| {
        format!(
            "{{ name: rbac, typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC, {rules} }} }},"
        )
    };
    let per_route = |rules: &str| {
        format!(
            "typed_per_filter_config: {{ rbac: {{ \"@type\": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute, rbac: {{ {rules} }} }} }},"
        )
    };
    let (filter, per_route) = match policy {
        Policy::Absent => (String::new(), String::new()),
        Policy::OfListener(action) => (filter(&rbac(action)), String::new()),
        Policy::OfRoutes(action) => (filter(""), per_route(&rbac(action))),
    };
    format!(
        r#"---
"@type": type.googleapis.com/envoy.config.listener.v3.Listener
name: server/127.0.0.1:{port}
address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
filter_chains:
- transport_socket: {tls}
  filters:
  - name: manager
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      rds: {{ route_config_name: served, config_source: {{ ads: {{}}, resource_api_version: V3 }} }}
      http_filters: [{filter} {ROUTER}]
---
"@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
name: served
virtual_hosts: [{{ name: v, domains: ['*'], routes: [{{ match: {{ prefix: '' }}, {per_route} non_forwarding_action: {{}} }}] }}]
"#
    )
}

/// Rules that do `action` with everything that the client asks for.
fn rbac(action: Action) -> String {
    let action = match action {
        Action::Allow => "ALLOW",
        Action::Deny => "DENY",
    };
    format!(
        "rules: {{ action: {action}, policies: {{ one: {{ permissions: [{{ any: true }}], principals: [{{ authenticated: {{ principal_name: {{ exact: 'spiffe://td/client' }} }} }}] }} }} }}"
    )
}

/// Mutual TLS with the files of the workload.
fn socket(context: &str, more: &str, names: &str) -> String {
    format!(
        "{{ name: envoy.transport_sockets.tls, typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{context}, {more} common_tls_context: {{ tls_certificate_provider_instance: {{ instance_name: default }}, validation_context: {{ ca_certificate_provider_instance: {{ instance_name: default }}, {names} }} }} }} }}"
    )
}

const ROUTER: &str = r#"{ name: router, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }"#;
