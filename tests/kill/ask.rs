//! Asking, over either protocol.

use mesh_hyper::{Client, Options, empty};
use mesh_tests::{EchoClient, Message};
use mesh_tonic::{Channel, Mesh};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Grpc,
}

/// Whoever asks.
#[derive(Clone)]
pub(crate) enum Caller {
    Http(Client),
    Grpc(EchoClient<Channel>),
}

impl Caller {
    pub(crate) fn new(mesh: &Mesh, protocol: Protocol) -> Self {
        match protocol {
            Protocol::Http => Self::Http(Client::new(mesh)),
            Protocol::Grpc => {
                let channel = Channel::new(mesh, "xds:///greeter").unwrap();
                Self::Grpc(EchoClient::new(channel.wait_for_ready(true)))
            }
        }
    }

    /// Who answers, or why nobody does.
    pub(crate) async fn ask(&mut self) -> Result<String, String> {
        match self {
            Self::Http(client) => {
                let request = http::Request::get("http://greeter/").body(empty()).unwrap();
                let options = Options::default().wait_for_ready(true);
                let answer = client.send(request, options).await.map_err(|e| e.to_string())?;
                let status = answer.status();
                let text = answer.into_body().text().await.map_err(|e| e.to_string())?;
                if status == 200 { Ok(text) } else { Err(format!("{status}: {text}")) }
            }
            Self::Grpc(client) => {
                let answer = client.call("/test.Echo/Say", Message::default()).await;
                answer.map(|answer| answer.into_inner().text).map_err(|e| e.to_string())
            }
        }
    }
}
