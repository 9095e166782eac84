//! Whether a peer's certificates are accepted.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_core::identity::{Identification, Refusal, SanMatcher};
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{CertRevocationList, EndEntityCert, KeyUsage};

use super::credentials::Credentials;
use super::leaf::leaf;
use super::revocation;

/// Decides whether a peer is accepted, by what its certificate provider trusts at that moment.
///
/// In this order: the certificate is read, has a SPIFFE ID (or needs none), is not an authority's,
/// may be used in a handshake, is valid at the time; its chain leads to a root of its own trust
/// domain; it is not revoked; it is for somebody who may be there.
#[derive(Clone, Debug)]
pub struct PeerCheck {
    authorities: Arc<Credentials>,
    accepted: Arc<[SanMatcher]>,
    side: Side,
    host: Option<Arc<str>>,
}

/// Which side of a connection the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Side {
    /// It has been connected to.
    Server,
    /// It has connected.
    Client,
}

impl PeerCheck {
    /// Accepts peers on `side` for whom the authorities of `authorities` vouch, and whom one of
    /// `accepted` matches, if there is any.
    #[must_use]
    pub fn new(authorities: Arc<Credentials>, accepted: &[SanMatcher], side: Side) -> Self {
        Self { authorities, accepted: accepted.into(), side, host: None }
    }

    /// Accepts only who has a DNS name that stands for `host`, instead of whom the matchers
    /// accept (gRFC A101).
    #[must_use]
    pub fn for_host(self, host: &str) -> Self {
        Self { host: Some(host.into()), ..self }
    }

    /// Whose authorities count.
    #[must_use]
    pub fn authorities(&self) -> &Arc<Credentials> {
        &self.authorities
    }

    /// Refuses a peer that shows `chain`, its own certificate first, at `now`.
    ///
    /// Also for a connection that is open: with the time of its handshake, it says whether the
    /// authorities and revocation lists of today would have let it in.
    ///
    /// # Errors
    /// [`Refusal`] says what is wrong.
    pub fn check(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Refusal> {
        let Some((own, intermediates)) = chain.split_first() else {
            return Err(Refusal::Unreadable("there is none".into()));
        };
        let why = |error: super::TlsError| Refusal::NoAuthorities(error.to_string().into());
        let ready = self.authorities.ready().map_err(why)?;
        let leaf = leaf(own)?;
        let wanted = match ready.is_by_domain() {
            true => Identification::Spiffe,
            false => Identification::AnyName,
        };
        let id = leaf.spiffe_id(wanted)?;
        let roots = ready.roots(id.as_ref())?;
        leaf.check(id.as_ref(), SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs()))?;
        let follow = |lists: &[_]| self.follow((own, intermediates), roots, lists, now);
        let mut followed = follow(&ready.crls.all());
        // That one is revoked counts for more than any of these, so none of them hides it.
        if followed.as_ref().is_err_and(is_of_another)
            && let Some(about) = ready.crls.about(chain)
        {
            followed = follow(&about);
        }
        followed.map_err(refusal)?;
        match &self.host {
            Some(host) if !leaf.names.is_of_host(host) => Err(Refusal::Host {
                host: (&**host).into(),
                presented: leaf.names.describe().into(),
            }),
            Some(_) => Ok(()),
            None => leaf.check_names(&self.accepted),
        }
    }

    /// Follows the chain to one of `roots`.
    fn follow(
        &self,
        chain: (&CertificateDer<'_>, &[CertificateDer<'_>]),
        roots: &[TrustAnchor<'_>],
        lists: &[&CertRevocationList<'_>],
        now: UnixTime,
    ) -> Result<(), webpki::Error> {
        let usage = match self.side {
            Side::Server => KeyUsage::server_auth(),
            Side::Client => KeyUsage::client_auth(),
        };
        let algorithms = self.authorities.crypto().signature_verification_algorithms.all;
        let (own, intermediates) = chain;
        let revocation = revocation::options(lists);
        let own = EndEntityCert::try_from(own)?;
        own.verify_for_usage(algorithms, roots, intermediates, now, usage, revocation, None)?;
        Ok(())
    }
}

/// Whether somebody was tried who has not signed: the peer's certificate, or a revocation list.
fn is_of_another(error: &webpki::Error) -> bool {
    matches!(
        error,
        webpki::Error::InvalidCrlSignatureForPublicKey
            | webpki::Error::InvalidSignatureForPublicKey
            | webpki::Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_)
            | webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
    )
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the faults of a chain are many, and for people to read"
)]
fn refusal(error: webpki::Error) -> Refusal {
    match error {
        // The second is an authority of the same name with another key: after a roll-over, mostly.
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
            Refusal::UnknownIssuer
        }
        webpki::Error::CertRevoked => Refusal::Revoked,
        webpki::Error::CertExpired { .. } => Refusal::Chain("an authority has expired".into()),
        webpki::Error::CertNotValidYet { .. } => {
            Refusal::Chain("an authority is not valid yet".into())
        }
        other => Refusal::Chain(format!("{other:?}").into()),
    }
}
