//! The mesh's channels.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::cluster::{
    Address, Assignment, Cluster, Config, Discovery, Endpoint, Keepalive, Locality, Version,
};
use mesh_core::matcher::{HeaderMatcher, PathMatcher, StringMatcher, ValueMatcher};
use mesh_core::route::{Action, ClusterChoice, Forward, Route, RouteMatch, Table, VirtualHost};
use mesh_core::snapshot::{ClusterSlot, Snapshot};
use mesh_tonic::{Channel, Mesh};

use crate::shared::{Error, METHOD_UNARY, Run};

/// Runs the client that the command line describes.
///
/// # Errors
/// The command line is wrong, or a call failed.
pub fn client() -> Result<(), Error> {
    let run = Run::from_args()?;
    let mesh = Mesh::fixed([snapshot(&run.addresses)?])?;
    Run::block_on(async {
        match run.kind.as_str() {
            "mesh" => run.grpc(Channel::new(&mesh, "xds:///echo")?).await,
            other => Err(format!("unknown kind {other}").into()),
        }
    })
}

fn snapshot(addresses: &[SocketAddr]) -> Result<Snapshot, Error> {
    let mut builder = Table::builder();
    let to = Action::Forward(Forward::new(ClusterChoice::One(builder.cluster("echo")?)));
    let mut host = VirtualHost::new("echo", &["*"]);
    for i in 0..100 {
        let path = PathMatcher::exact(&format!("/bench.Echo{i}/Unary"));
        host = host.route(Route::new(RouteMatch::new(path), to.clone()));
    }
    let grpc = ValueMatcher::String(StringMatcher::exact("application/grpc"));
    let path = PathMatcher::prefix("/bench.Echo/");
    let matcher = RouteMatch::new(path).header(HeaderMatcher::new("content-type", grpc)?);
    let mut route = Route::new(matcher, to);
    route.timeouts.max_stream_duration = Some(Duration::from_secs(60));
    builder.virtual_host(host.route(route));
    let _ = METHOD_UNARY;

    let mut localities = Vec::new();
    for (at, chunk) in addresses.chunks(2).enumerate() {
        let endpoints = chunk.iter().map(|a| Arc::new(Endpoint::new(Address::Socket(*a))));
        localities.push(Locality {
            name: Arc::default(),
            weight: 1,
            priority: u32::try_from(at / 2)?,
            endpoints: endpoints.collect(),
        });
    }
    let assignment = Arc::new(Assignment { localities, ..Assignment::default() });
    let mut config = Config::new("echo", Discovery::Static(assignment.clone()));
    let (interval, timeout) = (Duration::from_secs(30), Duration::from_secs(10));
    config.connections.keepalive = Some(Keepalive { interval, timeout });
    let cluster = Cluster::new(Version { config: Arc::new(config), assignment, note: None });
    let snapshot = Snapshot::new("echo".into(), Arc::new(builder.build()?));
    Ok(snapshot.with_clusters([ClusterSlot::Ready(cluster)]))
}
