//! A management server for the xDS resources in a directory.
//!
//! ```text
//! cargo run -p mesh-examples --bin control-plane -- --resources examples/resources
//! ```
//!
//! Then point a bootstrap file at `127.0.0.1:18000`, and edit the files while clients run. What
//! becomes of each revision of the files is printed, and with `--clients` at each client, too.

use std::{collections::BTreeMap, error::Error, net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Parser;
use mesh_xds::{
    control_plane::{Answer, Client, ControlPlane, Directory},
    file::WatchOptions,
};
use tokio::net::TcpListener;

/// Serves the xDS resources in a directory to every client.
#[derive(Debug, Parser)]
struct Arguments {
    /// A directory (or file) of resources in YAML or JSON.
    #[arg(long, value_name = "DIR")]
    resources: PathBuf,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:18000")]
    listen: SocketAddr,
    /// Also print which revision each client has, and what it refuses.
    #[arg(long)]
    clients: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let control_plane = ControlPlane::new();
    let group = ControlPlane::DEFAULT_GROUP;

    // A bad set at the start is an error; later, the last good one stays.
    let resources = &arguments.resources;
    let directory =
        Directory::open(&control_plane, group, resources, WatchOptions::default()).await?;
    println!("{} resources from {}", control_plane.resources(group).len(), resources.display());

    let listener = TcpListener::bind(arguments.listen).await?;
    println!("listening on {}", listener.local_addr()?);

    let interrupted = async {
        // Without signals the process can only be killed, so it stops.
        let _ = tokio::signal::ctrl_c().await;
    };
    tokio::select! {
        served = control_plane.serve(listener, interrupted) => served?,
        () = report(directory, &control_plane) => {}
        () = follow(&control_plane), if arguments.clients => {}
    }
    Ok(())
}

/// Follows the files and says what becomes of each change.
async fn report(mut directory: Directory, control_plane: &ControlPlane) {
    while let Some(reload) = directory.reload().await {
        match reload {
            Ok(revision) => {
                let count = control_plane.resources(revision.group()).len();
                println!("reloaded: {count} resources, revision {}", revision.number());
            }
            Err(error) => println!("rejected: {error}"),
        }
    }
}

/// Follows the clients and prints a line for each change.
async fn follow(control_plane: &ControlPlane) {
    let mut before: Vec<Arc<Client>> = Vec::new();
    let mut said = BTreeMap::new();
    loop {
        let clients = control_plane.clients_when(|now| now != before).await;
        let now: BTreeMap<u64, Vec<String>> =
            clients.iter().map(|client| (client.stream, lines(client))).collect();
        for (stream, lines) in &now {
            if said.get(stream) != Some(lines) {
                lines.iter().for_each(|line| println!("{line}"));
            }
        }
        for client in before.iter().filter(|client| !now.contains_key(&client.stream)) {
            println!("client {} ({}) is gone", client.node.id, client.stream);
        }
        (before, said) = (clients, now);
    }
}

/// What there is to say about a client.
fn lines(client: &Client) -> Vec<String> {
    let name = format!("client {} ({})", client.node.id, client.stream);
    let revision = client.revision;
    let state = if client.is_in_force(revision) { "has" } else { "is sent" };
    let answered = client.subscriptions.iter().filter(|(_, it)| !it.is_due);
    let refusals = answered.filter_map(|(type_url, it)| match &it.answer {
        Some(Answer::Nack { version, message }) => {
            Some(format!("{name} refuses version {version} of {type_url}: {message:?}"))
        }
        Some(Answer::Ack) | None => None,
    });
    let mut lines = vec![format!("{name} {state} revision {revision}")];
    lines.extend(refusals);
    lines
}
