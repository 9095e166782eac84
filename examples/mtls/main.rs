//! Two services that prove who they are, and a policy that says who may do what.
//!
//! ```text
//! cargo run -p mesh-examples --bin mtls
//! ```
//!
//! `orders` speaks TLS only, with clients of its trust domain. First nobody may read orders, then
//! `web` may, by a change of a file, while another service of the same domain may not. Who speaks
//! no TLS gets not a byte, and who comes from elsewhere no further than the handshake. Anything
//! else ends the program with an error.

mod service;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use mesh_hyper::{Client, Mesh};
use mesh_xds::identity::DevCa;

use service::{identity, serve};

/// How long a change of a file may take to be seen.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("mesh-mtls-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let told = tell(&folder).await;
    fs::remove_dir_all(&folder)?;
    told
}

async fn tell(folder: &Path) -> Result<(), Box<dyn Error>> {
    let authority = DevCa::new("shop.example")?;
    let file = folder.join("orders.yaml");
    let orders = serve(&authority, &file, "[]").await?;
    let port = orders.port();
    println!("orders serves 127.0.0.1:{port}, TLS only; nobody may read them");

    let client = |name, authority: &DevCa| client(folder, name, authority, port);
    let web = client("web", &authority)?;
    expect("web", get(&web).await?, StatusCode::FORBIDDEN)?;

    println!("\nnow `web` may:");
    orders.allow(&file, "[{ from: spiffe://shop.example/web, methods: [GET] }]")?;
    let change = async {
        while get(&web).await? != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, Box<dyn Error>>(())
    };
    tokio::time::timeout(PATIENCE, change).await??;
    expect("web", get(&web).await?, StatusCode::OK)?;
    expect("another service", get(&client("other", &authority)?).await?, StatusCode::FORBIDDEN)?;

    println!("\nand these come no further than the handshake:");
    let plain = Client::new(&Mesh::disabled()?);
    let refused = plain.get(format!("http://127.0.0.1:{port}/")).await;
    println!("  in plain text: {}", refused.err().ok_or("somebody without TLS was served")?);
    let stranger = client("web", &DevCa::new("shop.example")?)?;
    let refused = stranger.get("http://orders/").await;
    println!("  a certificate of another authority: {}", refused.err().ok_or("it was let in")?);
    Ok(())
}

/// A client that is called `name`, certified by `authority`.
fn client(
    folder: &Path,
    name: &str,
    authority: &DevCa,
    port: u16,
) -> Result<Client, Box<dyn Error>> {
    let file = folder.join("client.yaml");
    fs::write(
        &file,
        format!(
            "version: mesh/v1\nservices:\n  orders:\n    identity: default\n    peers: spiffe://shop.example/orders\n    versions: {{ v1: 127.0.0.1:{port} }}\n"
        ),
    )?;
    let mesh = Mesh::builder().files(&file).identity("default", identity(authority, name)?);
    Ok(Client::new(&mesh.build()?))
}

async fn get(client: &Client) -> Result<StatusCode, Box<dyn Error>> {
    Ok(client.get("http://orders/").await?.status())
}

fn expect(who: &str, status: StatusCode, wanted: StatusCode) -> Result<(), Box<dyn Error>> {
    println!("  {who}: {status}");
    if status == wanted { Ok(()) } else { Err(format!("{who} should get {wanted}").into()) }
}
