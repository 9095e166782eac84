//! Why a certificate is not accepted.

use std::time::{Duration, SystemTime};

use super::spiffe_id::SpiffeIdError;
use super::trust_domain::TrustDomain;

/// Why the certificate of a peer is not accepted. Names what is wrong, never a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is no certificate, or has a part that cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(Box<str>),
    /// A name has a control character, such as NUL.
    #[error("one of its names has a control character")]
    ControlCharacter,
    /// A workload has exactly one URI name.
    #[error("it has {0} URI names, not exactly one")]
    UriNames(usize),
    /// Its URI name is no SPIFFE ID.
    #[error("its URI name is no SPIFFE ID: {0}")]
    SpiffeId(SpiffeIdError),
    /// Its SPIFFE ID has no path, so it names a trust domain.
    #[error("its SPIFFE ID names a trust domain, not a workload")]
    NoWorkload,
    /// No authorities are known for its trust domain.
    #[error("trust domain {0} is not trusted")]
    TrustDomain(TrustDomain),
    /// There are no authorities to check it against.
    #[error("there are no authorities to check it against: {0}")]
    NoAuthorities(Box<str>),
    /// It is an authority's, not a workload's.
    #[error("it is a certificate authority's")]
    Authority,
    /// Its key may sign certificates or revocation lists.
    #[error("its key may be used as an authority's (keyCertSign or cRLSign)")]
    AuthorityUsage,
    /// Its key may not be used for a handshake.
    #[error("its key may not be used for digital signatures")]
    NoSignatureUsage,
    /// It is not valid yet.
    #[error("it is not valid before {}", seconds(.from))]
    NotYetValid {
        /// When it will be.
        from: SystemTime,
    },
    /// It is not valid any more.
    #[error("it has expired at {}", seconds(.at))]
    Expired {
        /// Since when.
        at: SystemTime,
    },
    /// None of the authorities has signed it.
    #[error("none of the authorities has issued it")]
    UnknownIssuer,
    /// A revocation list names it, or an authority above it.
    #[error("it has been revoked")]
    Revoked,
    /// Something else is wrong with it or with the chain to an authority.
    #[error("its chain is not valid: {0}")]
    Chain(Box<str>),
    /// It is somebody else's.
    #[error("none of its names is accepted: {presented}")]
    Names {
        /// The names it has.
        presented: Box<str>,
    },
    /// It is for another host.
    #[error("it is not for {host}: {presented}")]
    Host {
        /// The name that was asked for.
        host: Box<str>,
        /// The names it has.
        presented: Box<str>,
    },
}

/// A time as seconds since 1970, which needs no calendar.
fn seconds(time: &SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    format!("{} (Unix time)", since.as_secs())
}
