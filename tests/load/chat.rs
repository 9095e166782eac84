//! A long stream.

use mesh_tests::{EchoClient, Message};
use mesh_tonic::Channel;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// A stream that stays open; each message is answered with the backend's name.
pub(crate) struct Chat {
    asks: mpsc::Sender<Message>,
    answers: Streaming<Message>,
}

impl Chat {
    pub(crate) async fn open(client: &mut EchoClient<Channel>) -> Self {
        let (asks, requests) = mpsc::channel(1);
        let answers = client.chat(ReceiverStream::new(requests)).await.unwrap().into_inner();
        Self { asks, answers }
    }

    /// Who answers now.
    pub(crate) async fn ask(&mut self) -> String {
        self.asks.send(Message::default()).await.unwrap();
        self.answers.message().await.unwrap().unwrap().text
    }

    /// Ends it as it should end.
    pub(crate) async fn end(mut self) {
        drop(self.asks);
        assert_eq!(self.answers.message().await.unwrap(), None);
    }
}
