//! Two workloads that prove to each other who they are, as processes with certificates in files.

#![expect(clippy::unwrap_used, reason = "what is not there ends the test")]

mod process;

use std::{fs, path::Path};

use mesh_xds::identity::{DevCa, Issued};
use serde_json::{Value, json};

use process::{Process, meshcurl};

/// A bootstrap file for the workload `name`, whose certificate is `issued` by `ca`.
fn bootstrap(folder: &Path, name: &str, server: &str, ca: &DevCa, issued: &Issued) -> String {
    let path = |file: String| folder.join(file).to_str().unwrap().to_owned();
    let (chain, key, roots) =
        (path(format!("{name}.pem")), path(format!("{name}.key")), path("ca.pem".into()));
    fs::write(&chain, issued.chain_pem()).unwrap();
    fs::write(&key, issued.key_pem()).unwrap();
    fs::write(&roots, ca.root_pem()).unwrap();
    let bootstrap = json!({
        "xds_servers": [{
            "server_uri": server,
            "channel_creds": [{ "type": "insecure" }],
            "server_features": ["xds_v3"],
        }],
        "node": { "id": name },
        "server_listener_resource_name_template": "server/%s",
        "certificate_providers": { "default": { "plugin_name": "file_watcher", "config": {
            "certificate_file": chain,
            "private_key_file": key,
            "ca_certificate_file": roots,
        } } },
    });
    let file = path(format!("{name}.json"));
    fs::write(&file, bootstrap.to_string()).unwrap();
    file
}

/// The listener of the server at `port`, and what clients need to reach it.
fn resources(port: &str) -> String {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("resources/greeter.yaml");
    let sample = fs::read_to_string(sample).unwrap().replace("50051", port);
    let tls = |context: &str, more: &str| {
        format!(
            "{{ name: envoy.transport_sockets.tls, typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{context}, {more} common_tls_context: {{ tls_certificate_provider_instance: {{ instance_name: default }}, validation_context: {{ ca_certificate_provider_instance: {{ instance_name: default }} }} }} }} }}"
        )
    };
    let upstream = format!("type: EDS\ntransport_socket: {}", tls("UpstreamTlsContext", ""));
    let downstream = tls("DownstreamTlsContext", "require_client_certificate: true,");
    let server = format!(
        r#"
---
"@type": type.googleapis.com/envoy.config.listener.v3.Listener
name: server/127.0.0.1:{port}
address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
filter_chains:
- transport_socket: {downstream}
  filters:
  - name: manager
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      route_config: {{ virtual_hosts: [{{ name: v, domains: ['*'], routes: [{{ match: {{ prefix: '' }}, non_forwarding_action: {{}} }}] }}] }}
      http_filters:
      - name: router
        typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
"#
    );
    [sample.replacen("type: EDS", &upstream, 1), server].concat()
}

#[tokio::test]
async fn an_echo_says_who_has_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resources.yaml");
    fs::write(&file, "[]\n").unwrap();
    let arguments = ["--clients", "--listen", "127.0.0.1:0", "--resources", file.to_str().unwrap()];
    let mut plane = Process::start(env!("CARGO_BIN_EXE_control-plane"), &arguments);
    plane.line().await;
    let listening = plane.line().await;
    let server = listening.strip_prefix("listening on ").unwrap();
    let ca = DevCa::new("td").unwrap();
    let of = |name: &str| {
        let issued = ca.issue(&ca.workload(&format!("/{name}"))).unwrap();
        bootstrap(folder.path(), name, server, &ca, &issued)
    };
    let own = of("server");
    let echo = ["--listen", "127.0.0.1:0", "--name", "v1", "--bootstrap", &own];
    let mut echo = Process::start(env!("CARGO_BIN_EXE_mesh-echo"), &echo);
    let address = echo.line().await;
    let new = folder.path().join(".new");
    fs::write(&new, resources(address.strip_prefix("127.0.0.1:").unwrap())).unwrap();
    fs::rename(&new, &file).unwrap();
    // The server has its listener.
    while !plane.line().await.ends_with("has revision 2") {}

    let client = of("client");
    let call = ["--bootstrap", &client, "--target", "xds:///greeter", "--timeout", "20s"];
    for request in [&["/hello"][..], &["--grpc", "-d", "hi", "/echo.Echo/Say"]] {
        let (code, results, notes) = meshcurl(&[&call[..], request].concat()).await;
        assert_eq!(code, Some(0), "{notes}");
        let result: Value = serde_json::from_str(&results).unwrap();
        assert_eq!(result["headers"]["x-peer-spiffe"], json!(["spiffe://td/client"]), "{result}");
        let body: Value = serde_json::from_str(result["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["peer_spiffe"], json!("spiffe://td/client"));
    }
}
