//! Whether a certificate can be a peer's, before and after its chain has been followed.
//!
//! ```text
//! parse ─► Leaf::spiffe_id ─► roots of its trust domain ─► chain, revocation ─► Leaf::check ─► names
//! ```
//!
//! Following the chain (signatures, purposes, constraints, revocation) is not here: that takes
//! cryptography.

use std::time::SystemTime;

use super::names::SubjectNames;
use super::refusal::Refusal;
use super::san::SanMatcher;
use super::spiffe_id::SpiffeId;

/// A certificate as far as decisions about it read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its names.
    pub names: SubjectNames,
    /// What its key may be used for; `None` if it does not say.
    pub usage: Option<KeyUsage>,
    /// Whether it is an authority's (`basicConstraints`).
    pub is_authority: bool,
    /// The first moment at which it is valid.
    pub not_before: SystemTime,
    /// The last moment at which it is valid.
    pub not_after: SystemTime,
}

/// The uses of a key that matter here (`keyUsage`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUsage {
    /// `digitalSignature`: what a handshake needs.
    pub digital_signature: bool,
    /// `keyCertSign`: what only authorities may have.
    pub key_cert_sign: bool,
    /// `cRLSign`: what only authorities may have.
    pub crl_sign: bool,
}

/// Whether a peer has to be a SPIFFE workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Identification {
    /// It must have a SPIFFE ID.
    Spiffe,
    /// It may be known by other names. One with a SPIFFE ID is held to all of its rules.
    AnyName,
}

impl Leaf {
    /// The SPIFFE ID of the certificate. `None` if it has none and needs none.
    ///
    /// # Errors
    /// [`Refusal`] if there is not exactly one URI name, or it is not the SPIFFE ID of a workload.
    pub fn spiffe_id(&self, wanted: Identification) -> Result<Option<SpiffeId>, Refusal> {
        if self.names.has_control_character() {
            return Err(Refusal::ControlCharacter);
        }
        let uris = &self.names.uris;
        if wanted == Identification::AnyName && !uris.iter().any(|uri| is_spiffe(uri)) {
            return Ok(None);
        }
        let [uri] = &**uris else { return Err(Refusal::UriNames(uris.len())) };
        let id = SpiffeId::parse(uri).map_err(Refusal::SpiffeId)?;
        // Without a path it names the trust domain, which is no workload (X509-SVID §2).
        if id.path().is_empty() { Err(Refusal::NoWorkload) } else { Ok(Some(id)) }
    }

    /// Refuses what may not be a peer's whoever has signed it: an authority's certificate, a key
    /// for other uses, and one that is not valid at `now`.
    ///
    /// `id` is what [`spiffe_id`](Self::spiffe_id) found.
    ///
    /// # Errors
    /// [`Refusal`] says which.
    pub fn check(&self, id: Option<&SpiffeId>, now: SystemTime) -> Result<(), Refusal> {
        if self.is_authority {
            return Err(Refusal::Authority);
        }
        match self.usage {
            Some(usage) if usage.key_cert_sign || usage.crl_sign => {
                return Err(Refusal::AuthorityUsage);
            }
            Some(usage) if !usage.digital_signature => return Err(Refusal::NoSignatureUsage),
            // X509-SVID §4.3 wants the extension.
            None if id.is_some() => return Err(Refusal::NoSignatureUsage),
            Some(_) | None => {}
        }
        if now < self.not_before {
            return Err(Refusal::NotYetValid { from: self.not_before });
        }
        if now > self.not_after {
            return Err(Refusal::Expired { at: self.not_after });
        }
        Ok(())
    }

    /// Refuses who is none of those that may be at the other end. Without matchers anybody may.
    ///
    /// # Errors
    /// [`Refusal::Names`].
    pub fn check_names(&self, accepted: &[SanMatcher]) -> Result<(), Refusal> {
        if accepted.is_empty() || accepted.iter().any(|matcher| matcher.matches(&self.names)) {
            return Ok(());
        }
        Err(Refusal::Names { presented: self.names.describe().into() })
    }
}

fn is_spiffe(uri: &str) -> bool {
    // Whatever looks like one is held to the rules, which then refuse the wrong case.
    uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::SpiffeIdError;
    use super::*;
    use crate::matcher::StringMatcher;

    fn leaf(uris: &[&str]) -> Leaf {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Leaf {
            names: SubjectNames {
                uris: uris.iter().map(|uri| (*uri).into()).collect(),
                ..SubjectNames::default()
            },
            usage: Some(KeyUsage { digital_signature: true, ..KeyUsage::default() }),
            is_authority: false,
            not_before: at(10),
            not_after: at(20),
        }
    }

    #[test]
    fn a_workload_has_exactly_one_uri_name() {
        use Identification::*;
        let id = |uris: &[&str], wanted| {
            leaf(uris).spiffe_id(wanted).map(|id| id.map(|id| id.as_str().to_owned()))
        };
        let good = "spiffe://td/w";
        let found = Ok(Some(good.to_owned()));
        for (uris, spiffe, any) in [
            (&[good][..], found.clone(), found),
            (&[], Err(Refusal::UriNames(0)), Ok(None)),
            (&[good, good], Err(Refusal::UriNames(2)), Err(Refusal::UriNames(2))),
            (&[good, "https://x"], Err(Refusal::UriNames(2)), Err(Refusal::UriNames(2))),
            (&["https://x"], Err(Refusal::SpiffeId(SpiffeIdError::Scheme)), Ok(None)),
            (&["spiffe://td"], Err(Refusal::NoWorkload), Err(Refusal::NoWorkload)),
            (&["spiffe://td/w\0"], Err(Refusal::ControlCharacter), Err(Refusal::ControlCharacter)),
            (
                &["SPIFFE://td/w"],
                Err(Refusal::SpiffeId(SpiffeIdError::Scheme)),
                Err(Refusal::SpiffeId(SpiffeIdError::Scheme)),
            ),
        ] {
            assert_eq!(id(uris, Spiffe), spiffe, "{uris:?}");
            assert_eq!(id(uris, AnyName), any, "{uris:?}");
        }
    }

    #[test]
    fn a_name_of_any_kind_with_a_nul_is_refused() {
        let mut bad = leaf(&["spiffe://td/w"]);
        bad.names.dns_names = ["good.example\0.evil".into()].into();
        assert_eq!(bad.spiffe_id(Identification::AnyName), Err(Refusal::ControlCharacter));
    }

    #[test]
    fn authorities_and_foreign_uses_are_refused() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(15);
        let id = SpiffeId::parse("spiffe://td/w").unwrap();
        let usage = |digital_signature, key_cert_sign, crl_sign| {
            Some(KeyUsage { digital_signature, key_cert_sign, crl_sign })
        };
        for (is_authority, usage, svid, other) in [
            (false, usage(true, false, false), Ok(()), Ok(())),
            (true, usage(true, false, false), Err(Refusal::Authority), Err(Refusal::Authority)),
            (
                false,
                usage(true, true, false),
                Err(Refusal::AuthorityUsage),
                Err(Refusal::AuthorityUsage),
            ),
            (
                false,
                usage(true, false, true),
                Err(Refusal::AuthorityUsage),
                Err(Refusal::AuthorityUsage),
            ),
            (
                false,
                usage(false, false, false),
                Err(Refusal::NoSignatureUsage),
                Err(Refusal::NoSignatureUsage),
            ),
            (false, None, Err(Refusal::NoSignatureUsage), Ok(())),
        ] {
            let leaf = Leaf { is_authority, usage, ..leaf(&[]) };
            assert_eq!(leaf.check(Some(&id), now), svid, "{leaf:?}");
            assert_eq!(leaf.check(None, now), other, "{leaf:?}");
        }
    }

    #[test]
    fn both_ends_of_its_time_belong_to_it() {
        let leaf = leaf(&[]);
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(leaf.check(None, at(9)), Err(Refusal::NotYetValid { from: at(10) }));
        assert_eq!(leaf.check(None, at(10)), Ok(()));
        assert_eq!(leaf.check(None, at(20)), Ok(()));
        assert_eq!(leaf.check(None, at(21)), Err(Refusal::Expired { at: at(20) }));
    }

    #[test]
    fn one_of_the_matchers_must_accept_the_names() {
        let exact = |name| SanMatcher::any(StringMatcher::exact(name));
        let leaf = leaf(&["spiffe://td/w"]);
        assert_eq!(leaf.check_names(&[]), Ok(()));
        assert_eq!(leaf.check_names(&[exact("x"), exact("spiffe://td/w")]), Ok(()));
        let refusal = leaf.check_names(&[exact("x")]).unwrap_err();
        assert_eq!(refusal.to_string(), r#"none of its names is accepted: "spiffe://td/w""#);
    }
}
