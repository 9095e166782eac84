//! Probes, on loopback.

use std::sync::Arc;

use mesh_core::route::Action;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::kit::{App, Kit, routes};
use crate::server::probes;
use crate::server::settings::Settings;

#[tokio::test]
async fn probes_say_what_is_so_and_nothing_else() {
    let kit = Kit::unconfigured(App::text("served"), Settings::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics: probes::Metrics = Arc::new(|| "a 1\n".to_owned());
    let served = tokio::spawn(probes::serve(listener, kit.status.clone(), Some(metrics)));
    let ask = async |method: &str, path: &str| {
        let mut io = TcpStream::connect(address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        io.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        io.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        format!("{} {body}", &head[9..12])
    };
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
