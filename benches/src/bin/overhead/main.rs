//! What one call costs the process that makes it: instructions and allocations, ours and the
//! peers', counted in the same run.
//!
//! Both counts are exact where time on a shared machine is not, so they can carry a promise.
//! Instructions are user space only, as callgrind counts them; the kernel's share and the other side
//! are outside. Servers are measured in the same way, with a client of tonic's outside. Each count is
//! the difference of two runs that differ in the number of calls alone, which leaves out start-up,
//! connecting and warm-up.
//!
//! ```text
//! clients (what to measure) -> workspace (build it) -> server (start it)
//!     -> count (run each client four times) -> report (ratios, a table, a JSON file)
//! ```
//!
//! With `--check` it fails when a bar is missed.
//!
//! Needs `valgrind`, `taskset` and a loopback interface.

mod clients;
mod count;
mod report;
mod server;
mod workspace;

use std::path::Path;

use clients::{CLIENTS, Client};
use count::{Caller, Load, Who};
use mesh_benches::Bar;
use mesh_benches::shared::Error;
use report::{Report, Row};
use server::{Servers, Target};
use workspace::{MESH, PEERS, WORKSPACES};

/// The promises.
const BARS: [(&str, f64); 18] = [
    ("mesh/tonic@1", 0.80),
    ("mesh/tonic@32", 0.80),
    ("mesh/tonic-xds@1", 0.64),
    ("mesh/tonic-xds@32", 0.64),
    ("mesh/tonic.stream@1", 1.00),
    ("mesh/tonic.64k@1", 1.00),
    ("allocations.mesh", 24.0),
    ("mesh+policies/tonic@1", 0.85),
    ("mesh+policies/tonic@32", 0.85),
    ("allocations.mesh+policies-mesh", 0.01),
    ("mesh-http/hyper-util@1", 1.00),
    ("server/tonic-server@1", 1.00),
    ("server/tonic-server@32", 1.00),
    ("server+rbac/tonic-server@1", 1.10),
    ("allocations.server+rbac-server", 2.0),
    ("server+rbac10k/server+rbac@1", 1.30),
    ("ir.mesh+mtls-mesh-one@1", 9_000.0),
    ("ir.server+mtls-server@1", 9_000.0),
];

fn main() -> Result<(), Error> {
    let Arguments { clients, check } = Arguments::read(std::env::args().skip(1))?;
    let target = mesh_benches::target_directory()?;
    std::fs::create_dir_all(target.join("benches"))?;

    for workspace in WORKSPACES {
        workspace.build(&target)?;
    }

    let plane = MESH.binary(&target, "control_plane");
    mesh_benches::tls::mint()?;
    let server = MESH.binary(&target, "grpc_server");
    let servers = Servers::start(&PEERS.binary(&target, "server"), &plane, &server)?;
    let mut report = Report::default();
    for client in clients {
        measure(client, &servers, &target, &mut report)?;
    }
    print!("{report}");
    let figures = report.figures();
    figures.write(&target.join("benches/overhead.json"))?;
    if check {
        figures.check(&BARS.map(|(name, most)| Bar::new(name, most)))?;
    }
    Ok(())
}

struct Arguments {
    clients: Vec<&'static Client>,
    check: bool,
}

impl Arguments {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Error> {
        let mut read = Self { clients: CLIENTS.iter().collect(), check: false };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--check" => read.check = true,
                "--only" => {
                    let names = arguments.next().ok_or("missing CLIENT,CLIENT...")?;
                    read.clients = names.split(',').map(named).collect::<Result<_, _>>()?;
                }
                _ => return Err("usage: overhead [--check] [--only CLIENT,CLIENT...]".into()),
            }
        }
        Ok(read)
    }
}

fn named(name: &str) -> Result<&'static Client, Error> {
    let client = CLIENTS.iter().find(|client| client.name == name);
    client.ok_or_else(|| format!("no client is called {name}").into())
}

fn measure(
    client: &'static Client,
    servers: &Servers,
    target: &Path,
    report: &mut Report,
) -> Result<(), Error> {
    let plain = client.workspace.binary(target, client.binary);
    let counted = client.workspace.binary(target, &format!("{}_counted", client.binary));
    for &case in client.cases {
        let label = case.label(client.name);
        eprintln!("{label}");
        let tonic = Caller { binary: PEERS.binary(target, "client"), kind: "tonic" };
        let mesh = Caller { binary: MESH.binary(target, "client"), kind: "mesh+mtls" };
        let who = match client.target {
            Target::Itself => Who::Server(client.arguments, &tonic),
            Target::ItselfSecured => Who::Server(client.arguments, &mesh),
            Target::Endpoint
            | Target::Endpoints
            | Target::ControlPlane
            | Target::Mesh
            | Target::Plain
            | Target::Secured
            | Target::Http1 => Who::Client(servers.addresses(client.target)),
        };
        let load = Load { kind: client.name, case, who };
        let profile = target.join("benches").join(format!("callgrind.{label}"));
        let instructions = load.instructions(&plain, &profile)?;
        let alone = case.concurrency == 1;
        let allocations = alone.then(|| load.allocations(&counted)).transpose()?;
        report.add(Row { client, case, instructions, allocations });
    }
    Ok(())
}
