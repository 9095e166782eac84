//! Probes, on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
#[cfg(feature = "tls")]
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "tls")]
use mesh_core::cell::Cell;
use mesh_core::route::Action;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::kit::{App, Kit, routes};
use crate::server::probes;
use crate::server::settings::Settings;
#[cfg(feature = "tls")]
use crate::server::state::{Source, Status, open};

async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    let mut io = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    io.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    format!("{} {body}", &head[9..12])
}

/// With an identity as the mesh has it: what serves is not ready while that is about to expire.
#[cfg(feature = "tls")]
#[tokio::test]
async fn a_server_that_serves_is_not_ready_without_a_good_identity() {
    let is_good = Arc::new(AtomicBool::new(true));
    let seen = is_good.clone();
    let source = Source::new(Arc::new(Cell::empty()), None).ready_if(move || {
        let is_good = seen.load(Ordering::Relaxed);
        is_good.then_some(()).ok_or_else(|| "the certificate is about to expire".to_owned())
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let status = Status::new(source, open());
    let served = tokio::spawn(probes::serve(listener, status.clone(), None));
    assert_eq!(ask(address, "GET", "/ready").await, "200 ready\n");
    is_good.store(false, Ordering::Relaxed);
    let why = "503 not ready: the certificate is about to expire\n";
    assert_eq!(ask(address, "GET", "/ready").await, why);
    assert_eq!(ask(address, "GET", "/healthz").await, "200 ok\n");
    is_good.store(true, Ordering::Relaxed);
    assert_eq!(ask(address, "GET", "/ready").await, "200 ready\n");
    served.abort();
}

#[tokio::test]
async fn probes_say_what_is_so_and_nothing_else() {
    let kit = Kit::unconfigured(App::text("served"), Settings::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics: probes::Metrics = Arc::new(|| "a 1\n".to_owned());
    let served = tokio::spawn(probes::serve(listener, kit.status.clone(), Some(metrics)));
    let ask = async |method: &str, path: &str| ask(address, method, path).await;
    assert_eq!(ask("GET", "/healthz").await, "200 ok\n");
    let waiting = "503 not serving: nothing has been heard of its listener yet\n";
    assert_eq!(ask("GET", "/ready").await, waiting);
    kit.publish(1, routes(&[("", Action::NonForwarding)], &[]));
    assert_eq!(ask("GET", "/ready").await, "200 ready\n");
    assert_eq!(ask("GET", "/metrics").await, "200 a 1\n");
    assert_eq!(ask("GET", "/debug").await, "404 ");
    assert_eq!(ask("POST", "/healthz").await, "405 ");
    kit.status.stop();
    assert_eq!(ask("GET", "/ready").await, "503 stopping\n");
    assert_eq!(ask("GET", "/healthz").await, "200 ok\n");
    served.abort();
}
