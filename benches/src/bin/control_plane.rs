//! Serves a file of resources until standard input ends, and prints where.
//!
//! ```text
//! control_plane FILE ADDRESS...
//! ```
//!
//! `${1}` in the file stands for the port of the first address, and so on.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use mesh_benches::shared::Error;
use mesh_xds::control_plane::ControlPlane;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("missing FILE")?;
    let mut text = std::fs::read_to_string(&file)?;
    for (number, address) in (1..).zip(arguments) {
        let address: SocketAddr = address.parse()?;
        text = text.replace(&format!("${{{number}}}"), &address.port().to_string());
    }

    let plane = ControlPlane::new();
    let resources = mesh_xds::file::parse(&text, Path::new(&file))?;
    plane.set(ControlPlane::DEFAULT_GROUP, resources.into_iter().collect());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("ads {}", listener.local_addr()?);
    let end = async {
        // Whoever started this has gone, one way or the other.
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    };
    Ok(plane.serve(listener, end).await?)
}
