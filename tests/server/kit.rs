//! A server on loopback, and resources for it.

use std::sync::Arc;

use mesh_core::cluster::Address;
use mesh_tests::{Control, EchoClient, Message};
use mesh_tonic::{Channel, Mesh, Server, ServingState};
use mesh_xds::Builder;
use mesh_xds::bootstrap::Bootstrap;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::{Code, Status};

/// A server that the control plane configures.
pub(crate) struct Served {
    pub(crate) mesh: Mesh,
    pub(crate) port: u16,
    pub(crate) states: watch::Receiver<Option<ServingState>>,
    stop: Option<oneshot::Sender<()>>,
    pub(crate) running: JoinHandle<std::io::Result<()>>,
}

impl Served {
    /// Starts a server that serves `routes`.
    pub(crate) async fn start(control: &Control, routes: Routes) -> Self {
        Self::start_with(control, routes, |builder| builder).await
    }

    /// The same, of a mesh that `with` has more to say of.
    pub(crate) async fn start_with(
        control: &Control,
        routes: Routes,
        with: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let builder = with(Mesh::builder().bootstrap(bootstrap(control)));
        let mesh = builder.build().unwrap();
        let server = Server::bind(&mesh, "127.0.0.1:0").await.unwrap();
        Self::run(mesh, server, |server| tokio::spawn(server.serve(routes)))
    }

    /// Serves on `server` what `serve` does.
    pub(crate) fn run(
        mesh: Mesh,
        server: mesh_hyper::Server,
        serve: impl FnOnce(mesh_hyper::Server) -> JoinHandle<std::io::Result<()>>,
    ) -> Self {
        let Address::Socket(address) = server.local_addr().clone() else { panic!("not TCP") };
        let (tell, states) = watch::channel(None);
        let tell = Arc::new(tell);
        let (stop, stopped) = oneshot::channel::<()>();
        let server = server
            .on_state(move |state| drop(tell.send_replace(Some(state.clone()))))
            .drain_delay(std::time::Duration::ZERO)
            .shutdown(async { drop(stopped.await) });
        let running = serve(server);
        Self { mesh, port: address.port(), states, stop: Some(stop), running }
    }

    /// Waits for the server to serve.
    pub(crate) async fn serving(&mut self) {
        let is_it = |state: &Option<ServingState>| *state == Some(ServingState::Serving);
        self.states.wait_for(is_it).await.unwrap();
    }

    /// Waits for the server not to serve, and says why.
    pub(crate) async fn not_serving(&mut self) -> String {
        let is_it =
            |state: &Option<ServingState>| matches!(state, Some(ServingState::NotServing { .. }));
        match self.states.wait_for(is_it).await.unwrap().clone() {
            Some(ServingState::NotServing { why }) => why.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// A client that knows nothing of the mesh.
    pub(crate) fn client(&self) -> EchoClient<Channel> {
        let mesh = Mesh::disabled().unwrap();
        EchoClient::new(Channel::new(&mesh, &format!("xds:///127.0.0.1:{}", self.port)).unwrap())
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }
}

pub(crate) fn bootstrap(control: &Control) -> Bootstrap {
    // So that a listener that is deleted is gone (gRFC A88).
    let json = control.bootstrap_json(&["fail_on_data_errors"]);
    let template = r#"{"server_listener_resource_name_template": "server/%s", "#;
    Bootstrap::from_json(&json.replacen('{', template, 1)).unwrap()
}

/// Calls the echo once: what it says, or the code and message of its failure.
pub(crate) async fn say(client: &mut EchoClient<Channel>) -> Result<String, (Code, String)> {
    let answer = client.call("/test.Echo/Say", Message::default()).await;
    answer
        .map(|answer| answer.into_inner().text)
        .map_err(|status: Status| (status.code(), status.message().to_owned()))
}

/// A listener called `name` for a server at `port`, whose routes are in `routes`.
pub(crate) fn listener(name: u16, port: u16, routes: &str) -> String {
    format!(
        r#"
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: server/127.0.0.1:{name}
  address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
  filter_chains:
  - filters:
    - name: manager
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: a
        {routes}
        http_filters:
        - name: router
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"#
    )
}

/// Routes in a resource called `name`.
pub(crate) fn named(name: &str) -> String {
    format!(
        "rds: {{ route_config_name: {name}, config_source: {{ ads: {{}}, resource_api_version: V3 }} }}"
    )
}

/// Routes that do `action` with everything, in the listener itself.
pub(crate) fn inline(action: &str) -> String {
    format!(
        "route_config: {{ virtual_hosts: [{{ name: v, domains: ['*'], routes: [{{ match: {{ prefix: '' }}, {action} }}] }}] }}"
    )
}

/// The resource for [`named`].
pub(crate) fn routes(name: &str, action: &str) -> String {
    format!(
        r#"
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: {name}
  virtual_hosts: [{{ name: v, domains: ['*'], routes: [{{ match: {{ prefix: '' }}, {action} }}] }}]
"#
    )
}

pub(crate) const SERVED: &str = "non_forwarding_action: {}";
