//! A backend in a process of its own. It takes its time, so that there are calls to lose.

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use mesh_hyper::{Mesh, Server};
use tokio::io::{AsyncReadExt, stdin};
use tokio::time::sleep;

/// How long each answer takes.
const WORK: Duration = Duration::from_millis(10);

/// Says where it is, and answers with its name.
pub(crate) async fn serve(name: &str) -> ExitCode {
    let server = Server::bind(&Mesh::disabled().unwrap(), "127.0.0.1:0").await.unwrap();
    println!("{}", server.local_addr());
    let own = name.to_owned();
    let app: Router = mesh_tests::service(name).into_axum_router();
    let app = app.route("/", get(async move || own)).layer(from_fn(work));
    let served = tokio::spawn(server.serve(app));
    // Only its end is of interest.
    drop(stdin().read_to_end(&mut Vec::new()).await);
    served.abort();
    ExitCode::SUCCESS
}

async fn work(request: Request, next: Next) -> axum::response::Response {
    sleep(WORK).await;
    next.run(request).await
}
