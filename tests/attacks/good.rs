//! A client that does nothing wrong.

use std::net::SocketAddr;
use std::time::Duration;

use mesh_hyper::{Client, Mesh};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// How many calls [`warm`] makes.
pub(crate) const WARM: u64 = 64;

/// How long a call may take while the server is under attack.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls on one connection for every one on a connection of its own.
const KEPT: u64 = 16;

#[derive(Debug, Default)]
pub(crate) struct Good {
    /// That have been answered.
    pub(crate) calls: u64,
    pub(crate) errors: Vec<String>,
}

/// Calls before memory is measured.
pub(crate) async fn warm(address: SocketAddr) {
    for _ in 0..WARM {
        fresh(address).await.unwrap();
    }
}

/// Calls the server until then: on connections that stay, and on new ones.
pub(crate) async fn calls(address: SocketAddr, until: Instant) -> Good {
    let client = Client::new(&Mesh::disabled().unwrap());
    let mut good = Good::default();
    while Instant::now() < until {
        for n in 0..=KEPT {
            let call = async {
                match n {
                    KEPT => fresh(address).await,
                    _ => kept(&client, address).await,
                }
            };
            let result = timeout(PATIENCE, call).await;
            match result.unwrap_or_else(|_| Err("no answer in time".into())) {
                Ok(()) => good.calls += 1,
                Err(why) => good.errors.push(why),
            }
        }
    }
    good
}

async fn kept(client: &Client, address: SocketAddr) -> Result<(), String> {
    let response = client.get(format!("http://{address}/good")).await;
    let response = response.map_err(|error| error.to_string())?;
    let text = response.text().await.map_err(|error| error.to_string())?;
    is_served(&text)
}

async fn fresh(address: SocketAddr) -> Result<(), String> {
    let exchange = async {
        let mut io = TcpStream::connect(address).await?;
        io.write_all(b"GET /good HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        io.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = exchange.await.map_err(|error| error.to_string())?;
    is_served(answer.rsplit_once("\r\n\r\n").map_or("", |(_, body)| body))
}

fn is_served(text: &str) -> Result<(), String> {
    if text == "served" { Ok(()) } else { Err(format!("answered {text:?}")) }
}
