//! TLS of clients.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mesh_core::identity::{Clients, ServerTls};
use mesh_core::listener::Hello;
use mesh_xds::identity::Identities;
use mesh_xds::tls::{Credentials, PeerCheck, TlsError, digest, session, why_io};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::{StartHandshake, TlsStream};

use super::open::{Open, now};
use crate::server::secure::{Greet, Greeted, Greeting, Judge, Secured, Securing};
use crate::transport::connect::Io;

/// Does handshakes of clients with the identities of a mesh.
#[derive(Clone)]
pub(crate) struct Greetings(Arc<Prepared>);

/// What handshakes need, made once for each [`ServerTls`] and kept for as long as that is there.
struct Prepared {
    identities: Arc<Identities>,
    known: Mutex<Vec<(Weak<ServerTls>, Means)>>,
}

/// What handshakes of one [`ServerTls`] need. Identity and authorities in it are looked up at each.
#[derive(Clone)]
struct Means {
    config: Arc<ServerConfig>,
    identity: Arc<Credentials>,
    clients: Option<PeerCheck>,
}

impl Greetings {
    pub(crate) fn new(identities: Arc<Identities>) -> Self {
        Self(Arc::new(Prepared { identities, known: Mutex::default() }))
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
impl Greetings {
    /// How many configurations are kept.
    pub(super) fn len(&self) -> usize {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl fmt::Debug for Greetings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Greetings").field(&self.0.identities).finish()
    }
}

impl Prepared {
    fn means(&self, tls: &Arc<ServerTls>) -> Result<Means, TlsError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |one: &Weak<ServerTls>| std::ptr::eq(one.as_ptr(), Arc::as_ptr(tls));
        if let Some((_, means)) = known.iter().find(|(one, _)| is_it(one)) {
            return Ok(means.clone());
        }
        let protocols = match &*tls.protocols {
            [] => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            protocols => protocols.iter().map(|name| name.as_bytes().to_vec()).collect(),
        };
        let identity = self.identities.credentials(&tls.identity)?;
        let (config, clients) = self.identities.server(tls, protocols)?;
        let means = Means { config, identity, clients };
        known.retain(|(one, _)| one.strong_count() > 0);
        known.push((Arc::downgrade(tls), means.clone()));
        Ok(means)
    }
}

impl Greet for Greetings {
    fn greet(&self, io: Box<dyn Io>) -> Greeting {
        let prepared = self.0.clone();
        Box::pin(async move {
            let start = LazyConfigAcceptor::new(Acceptor::default(), io).await;
            let start = start.map_err(|error| why_io(&error))?;
            let hello = hello(&start);
            Ok(Box::new(Begun { start, hello, prepared }) as Box<dyn Greeted>)
        })
    }
}

fn hello(start: &StartHandshake<Box<dyn Io>>) -> Hello {
    let hello = start.client_hello();
    let server_name = hello.server_name().map(|name| name.to_ascii_lowercase().into());
    let protocols = hello.alpn().map(|names| names.map(Into::into).collect()).unwrap_or_default();
    Hello { server_name, protocols }
}

/// A handshake of which the client's first message was read.
struct Begun {
    start: StartHandshake<Box<dyn Io>>,
    hello: Hello,
    prepared: Arc<Prepared>,
}

impl Greeted for Begun {
    fn hello(&self) -> &Hello {
        &self.hello
    }

    fn secure(self: Box<Self>, tls: Arc<ServerTls>) -> Securing {
        Box::pin(async move {
            let unusable = |error: TlsError| {
                tracing::warn!(%error, "no client can connect by TLS");
                error.to_string()
            };
            let means = self.prepared.means(&tls).map_err(unusable)?;
            // Said now, in words of its own: the handshake would fail without a reason.
            means.identity.check_identity().map_err(unusable)?;
            // Before the handshake: a change during it is seen as one after it.
            let known = means.clients.as_ref().map(generation);
            let stream = self.start.into_stream(means.config.clone()).await;
            let stream = stream.map_err(|error: io::Error| why_io(&error))?;
            settled(stream, means, known, self.prepared)
        })
    }
}

fn generation(clients: &PeerCheck) -> u64 {
    clients.authorities().source().generation()
}

/// What has come of a handshake.
fn settled(
    stream: TlsStream<Box<dyn Io>>,
    means: Means,
    known: Option<u64>,
    prepared: Arc<Prepared>,
) -> Result<Secured, String> {
    let (_, connection) = stream.get_ref();
    let session = session(connection, connection.server_name()).map_err(|why| why.to_string())?;
    let digest = session.certificate.as_ref().map(|shown| digest(&means.identity, &shown.der));
    let own = means.identity.own_uris().map_err(|error| error.to_string())?;
    let chain = connection.peer_certificates().unwrap_or_default().to_vec();
    let judge = Box::new(Shown { prepared, chain, since: now() });
    let forbidden = match (means.clients, known) {
        (Some(clients), Some(known)) if session.certificate.is_some() => {
            Some(Open::new(clients, known, connection).forbidden())
        }
        (Some(_) | None, _) => None,
    };
    let digest = digest.unwrap_or_default();
    Ok(Secured { io: Box::new(stream), session, digest, own, judge, forbidden })
}

/// What a client has shown in its handshake.
struct Shown {
    prepared: Arc<Prepared>,
    chain: Vec<CertificateDer<'static>>,
    since: UnixTime,
}

impl Judge for Shown {
    fn judge(&self, tls: &Arc<ServerTls>) -> Result<(), String> {
        let clients = self.prepared.means(tls).map_err(|error| error.to_string())?.clients;
        let Some(clients) = clients else { return Ok(()) };
        match (&tls.clients, &*self.chain) {
            (Clients::Required(_), []) => Err("it has shown no certificate".to_owned()),
            (Clients::Optional(_) | Clients::Anonymous, []) => Ok(()),
            (_, chain) => clients.check(chain, self.since).map_err(|refusal| refusal.to_string()),
        }
    }
    fn chain(&self) -> Vec<&[u8]> {
        self.chain.iter().map(AsRef::as_ref).collect()
    }
}
