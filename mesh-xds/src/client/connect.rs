//! A connection to a management server.

use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::bootstrap::{CallCredentials, ChannelCredentials, Files, Server};
use crate::edges::Edges;

/// Bound on TCP, TLS and the HTTP/2 preface together (gRPC's connect timeout).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Pings that notice a dead server, and how long their answer may take.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// Connects to `server`. Certificates are read anew each time, so renewed ones are picked up.
pub(super) async fn connect(server: &Server, edges: &Edges) -> Result<Channel, String> {
    let secure = matches!(server.channel_credentials, ChannelCredentials::Tls(_));
    let host = server.uri.host().map_or("localhost", |(host, _)| host);
    let scheme = if secure { "https" } else { "http" };
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{bracketed}"));
    let mut endpoint = endpoint
        .map_err(|error| format!("{}: {error}", server.uri.as_str()))?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1)
        .keep_alive_while_idle(true);
    if let ChannelCredentials::Tls(files) = &server.channel_credentials {
        let tls = tls(files)?;
        endpoint = endpoint.tls_config(tls).map_err(|error| full(&error))?;
    }
    let (uri, network) = (server.uri.clone(), edges.network.clone());
    let connector = tower::service_fn(move |_: Uri| {
        let stream = network.dial(&uri);
        async move { stream.await.map(TokioIo::new) }
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

fn tls(files: &Files) -> Result<ClientTlsConfig, String> {
    let read = |path: &std::path::Path| {
        std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
    };
    if files.spiffe_trust_bundle_map.is_some() {
        return Err("spiffe_trust_bundle_map is not supported on the connection to a server".into());
    }
    let mut tls = ClientTlsConfig::new();
    tls = match &files.ca_certificate {
        Some(path) => tls.ca_certificate(Certificate::from_pem(read(path)?)),
        None => tls.with_native_roots(),
    };
    if let Some(identity) = &files.identity {
        let (certificate, key) = (read(&identity.certificate)?, read(&identity.private_key)?);
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    Ok(tls)
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
pub(super) fn full(error: &dyn std::error::Error) -> String {
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
