//! The certificate provider `spiffe_workload_api`.
//!
//! <https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_API.md>
//!
//! The client is written out here instead of taken from the `spiffe` crate, which leaves out the
//! revocation lists that the agent sends.

use std::sync::Arc;

use http::uri::PathAndQuery;
use mesh_core::identity::Feed;
use rustls::crypto::CryptoProvider;
use tokio::runtime::Handle;
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::agent::{self, AgentSettings, Conversation, Ended, MAX_MESSAGE};
use super::fed::Fed;
use super::renewals::Renewals;
use super::svid::{self, Fault};
use crate::bootstrap;
use crate::edges::Edges;
use crate::proto::workload::{X509SvidRequest, X509SvidResponse};

const METHOD: &str = "/SpiffeWorkloadAPI/FetchX509SVID";

/// Without this, agents refuse: it shows that no browser was tricked into asking (§4.1).
const HEADER: (&str, &str) = ("workload.spiffe.io", "true");

impl AgentSettings<bootstrap::WorkloadApi> {
    /// Gives the identity, the trust bundles and the revocation lists that a SPIFFE agent, which need
    /// not be there yet, has for this program. It is asked on `handle` until the source is dropped.
    ///
    /// What the agent says replaces all that it has said before. What cannot be read counts as not
    /// said, and while the agent is gone the last of it stays in force. When the agent says that
    /// there is no identity (any more), no further handshake succeeds.
    ///
    /// Without a socket in the settings it is what the environment says in `SPIFFE_ENDPOINT_SOCKET`.
    #[must_use]
    pub fn start(self, handle: &Handle) -> Fed {
        self.reached_by(Edges::default(), handle)
    }

    pub(crate) fn reached_by(self, edges: Edges, handle: &Handle) -> Fed {
        let Self { name, agent, crypto, recorder } = self;
        let feed = Arc::new(Feed::empty("the SPIFFE agent has not answered yet"));
        let renewals = Renewals::new(name, feed.clone(), recorder);
        let socket = agent.socket.map_or_else(bootstrap::workload_api_socket, Ok);
        let task = handle.spawn(async move {
            match socket {
                Ok(socket) => {
                    let fetch = Fetch { hint: agent.hint, crypto };
                    agent::keep(fetch, socket, edges, renewals).await;
                }
                Err(why) => renewals.fail(&why),
            }
        });
        Fed::new(feed, task.abort_handle())
    }
}

/// The call that never ends: a message whenever something has changed.
struct Fetch {
    hint: Option<String>,
    crypto: Arc<CryptoProvider>,
}

impl Conversation for Fetch {
    async fn hold(&mut self, channel: Channel, renewals: &Renewals) -> Ended {
        let mut was_useful = false;
        let mut answers = match open(channel).await {
            Ok(answers) => answers,
            Err(status) => return Ended::with(&status),
        };
        loop {
            match answers.message().await {
                Ok(Some(response)) => was_useful |= self.take(response, renewals),
                Ok(None) => {
                    return Ended::because("the agent ended the stream").useful(was_useful);
                }
                Err(status) => return Ended::with(&status).useful(was_useful),
            }
        }
    }
}

impl Fetch {
    /// Whether the answer was of any use.
    fn take(&self, response: X509SvidResponse, renewals: &Renewals) -> bool {
        match svid::material(response, self.hint.as_deref(), &self.crypto) {
            Ok(material) => renewals.publish(material),
            Err(Fault::Gone(why)) => renewals.withdraw(&why),
            Err(Fault::Malformed(why)) => {
                renewals.fail(&why);
                return false;
            }
        }
        true
    }
}

async fn open(channel: Channel) -> Result<Streaming<X509SvidResponse>, Status> {
    let mut client = Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE);
    let ready = client.ready().await;
    ready.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(X509SvidRequest {});
    request.metadata_mut().insert(HEADER.0, MetadataValue::from_static(HEADER.1));
    let codec = ProstCodec::<X509SvidRequest, X509SvidResponse>::default();
    let answer = client.server_streaming(request, PathAndQuery::from_static(METHOD), codec);
    answer.await.map(tonic::Response::into_inner)
}
