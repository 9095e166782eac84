//! TLS on a stream, as this floor sees it: who does it is decided above.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use mesh_core::cluster::{Endpoint, Transport, Upstream};
use mesh_core::identity::{ClientTls, Session};

use super::connect::Io;

/// Does the client's side of TLS handshakes.
pub(crate) trait Secure: Send + Sync {
    /// The handshake over `io`. What it presents and whom it accepts is looked up when it begins.
    fn secure(&self, io: Box<dyn Io>, wanted: Wanted) -> Securing;
}

/// A handshake under way. Dropping it closes the stream.
pub(crate) type Securing = Pin<Box<dyn Future<Output = Result<Secured, String>> + Send>>;

/// What a handshake is to come to.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "tls"),
    expect(dead_code, reason = "nobody secures connections without the feature")
)]
pub(crate) struct Wanted {
    pub(crate) tls: Arc<ClientTls>,
    /// What the control plane calls the endpoint.
    pub(crate) hostname: Option<Arc<str>>,
    /// The protocols to offer (ALPN), the best one first.
    pub(crate) protocols: Vec<Vec<u8>>,
}

/// A stream on which the handshake has succeeded.
pub(crate) struct Secured {
    pub(crate) io: Box<dyn Io>,
    pub(crate) session: Arc<Session>,
    /// Resolves when the peer would not be accepted any more, and says why.
    pub(crate) forbidden: Forbidden,
}

/// Resolves when a peer would not be accepted any more, and says why.
pub(crate) type Forbidden = Pin<Box<dyn Future<Output = String> + Send>>;

/// A stream ready for its protocol.
pub(crate) struct Ready {
    pub(crate) io: Box<dyn Io>,
    /// What the handshake has settled; `None` in plain text.
    pub(crate) session: Option<Arc<Session>>,
    pub(crate) forbidden: Forbidden,
}

/// Makes `io` what `transport` asks for. Where that is TLS and cannot be had, not a byte is sent.
pub(crate) async fn ready(
    io: Box<dyn Io>,
    secure: Option<&Arc<dyn Secure>>,
    transport: &Transport,
    endpoint: &Endpoint,
    upstream: Upstream,
) -> Result<Ready, String> {
    let tls = match transport {
        Transport::Plaintext => {
            let forbidden = Box::pin(std::future::pending());
            return Ok(Ready { io, session: None, forbidden });
        }
        Transport::Tls(tls) => tls.clone(),
    };
    let secure = secure.ok_or("TLS is not built in")?;
    let protocols = protocols(endpoint, upstream);
    let wanted = Wanted { tls, hostname: endpoint.hostname.clone(), protocols };
    let Secured { io, session, forbidden } = secure.secure(io, wanted).await?;
    Ok(Ready { io, session: Some(session), forbidden })
}

/// The protocols to offer to `endpoint`.
///
/// Istio's sidecars take TLS of workloads by names of their own, which stand before the common
/// ones. `istio-peer-exchange` is not among them: it would announce bytes before the protocol's.
fn protocols(endpoint: &Endpoint, upstream: Upstream) -> Vec<Vec<u8>> {
    let mode = endpoint.labels.as_ref().and_then(|labels| labels.find("tlsMode"));
    let is_istio = mode == Some("istio");
    let names: &[&str] = match (upstream, is_istio) {
        (Upstream::Http1, false) => &["http/1.1"],
        (Upstream::Http1, true) => &["istio-http/1.1", "istio", "http/1.1"],
        (Upstream::Http2 | _, false) => &["h2"],
        (Upstream::Http2 | _, true) => &["istio-h2", "istio", "h2"],
    };
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use mesh_core::cluster::{Address, Labels};

    use super::*;

    #[test]
    fn sidecars_are_offered_their_own_names() {
        let plain = Endpoint::new(Address::Unix("x".into()));
        let labels = Some(Arc::new(Labels::new([("tlsMode", "istio")])));
        let istio = Endpoint { labels, ..Endpoint::new(Address::Unix("x".into())) };
        for (endpoint, upstream, expect) in [
            (&plain, Upstream::Http2, &["h2"][..]),
            (&plain, Upstream::Http1, &["http/1.1"]),
            (&istio, Upstream::Http2, &["istio-h2", "istio", "h2"]),
            (&istio, Upstream::Http1, &["istio-http/1.1", "istio", "http/1.1"]),
        ] {
            let expect: Vec<_> = expect.iter().map(|name| name.as_bytes().to_vec()).collect();
            assert_eq!(protocols(endpoint, upstream), expect);
        }
    }
}
