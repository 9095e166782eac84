//! One thing that a mesh is asked for, such as `xds:///greeter`.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http::uri::Authority;
use http_body::Body;
use mesh_core::cell::{Cell, Listen};
use mesh_core::request::RequestHead;
use mesh_core::route::Explanation;
use mesh_core::snapshot::{Presence, Root};
use tokio::sync::Notify;

use super::call::own_authority;
use super::future::ResponseFuture;
use super::slow;
use crate::body::Owner;
use crate::context::Context;
use crate::error::BoxError;
use crate::error::Error;
use crate::inherit;
use crate::runtime;

/// One thing that a mesh is asked for: its configuration, and the way to send requests by it.
///
/// Cheap to clone. When the last clone is dropped, the mesh stops asking for its configuration.
#[derive(Clone)]
pub struct Target(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) name: Arc<str>,
    pub(super) authority: Authority,
    pub(super) root: Arc<Cell<Root>>,
    pub(super) changed: Arc<Changed>,
    pub(super) context: Arc<Context>,
    pub(super) demand: Option<Arc<dyn DemandCluster>>,
    /// What lives as long as the target: the subscription, and the mesh.
    _keep: Option<Box<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Owner for Inner {
    fn name(&self) -> &str {
        &self.name
    }
}

/// Asks the control side for a cluster that only a request has named.
pub(crate) trait DemandCluster: Send + Sync {
    /// Wants `cluster`; the target's root changes when it is there or known not to be.
    ///
    /// # Errors
    /// Why there can never be a cluster of this name.
    fn demand(&self, cluster: &str) -> Result<(), Arc<str>>;
}

/// Wakes calls that wait for configuration.
#[derive(Debug, Default)]
pub(super) struct Changed(pub(super) Notify);

impl Listen for Changed {
    fn published(&self) {
        self.0.notify_waiters();
    }
}

/// How one call is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// When the call must have ended. Default: no bound of the caller's own.
    pub deadline: Option<Instant>,
    /// Whether to wait for configuration and endpoints instead of failing fast, for as long as the
    /// deadline allows (gRPC's wait-for-ready). Default `false`.
    pub wait_for_ready: bool,
}

impl Options {
    /// Ends the call `timeout` from now; no bound if that is beyond what the clock can tell.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Some(runtime::after(timeout));
        self
    }

    /// Ends the call with the request in whose service the caller runs, if that is sooner.
    ///
    /// Calls do so by themselves; this is for whoever wants to know their deadline.
    #[must_use]
    pub fn in_request(mut self) -> Self {
        let inherited = inherit::with(|request| request.and_then(|request| request.deadline));
        self.deadline = [self.deadline, inherited].into_iter().flatten().min();
        self
    }

    /// Waits for configuration and endpoints instead of failing fast.
    #[must_use]
    pub fn wait_for_ready(mut self, wait: bool) -> Self {
        self.wait_for_ready = wait;
        self
    }
}

/// What a target is made of, besides the context.
pub(crate) struct Source {
    pub(crate) root: Arc<Cell<Root>>,
    pub(crate) demand: Option<Arc<dyn DemandCluster>>,
    /// What lives as long as the target.
    pub(crate) keep: Option<Box<dyn Any + Send + Sync>>,
}

impl Target {
    pub(crate) fn new(
        name: impl Into<Arc<str>>,
        authority: Authority,
        source: Source,
        context: Arc<Context>,
    ) -> Self {
        let changed = Arc::new(Changed::default());
        let listener: Arc<dyn Listen> = changed.clone();
        source.root.listen(&listener);
        Self(Arc::new(Inner {
            name: name.into(),
            authority,
            root: source.root,
            changed,
            context,
            demand: source.demand,
            _keep: source.keep,
        }))
    }

    /// The name it was asked for by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What `:authority` is where a request has none of its own.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.0.authority
    }

    /// Sends a request. Never waits itself: what has to wait does so in the future.
    ///
    /// The request's own authority decides about routes where its URI or `host` field has one;
    /// otherwise the target's does.
    ///
    /// A call made in the service of a request inherits its deadline, how much it matters, its name
    /// and its trace ([`Inherited`](crate::Inherited)).
    pub fn call<B>(&self, request: Request<B>, options: Options) -> ResponseFuture
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        ResponseFuture::start(&self.0, request, options)
    }

    /// Whether requests can be decided at once.
    #[inline]
    pub(super) fn is_configured(&self) -> bool {
        matches!(self.0.root.load().as_deref(), Some(Root::Ready(_)))
    }

    /// Whether there is such a target, as far as is known.
    pub(super) fn presence(&self) -> Presence {
        match self.0.root.load().as_deref() {
            Some(Root::Ready(_)) => Presence::Present,
            Some(Root::Waiting { presence, .. } | Root::Failed { presence, .. }) => *presence,
            None => Presence::Unknown,
        }
    }

    /// Why `request` would go where it would go now, in words for people; `None` while there is no
    /// configuration.
    #[must_use]
    pub fn explain<B>(&self, request: &Request<B>) -> Option<Explanation> {
        let root = self.0.root.load();
        let snapshot = root.as_ref()?.snapshot()?;
        let own = own_authority(request.uri(), request.headers());
        let authority = own.as_ref().unwrap_or(&self.0.authority).as_str();
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let head = RequestHead::from_pieces(method, uri, headers, authority);
        Some(snapshot.table().explain(&head))
    }

    /// Resolves when the target has configuration.
    ///
    /// # Errors
    /// When there is none for a reason that waiting will not mend, or not before `options` say;
    /// waits 30 s where they say nothing.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn ready(&self, options: Options) -> Result<(), Error> {
        slow::configured(&self.0, options).await.map(drop)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
