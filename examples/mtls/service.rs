//! The service `orders`.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::{Router, routing::get};
use mesh_core::identity::{Feed, Source};
use mesh_hyper::{Mesh, Server, ServingState};
use mesh_xds::identity::DevCa;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The service while it runs.
pub(crate) struct Orders {
    port: u16,
    running: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Orders {
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Lets in whom `rules` say, from now on.
    pub(crate) fn allow(&self, file: &Path, rules: &str) -> std::io::Result<()> {
        configure(file, self.port, rules)
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Starts the service, with a configuration in `file` that lets in whom `rules` say.
pub(crate) async fn serve(
    authority: &DevCa,
    file: &Path,
    rules: &str,
) -> Result<Orders, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    configure(file, port, rules)?;
    let mesh = Mesh::builder().files(file).identity("default", identity(authority, "orders")?);
    let server = Server::from_listener(&mesh.build()?, listener)?;
    let (tell, mut state) = watch::channel(false);
    let server = server.on_state(move |state| {
        tell.send_replace(*state == ServingState::Serving);
    });
    let app = Router::new().route("/", get(|| async { "3 orders\n" }));
    let running = tokio::spawn(server.serve(app));
    state.wait_for(|is_serving| *is_serving).await?;
    Ok(Orders { port, running })
}

fn configure(file: &Path, port: u16, rules: &str) -> std::io::Result<()> {
    let new = file.with_extension("new");
    let server = format!("127.0.0.1:{port}: {{ tls: strict, allow: {rules} }}");
    fs::write(&new, format!("version: mesh/v1\nserver:\n  {server}\n"))?;
    // At once and as a whole.
    fs::rename(new, file)
}

/// A certificate for `name`, and trust in its `authority`.
pub(crate) fn identity(authority: &DevCa, name: &str) -> Result<Arc<dyn Source>, Box<dyn Error>> {
    let workload = authority.workload(&format!("/{name}"));
    Ok(Arc::new(Feed::of(authority.material(&workload)?)))
}
