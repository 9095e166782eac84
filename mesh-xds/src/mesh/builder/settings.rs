//! What can be said of a mesh.

use std::path::PathBuf;
use std::sync::Arc;

use mesh_core::authz::{AuditLoggerFactory, Observer};
use mesh_core::filter::{ConnectionFactory, Factory, Tenancy};
use mesh_core::record::Recorder;
use tokio::runtime::Handle;

use super::Builder;
use crate::bootstrap::Bootstrap;
#[cfg(all(feature = "file", feature = "tls"))]
use crate::break_glass::PublicKey;
#[cfg(feature = "testing")]
use crate::edges::Edges;
#[cfg(feature = "testing")]
use crate::file::Memory;
#[cfg(feature = "file")]
use crate::parse::Workload;
#[cfg(feature = "tls")]
use crate::tls::MinimumVersion;

impl Builder {
    /// Uses this bootstrap. Default: the environment, as in [`Mesh::from_env`](crate::Mesh::from_env).
    pub fn bootstrap(mut self, bootstrap: Bootstrap) -> Self {
        self.bootstrap = Some(bootstrap);
        self
    }

    /// Uses the bootstrap in this file.
    pub fn bootstrap_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Takes the resources from this file or directory, as
    /// [`Mesh::from_file`](crate::Mesh::from_file) does, and needs no bootstrap.
    #[cfg(feature = "file")]
    pub fn files(mut self, path: impl Into<PathBuf>) -> Self {
        self.files = Some(path.into());
        self
    }

    /// Needs no bootstrap and takes none: without files there is no mesh, as with
    /// [`Mesh::disabled`](crate::Mesh::disabled).
    pub fn disabled(mut self) -> Self {
        self.plain = true;
        self
    }

    /// Waits for a [`bootstrap_file`](Self::bootstrap_file) that is not there yet, or not good yet,
    /// instead of failing. Calls wait as they do for any configuration. Default: fail.
    pub fn wait_for_bootstrap(mut self) -> Self {
        self.wait = true;
        self
    }

    /// Runs the control side on this runtime, which must outlive the mesh. Default: a thread of its
    /// own. Tests with paused time pass their own runtime.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Tells `recorder` what happens. Default: nobody.
    pub fn recorder(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Knows one more HTTP filter, which listeners may then use.
    pub fn filter(mut self, factory: Arc<dyn Factory>) -> Self {
        self.filters.push(factory);
        self
    }

    /// Tells `observer`, such as an [`AuditLog`](crate::audit::AuditLog), of all that authorization
    /// decides at servers, whatever the control plane says of audits, and of each request that an
    /// emergency lets in. Default: nobody.
    pub fn audit(mut self, observer: Arc<dyn Observer>) -> Self {
        self.auditing = self.auditing.observed(observer);
        self
    }

    /// Knows one more kind of audit logger, which the rules of servers may then name (gRFC A59).
    pub fn audit_logger(mut self, factory: Arc<dyn AuditLoggerFactory>) -> Self {
        self.auditing = self.auditing.logger(factory);
        self
    }

    /// Meets the world with `edges` instead of the operating system.
    #[cfg(feature = "testing")]
    pub(crate) fn edges(mut self, edges: Edges) -> Self {
        self.edges = Some(edges);
        self
    }

    /// Takes the resources from `text`, and later from what is written to `memory`.
    #[cfg(feature = "testing")]
    pub(crate) fn text(mut self, text: &str, memory: Arc<Memory>) -> Self {
        self.text = Some((text.into(), memory));
        self
    }

    /// Uses `bootstrap` unless there is one already.
    #[cfg(feature = "testing")]
    pub(crate) fn or_bootstrap(mut self, bootstrap: Bootstrap) -> Self {
        self.bootstrap.get_or_insert(bootstrap);
        self
    }

    /// Lets resources refer to `source` as the certificate provider called `name`, in place of one
    /// that the bootstrap calls so.
    #[cfg(feature = "tls")]
    pub fn identity(
        mut self,
        name: impl Into<Arc<str>>,
        source: Arc<dyn mesh_core::identity::Source>,
    ) -> Self {
        self.identities.push((name.into(), source));
        self
    }

    /// Uses this cryptography for TLS. Default: aws-lc-rs.
    #[cfg(feature = "tls")]
    pub fn cryptography(mut self, provider: Arc<rustls::crypto::CryptoProvider>) -> Self {
        self.crypto = Some(provider);
        self
    }

    /// Speaks no older version of TLS than this. Default: 1.3.
    #[cfg(feature = "tls")]
    pub fn minimum_tls(mut self, minimum: MinimumVersion) -> Self {
        self.minimum = minimum;
        self
    }

    /// Knows one more filter of connections, which the listeners of servers may then use.
    pub fn connection_filter(mut self, factory: Arc<dyn ConnectionFactory>) -> Self {
        self.connection_filters.push(factory);
        self
    }

    /// Finds out whose requests are by `tenancy` at every server of the mesh, wherever its listener
    /// comes from. Policies may then ask for the tenant, handlers and audit logs are told of it.
    /// Default: requests are nobody's.
    pub fn tenants(mut self, tenancy: Tenancy) -> Self {
        self.tenancy = Some(tenancy);
        self
    }

    /// Enforces the policies in this file or directory at every server of the mesh, wherever its
    /// listener comes from: a request must pass both. Policies among the resources of
    /// [`files`](Self::files) are enforced without it.
    ///
    /// They are read before [`build`](Self::build) returns, and again whenever they change. A set
    /// with anything wrong in it is not taken: the one before stays in force.
    #[cfg(feature = "file")]
    pub fn authorization(mut self, path: impl Into<PathBuf>) -> Self {
        self.policies = Some(path.into());
        self
    }

    /// Is this workload to policies in files. Default: what the bootstrap says of the node, or the
    /// files themselves.
    #[cfg(feature = "file")]
    pub fn workload(mut self, workload: Workload) -> Self {
        self.workload = Some(workload);
        self
    }

    /// Lets in what policies in files refuse while a document of kind `BreakGlass` among them lets
    /// it in: one whose token is signed with the private half of `key` and whose audience is
    /// `scope`. The audit log and the recorder are told of each such request.
    /// Default: nothing is let in.
    #[cfg(all(feature = "file", feature = "tls"))]
    pub fn break_glass(mut self, scope: impl Into<Arc<str>>, key: PublicKey) -> Self {
        self.break_glass = Some((scope.into(), key));
        self
    }
}
