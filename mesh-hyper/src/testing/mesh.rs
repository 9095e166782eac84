//! A mesh for tests.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use http::Method;
use mesh_core::cluster::Address;
use mesh_core::rng::{Rng, XorShift};

use super::backend::Backend;
use super::feed::{Builder, ControlPlane, Error, Feed, PushError};
use super::mistake;
use super::network::Network;
use super::requests::Requests;
use crate::client::Client;
use crate::runtime;
use crate::xds;

/// A mesh for tests: its configuration is given, its backends are in memory, its clock stands still.
///
/// Runs on the runtime of the test, which must have one thread and a paused clock:
/// `#[tokio::test(start_paused = true)]`. It is a [`Mesh`](crate::Mesh) to everything that takes
/// one, so that code under test makes its clients and channels of it.
///
/// Every address in the configuration is served, by a [`Backend`] that answers 200 with its name, and
/// gRPC calls with an empty message, until the test says otherwise. DNS names have made-up addresses.
/// What is not in the configuration cannot be reached.
pub struct Mesh {
    mesh: crate::Mesh,
    client: Client,
    network: Arc<Network>,
    /// Where requests without a seed get theirs from.
    seeds: Mutex<XorShift>,
}

impl Mesh {
    /// The mesh that `yaml` describes: the short form or xDS resources, as in a file for
    /// [`Mesh::from_file`](crate::Mesh::from_file). Errors call it `mesh.yaml`.
    ///
    /// # Errors
    /// When anything in `yaml` is wrong, with line and field; or when the runtime around is not one
    /// with one thread and a paused clock.
    pub fn from_yaml(yaml: &str) -> Result<Self, Error> {
        Self::from_yaml_with(yaml, crate::Mesh::builder())
    }

    /// As [`from_yaml`](Self::from_yaml), with the filters and the recorder of `builder`.
    ///
    /// # Errors
    /// As there.
    pub fn from_yaml_with(yaml: &str, builder: Builder) -> Result<Self, Error> {
        Feed::document(yaml, builder).map(Self::new)
    }

    /// A mesh that `control` feeds, with the bootstrap, the filters and the recorder of `builder`.
    ///
    /// # Errors
    /// As [`ControlPlane::mesh`].
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_hyper::{Mesh, testing};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let control = testing::ControlPlane::start()?;
    /// let mesh = testing::Mesh::fed_by(&control, Mesh::builder())?;
    /// mesh.push("{ version: mesh/v1, services: { shop: { versions: { v1: 127.0.0.1:80 } } } }").await?;
    /// assert_eq!(mesh.get("http://shop/").times(10).await.count("shop/v1"), 10);
    ///
    /// control.stop().await;
    /// assert_eq!(mesh.get("http://shop/").times(10).await.failures(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fed_by(control: &ControlPlane, builder: Builder) -> Result<Self, Error> {
        Feed::control(control, builder).map(Self::new)
    }

    fn new((mesh, feed): (crate::Mesh, Feed)) -> Self {
        runtime::seed(SEED);
        let network = Arc::new(Network::new(feed));
        // Nobody has had the mesh yet, so it is this network that all its calls will take.
        drop(xds::connected(&mesh, network.clone()));
        let (client, seeds) = (Client::new(&mesh), Mutex::new(XorShift::new(SEED)));
        Self { mesh, client, network, seeds }
    }

    /// Puts `yaml` in the place of the configuration, and waits until it is in force.
    ///
    /// # Errors
    /// When it is not taken. Then what was there stays in force.
    ///
    /// # Cancel safety
    /// The push itself is done at the first poll; only the waiting is given up.
    pub async fn push(&self, yaml: &str) -> Result<(), PushError> {
        self.network.feed().push(yaml).await
    }

    /// What answers for a cluster, such as `reviews/v1`, or at a single address of one, such as
    /// `127.0.0.1:9081`. What is said of an address goes before what is said of its cluster.
    ///
    /// # Panics
    /// When there is no such cluster or address in the configuration.
    #[must_use]
    #[track_caller]
    pub fn backend(&self, name: &str) -> Backend {
        let clusters = self.network.feed().clusters();
        let is_it = |address: &Address| address.to_string() == name;
        if !clusters.iter().any(|it| *it.name == *name || it.addresses.iter().any(is_it)) {
            let names: Vec<&str> = clusters.iter().map(|it| &*it.name).collect();
            mistake(&format!("there is no backend {name}, only {}", names.join(", ")));
        }
        Backend::new(self.network.stand(name))
    }

    /// A GET request to an absolute URI, to be sent when it is awaited.
    pub fn get(&self, uri: &str) -> Requests<'_> {
        Requests::new(self, Method::GET, uri)
    }

    /// A POST request to an absolute URI.
    pub fn post(&self, uri: &str) -> Requests<'_> {
        Requests::new(self, Method::POST, uri)
    }

    /// A unary gRPC call, such as to `http://greeter/helloworld.Greeter/SayHello`, of an empty message
    /// unless [`body`](Requests::body) gives another one.
    pub fn grpc(&self, uri: &str) -> Requests<'_> {
        Requests::new(self, Method::POST, uri).grpc()
    }

    /// The client that requests of the test itself go through.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A seed that is another one each time, and the same ones in each run.
    pub(super) fn next_seed(&self) -> u64 {
        // A generator cannot be left half-changed.
        self.seeds.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }
}

impl Deref for Mesh {
    type Target = crate::Mesh;

    fn deref(&self) -> &crate::Mesh {
        &self.mesh
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh").field("network", &self.network).finish_non_exhaustive()
    }
}

/// What every choice follows from that no seed of the test decides, such as where a round begins.
const SEED: u64 = 1;
