//! T-A36.1, T-A36.2, T-A36.4: when a server serves, and what.

use std::time::Duration;

use mesh_tests::{Control, Message, service};
use tokio::io::AsyncReadExt;
use tokio_stream::StreamExt;
use tonic::Code;

use crate::kit::{SERVED, Served, inline, listener, named, routes, say};

/// Connects and reads until the end.
async fn bytes_of(port: u16) -> usize {
    let mut io = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut bytes = Vec::new();
    // A reset is as good as an end.
    io.read_to_end(&mut bytes).await.ok();
    bytes.len()
}

#[tokio::test]
async fn a_server_serves_while_it_has_a_listener() {
    let control = Control::start().await.unwrap();
    let mut served = Served::start(&control, service("one")).await;
    assert_eq!(bytes_of(served.port).await, 0);
    control.push(&listener(served.port, served.port, &inline(SERVED))).unwrap();
    served.serving().await;
    let mut client = served.client();
    assert_eq!(say(&mut client).await.unwrap(), "one");
    let status = served.mesh.status().await.to_string();
    let expect =
        format!("server at 127.0.0.1:{} (listener server/127.0.0.1:{})", served.port, served.port);
    assert!(status.contains(&expect) && status.contains("serving, configuration 1"), "{status}");

    // An RPC that runs already completes when the listener goes.
    let (send, receive) = tokio::sync::mpsc::channel(1);
    let requests = tokio_stream::wrappers::ReceiverStream::new(receive);
    let mut answers = client.chat(requests).await.unwrap().into_inner();
    send.send(Message::default()).await.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap().text, "one");
    control.push("[]").unwrap();
    let why = served.not_serving().await;
    assert!(why.contains("server/127.0.0.1"), "{why}");
    assert_eq!(bytes_of(served.port).await, 0);
    send.send(Message::default()).await.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap().text, "one");
    drop(send);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn a_listener_for_another_address_or_for_clients_is_not_served() {
    let control = Control::start().await.unwrap();
    let mut served = Served::start(&control, service("one")).await;
    control.push(&listener(served.port, 9, &inline(SERVED))).unwrap();
    let why = served.not_serving().await;
    let port = served.port;
    let expect = format!(
        "listener server/127.0.0.1:{port} is for 127.0.0.1:9, and this server is at 127.0.0.1:{port}"
    );
    assert_eq!(why, expect);
    assert_eq!(bytes_of(port).await, 0);
    control.push(&listener(port, port, &inline(SERVED))).unwrap();
    served.serving().await;
    assert_eq!(say(&mut served.client()).await.unwrap(), "one");
}

#[tokio::test]
async fn routes_decide_for_connections_that_are_open() {
    let control = Control::start().await.unwrap();
    let mut served = Served::start(&control, service("one")).await;
    let l = listener(served.port, served.port, &named("r"));
    control.push(&format!("{l}{}", routes("r", SERVED))).unwrap();
    served.serving().await;
    let mut client = served.client();
    assert_eq!(say(&mut client).await.unwrap(), "one");
    // A route that forwards is not for servers (gRFC A36).
    control.push(&format!("{l}{}", routes("r", "route: { cluster: c }"))).unwrap();
    let failed = eventually(async || say(&mut client).await.err()).await;
    assert_eq!(failed, (Code::Unavailable, "the route does not serve requests".into()));
    control.push(&format!("{l}{}", routes("r", SERVED))).unwrap();
    assert_eq!(eventually(async || say(&mut client).await.ok()).await, "one");
}

#[tokio::test]
async fn a_rolling_configuration_fails_no_call() {
    let control = Control::start().await.unwrap();
    let mut served = Served::start(&control, service("one")).await;
    let port = served.port;
    let push = |n: u32| {
        let l = listener(port, port, &named(&format!("r{n}")));
        control.push(&format!("{l}{}", routes(&format!("r{n}"), SERVED))).unwrap();
    };
    push(0);
    served.serving().await;
    let mut client = served.client();
    for n in 1..200 {
        if n % 10 == 0 {
            push(n);
        }
        assert_eq!(say(&mut client).await.unwrap(), "one");
    }
    served.stop();
    served.running.await.unwrap().unwrap();
}

/// What `ask` comes to within a few seconds.
pub(crate) async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let all = async {
        loop {
            match ask().await {
                Some(found) => return found,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.unwrap()
}
