//! Servers of the mesh for `tests/interop/rbac.py` and its like, each with a listener of its own.
//!
//! ```text
//! rbac FILE FOLDER    lines of FILE: name, address to listen at, listener resource in JSON
//!                     or `cluster`, `-`, cluster resource in JSON
//!                     lines on stdout: name, port; or name, `refused`, why
//!                     in FOLDER: certificates for clients, and for other servers
//! ```
//!
//! In the resources `$NAME` stands for the listener's name, `$PORT` for the port that the server
//! has got and `$NEXT` for the one after. They go the usual way: through a control plane, over ADS.
//! Ends with its standard input.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failure is a panic")]

mod certificates;
mod echo;
mod notes;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use mesh_core::cluster::Address;
use mesh_hyper::{Mesh, Server, ServingState};
use mesh_tests::Control;
use mesh_xds::bootstrap::Bootstrap;
use tokio::sync::watch;

use notes::{Fixed, FromHeaders};

/// A server whose listener is on its way.
struct Awaited {
    name: String,
    port: u16,
    states: watch::Receiver<Option<ServingState>>,
}

#[tokio::main]
async fn main() {
    let [file, folder] = [1, 2].map(|at| std::env::args().nth(at).unwrap());
    let file = std::fs::read_to_string(file).unwrap();
    let control = Control::start().await.unwrap();
    let mesh = mesh(&control, Path::new(&folder));

    let (mut awaited, mut resources) = (Vec::new(), String::new());
    for line in file.lines() {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap();
        let (name, address, listener) = (word(), word(), word());
        if name == CLUSTER {
            resources.push_str("---\n");
            resources.push_str(listener);
            resources.push('\n');
            continue;
        }
        let server = Server::bind(&mesh, (address, 0)).await.unwrap();
        let one = serve(server, name);
        let listener = listener
            .replace("$NAME", &format!("server/{address}:{}", one.port))
            .replace("$PORT", &one.port.to_string())
            .replace("$NEXT", &(one.port + 1).to_string());
        resources.push_str("---\n");
        resources.push_str(&listener);
        resources.push('\n');
        awaited.push(one);
    }
    control.push(&resources).unwrap();
    for one in &mut awaited {
        one.tell().await;
    }
    println!("ready");
    let end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    end.await.unwrap().unwrap();
}

fn mesh(control: &Control, folder: &Path) -> Mesh {
    let json = control.bootstrap_json(&["fail_on_data_errors"]);
    let template = r#"{"server_listener_resource_name_template": "server/%s", "#;
    let bootstrap = Bootstrap::from_json(&json.replacen('{', template, 1)).unwrap();
    let builder = Mesh::builder().bootstrap(bootstrap);
    let builder = builder.identity("default", certificates::write(folder));
    builder.filter(Arc::new(FromHeaders)).filter(Arc::new(Fixed)).build().unwrap()
}

/// Says what it sees, where the routes of the listener do not answer.
fn serve(server: Server, name: &str) -> Awaited {
    let Address::Socket(address) = server.local_addr().clone() else { panic!("not TCP") };
    let (tell, states) = watch::channel(None);
    let server = server.on_state(move |state| drop(tell.send_replace(Some(state.clone()))));
    tokio::spawn(server.serve(Router::new().fallback(echo::echo)));
    Awaited { name: name.to_owned(), port: address.port(), states }
}

impl Awaited {
    /// Prints what has become of it.
    async fn tell(&mut self) {
        let is_known = |state: &Option<ServingState>| match state {
            Some(ServingState::NotServing { why }) => why.contains(REFUSED),
            Some(ServingState::Serving) => true,
            Some(ServingState::Stopping | _) | None => false,
        };
        match self.states.wait_for(is_known).await.unwrap().clone() {
            Some(ServingState::NotServing { why }) => {
                println!("{} refused {}", self.name, why.replace('\n', " "));
            }
            Some(ServingState::Serving | ServingState::Stopping | _) | None => {
                println!("{} {}", self.name, self.port);
            }
        }
    }
}

/// Where the name of a scene may be, before a resource that all of them share.
const CLUSTER: &str = "cluster";

/// What is said of a listener that is not awaited any more.
const REFUSED: &str = "refused: ";
