//! One mesh, several runtimes that come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server;
use mesh_core::cluster::{Address, Cluster, Endpoint};
use mesh_core::cluster::{Assignment, Config, Discovery, Locality, Version};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use super::kit::{Lab, echo, post, serve, snapshot};
use crate::Mesh;
use crate::body::{empty, full};
use crate::client::{Options, Target};

/// A server with a runtime of its own.
struct Server {
    address: std::net::SocketAddr,
    connections: Arc<AtomicU32>,
    _runtime: Runtime,
}

fn server() -> Server {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicU32::new(0));
    let count = connections.clone();
    runtime.spawn(async move {
        while let Ok((io, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let Ok(mut wire) = server::Builder::new().handshake::<_, Bytes>(io).await else {
                    return;
                };
                while let Some(Ok((request, respond))) = wire.accept().await {
                    tokio::spawn(echo(request, respond));
                }
            });
        }
    });
    Server { address, connections, _runtime: runtime }
}

fn mesh(server: &Server) -> Mesh {
    let endpoint = Arc::new(Endpoint::new(Address::Socket(server.address)));
    let endpoints = [endpoint].into();
    let locality = Locality { name: Arc::default(), weight: 1, priority: 0, endpoints };
    let assignment = Assignment { localities: vec![locality], ..Assignment::default() };
    let assignment = Arc::new(assignment);
    let config = Arc::new(Config::new("backend", Discovery::Static(assignment.clone())));
    let cluster = Cluster::new(Version { config, assignment, note: None });
    Mesh::fixed([snapshot(&cluster, |_| {})]).unwrap()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn ask(target: &Target) {
    let options = Options::default().timeout(Duration::from_secs(20));
    let response = target.call(post(full("hello")), options).await.unwrap();
    assert_eq!(response.into_body().text().await.unwrap(), "hello");
}

#[test]
fn one_runtime_after_the_other_uses_a_mesh() {
    let server = server();
    let target = Target::of(&mesh(&server), "xds:///backend").unwrap();
    for _ in 0..10 {
        let runtime = runtime();
        runtime.block_on(async {
            for _ in 0..5 {
                ask(&target).await;
            }
        });
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 10);
}

#[test]
fn runtimes_in_parallel_use_a_mesh() {
    let server = server();
    let target = Target::of(&mesh(&server), "xds:///backend").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    runtime().block_on(async {
                        // A connection may be of another thread's runtime, and end with it: then
                        // the call has failed, but the next one finds another connection.
                        let options = Options::default().timeout(Duration::from_secs(20));
                        let mut failures = 0;
                        for _ in 0..5 {
                            let call = target.call(post(empty()), options);
                            failures += u32::from(call.await.is_err());
                        }
                        assert!(failures < 5);
                    });
                }
            });
        }
    });
    runtime().block_on(ask(&target));
}

#[test]
fn a_call_may_be_made_outside_of_any_runtime() {
    let server = server();
    let target = Target::of(&mesh(&server), "xds:///backend").unwrap();
    for _ in 0..2 {
        let call = target.call(post(full("x")), Options::default());
        runtime().block_on(async { assert!(call.await.is_ok()) });
    }
}

#[test]
fn a_target_keeps_the_mesh_running() {
    let server = server();
    let mesh = mesh(&server);
    let target = Target::of(&mesh, "xds:///backend").unwrap();
    let control = mesh.runtime().clone();
    drop(mesh);
    runtime().block_on(ask(&target));
    let probe = control.spawn(std::future::pending::<()>());
    assert!(!probe.is_finished());
    drop(target);
    // The control thread has ended: it drops its tasks.
    let ended =
        runtime().block_on(async { tokio::time::timeout(Duration::from_secs(20), probe).await });
    assert!(ended.unwrap().unwrap_err().is_cancelled());
}

#[test]
fn a_runtime_that_is_gone_does_not_keep_the_next_one_from_connecting() {
    let control = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let entered = control.enter();
    let lab = Lab::with(1, |_| {}, |_| {});
    drop(entered);
    let options = Options::default().timeout(Duration::from_secs(20));
    // The endpoint waits for its next attempt when this runtime ends.
    runtime().block_on(async {
        assert!(lab.target.call(post(empty()), Options::default()).await.is_err());
    });
    let entered = control.enter();
    serve(lab.listen(0), server::Builder::new(), echo);
    drop(entered);
    runtime().block_on(async {
        let call = lab.target.call(post(empty()), options.wait_for_ready(true));
        assert!(call.await.is_ok());
        assert!(lab.is_at_rest());
    });
}
