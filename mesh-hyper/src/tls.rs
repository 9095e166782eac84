//! TLS towards endpoints, over the adapters and identities of mesh-xds.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use mesh_core::cell::Listen;
use mesh_core::identity::Refusal;
use mesh_xds::identity::Identities;
use mesh_xds::tls::{PeerCheck, session, why_io};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;

use crate::runtime;
use crate::transport::connect::Io;
use crate::transport::secure::{Forbidden, Secure, Secured, Securing, Wanted};

/// Does handshakes with the identities of a mesh.
#[derive(Debug)]
pub(crate) struct Handshakes(pub(crate) Arc<Identities>);

impl Secure for Handshakes {
    fn secure(&self, io: Box<dyn Io>, wanted: Wanted) -> Securing {
        let identities = self.0.clone();
        Box::pin(async move {
            let hostname = wanted.hostname.as_deref();
            let client = identities
                .client(&wanted.tls, hostname, wanted.protocols)
                .map_err(|error| format!("TLS: {error}"))?;
            // Before the handshake: a change during it is seen as one after it.
            let known = client.check.authorities().source().generation();
            let connector = TlsConnector::from(client.config);
            let stream = connector.connect(client.name, io).await;
            let stream = stream.map_err(|error| format!("TLS: {}", why_io(&error)))?;
            let (_, connection) = stream.get_ref();
            let session = session(connection, client.asked.as_deref())
                .map_err(|refusal| format!("TLS: {refusal}"))?;
            let chain: Vec<_> = connection.peer_certificates().unwrap_or_default().to_vec();
            let since = runtime::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
            let since = UnixTime::since_unix_epoch(since);
            let open = Open { check: client.check, chain, since, known };
            let forbidden = open.forbidden();
            Ok(Secured { io: Box::new(stream), session: Arc::new(session), forbidden })
        })
    }
}

/// A peer that has been accepted.
struct Open {
    check: PeerCheck,
    chain: Vec<CertificateDer<'static>>,
    since: UnixTime,
    /// The generation of its authorities when it was.
    known: u64,
}

impl Open {
    /// Resolves when authorities or revocation lists change such that it would not be accepted any
    /// more.
    ///
    /// Its certificate is judged as of the handshake: that it has expired since does not count, as
    /// certificates of workloads are shorter-lived than connections.
    fn forbidden(mut self) -> Forbidden {
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
