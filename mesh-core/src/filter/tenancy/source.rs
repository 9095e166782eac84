//! What says whose a request is.

use http::HeaderName;

use super::Ambiguity;
use crate::identity::{Peer, SpiffeTemplate, SpiffeTemplateError};
use crate::jwt;
use crate::matcher::StringMatcher;
use crate::metadata::{Metadata, Value};
use crate::request::RequestHead;
use crate::tenant::Tenant;

/// One thing that says whose a request is.
#[derive(Clone, Debug)]
pub struct TenantSource(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Identity(SpiffeTemplate),
    Claim(Box<[Box<str>]>),
    Header(HeaderName, Vec<StringMatcher>),
}

/// Why something cannot say whose a request is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TenantSourceError {
    /// The form of SPIFFE IDs is none.
    #[error(transparent)]
    Template(#[from] SpiffeTemplateError),
    /// The name of a claim has a part without content.
    #[error("the name of a claim may not have an empty part")]
    Claim,
    /// It is no header field's name, or one that says something else.
    #[error("{0:?} may not say whose a request is")]
    Header(Box<str>),
    /// Nobody, or anybody, is trusted with a header field.
    #[error("say which SPIFFE IDs are trusted with the header field")]
    Untrusted,
}

impl TenantSource {
    /// A segment of the peer's SPIFFE ID, as in `spiffe://cluster.local/ns/{tenant}/sa/*`
    /// ([`SpiffeTemplate`]).
    ///
    /// # Errors
    /// [`TenantSourceError::Template`].
    pub fn identity(template: &str) -> Result<Self, TenantSourceError> {
        Ok(Self(Kind::Identity(SpiffeTemplate::parse(template)?)))
    }

    /// A claim of the token that `jwt_authn` has verified, by the path to it (`org.tenant`). The
    /// provider must keep claims under `payload` (`payload_in_metadata`).
    ///
    /// # Errors
    /// [`TenantSourceError::Claim`].
    pub fn claim(path: &str) -> Result<Self, TenantSourceError> {
        let path: Vec<Box<str>> =
            [PAYLOAD].into_iter().chain(path.split('.')).map(Into::into).collect();
        if path.iter().any(|name| name.is_empty()) {
            return Err(TenantSourceError::Claim);
        }
        Ok(Self(Kind::Claim(path.into())))
    }

    /// A header field, from peers whose SPIFFE ID is one of `trusted`, or begins with one that ends
    /// in `/*`. In requests of others it is removed.
    ///
    /// # Errors
    /// [`TenantSourceError::Header`] and [`TenantSourceError::Untrusted`].
    pub fn header<'t>(
        name: &str,
        trusted: impl IntoIterator<Item = &'t str>,
    ) -> Result<Self, TenantSourceError> {
        let header = HeaderName::try_from(name).ok().filter(crate::filter::is_writable);
        let header = header.ok_or_else(|| TenantSourceError::Header(name.into()))?;
        let matcher = |id: &str| match id.strip_suffix('*') {
            Some(start) if is_prefix(start) => {
                StringMatcher::prefix(start).map_err(|_| TenantSourceError::Untrusted)
            }
            Some(_) => Err(TenantSourceError::Untrusted),
            None if id.starts_with("spiffe://") => Ok(StringMatcher::exact(id)),
            None => Err(TenantSourceError::Untrusted),
        };
        let trusted = trusted.into_iter().map(matcher).collect::<Result<Vec<_>, _>>()?;
        if trusted.is_empty() {
            return Err(TenantSourceError::Untrusted);
        }
        Ok(Self(Kind::Header(header, trusted)))
    }

    /// What a peer that is trusted to speak for others says.
    pub(super) fn forwarded(
        &self,
        head: &RequestHead<'_>,
        peer: Option<&Peer>,
    ) -> Result<Option<Tenant>, Ambiguity> {
        let Kind::Header(name, trusted) = &self.0 else { return Ok(None) };
        if !is_one_of(peer, trusted) {
            return Ok(None);
        }
        let mut values = head.headers.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        match value.to_str() {
            Ok(text) if values.next().is_none() => Ok(Some(Tenant::new(text)?)),
            Ok(_) | Err(_) => Err(Ambiguity::NotText(name.as_str().into())),
        }
    }

    /// Who the peer itself is.
    pub(super) fn own(&self, peer: Option<&Peer>) -> Option<Result<Tenant, Ambiguity>> {
        let Kind::Identity(template) = &self.0 else { return None };
        let taken = template.take(peer?.spiffe_id()?)?;
        Some(Tenant::new(taken).map_err(Ambiguity::from))
    }

    /// What a verified token claims.
    pub(super) fn claimed(&self, metadata: &Metadata) -> Result<Option<Tenant>, Ambiguity> {
        let Kind::Claim(path) = &self.0 else { return Ok(None) };
        match metadata.find(jwt::NAMESPACE, path) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(Tenant::new(text)?)),
            Some(
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Struct(_),
            ) => Err(Ambiguity::NotText(path.join(".").into())),
        }
    }

    /// The header field that this peer is not trusted with.
    pub(super) fn untrusted_header(&self, peer: Option<&Peer>) -> Option<&HeaderName> {
        match &self.0 {
            Kind::Header(name, trusted) => (!is_one_of(peer, trusted)).then_some(name),
            Kind::Identity(_) | Kind::Claim(_) => None,
        }
    }
}

fn is_one_of(peer: Option<&Peer>, trusted: &[StringMatcher]) -> bool {
    let id = peer.and_then(Peer::spiffe_id);
    id.is_some_and(|id| trusted.iter().any(|it| it.matches(id.as_str().as_bytes())))
}

/// Whether it names a trust domain whole, and ends where a segment does.
fn is_prefix(start: &str) -> bool {
    start.strip_prefix("spiffe://").is_some_and(|it| it.len() > 1 && it.ends_with('/'))
}

/// Where providers of tokens keep claims, as policies expect it too.
const PAYLOAD: &str = "payload";
