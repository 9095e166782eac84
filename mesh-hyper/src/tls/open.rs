//! A peer of an open connection, who may cease to be accepted.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use mesh_core::cell::Listen;
use mesh_core::identity::Refusal;
use mesh_xds::tls::PeerCheck;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::sync::Notify;
use tokio_rustls::rustls::CommonState;

use crate::runtime;
use crate::transport::secure::Forbidden;

/// What time it is, as certificates have it.
pub(super) fn now() -> UnixTime {
    let since = runtime::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::since_unix_epoch(since)
}

/// A peer that has been accepted.
pub(super) struct Open {
    check: PeerCheck,
    chain: Vec<CertificateDer<'static>>,
    since: UnixTime,
    /// The generation of its authorities when it was.
    known: u64,
}

impl Open {
    /// The peer of `connection`, accepted by `check` whose authorities had the generation `known`
    /// before the handshake.
    pub(super) fn new(check: PeerCheck, known: u64, connection: &CommonState) -> Self {
        let chain = connection.peer_certificates().unwrap_or_default().to_vec();
        Self { check, chain, since: now(), known }
    }

    /// Resolves when authorities or revocation lists change such that it would not be accepted any
    /// more.
    ///
    /// Its certificate is judged as of the handshake: that it has expired since does not count, as
    /// certificates of workloads are shorter-lived than connections.
    pub(super) fn forbidden(mut self) -> Forbidden {
        let wake = Arc::new(Wake(Notify::new()));
        let listener: Arc<dyn Listen> = wake.clone();
        self.check.authorities().listen(&listener);
        drop(listener);
        Box::pin(async move {
            loop {
                let generation = self.check.authorities().source().generation();
                if generation != self.known {
                    self.known = generation;
                    match self.check.check(&self.chain, self.since) {
                        // There is nothing to judge by: new handshakes fail, and that is enough.
                        Ok(()) | Err(Refusal::NoAuthorities(_)) => {}
                        Err(refusal) => {
                            return format!("the peer is not accepted any more: {refusal}");
                        }
                    }
                }
                wake.0.notified().await;
            }
        })
    }
}

struct Wake(Notify);

impl Listen for Wake {
    fn published(&self) {
        self.0.notify_one();
    }
}
