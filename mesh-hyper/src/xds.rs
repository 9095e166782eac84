//! The data plane's side of [`Mesh`]: one context per mesh, and targets from their names.

use std::io;
use std::path::Path;
use std::sync::Arc;
#[cfg(feature = "xds")]
use std::sync::OnceLock;

use http::uri::Authority;
use mesh_core::cluster::Address;
use mesh_xds::{Demand, RootHandle, ServerHandle};
pub use mesh_xds::{Mesh, audit};
use tokio::net::{TcpListener, ToSocketAddrs, UnixListener};

use crate::client::{Client, DemandCluster, Open, Source, Target};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::server::secure::Greet;
use crate::server::{self, Server, Socket};
use crate::transport::connect::{Connect, Dialer, Sockets};
use crate::transport::secure::Secure;

impl Target {
    /// The target that `name` stands for in `mesh`, such as `xds:///greeter`.
    ///
    /// Does not wait for its configuration: the first calls do.
    ///
    /// # Errors
    /// When the name is malformed or its authority unknown.
    pub fn of(mesh: &Mesh, name: &str) -> Result<Self, Error> {
        let root = mesh.root(name).map_err(|e| Error::with(Kind::Request, e.to_string(), e))?;
        let RootHandle { authority, cell, demand, subscription } = root;
        let authority = Authority::try_from(&*authority).map_err(|e| {
            Error::with(Kind::Request, format!("{authority} cannot be an authority"), e)
        })?;
        let demand = demand.map(|ask| Arc::new(Ask(ask)) as Arc<dyn DemandCluster>);
        // Ends before the mesh, which runs for as long as one of its targets lives.
        let keep = (subscription, mesh.clone());
        let source = Source { root: cell, demand, keep: Some(Box::new(keep)) };
        Ok(Self::new(name, authority, source, context(mesh)?))
    }
}

impl Client {
    /// A client for what is in `mesh`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run(mesh: mesh_hyper::Mesh) -> Result<(), mesh_hyper::Error> {
    /// let http = mesh_hyper::Client::new(&mesh);
    /// let page = http.get("http://reviews/1").await?.text().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn new(mesh: &Mesh) -> Self {
        let mesh = mesh.clone();
        let inside = move |authority: &str| Target::of(&mesh, &format!("xds:///{authority}"));
        Self::with(Box::new(inside), outside())
    }
}

impl Server {
    /// Listens at `address`. Served is by the listener that the mesh has for it (gRFC A36).
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(mesh: &Mesh, address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::from_listener(mesh, TcpListener::bind(address).await?)
    }

    /// Takes a socket that listens already.
    ///
    /// # Errors
    /// When the socket has no address.
    pub fn from_listener(mesh: &Mesh, listener: TcpListener) -> io::Result<Self> {
        Self::on(mesh, Socket::Tcp(listener))
    }

    /// Listens on a Unix domain socket at `path`, whose listener's name and address have the path
    /// in place of an IP address and port. A socket file that is there already is an error.
    ///
    /// # Errors
    /// When the path cannot be listened on, or is not UTF-8.
    pub fn bind_unix(mesh: &Mesh, path: impl AsRef<Path>) -> io::Result<Self> {
        Self::on(mesh, Socket::Unix(UnixListener::bind(path)?))
    }

    fn on(mesh: &Mesh, socket: Socket) -> io::Result<Self> {
        let address: Address = socket.address()?;
        let source = source(mesh, address.clone());
        let context = context(mesh).map_err(io::Error::other)?;
        Ok(Self::new(socket, address, source, context, greet(mesh)))
    }
}

/// Where the configuration of the server at `address` comes from.
fn source(mesh: &Mesh, address: Address) -> server::Source {
    let ServerHandle { cell, subscription } = mesh.server(address);
    let keep = (subscription, mesh.clone());
    let source = server::Source::new(cell, Some(Box::new(keep)));
    #[cfg(feature = "tls")]
    let source = {
        let identities = mesh.identities().clone();
        source.ready_if(move || identities.check_ready().map_err(|why| why.to_string()))
    };
    source
}

/// Whether there may be servers of `mesh` here.
#[cfg(feature = "testing")]
pub(crate) fn able_to_serve(mesh: &Mesh) -> Result<(), Error> {
    context(mesh).map(drop)
}

/// What a server at `address` serves by, of which there is no socket.
#[cfg(feature = "testing")]
pub(crate) fn served(mesh: &Mesh, address: Address) -> Result<server::alone::Served, Error> {
    let (source, context) = (source(mesh, address), context(mesh)?);
    Ok(server::alone::Served { source, context, greet: greet(mesh) })
}

/// Makes targets that are dialed by their names; whatever that takes is started at the first one.
#[cfg(feature = "xds")]
fn outside() -> Open {
    let plain: OnceLock<Result<Mesh, Arc<str>>> = OnceLock::new();
    Box::new(move |authority| {
        let plain = plain.get_or_init(|| Mesh::disabled().map_err(|e| e.to_string().into()));
        match plain {
            Ok(mesh) => Target::of(mesh, &format!("xds:///{authority}")),
            Err(why) => Err(Error::new(Kind::Outside, why.clone())),
        }
    })
}

/// Without the control side there is nothing that finds hosts by DNS.
#[cfg(not(feature = "xds"))]
fn outside() -> Open {
    Box::new(|_| Err(Error::new(Kind::Outside, "hosts cannot be found by DNS")))
}

/// The context of `mesh`, made at the first target.
fn context(mesh: &Mesh) -> Result<Arc<Context>, Error> {
    connected(mesh, Arc::new(Sockets))
}

/// The context of `mesh`, whose connections `connector` opens if it is not made yet.
pub(crate) fn connected(mesh: &Mesh, connector: Arc<dyn Connect>) -> Result<Arc<Context>, Error> {
    let make = || {
        let dialer = Dialer { connector, secure: secure(mesh) };
        Context::new(mesh.runtime().clone(), dialer, mesh.recorder().cloned())
    };
    let context = mesh.attachment::<Arc<Context>>(make);
    context.cloned().ok_or_else(|| Error::new(Kind::Request, "the mesh serves another data plane"))
}

#[cfg(feature = "tls")]
fn secure(mesh: &Mesh) -> Option<Arc<dyn Secure>> {
    Some(Arc::new(crate::tls::Handshakes(mesh.identities().clone())))
}

#[cfg(not(feature = "tls"))]
fn secure(_mesh: &Mesh) -> Option<Arc<dyn Secure>> {
    None
}

#[cfg(feature = "tls")]
fn greet(mesh: &Mesh) -> Option<Arc<dyn Greet>> {
    Some(Arc::new(crate::tls::Greetings::new(mesh.identities().clone())))
}

#[cfg(not(feature = "tls"))]
fn greet(_mesh: &Mesh) -> Option<Arc<dyn Greet>> {
    None
}

struct Ask(Demand);

impl DemandCluster for Ask {
    fn demand(&self, cluster: &str) -> Result<(), Arc<str>> {
        (self.0)(cluster).map_err(|why| why.to_string().into())
    }
}
