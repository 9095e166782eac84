//! From the first byte of a connection to the first of its protocol.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use http::Extensions;
use mesh_core::filter::{ConnectionMemory, Denial};
use mesh_core::identity::{self, Shown};
use mesh_core::inherited::Caller;
use mesh_core::snapshot::ServerSnapshot;

use super::lifetime::Lifetime;
use super::sniff::{Prefixed, Protocol};
use super::standing::{NO_CHAIN, Standing, chosen};
use super::start::{Settled, Start};
use super::{Assigned, Connected, Shared};
use crate::runtime;
use crate::server::head::HeadRules;
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
    let (start, mut assigned) = assign(io, &peer, shared).await?;
    assigned.chain.arrive(runtime::now()).map_err(denied)?;
    let (io, protocol, mut settled) = match assigned.chain.security.clone() {
        None => {
            let (io, protocol) = start.plain().await?;
            (io, protocol, None)
        }
        Some(tls) => {
            let (io, protocol, settled) = start.secured(tls, shared).await?;
            (io, protocol, Some(settled))
        }
    };
    peer.session = settled.as_mut().map(|settled| std::mem::take(&mut settled.session));
    assigned.chain.admit(&peer).map_err(denied)?;
    let peer = Peer(Arc::new(peer));
    let Parts { forbidden, digest, own, scheme, standing } = parts(settled, &peer);
    // A listener that has come during the handshake does not end the connection at its beginning.
    let now = current(shared)?;
    if !Arc::ptr_eq(&now, &assigned.snapshot)
        && let Ok(chain) = standing.admitted(&now)
    {
        assigned = Assigned { snapshot: now, chain };
    }
    let chain = standing.secured.as_ref().map(|(_, judge)| judge.chain()).unwrap_or_default();
    let shown = Shown { digest: &digest, chain: &chain, own: &own };
    let forwarding = assigned.chain.forwarded.of(&peer, &shown, &shared.trusted);
    let mut extensions = Extensions::new();
    if accepted(shared, &peer, &mut extensions) {
        return Err(Closed::because("the application refuses it"));
    }
    let caller = Caller::of(&peer.0);
    let connected = Arc::new(Connected {
        caller,
        peer,
        scheme,
        patience: shared.settings.header_timeout,
        heads: HeadRules::new(forwarding, caller, &assigned.chain.connections),
        grpc_only: shared.settings.grpc_only,
        context: shared.context.clone(),
        resets: AtomicU32::new(0),
        memory: ConnectionMemory::default(),
        extensions,
    });
    let lifetime = Lifetime::new(shared, assigned, standing);
    Ok(Shaken { io, protocol, connected, lifetime, forbidden })
}

fn denied(Denial { rule, hold }: Denial) -> Closed {
    Closed { hold, why: format!("denied by {rule}").into() }
}

/// Looks at a connection until its chain can be chosen, and chooses it.
async fn assign(
    io: Box<dyn Io>,
    peer: &identity::Peer,
    shared: &Shared,
) -> Result<(Start, Assigned), Closed> {
    let mut start = Start::Unseen(Prefixed::new(io));
    loop {
        let inspection = current(shared)?.inspection;
        start = start.look(inspection, shared).await?;
        // It may have taken a while.
        let snapshot = current(shared)?;
        if snapshot.inspection == inspection {
            let chain = chosen(&snapshot, peer, start.transport(), start.hello());
            let chain = chain.ok_or_else(|| Closed::because(NO_CHAIN))?;
            return Ok((start, Assigned { snapshot, chain }));
        }
    }
}

/// What a connection is made of after its handshake, if there was one.
struct Parts {
    forbidden: Option<Forbidden>,
    digest: Box<[u8]>,
    own: Box<[Arc<str>]>,
    scheme: &'static str,
    standing: Standing,
}

fn parts(settled: Option<Settled>, peer: &Peer) -> Parts {
    let peer = peer.0.clone();
    match settled {
        None => Parts {
            forbidden: None,
            digest: Box::default(),
            own: Box::default(),
            scheme: "http",
            standing: Standing { peer, secured: None },
        },
        Some(Settled { hello, digest, own, judge, forbidden, session: _ }) => Parts {
            forbidden,
            digest,
            own,
            scheme: "https",
            standing: Standing { peer, secured: Some((hello, judge)) },
        },
    }
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
