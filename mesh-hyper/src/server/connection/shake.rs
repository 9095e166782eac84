//! From the first byte of a connection to the first of its protocol.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use http::Extensions;
use mesh_core::filter::Denial;
use mesh_core::identity;
use mesh_core::snapshot::ServerSnapshot;

use super::lifetime::Lifetime;
use super::sniff::{Prefixed, Protocol};
use super::standing::{NO_CHAIN, Standing, chosen};
use super::start::Start;
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
    /// Resolves when the peer would not be accepted any more, and says why; `None` if that cannot be.
    pub(super) forbidden: Option<Forbidden>,
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
    let scheme = if settled.is_some() { "https" } else { "http" };
    let mut forbidden = None;
    let (mut digest, mut own, mut judge) = (Box::default(), Box::default(), None);
    if let Some(settled) = settled {
        peer.session = Some(settled.session);
        (digest, own, judge) = (settled.digest, settled.own, Some(settled.judge));
        forbidden = settled.forbidden;
    }
    if let Err(Denial { rule, hold }) = chain.admit(&peer) {
        return Err(Closed { hold, why: format!("denied by {rule}").into() });
    }
    let peer = Peer(Arc::new(peer));
    let standing = Standing { peer: peer.0.clone(), transport, hello, judge };
    // A listener that has come during the handshake does not end the connection at its beginning.
    let now = current(shared)?;
    if !Arc::ptr_eq(&now, &snapshot)
        && let Ok(new) = standing.admitted(&now)
    {
        (snapshot, chain) = (now, new);
    }
    let forwarding = Forwarding::new(chain.forwarded.of(&peer, &digest, &own, &shared.trusted));
    let mut extensions = Extensions::new();
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
    let lifetime = Lifetime::new(shared, snapshot, chain, standing);
    Ok(Shaken { io, protocol, connected, lifetime, forbidden })
}

fn current(shared: &Shared) -> Result<Arc<ServerSnapshot>, Closed> {
    shared.status.snapshot().ok_or_else(|| Closed::because("nothing is served"))
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
