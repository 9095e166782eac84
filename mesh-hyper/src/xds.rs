//! The data plane's side of [`Mesh`]: one context per mesh, and targets from their names.

use std::sync::Arc;
#[cfg(feature = "xds")]
use std::sync::OnceLock;

use http::uri::Authority;
pub use mesh_xds::Mesh;
use mesh_xds::{Demand, RootHandle};

use crate::client::{Client, DemandCluster, Open, Source, Target};
use crate::context::Context;
use crate::error::{Error, Kind};
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

struct Ask(Demand);

impl DemandCluster for Ask {
    fn demand(&self, cluster: &str) -> Result<(), Arc<str>> {
        (self.0)(cluster).map_err(|why| why.to_string().into())
    }
}
