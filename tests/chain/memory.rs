//! The same services in memory, at a clock that stands still while anything is done.

use std::net::SocketAddr;
use std::sync::Arc;

use mesh_tonic::{Channel, Mesh, testing};
use tokio::runtime::Handle;

use crate::hop::{Weather, service};
use crate::world::{Bound, SERVICES, World, ZONES, endpoint, of};

/// The chain, in memory. Each instance has a mesh of its own, as if it were alone.
pub(crate) fn start(bound: Bound) -> World {
    let weather = Arc::new(Weather::default());
    let disabled = Mesh::builder().disabled().runtime(Handle::current()).build().unwrap();
    let mut meshes = Vec::new();
    // Where the service is called that was made last, by each of those who call it.
    let mut callers = Vec::new();
    for (name, next) in SERVICES {
        let instances: Vec<_> =
            (0..ZONES).map(|zone| service(zone, next.and(callers.pop()), &weather)).collect();
        let address = |zone: usize| -> SocketAddr { ([127, 0, 0, 1], port(zone)).into() };
        let endpoints: String = (0..ZONES).map(|zone| endpoint(zone, address(zone))).collect();
        callers = (0..ZONES)
            .map(|_| {
                let mesh = testing::Mesh::from_yaml(&of(name, bound, &endpoints)).unwrap();
                for (zone, instance) in instances.iter().enumerate() {
                    let backend = mesh.backend(&address(zone).to_string());
                    backend.serve(instance.clone()).behind(&disabled).unwrap();
                }
                let channel = Channel::new(&mesh, &format!("xds:///{name}")).unwrap();
                meshes.push(mesh);
                channel
            })
            .collect();
    }
    let callers = callers.pop().unwrap();
    World { callers, weather, _keep: Box::new((meshes, disabled)) }
}

fn port(zone: usize) -> u16 {
    u16::try_from(zone).unwrap() + 1
}
