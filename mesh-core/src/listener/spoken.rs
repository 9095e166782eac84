/// What is spoken after a TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spoken {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Either of them: the first bytes say which.
    Either,
}

impl Spoken {
    /// What is spoken where the handshake has settled on `protocol` (ALPN); `None` for what servers
    /// here do not speak.
    ///
    /// Istio's sidecars have names of their own for HTTP between workloads. Its
    /// `istio-peer-exchange` is not among them: bytes that are not HTTP would come first.
    #[must_use]
    pub fn by(protocol: &[u8]) -> Option<Self> {
        match protocol {
            b"h2" | b"istio-h2" => Some(Self::Http2),
            b"http/1.1" | b"http/1.0" | b"istio-http/1.1" | b"istio-http/1.0" => Some(Self::Http1),
            b"istio" => Some(Self::Either),
            _ => None,
        }
    }
}
