//! Filters: what a route does to a request besides sending it on.
//!
//! Their order comes from xDS at run time, so they are objects behind one trait rather than tower
//! layers. A [`Filter`] is configured once, when its resource arrives, and shared by all calls; what
//! it must remember of one call lives in the call's own [`Slot`]. It has no body type, no future
//! and no clock: it says what it waits for ([`Step`]) and the shell does the waiting.
//!
//! ```text
//! request head ─► poll_request in order ─► upstream ─► on_response, on_trailers in inverse order
//!                                                    ─► on_end
//! ```

mod authorize;
mod awaited;
mod beginning;
mod break_glass;
mod chain;
mod connection;
mod guard;
mod inject;
mod local;
mod memory;
mod overload;
mod slot;
mod tenancy;
#[cfg(test)]
mod tests;
mod writable;

use std::any::Any;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

pub use authorize::Authorize;
pub use awaited::Awaited;
pub use beginning::Beginning;
pub use break_glass::BreakGlass;
pub use chain::{Chain, Entry, Override, Passage};
pub use connection::{ConnectionFactory, ConnectionFilter, Denial};
pub use guard::{Enforcement, Guard};
pub use inject::Inject;
pub use local::LocalResponse;
pub use memory::ConnectionMemory;
pub use overload::{Admit, LimitConcurrency};
pub use slot::Slot;
pub use tenancy::{Ambiguity, Tenancy, TenantSource, TenantSourceError};
pub use writable::is_writable;

use crate::identity::Peer;
use crate::metadata::Metadata;
use crate::request::RequestHead;
use crate::rng::Rng;
use crate::route::{FieldChanges, NewField, Route};
use crate::side;
use crate::tenant::Tenant;

/// A filter's own parsed configuration. Each factory knows its concrete type.
pub type Settings = Arc<dyn Any + Send + Sync>;

/// What to do next with a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step {
    /// Hand it to the next filter.
    Continue,
    /// Ask again at this time, or when it is past.
    WaitUntil(Instant),
    /// Ask again once this has happened, and at this time at the latest.
    WaitFor(Box<dyn Awaited>, Instant),
    /// Send this call and ask again with its result in [`Context::answer`].
    Ask(Box<side::Call>),
    /// Wait for so much of the body, or all of it if it is shorter, and ask again with it in
    /// [`Context::body`]. In servers only: in clients such a request fails.
    Body {
        /// Bytes.
        up_to: usize,
    },
    /// Answer it here.
    Respond(LocalResponse),
}

/// What the shell hands to a filter that looks at a request.
pub struct Context<'a> {
    /// The current time.
    pub now: Instant,
    /// The date and time, in seconds since 1970: what tokens are valid by.
    pub wall: u64,
    /// Who has sent the request; `None` in a client, where it is the application itself.
    pub peer: Option<&'a Peer>,
    /// What filters remember of the connection; `None` in a client.
    pub connection: Option<&'a ConnectionMemory>,
    /// The route that the request falls under, if it is known.
    pub route: Option<&'a Route>,
    /// The cluster that the request goes to; `None` in a server.
    pub cluster: Option<&'a str>,
    /// What filters before have said of the request, for those after. The [`Passage`] keeps it
    /// between the steps: the shell always starts with an empty one.
    pub metadata: Metadata,
    /// Randomness.
    pub rng: &'a mut dyn Rng,
    /// The result of the call that the previous [`Step::Ask`] asked for.
    pub answer: Option<Result<side::Reply, side::Failure>>,
    /// What the previous [`Step::Body`] has waited for. It goes on with the request as it came.
    pub body: Option<Beginning>,
    /// Changes to make to the request's header fields before it goes on.
    pub changes: &'a mut HeaderChanges,
}

impl Context<'_> {
    /// Whose the request is, if that is known by now.
    #[must_use]
    pub fn tenant(&self) -> Option<&Tenant> {
        self.metadata.tenant()
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("now", &self.now).finish_non_exhaustive()
    }
}

/// Header fields to set and to remove, applied by the shell after each filter.
#[derive(Debug, Default)]
pub struct HeaderChanges {
    /// Fields to remove, first.
    pub remove: Vec<http::HeaderName>,
    /// Fields to set, replacing earlier values.
    pub set: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Fields to add to what is there.
    pub append: Vec<(http::HeaderName, http::HeaderValue)>,
}

impl HeaderChanges {
    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.append.is_empty()
    }

    /// Makes those of `fields` as well, to a request whose header fields are `present`.
    pub fn extend(&mut self, fields: &FieldChanges, present: &http::HeaderMap) {
        let (overwrite, append) = fields.wanted(present);
        let owned = |field: &NewField| (field.name.clone(), field.value.clone());
        self.remove.extend(fields.remove.iter().cloned());
        self.set.extend(overwrite.into_iter().map(owned));
        self.append.extend(append.into_iter().map(owned));
    }

    /// Makes the changes and forgets them.
    pub fn apply(&mut self, headers: &mut http::HeaderMap) {
        for name in self.remove.drain(..) {
            headers.remove(name);
        }
        // A map that is full, as no message can be, is left as it is rather than panicking.
        for (name, value) in self.set.drain(..) {
            let _ = headers.try_insert(name, value);
        }
        for (name, value) in self.append.drain(..) {
            let _ = headers.try_append(name, value);
        }
    }
}

/// How a call ended, for filters that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The response went out whole.
    Complete,
    /// It broke off.
    Failed,
    /// The caller went away.
    Cancelled,
}

/// A configured filter, shared by all calls.
pub trait Filter: Send + Sync + fmt::Debug {
    /// Looks at a request. Called again after each step that waits.
    fn poll_request(
        &self,
        slot: &mut Slot,
        head: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Step;

    /// Whether it is shown what becomes of every request, and not just of those for which its slot
    /// is filled. A chain of filters that all say no costs a call nothing once it has passed them.
    /// Default: yes.
    fn watches_all(&self) -> bool {
        true
    }

    /// Looks at the head of the response and may change its header fields.
    fn on_response(
        &self,
        slot: &mut Slot,
        status: http::StatusCode,
        headers: &mut http::HeaderMap,
    ) {
        let _ = (slot, status, headers);
    }

    /// How many bytes of the response's body may go on in a second. Asked once, after
    /// [`on_response`](Self::on_response). Default: any number.
    fn throughput(&self, slot: &Slot) -> Option<NonZeroU64> {
        let _ = slot;
        None
    }

    /// Looks at the trailers of the response, if it has any.
    fn on_trailers(&self, slot: &mut Slot, trailers: &http::HeaderMap) {
        let _ = (slot, trailers);
    }

    /// The call is over; runs exactly once for each filter that saw the request.
    fn on_end(&self, slot: &mut Slot, end: End, now: Instant) {
        let _ = (slot, end, now);
    }
}

/// Which end of a request a filter works at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where it is made.
    Client,
    /// Where it is served.
    Server,
}

/// Makes filters of one kind from their configuration.
///
/// Runs when resources arrive, never per request.
pub trait Factory: Send + Sync {
    /// The type URL of the configuration message,
    /// such as `type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault`.
    fn type_url(&self) -> &str;

    /// Whether listeners of this side may have it (gRFC A39). Default: both may.
    fn is_for(&self, side: Side) -> bool {
        match side {
            Side::Client | Side::Server => true,
        }
    }

    /// The type URL of the per-route message, if it is another one.
    fn override_type_url(&self) -> Option<&str> {
        None
    }

    /// Parses the configuration message.
    ///
    /// # Errors
    /// What is wrong, with the field path; the resource is rejected with it.
    fn parse(&self, message: &[u8]) -> Result<Settings, String>;

    /// Parses the per-route message.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    fn parse_override(&self, message: &[u8]) -> Result<Settings, String> {
        self.parse(message)
    }

    /// The clusters that filters of `settings`, which the listener configures, send side calls to
    /// ([`Step::Ask`]). They are wanted as those of routes are. Default: none.
    fn clusters(&self, settings: &Settings) -> Vec<Arc<str>> {
        let _ = settings;
        Vec::new()
    }

    /// The filter for a route: `base` from the listener, `overrides` from least to most specific.
    ///
    /// Merging is the filter's own business; the usual rule is that the last one replaces all.
    fn build(&self, base: &Settings, overrides: &[Settings]) -> Arc<dyn Filter>;

    /// The filter for a route, as [`build`](Self::build) makes it, which goes by `name` there.
    /// Default: the name makes no difference.
    fn build_named(
        &self,
        name: &Arc<str>,
        base: &Settings,
        overrides: &[Settings],
    ) -> Arc<dyn Filter> {
        let _ = name;
        self.build(base, overrides)
    }
}

const _: fn(&dyn Filter, &dyn Factory) = |_, _| {};
