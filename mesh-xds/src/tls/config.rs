//! The configurations of rustls.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};

use super::check::PeerCheck;
use super::resolver::{Nothing, Presented};
use super::verifier::{Clients, Servers, algorithms};
use super::{Credentials, TlsError};

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MinimumVersion {
    /// TLS 1.3 only.
    #[default]
    Tls13,
    /// TLS 1.2 too, without session tickets and renegotiation.
    Tls12,
}

/// How a client does its handshakes.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// What it presents if it is asked.
    pub identity: Option<Arc<Credentials>>,
    /// Which servers it accepts.
    pub servers: PeerCheck,
    /// The protocols that it offers (ALPN), the best one first.
    pub protocols: Vec<Vec<u8>>,
    /// The oldest version of TLS.
    pub minimum: MinimumVersion,
}

/// How a server does its handshakes.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// What it presents.
    pub identity: Arc<Credentials>,
    /// Which clients it accepts; `None` asks them for no certificate.
    pub clients: Option<PeerCheck>,
    /// Whether clients may do without a certificate where one is asked for.
    pub anonymous: Anonymous,
    /// The protocols that it speaks (ALPN), the best one first.
    pub protocols: Vec<Vec<u8>>,
    /// The oldest version of TLS.
    pub minimum: MinimumVersion,
}

/// Whether clients may do without a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// They may not.
    #[default]
    Refuse,
    /// They may.
    Accept,
}

/// The configuration of clients with `settings`. Identity and authorities are looked up at each
/// handshake.
///
/// # Errors
/// When `crypto` cannot do TLS of that version, or there is no identity to present now.
pub fn client_config(
    settings: ClientSettings,
    crypto: &Arc<CryptoProvider>,
) -> Result<ClientConfig, TlsError> {
    let verifier = Servers { check: settings.servers, algorithms: algorithms(crypto) };
    let builder = ClientConfig::builder_with_provider(crypto.clone())
        .with_protocol_versions(&versions(settings.minimum))
        .map_err(|error| TlsError::Crypto(error.to_string().into()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match settings.identity {
        Some(identity) => {
            // Without this, a handshake would go on with nothing to present.
            identity.check_identity()?;
            builder.with_client_cert_resolver(Arc::new(Presented(identity)))
        }
        None => builder.with_client_cert_resolver(Arc::new(Nothing)),
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = settings.protocols;
    Ok(config)
}

/// The configuration of a server with `settings`. Identity and authorities are looked up at each
/// handshake, which fails while there are none.
///
/// # Errors
/// When `crypto` cannot do TLS of that version.
pub fn server_config(
    settings: ServerSettings,
    crypto: &Arc<CryptoProvider>,
) -> Result<ServerConfig, TlsError> {
    let clients: Arc<dyn ClientCertVerifier> = match settings.clients {
        Some(check) => Arc::new(Clients {
            check,
            algorithms: algorithms(crypto),
            is_mandatory: settings.anonymous == Anonymous::Refuse,
        }),
        None => rustls::server::WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(crypto.clone())
        .with_protocol_versions(&versions(settings.minimum))
        .map_err(|error| TlsError::Crypto(error.to_string().into()))?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(Presented(settings.identity)));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = settings.protocols;
    Ok(config)
}

fn versions(minimum: MinimumVersion) -> Vec<&'static SupportedProtocolVersion> {
    match minimum {
        MinimumVersion::Tls13 => vec![&rustls::version::TLS13],
        MinimumVersion::Tls12 => vec![&rustls::version::TLS13, &rustls::version::TLS12],
    }
}
