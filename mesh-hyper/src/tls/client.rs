//! TLS towards endpoints.

use std::sync::Arc;

use mesh_xds::identity::Identities;
use mesh_xds::tls::{session, why_io};
use tokio_rustls::TlsConnector;

use super::open::Open;
use crate::transport::connect::Io;
use crate::transport::secure::{Secure, Secured, Securing, Wanted};

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
            let forbidden = Open::new(client.check, known, connection).forbidden();
            Ok(Secured { io: Box::new(stream), session: Arc::new(session), forbidden })
        })
    }
}
