//! A management server for the xDS resources in a directory.
//!
//! ```text
//! cargo run -p mesh-examples --bin control-plane -- --resources examples/resources
//! ```
//!
//! Then point a bootstrap file at `127.0.0.1:18000`, and edit the files while clients run.

use std::{error::Error, net::SocketAddr, path::PathBuf};

use clap::Parser;
use mesh_xds::{
    control_plane::{ControlPlane, Directory},
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
    }
    Ok(())
}

/// Follows the files and says what becomes of each change.
async fn report(mut directory: Directory, control_plane: &ControlPlane) {
    while let Some(reload) = directory.reload().await {
        match reload {
            Ok(revision) => {
                let count = control_plane.resources(revision.group()).len();
                println!("reloaded: {count} resources");
            }
            Err(error) => println!("rejected: {error}"),
        }
    }
}
