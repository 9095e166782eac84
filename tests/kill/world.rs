//! Three processes, and a control plane that knows where they are.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use mesh_tests::Control;
use mesh_tests::yaml::LISTENER;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    Never,
    /// Three times, for HTTP and for gRPC.
    Policy,
}

/// The backends.
pub(crate) struct World {
    program: PathBuf,
    retry: Retry,
    pub(crate) control: Control,
    backends: Vec<Backend>,
    started: u32,
}

struct Backend {
    name: String,
    address: SocketAddr,
    child: Child,
}

impl Backend {
    async fn start(program: &Path, name: String) -> Self {
        let mut command = Command::new(program);
        command.args(["serve", &name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.next_line().await.unwrap().unwrap().parse().unwrap();
        Self { name, address, child }
    }
}

impl World {
    pub(crate) async fn start(program: &Path, retry: Retry) -> Self {
        let control = Control::start().await.unwrap();
        let (program, backends) = (program.to_owned(), Vec::new());
        let mut world = Self { program, retry, control, backends, started: 0 };
        for _ in 0..3 {
            world.add().await;
        }
        world
    }

    /// A new backend, which everybody knows of.
    pub(crate) async fn add(&mut self) {
        self.started += 1;
        let name = format!("backend-{}", self.started);
        self.backends.push(Backend::start(&self.program, name).await);
        let revision = self.control.push(&self.resources()).unwrap();
        self.control.plane().in_force(&revision).await.unwrap();
    }

    /// Kills the oldest; its name. When it returns the process is gone.
    pub(crate) async fn kill(&mut self) -> String {
        let mut backend = self.backends.remove(0);
        backend.child.kill().await.unwrap();
        backend.name
    }

    fn resources(&self) -> String {
        let retry = match self.retry {
            Retry::Never => "",
            Retry::Policy => {
                ", retry_policy: { retry_on: 'reset,connect-failure,refused-stream,unavailable', num_retries: 3, host_selection_retry_max_attempts: 5, retry_host_predicate: [{ name: p, typed_config: { '@type': type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate } }] }"
            }
        };
        let route = format!(
            "{{ match: {{ prefix: '' }}, route: {{ cluster: greeter, timeout: 30s{retry} }} }}"
        );
        let mut cluster = String::from(
            r#"---
"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
name: greeter
type: EDS
connect_timeout: 5s
eds_cluster_config: { eds_config: { ads: {}, resource_api_version: V3 } }
circuit_breakers: { thresholds: [{ max_retries: 1000 }] }
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: { http2_protocol_options: {} }
---
"@type": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
cluster_name: greeter
endpoints:
  - locality: { zone: z }
    load_balancing_weight: 1
    lb_endpoints:
"#,
        );
        for Backend { address, .. } in &self.backends {
            let (ip, port) = (address.ip(), address.port());
            cluster.push_str(&format!("      - endpoint: {{ address: {{ socket_address: {{ address: {ip}, port_value: {port} }} }} }}\n"));
        }
        [LISTENER, &mesh_tests::yaml::routes(&[&route]), &cluster].concat()
    }
}
