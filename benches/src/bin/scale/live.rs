//! CPU time for the same pushes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mesh_benches::apply::{self, Mesh};
use mesh_benches::shared::Error;
use mesh_benches::{Figures, Process};
use mesh_xds::control_plane::{ControlPlane, ResourceSet, Revision, type_url};
use tokio::net::TcpListener;

use crate::envoy;

const MANY: usize = 10_000;
const PUSHES: u32 = 20;

/// What goes on after a push was accepted, such as handing it to workers, is over by then.
const SETTLE: Duration = Duration::from_millis(500);

/// No push takes so long.
const LIMIT: Duration = Duration::from_secs(120);

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn compare(target: &Path, figures: &mut Figures) -> Result<(), Error> {
    let binary = envoy::install(target)?;
    for subject in ["mesh", "envoy"] {
        for case in ["change", "clusters"] {
            let plane = Plane::start(Mesh::new(1, 1).to_set()).await?;
            let mut process = match subject {
                "mesh" => Process::start(
                    Command::new(target.join("release/member")).arg(plane.address.to_string()),
                )?,
                _ => envoy::start(&binary, plane.address, &target.join("benches"))?,
            };
            let cpu = Cpu(process.hear("pid")?.parse()?);
            plane.wait(&plane.first, 1).await?;
            let spent = match case {
                "change" => changes(&plane, &cpu).await? / f64::from(PUSHES),
                _ => clusters(&plane, &cpu).await?,
            };
            println!("{:<44}{spent:>12.2} ms", format!("CPU, {case}, {subject}"));
            figures.insert(format!("cpu.{case}.{subject}"), spent);
        }
    }
    for case in ["change", "clusters"] {
        let [mesh, envoy] = ["mesh", "envoy"].map(|it| figures.find(&format!("cpu.{case}.{it}")));
        let (name, ratio) = (format!("cpu.{case}.mesh/envoy"), mesh? / envoy?);
        println!("{name:<44}{ratio:>12.3}");
        figures.insert(name, ratio);
    }
    Ok(())
}

/// One of many endpoints changes, again and again.
async fn changes(plane: &Plane, cpu: &Cpu) -> Result<f64, Error> {
    plane.push(Mesh::new(1, MANY).to_set(), 1).await?;
    let base = Mesh::new(1, MANY).to_set();
    tokio::time::sleep(SETTLE).await;
    let before = cpu.milliseconds()?;
    for push in 0..PUSHES {
        let changed = Some((MANY / 2, 2 + push));
        let name = apply::cluster(0);
        let assignment = apply::assignment(&name, 0, MANY, changed);
        plane.push(base.clone().with_message(&name, &assignment), 1).await?;
    }
    tokio::time::sleep(SETTLE).await;
    Ok(cpu.milliseconds()? - before)
}

/// Many clusters at once.
async fn clusters(plane: &Plane, cpu: &Cpu) -> Result<f64, Error> {
    tokio::time::sleep(SETTLE).await;
    let before = cpu.milliseconds()?;
    plane.push(Mesh::new(MANY, 1).to_set(), MANY).await?;
    tokio::time::sleep(SETTLE).await;
    Ok(cpu.milliseconds()? - before)
}

struct Plane {
    plane: ControlPlane,
    address: SocketAddr,
    first: Revision,
}

impl Plane {
    async fn start(resources: ResourceSet) -> Result<Self, Error> {
        let plane = ControlPlane::new();
        let first = plane.set(ControlPlane::DEFAULT_GROUP, resources);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(plane.serve(listener, std::future::pending()));
        Ok(Self { plane, address, first })
    }

    /// Pushes `resources` with so many clusters, and waits until they are in force.
    async fn push(&self, resources: ResourceSet, clusters: usize) -> Result<(), Error> {
        let revision = self.plane.set(ControlPlane::DEFAULT_GROUP, resources);
        self.wait(&revision, clusters).await
    }

    /// Waits until the one client has accepted all, endpoints of so many clusters included.
    async fn wait(&self, revision: &Revision, clusters: usize) -> Result<(), Error> {
        let done = self.plane.clients_when(|clients| {
            clients.iter().any(|client| {
                let endpoints = client.subscriptions.get(type_url::ENDPOINTS);
                client.is_in_force(revision.number())
                    && endpoints.is_some_and(|it| it.names.len() == clusters)
            })
        });
        tokio::time::timeout(LIMIT, done).await.map_err(|_| "a push was not accepted in time")?;
        Ok(())
    }
}

/// The time that all threads of a process have run.
struct Cpu(u32);

impl Cpu {
    fn milliseconds(&self) -> Result<f64, Error> {
        let mut nanoseconds = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.0))? {
            let times = std::fs::read_to_string(task?.path().join("schedstat"))?;
            let time = times.split_whitespace().next().ok_or("no times")?;
            nanoseconds += time.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3)
    }
}
