//! Whose a request is.
//!
//! ```text
//! a trusted peer's header field, or else the peer's SPIFFE ID ─┐
//! a claim of a token that was verified ────────────────────────┴─ all the same ─► Tenant
//! ```
//!
//! A request cannot choose: what it says itself counts for nothing, and sources that differ refuse
//! it.

mod source;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use http::{HeaderMap, StatusCode};

pub use source::{TenantSource, TenantSourceError};

use super::{Context, Filter, LocalResponse, Slot, Step};
use crate::identity::Peer;
use crate::metadata::Metadata;
use crate::request::RequestHead;
use crate::tenant::{Tenant, TenantError};

/// Finds out whose requests are, and refuses those that are nobody's.
///
/// It works behind filters that verify tokens and in front of policies. What it finds is in the
/// [`Metadata`] of the request, where only it writes.
#[derive(Clone, Debug)]
pub struct Tenancy {
    sources: Vec<TenantSource>,
    is_optional: bool,
}

/// Why it cannot be said whose a request is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ambiguity {
    /// Two sources name different tenants.
    #[error("is of {0} and of {1}")]
    Differ(Tenant, Tenant),
    /// A source says what is no tenant's name.
    #[error("{0}")]
    Name(#[from] TenantError),
    /// A claim is no text, or a header field stands there more than once.
    #[error("{0} is not one text")]
    NotText(Box<str>),
}

impl Tenancy {
    /// Whose requests are is what `sources` say, which must not differ: of several SPIFFE IDs' forms
    /// the first that fits counts, and a peer that is trusted to speak for others in a header field
    /// does so instead of for itself. Requests that are nobody's are refused. Without any source, all
    /// are.
    #[must_use]
    pub fn new(sources: impl IntoIterator<Item = TenantSource>) -> Self {
        Self { sources: sources.into_iter().collect(), is_optional: false }
    }

    /// The same, and requests that are nobody's pass. Policies on the tenant then deny what they
    /// deny to any, and allow nothing.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }

    /// Whose the request is; `None` if it is nobody's.
    ///
    /// # Errors
    /// [`Ambiguity`] if that cannot be said.
    pub fn tenant(
        &self,
        head: &RequestHead<'_>,
        peer: Option<&Peer>,
        metadata: &Metadata,
    ) -> Result<Option<Tenant>, Ambiguity> {
        let each = |find: &dyn Fn(&TenantSource) -> Result<Option<Tenant>, Ambiguity>| {
            let mut found: Option<Tenant> = None;
            for source in &self.sources {
                found = agreed(found, find(source)?)?;
            }
            Ok::<_, Ambiguity>(found)
        };
        let mut sender = each(&|source| source.forwarded(head, peer))?;
        if sender.is_none() {
            let mut own = self.sources.iter().filter_map(|source| source.own(peer));
            sender = own.next().transpose()?;
        }
        let claimed = each(&|source| source.claimed(metadata))?;
        agreed(sender, claimed)
    }
}

fn agreed(one: Option<Tenant>, other: Option<Tenant>) -> Result<Option<Tenant>, Ambiguity> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(Ambiguity::Differ(one, other)),
        (one, other) => Ok(one.or(other)),
    }
}

impl Filter for Tenancy {
    fn poll_request(
        &self,
        _: &mut Slot,
        head: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        let found = self.tenant(head, context.peer, &context.metadata);
        // What nobody is trusted to say reaches no service that might believe it.
        let headers = self.sources.iter().filter_map(|it| it.untrusted_header(context.peer));
        context.changes.remove.extend(headers.cloned());
        match found {
            // There may be two: in code, and in a file.
            Ok(Some(tenant)) if context.tenant() == Some(&tenant) => Step::Continue,
            Ok(Some(tenant)) => match context.metadata.set_tenant(tenant) {
                Ok(()) => Step::Continue,
                Err(why) => Step::Respond(refusal(&why)),
            },
            Ok(None) if self.is_optional => Step::Continue,
            Ok(None) => Step::Respond(refusal(&"is nobody's")),
            Err(why) => Step::Respond(refusal(&why)),
        }
    }

    fn watches_all(&self) -> bool {
        false
    }
}

#[cold]
fn refusal(why: &dyn fmt::Display) -> LocalResponse {
    LocalResponse {
        status: StatusCode::FORBIDDEN,
        grpc: PERMISSION_DENIED,
        headers: HeaderMap::new(),
        body: "tenant: access denied".into(),
        why: Cow::Owned(format!("tenant: the request {why}")),
    }
}

const PERMISSION_DENIED: u8 = 7;
