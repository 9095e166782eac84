//! What one call costs the process that makes it: instructions and allocations, ours and the
//! peers', counted in the same run.
//!
//! Both counts are exact where time on a shared machine is not, so they can carry a promise.
//! Instructions are user space only, as callgrind counts them; the kernel's share and the server
//! are outside. Each count is the difference of two runs that differ in the number of calls alone,
//! which leaves out start-up, connecting and warm-up.
//!
//! ```text
//! clients (what to measure) -> workspace (build it) -> server (start it)
//!     -> count (run each client four times) -> report (ratios, a table, a JSON file)
//! ```
//!
//! Needs `valgrind`, `taskset` and a loopback interface.

mod clients;
mod count;
mod report;
mod server;
mod workspace;

use std::error::Error;
use std::path::Path;

use clients::{CLIENTS, Client};
use count::Load;
use report::{Report, Row};
use server::Server;
use workspace::{PEERS, WORKSPACES};

fn main() -> Result<(), Box<dyn Error>> {
    let clients = selected(std::env::args().skip(1))?;
    let target = workspace::target_directory()?;
    std::fs::create_dir_all(target.join("benches"))?;

    for workspace in WORKSPACES {
        workspace.build(&target)?;
    }

    let server = Server::start(&PEERS.binary(&target, "server"))?;
    let mut report = Report::default();
    for client in clients {
        measure(client, &server, &target, &mut report)?;
    }
    print!("{report}");
    let file = target.join("benches/overhead.json");
    report.write(&file)?;
    println!("\n{}", file.display());
    Ok(())
}

/// The clients that `--only a,b` names, or all.
fn selected(
    mut args: impl Iterator<Item = String>,
) -> Result<Vec<&'static Client>, Box<dyn Error>> {
    let names = match (args.next().as_deref(), args.next(), args.next()) {
        (None, _, _) => return Ok(CLIENTS.iter().collect()),
        (Some("--only"), Some(names), None) => names,
        _ => return Err("usage: overhead [--only CLIENT,CLIENT...]".into()),
    };
    names
        .split(',')
        .map(|name| {
            let client = CLIENTS.iter().find(|client| client.name == name);
            client.ok_or_else(|| format!("no client is called {name}").into())
        })
        .collect()
}

fn measure(
    client: &'static Client,
    server: &Server,
    target: &Path,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let plain = client.workspace.binary(target, client.binary);
    let counted = client.workspace.binary(target, &format!("{}_counted", client.binary));
    for &case in client.cases {
        let label = case.label(client.name);
        eprintln!("{label}");
        let addresses = server.addresses(client.target);
        let load = Load { kind: client.name, case, addresses };
        let profile = target.join("benches").join(format!("callgrind.{label}"));
        let instructions = load.instructions(&plain, &profile)?;
        let alone = case.concurrency == 1;
        let allocations = alone.then(|| load.allocations(&counted)).transpose()?;
        report.add(Row { client, case, instructions, allocations });
    }
    Ok(())
}
