//! A server with an identity, and clients that come with others.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{HeaderMap, Response};
use hyper_util::rt::TokioIo;
use mesh_core::identity::{Authorities, ClientTls, Feed, Material, ServerName, Source};
use mesh_core::record::{Event, Recorder};
use mesh_hyper::{Mesh, Peer, Server, SpiffeId};
use mesh_tests::Control;
use mesh_xds::identity::{DevCa, Identities, Request};
use mesh_xds::tls::why_io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::kit::{SERVED, Served, bootstrap, inline};

/// A server that is `spiffe://td/server`, and the authority that says so.
pub(crate) struct World {
    pub(crate) ca: DevCa,
    pub(crate) source: Arc<Feed>,
    pub(crate) control: Control,
    pub(crate) served: Served,
    /// Why connections were closed.
    pub(crate) refused: watch::Receiver<Vec<String>>,
}

impl World {
    /// One whose listener has `chains` once it serves.
    pub(crate) async fn start(chains: &[String]) -> Self {
        let ca = DevCa::new("td").unwrap();
        let source = feed(&ca, &ca.workload("/server"));
        let mut world = Self::with(ca, source).await;
        world.push(chains);
        world.served.serving().await;
        world
    }

    /// One without a listener, whose identity is that of `source`.
    pub(crate) async fn with(ca: DevCa, source: Arc<Feed>) -> Self {
        let control = Control::start().await.unwrap();
        let (tell, refused) = watch::channel(Vec::new());
        let mesh = Mesh::builder()
            .bootstrap(bootstrap(&control))
            .identity("default", source.clone())
            .recorder(Arc::new(Refusals(tell)))
            .build()
            .unwrap();
        let server = Server::bind(&mesh, "127.0.0.1:0").await.unwrap();
        let server = server.trust_forwarded([SpiffeId::parse("spiffe://td/gateway").unwrap()]);
        let app = Router::new().route("/", get(who)).route("/upgrade", get(upgrade)).with_state(());
        let served = Served::run(mesh, server, |server| tokio::spawn(server.serve(app)));
        Self { ca, source, control, served, refused }
    }

    pub(crate) fn push(&self, chains: &[String]) {
        self.control.push(&listener(self.served.port, chains)).unwrap();
    }

    /// A client that is `path` of the trust domain.
    pub(crate) fn client(&self, path: &str) -> Caller {
        Caller::new(feed(&self.ca, &self.ca.workload(path)))
    }

    /// A connection without TLS.
    pub(crate) async fn plain(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.served.port)).await.unwrap()
    }

    /// Waits for a connection to be closed, and says why the last one was.
    pub(crate) async fn refusal(&mut self) -> String {
        let all = self.refused.wait_for(|all| !all.is_empty()).await.unwrap();
        all.last().unwrap().clone()
    }
}

/// Says who asks, and what the request says of others.
async fn who(peer: Peer, headers: HeaderMap) -> String {
    let id = peer.spiffe_id().map_or("nobody", SpiffeId::as_str);
    let fields = headers.get_all("x-forwarded-client-cert").iter();
    let said: Vec<_> = fields.map(|value| value.to_str().unwrap()).collect();
    format!("{id} {}", said.join("|")).trim_end().to_owned()
}

/// Takes the connection over, and says what it hears.
async fn upgrade(mut request: axum::extract::Request) -> Response<Body> {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded.await.unwrap()));
        // It ends as an error when it is cut.
        tokio::io::copy(&mut read, &mut write).await.ok();
    });
    let response = Response::builder().status(101).header("connection", "upgrade");
    response.header("upgrade", "echo").body(Body::empty()).unwrap()
}

struct Refusals(watch::Sender<Vec<String>>);

impl Recorder for Refusals {
    fn record(&self, event: &Event<'_>) {
        if let Event::Refused { why, .. } = event {
            self.0.send_modify(|all| all.push((*why).to_owned()));
        }
    }
}

/// What `ca` issues for `request`, and trust in it.
pub(crate) fn feed(ca: &DevCa, request: &Request) -> Arc<Feed> {
    Arc::new(Feed::of(ca.material(request).unwrap()))
}

/// A client.
pub(crate) struct Caller {
    identities: Identities,
    tls: ClientTls,
    protocols: Vec<Vec<u8>>,
}

impl Caller {
    /// One with the identity and the authorities of `source`, which takes any of their servers.
    pub(crate) fn new(source: Arc<dyn Source>) -> Self {
        let identities = Identities::default();
        identities.insert("default", source);
        let tls = ClientTls {
            identity: Some("default".into()),
            authorities: Authorities::Provider("default".into()),
            accepted: Box::default(),
            server_name: ServerName::default(),
        };
        Self { identities, tls, protocols: Vec::new() }
    }

    /// One that shows nothing.
    pub(crate) fn anonymous(ca: &DevCa) -> Self {
        let material = Material { identity: None, trust: ca.trust(&[]), crls: Vec::new() };
        let mut caller = Self::new(Arc::new(Feed::of(material)));
        caller.tls.identity = None;
        caller
    }

    /// Asks for `name`.
    pub(crate) fn asking(mut self, name: &str) -> Self {
        self.tls.server_name.fixed = Some(name.into());
        self
    }

    pub(crate) fn offering(mut self, protocols: &[&str]) -> Self {
        self.protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        self
    }

    /// A connection after its handshake. In TLS 1.3 the server may still refuse.
    pub(crate) async fn connect(&self, port: u16) -> Result<TlsStream<TcpStream>, String> {
        let io = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let client = self.identities.client(&self.tls, None, self.protocols.clone()).unwrap();
        let stream = TlsConnector::from(client.config).connect(client.name, io).await;
        stream.map_err(|error| why_io(&error))
    }

    /// The answer to one request on a connection of its own.
    pub(crate) async fn get(&self, port: u16) -> Result<String, String> {
        let mut io = self.connect(port).await?;
        ask(&mut io, "").await
    }
}

/// Asks with the header fields `more`, and reads the answer; the status instead if it is not 200.
pub(crate) async fn ask(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    more: &str,
) -> Result<String, String> {
    let why = |error: std::io::Error| why_io(&error);
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\n{more}\r\n");
    io.write_all(request.as_bytes()).await.map_err(why)?;
    let mut seen = Vec::new();
    loop {
        if io.read_buf(&mut seen).await.map_err(why)? == 0 {
            return Err(format!("closed after {} bytes", seen.len()));
        }
        let text = String::from_utf8_lossy(&seen).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == length.unwrap().parse::<usize>().unwrap() {
            let all = String::from_utf8_lossy(&seen).into_owned();
            let body = all.split_once("\r\n\r\n").unwrap().1.to_owned();
            let is_ok = head.starts_with("http/1.1 200");
            return if is_ok { Ok(body) } else { Err(head[9..12].to_owned()) };
        }
    }
}

/// All that comes until the connection is closed.
pub(crate) async fn rest(io: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    io.read_to_end(&mut bytes).await.ok();
    bytes
}

pub(crate) fn listener(port: u16, chains: &[String]) -> String {
    let inspector = match chains.len() {
        1 => String::new(),
        _ => "listener_filters: [{ name: i, typed_config: { \"@type\": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector } }]".to_owned(),
    };
    format!(
        r#"
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: server/127.0.0.1:{port}
  address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
  {inspector}
  filter_chains:
{}"#,
        chains.concat()
    )
}

/// A chain with the fields `more`, the fields `manager` of its connection manager, and `filters`.
pub(crate) fn chain(more: &str, manager: &str, filters: &str) -> String {
    let routes = inline(SERVED);
    format!(
        r#"  - {more}
    filters:
    - name: manager
      typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: a, {manager} {routes}, http_filters: [{filters} {{ name: router, typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }} }}] }}
"#
    )
}

/// A chain for plain text of all connections.
pub(crate) fn plain() -> String {
    chain("name: plain", "", "")
}

/// A chain with mutual TLS for all connections.
pub(crate) fn strict() -> String {
    chain(&mutual(""), "", "")
}

/// Mutual TLS with clients whom `names` match.
pub(crate) fn mutual(names: &str) -> String {
    socket(
        &format!(
            "validation_context: {{ ca_certificate_provider_instance: {{ instance_name: default }}, match_typed_subject_alt_names: [{names}] }}"
        ),
        "require_client_certificate: true,",
    )
}

/// TLS with what `common` says, besides the identity.
pub(crate) fn socket(common: &str, more: &str) -> String {
    format!(
        "transport_socket: {{ name: envoy.transport_sockets.tls, typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, {more} common_tls_context: {{ tls_certificate_provider_instance: {{ instance_name: default }}, {common} }} }} }}"
    )
}

/// The same for some connections only.
pub(crate) fn of(matched: &str, socket: &str) -> String {
    format!("filter_chain_match: {{ {matched} }}\n    {socket}")
}
