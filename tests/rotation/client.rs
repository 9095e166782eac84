//! A client of the mesh, as a process of its own: some of its requests have a connection each, the
//! others share one.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::Request;
use mesh_hyper::{Client, Mesh, Options, empty};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::tale::{recorder, tell};
use crate::tap;

/// Requests with a connection each: by how many callers, and how often each asks.
const FRESH: (usize, Duration) = (2, Duration::from_millis(20));

/// The others.
const KEPT: (usize, Duration) = (2, Duration::from_millis(10));

/// Asks as the bootstrap in the file `bootstrap` says, until a line comes on its standard input or
/// that ends.
pub(crate) async fn call(bootstrap: &str) -> ExitCode {
    let cryptography = tap::cryptography(|serial| tell("verified", serial));
    let builder = Mesh::builder().bootstrap_file(bootstrap).recorder(recorder());
    let mesh = builder.cryptography(cryptography).build().unwrap();
    let client = Client::new(&mesh);
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut callers = JoinSet::new();
    for (name, (count, pace)) in [("fresh", FRESH), ("kept", KEPT)] {
        // The first one waits until it is known where the server is.
        let first = Request::get(format!("http://{name}/")).body(empty()).unwrap();
        let options = Options::default().wait_for_ready(true);
        client.send(first, options).await.unwrap().into_body().text().await.unwrap();
        for _ in 0..count {
            let (client, stop, calls) = (client.clone(), stop.clone(), calls.clone());
            callers.spawn(async move {
                let mut tick = interval(pace);
                tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while !stop.load(Ordering::SeqCst) {
                    tick.tick().await;
                    match ask(&client, name).await {
                        Ok(()) => drop(calls.fetch_add(1, Ordering::SeqCst)),
                        Err(why) => tell("error", &format!("{name}: {why}")),
                    }
                }
            });
        }
    }
    tell("ready", "");
    // Whatever comes, and be it the end.
    drop(BufReader::new(stdin()).lines().next_line().await);
    stop.store(true, Ordering::SeqCst);
    callers.join_all().await;
    tell("calls", &calls.load(Ordering::SeqCst).to_string());
    ExitCode::SUCCESS
}

async fn ask(client: &Client, name: &str) -> Result<(), String> {
    let response = client.get(format!("http://{name}/")).await;
    let response = response.map_err(|error| error.to_string())?;
    let status = response.status();
    let text = response.text().await.map_err(|error| error.to_string())?;
    if text == "served" { Ok(()) } else { Err(format!("{status}: {text:?}")) }
}
