//! TLS towards a management server (gRFC A65, A69, A87), as everywhere: our own checks of the peer,
//! and certificates that are looked up at each handshake.

use std::io;
use std::sync::Arc;

use mesh_core::identity::Source;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::bootstrap::{ChannelCredentials, Files, Server};
use crate::edges::Io;
use crate::identity::{ExpiryWatch, Identities, Watched};
use crate::providers::Providers;
use crate::tls::{ClientSettings, Credentials, PeerCheck, Side, TlsError, client_config, why_io};

/// What is negotiated (ALPN). A server that does not is none of gRPC.
const PROTOCOL: &[u8] = b"h2";

/// How connections to one server are secured.
pub(super) struct Secure {
    identity: Option<Arc<Credentials>>,
    authorities: Arc<Credentials>,
    identities: Arc<Identities>,
    host: Box<str>,
    _watch: Option<ExpiryWatch>,
}

impl Secure {
    /// As the bootstrap says of `server`; `None` in plain text. The files are watched from now on.
    pub(super) fn of(server: &Server, providers: &Providers) -> Option<Self> {
        let ChannelCredentials::Tls(files) = &server.channel_credentials else { return None };
        let identities = providers.identities.clone();
        let watched = (*files != Files::default()).then(|| watch(server, files, providers));
        let names_authorities =
            files.ca_certificate.is_some() || files.spiffe_trust_bundle_map.is_some();
        Some(Self {
            identity: watched.clone().filter(|_| files.identity.is_some()),
            authorities: watched
                .clone()
                .filter(|_| names_authorities)
                .unwrap_or_else(|| identities.system()),
            host: server.uri.host().map_or("localhost", |(host, _)| host).into(),
            _watch: watched.map(|watched| {
                identities.watch_over(&watched, &providers.handle, providers.recorder.clone())
            }),
            identities,
        })
    }

    /// Makes the handshake on `stream`.
    pub(super) async fn connect(&self, stream: Box<dyn Io>) -> io::Result<Box<dyn Io>> {
        let (config, name) = self.config().map_err(|error| io::Error::other(error.to_string()))?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let stream = connecting.await.map_err(|error| io::Error::other(why_io(&error)))?;
        match stream.get_ref().1.alpn_protocol() {
            Some(PROTOCOL) => Ok(Box::new(stream)),
            Some(_) | None => Err(io::Error::other("the server does not negotiate HTTP/2")),
        }
    }

    /// Also with a trust bundle map the certificate must be for the server's name: without, every
    /// workload of every trust domain in the map could be the management server.
    fn config(&self) -> Result<(ClientConfig, ServerName<'static>), TlsError> {
        let name = ServerName::try_from(self.host.to_string());
        let name = name.map_err(|_| TlsError::ServerName((*self.host).into()))?;
        let servers = PeerCheck::new(self.authorities.clone(), &[], Side::Server);
        let settings = ClientSettings {
            identity: self.identity.clone(),
            servers: servers.for_host(&self.host),
            protocols: vec![PROTOCOL.to_vec()],
            minimum: self.identities.minimum(),
        };
        Ok((client_config(settings, self.identities.crypto())?, name))
    }
}

fn watch(server: &Server, files: &Files, providers: &Providers) -> Arc<Credentials> {
    let name: Arc<str> = format!("channel_creds of {}", server.uri.as_str()).into();
    let crypto = providers.identities.crypto().clone();
    let watched = Watched {
        name: name.clone(),
        files: files.clone(),
        crypto: crypto.clone(),
        recorder: providers.recorder.clone(),
    };
    let source: Arc<dyn Source> = Arc::new(watched.start(&providers.handle));
    Arc::new(Credentials::new(name, source, crypto))
}
