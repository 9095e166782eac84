//! A connection to a management server.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};

use super::secure::Secure;
use crate::bootstrap::{CallCredentials, ChannelCredentials, Server};
use crate::edges::Edges;

/// Bound on TCP, TLS and the HTTP/2 preface together (gRPC's connect timeout).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Pings that notice a dead server, and how long their answer may take.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// Connects to `server`, by TLS if `secure` says how.
pub(super) async fn connect(
    server: &Server,
    secure: Option<&Arc<Secure>>,
    edges: &Edges,
) -> Result<Channel, String> {
    let host = server.uri.host().map_or("localhost", |(host, _)| host);
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let malformed = |error: &dyn Error| format!("{}: {error}", server.uri.as_str());
    let endpoint = Endpoint::from_shared(format!("http://{bracketed}"));
    let mut endpoint = endpoint
        .map_err(|error| malformed(&error))?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1)
        .keep_alive_while_idle(true);
    if secure.is_some() {
        // What requests say; for tonic the connection is one as any other.
        let origin = Uri::try_from(format!("https://{bracketed}"));
        endpoint = endpoint.origin(origin.map_err(|error| malformed(&error))?);
    }
    let (uri, network, secure) = (server.uri.clone(), edges.network.clone(), secure.cloned());
    let connector = tower::service_fn(move |_: Uri| {
        let (stream, secure) = (network.dial(&uri), secure.clone());
        async move {
            let stream = stream.await?;
            match secure {
                Some(secure) => secure.connect(stream).await.map(TokioIo::new),
                None => Ok(TokioIo::new(stream)),
            }
        }
    });
    let connected =
        tokio::time::timeout(CONNECT_TIMEOUT, endpoint.connect_with_connector(connector));
    match connected.await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => {
            Err(format!("cannot connect to {}: {}", server.uri.as_str(), full(&error)))
        }
        Err(_) => {
            Err(format!("cannot connect to {} within {CONNECT_TIMEOUT:?}", server.uri.as_str()))
        }
    }
}

/// What is sent with each stream besides its messages (gRFC A97). Read anew for each stream.
pub(super) fn metadata(
    server: &Server,
) -> Result<Option<MetadataValue<tonic::metadata::Ascii>>, String> {
    let Some(CallCredentials::JwtTokenFile(path)) = server.call_credentials.first() else {
        return Ok(None);
    };
    if !matches!(server.channel_credentials, ChannelCredentials::Tls(_)) {
        return Err("call credentials need a TLS connection to the server".into());
    }
    let token = std::fs::read_to_string(path);
    let token = token.map_err(|error| format!("{}: {error}", path.display()))?;
    let value = format!("Bearer {}", token.trim());
    // The error would print the token.
    let mut value =
        MetadataValue::try_from(value).map_err(|_| format!("{}: not a token", path.display()))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// An error with all its causes in one line.
pub(super) fn full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
