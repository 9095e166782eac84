//! How a connection stands to configurations, also to those that come after its handshake.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh_core::filter::Denial;
use mesh_core::identity::Peer;
use mesh_core::listener::{Connection, Hello, Transport};
use mesh_core::snapshot::{FilterChain, Inspection, ServerSnapshot};

use crate::server::secure::Judge;

/// What decides which chain a connection is under, and whether it may be.
pub(super) struct Standing {
    pub(super) peer: Arc<Peer>,
    pub(super) transport: Transport,
    pub(super) hello: Option<Hello>,
    /// Judges the peer anew; `None` in plain text.
    pub(super) judge: Option<Box<dyn Judge>>,
}

/// Why a connection is closed.
pub(super) const NO_CHAIN: &str = "no filter chain is for it";
pub(super) const PLAIN_TEXT: &str = "it is in plain text, where TLS is required";

impl Standing {
    /// The chain that the connection has under `snapshot`, if it would be let in by it.
    ///
    /// # Errors
    /// Why it would not be.
    pub(super) fn admitted(&self, snapshot: &ServerSnapshot) -> Result<Arc<FilterChain>, String> {
        let (transport, hello) = (self.transport, self.hello.as_ref());
        let chain = chosen(snapshot, &self.peer, transport, hello).ok_or(NO_CHAIN)?;
        match (&self.judge, &chain.security) {
            (Some(judge), Some(tls)) => judge.judge(tls)?,
            (None, Some(_)) => return Err(PLAIN_TEXT.to_owned()),
            (_, None) => {}
        }
        match chain.admit(&self.peer) {
            Ok(()) => Ok(chain),
            Err(Denial { rule, .. }) => Err(format!("denied by {rule}")),
        }
    }
}

/// The chain of a connection by what is known of it.
pub(super) fn chosen(
    snapshot: &ServerSnapshot,
    peer: &Peer,
    transport: Transport,
    hello: Option<&Hello>,
) -> Option<Arc<FilterChain>> {
    let ip = |address: SocketAddr| -> IpAddr { address.ip() };
    let is_seen = snapshot.inspection != Inspection::Addresses;
    let connection = Connection {
        local: peer.local.map(ip),
        remote: peer.remote.map(|remote| (remote.ip(), remote.port())),
        transport: if is_seen { transport } else { Transport::Plain },
        hello: hello.filter(|_| snapshot.inspection == Inspection::ClientHello),
    };
    snapshot.chain(&connection).cloned()
}
