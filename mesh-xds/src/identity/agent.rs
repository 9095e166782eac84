//! Agents of this machine that give identities over gRPC: reached again whenever they are gone.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use mesh_core::backoff::Backoff;
use mesh_core::record::Recorder;
use mesh_core::rng::XorShift;
use rustls::crypto::CryptoProvider;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::renewals::Renewals;
use crate::bootstrap::ServerUri;
use crate::edges::Edges;

/// Bound on the socket and the HTTP/2 preface together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Pings that notice an agent which hangs, and how long their answer may take.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// Between attempts to reach an agent: never long, as identities are short-lived.
const BACKOFF: Backoff = Backoff { max: Duration::from_secs(30), ..Backoff::CONNECTION };

/// The largest message of an agent that is read, in bytes: some thousand certificates.
pub(super) const MAX_MESSAGE: usize = 4 << 20;

/// What an agent is asked for, and who is told.
pub struct AgentSettings<A> {
    /// The name of the certificate provider.
    pub name: Arc<str>,
    /// Where the agent is, and what it is asked for.
    pub agent: A,
    /// What loads the keys.
    pub crypto: Arc<CryptoProvider>,
    /// Is told of renewals.
    pub recorder: Option<Arc<dyn Recorder>>,
}

/// What is said to an agent, and what is made of its answers.
pub(super) trait Conversation: Send + 'static {
    /// Follows what the agent says on `channel` until it says no more.
    fn hold(&mut self, channel: Channel, renewals: &Renewals)
    -> impl Future<Output = Ended> + Send;
}

/// Why a conversation is over.
pub(super) struct Ended {
    why: String,
    /// Something that could be used was said, so the agent works.
    was_useful: bool,
    /// The agent says that there is no identity.
    is_denial: bool,
}

impl Ended {
    pub(super) fn because(why: impl Into<String>) -> Self {
        Self { why: why.into(), was_useful: false, is_denial: false }
    }

    /// With the status of a call. PERMISSION_DENIED takes the identity away (SPIFFE Workload API
    /// §6.1), all others leave it.
    pub(super) fn with(status: &Status) -> Self {
        let why = format!("the agent says {:?}: {}", status.code(), status.message());
        Self { is_denial: status.code() == Code::PermissionDenied, ..Self::because(why) }
    }

    /// Whether the agent says that there is no identity.
    pub(super) fn is_denial(&self) -> bool {
        self.is_denial
    }

    pub(super) fn useful(self, was_useful: bool) -> Self {
        Self { was_useful, ..self }
    }
}

/// Talks to the agent at `socket`, again and again.
pub(super) async fn keep(
    mut conversation: impl Conversation,
    socket: ServerUri,
    edges: Edges,
    renewals: Renewals,
) {
    let mut rng = XorShift::new(edges.seed);
    let mut failures = 0_u32;
    loop {
        let ended = match connect(&socket, &edges).await {
            Ok(channel) => conversation.hold(channel, &renewals).await,
            Err(why) => Ended::because(why),
        };
        failures = if ended.was_useful { 1 } else { failures.saturating_add(1) };
        match ended.is_denial {
            true => renewals.withdraw(&ended.why),
            false => renewals.fail(&ended.why),
        }
        tokio::time::sleep(BACKOFF.delay(failures, &mut rng)).await;
    }
}

async fn connect(socket: &ServerUri, edges: &Edges) -> Result<Channel, String> {
    // The authority is nowhere looked at: the socket says who answers.
    let endpoint = Endpoint::from_static("http://localhost")
        .http2_keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1)
        .keep_alive_while_idle(true);
    let (at, network) = (socket.clone(), edges.network.clone());
    let connector = tower::service_fn(move |_: http::Uri| {
        let stream = network.dial(&at);
        async move { stream.await.map(TokioIo::new) }
    });
    let connecting = endpoint.connect_with_connector(connector);
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            Err(format!("cannot connect to {}: {cause}", socket.as_str()))
        }
        Err(_) => Err(format!("cannot connect to {} within {CONNECT_TIMEOUT:?}", socket.as_str())),
    }
}

impl<A: fmt::Debug> fmt::Debug for AgentSettings<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, agent, .. } = self;
        f.debug_struct("AgentSettings")
            .field("name", name)
            .field("agent", agent)
            .finish_non_exhaustive()
    }
}
