//! From the first byte of a connection to the first of its protocol.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use http::Extensions;
use mesh_core::filter::Denial;
use mesh_core::identity;
use mesh_core::listener::{Connection, Hello, Transport};
use mesh_core::snapshot::{FilterChain, Inspection, ServerSnapshot};

use super::lifetime::Lifetime;
use super::sniff::{Prefixed, Protocol};
use super::start::{Settled, Start};
use super::{Connected, Shared};
use crate::server::head::Forwarding;
use crate::server::peer::{Accepted, Peer};
use crate::transport::connect::Io;
use crate::transport::secure::Forbidden;

/// A connection that is about to be served.
pub(super) struct Shaken {
    pub(super) io: Prefixed,
    pub(super) protocol: Protocol,
    pub(super) connected: Arc<Connected>,
    pub(super) lifetime: Lifetime,
    /// Resolves when the peer would not be accepted any more, and says why.
    pub(super) forbidden: Forbidden,
}

/// A connection that is closed without a byte of its protocol.
pub(super) struct Closed {
    /// How long it is held before.
    pub(super) hold: Duration,
    pub(super) why: Cow<'static, str>,
}

impl Closed {
    pub(super) fn because(why: impl Into<Cow<'static, str>>) -> Self {
        Self { hold: Duration::ZERO, why: why.into() }
    }
}

/// Finds out what a connection is and whether it may be.
pub(super) async fn shake(
    io: Box<dyn Io>,
    mut peer: identity::Peer,
    shared: &Arc<Shared>,
) -> Result<Shaken, Closed> {
    let mut start = Start::Unseen(Prefixed::new(io));
    let (mut snapshot, mut chain) = loop {
        let inspection = current(shared)?.inspection;
        start = start.look(inspection, shared).await?;
        // It may have taken a while.
        let snapshot = current(shared)?;
        if snapshot.inspection == inspection {
            let chain = chosen(&snapshot, &peer, start.transport(), start.hello());
            break (snapshot.clone(), chain.ok_or_else(|| Closed::because(NO_CHAIN))?);
        }
    };
    let (transport, hello) = (start.transport(), start.hello().cloned());
    let (io, protocol, settled) = match chain.security.clone() {
        None => {
            let (io, protocol) = start.plain().await?;
            (io, protocol, None)
        }
        Some(tls) => {
            let (io, protocol, settled) = start.secured(tls, shared).await?;
            (io, protocol, Some(settled))
        }
    };
    if let Some((now, same)) =
        moved(&snapshot, &chain, shared, |now| chosen(now, &peer, transport, hello.as_ref()))
    {
        (snapshot, chain) = (now, same);
    }
    let scheme = if settled.is_some() { "https" } else { "http" };
    let (forwarding, forbidden) = match settled {
        Some(Settled { session, digest, own, forbidden }) => {
            peer.session = Some(session);
            (Forwarding::new(chain.forwarded.of(&peer, &digest, &own, &shared.trusted)), forbidden)
        }
        None => (Forwarding::default(), Box::pin(std::future::pending()) as Forbidden),
    };
    if let Err(Denial { rule, hold }) = chain.admit(&peer) {
        return Err(Closed { hold, why: format!("denied by {rule}").into() });
    }
    let mut extensions = Extensions::new();
    let peer = Peer(Arc::new(peer));
    if accepted(shared, &peer, &mut extensions) {
        return Err(Closed::because("the application refuses it"));
    }
    let connected = Arc::new(Connected {
        peer,
        scheme,
        forwarding,
        timers: shared.timers.clone(),
        resets: AtomicU32::new(0),
        extensions,
    });
    let lifetime = Lifetime::new(shared, snapshot, chain);
    Ok(Shaken { io, protocol, connected, lifetime, forbidden })
}

const NO_CHAIN: &str = "no filter chain is for it";

fn current(shared: &Shared) -> Result<Arc<ServerSnapshot>, Closed> {
    shared.status.snapshot().ok_or_else(|| Closed::because("nothing is served"))
}

/// The configuration of now, if it has another than `before` and its chain for the connection, which
/// `choose` finds, is secured as `chain` is. So a listener that has come during a handshake does not
/// end the connection at its beginning.
fn moved(
    before: &Arc<ServerSnapshot>,
    chain: &Arc<FilterChain>,
    shared: &Shared,
    choose: impl FnOnce(&ServerSnapshot) -> Option<Arc<FilterChain>>,
) -> Option<(Arc<ServerSnapshot>, Arc<FilterChain>)> {
    let now = shared.status.snapshot().filter(|now| !Arc::ptr_eq(now, before))?;
    let same = choose(&now).filter(|same| same.security == chain.security)?;
    Some((now, same))
}

/// The chain of a connection by what is known of it.
fn chosen(
    snapshot: &ServerSnapshot,
    peer: &identity::Peer,
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

/// Fills in what requests say of their connection; whether the application refuses it.
fn accepted(shared: &Shared, peer: &Peer, extensions: &mut Extensions) -> bool {
    extensions.insert(peer.clone());
    #[cfg(feature = "axum")]
    if let Some(remote) = peer.remote {
        extensions.insert(axum::extract::ConnectInfo(remote));
    }
    let Some(on_accept) = &shared.on_accept else { return false };
    let mut accepted = Accepted { peer, extensions, is_refused: false };
    on_accept(&mut accepted);
    accepted.is_refused
}
