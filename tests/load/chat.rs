//! A long stream.

use mesh_tests::{EchoClient, Message};
use mesh_tonic::Channel;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// A stream that stays open; each message is answered with the backend's name.
pub(crate) struct Chat {
    asks: mpsc::Sender<Message>,
    answers: Streaming<Message>,
}

impl Chat {
    /// Opens `number` of them.
    pub(crate) async fn open_all(client: &EchoClient<Channel>, number: usize) -> Vec<Self> {
        let mut opening = JoinSet::new();
        for _ in 0..number {
            opening.spawn(Self::open(client.clone()));
        }
        opening.join_all().await
    }

    /// Asks each of `chats` who answers; all must say `expect`.
    pub(crate) async fn ask_all(chats: Vec<Self>, expect: &'static str) -> Vec<Self> {
        let mut asking = JoinSet::new();
        for mut chat in chats {
            asking.spawn(async move {
                assert_eq!(chat.ask().await, expect);
                chat
            });
        }
        asking.join_all().await
    }

    async fn open(mut client: EchoClient<Channel>) -> Self {
        let (asks, requests) = mpsc::channel(1);
        let answers = client.chat(ReceiverStream::new(requests)).await.unwrap().into_inner();
        Self { asks, answers }
    }

    async fn ask(&mut self) -> String {
        self.asks.send(Message::default()).await.unwrap();
        self.answers.message().await.unwrap().unwrap().text
    }

    /// Ends it as it should end.
    pub(crate) async fn end(mut self) {
        drop(self.asks);
        assert_eq!(self.answers.message().await.unwrap(), None);
    }
}
