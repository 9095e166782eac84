use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// An echo with the name `v1`.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { super::serve(listener, "v1").await });
    address
}

struct Client(SendRequest<Bytes>);

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self(sender.ready().await.unwrap())
    }

    fn send(&mut self, fail: &str) -> ResponseFuture {
        let request = Request::get("http://echo/").header("x-echo-fail", fail);
        self.0.send_request(request.body(()).unwrap(), true).unwrap().0
    }

    async fn ask(&mut self, fail: &str) -> Result<HeaderMap, Option<Reason>> {
        let response = self.send(fail).await.map_err(|error| error.reason())?;
        Ok(response.into_parts().0.headers)
    }
}

#[tokio::test]
async fn answers_say_which_connection_they_came_over() {
    let address = echo().await;
    let mut first = Client::connect(address).await;
    let mut numbers = vec![first.ask("").await.unwrap()["x-connection"].clone()];
    let mut second = Client::connect(address).await;
    for client in [&mut second, &mut first] {
        numbers.push(client.ask("").await.unwrap()["x-connection"].clone());
    }
    assert_eq!(numbers, ["1", "2", "1"]);
}

#[tokio::test]
async fn requests_fail_without_an_answer_where_they_are_to() {
    let mut client = Client::connect(echo().await).await;
    assert_eq!(client.ask("v1=refuse").await, Err(Some(Reason::REFUSED_STREAM)));
    assert_eq!(client.ask("v1=reset").await, Err(Some(Reason::INTERNAL_ERROR)));
    let never = client.send("v1=never");
    assert_eq!(client.ask("v2=reset,v2=never").await.unwrap()["x-backend"], "v1");
    assert!(timeout(Duration::ZERO, never).await.is_err());
}
