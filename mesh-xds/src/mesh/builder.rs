//! Everything about a mesh that is not in its bootstrap.

use std::path::PathBuf;
use std::sync::Arc;

use mesh_core::authz::{AuditLoggerFactory, Observer};
#[cfg(feature = "file")]
use mesh_core::filter::Guard;
use mesh_core::filter::{ConnectionFactory, Factory};
use mesh_core::record::Recorder;
use tokio::runtime::Handle;

use super::Mesh;
use super::control::Control;
#[cfg(feature = "file")]
use super::policies::Policies;
use crate::bootstrap::Bootstrap;
#[cfg(all(feature = "file", feature = "tls"))]
use crate::break_glass::{PublicKey, Verifier};
#[cfg(feature = "file")]
use crate::client::Files;
use crate::client::{Client, Source};
use crate::edges::Edges;
use crate::error::Error;
#[cfg(feature = "testing")]
use crate::file::Memory;
#[cfg(feature = "file")]
use crate::file::{Enforcer, Verify};
#[cfg(feature = "tls")]
use crate::identity::{Identities, Secrets};
use crate::parse::Registry;
#[cfg(feature = "file")]
use crate::parse::Workload;
use crate::parse::authz::Auditing;
use crate::providers::Providers;
#[cfg(feature = "tls")]
use crate::tls::MinimumVersion;

/// Builds a [`Mesh`]. Made by [`Mesh::builder`].
#[derive(Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct Builder {
    bootstrap: Option<Bootstrap>,
    file: Option<PathBuf>,
    wait: bool,
    plain: bool,
    #[cfg(feature = "file")]
    files: Option<PathBuf>,
    runtime: Option<Handle>,
    recorder: Option<Arc<dyn Recorder>>,
    filters: Vec<Arc<dyn Factory>>,
    auditing: Auditing,
    edges: Option<Edges>,
    #[cfg(feature = "testing")]
    text: Option<(Box<str>, Arc<Memory>)>,
    #[cfg(feature = "tls")]
    identities: Vec<(Arc<str>, Arc<dyn mesh_core::identity::Source>)>,
    #[cfg(feature = "tls")]
    crypto: Option<Arc<rustls::crypto::CryptoProvider>>,
    #[cfg(feature = "tls")]
    minimum: MinimumVersion,
    connection_filters: Vec<Arc<dyn ConnectionFactory>>,
    #[cfg(feature = "file")]
    policies: Option<PathBuf>,
    #[cfg(feature = "file")]
    workload: Option<Workload>,
    #[cfg(feature = "file")]
    observer: Option<Arc<dyn Observer>>,
    #[cfg(all(feature = "file", feature = "tls"))]
    break_glass: Option<(Arc<str>, PublicKey)>,
}

impl Mesh {
    /// A mesh with more settings than a bootstrap has.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The mesh that `GRPC_XDS_BOOTSTRAP` (a file, which wins) or `GRPC_XDS_BOOTSTRAP_CONFIG`
    /// (the JSON itself) describes, as for every gRPC implementation (gRFC A27).
    ///
    /// Does not connect: that happens when the first target is asked for.
    ///
    /// # Errors
    /// When neither variable is set, or the bootstrap is malformed (with its JSON path).
    pub fn from_env() -> Result<Self, Error> {
        Self::builder().bootstrap(Bootstrap::from_env().map_err(Error::bootstrap)?).build()
    }

    /// The mesh that the bootstrap file at `path` describes.
    ///
    /// # Errors
    /// When the file is not there or malformed (with its JSON path).
    pub fn from_bootstrap(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::builder().bootstrap_file(path).build()
    }

    /// The mesh that the resources in a file, or in the files of a directory, describe, without a
    /// management server. `xds:///greeter` is the listener called `greeter`.
    ///
    /// Files hold xDS resources as YAML or JSON, or services in the short form
    /// (`version: mesh/v1`). They are read, and checked, before this returns, and again whenever
    /// they change: a set of files is taken as a whole or, with anything wrong in it, not at all.
    /// Then the one before stays in use, and the log and [`Mesh::status`] say what is wrong, in
    /// which file, line and field. A resource that is not in the files any more is gone.
    ///
    /// # Errors
    /// When the files cannot be read or watched, or anything in them is wrong.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("mesh.yaml");
    /// std::fs::write(&path, "
    /// version: mesh/v1
    /// services:
    ///   greeter:
    ///     protocol: grpc
    ///     versions: { v1: ['127.0.0.1:50051'] }
    /// ")?;
    /// let mesh = mesh_xds::Mesh::from_file(&path)?;
    /// let greeter = mesh.root("xds:///greeter")?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "file")]
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::builder().files(path).build()
    }

    /// No mesh: `xds:///host:port` is `host:port`, found by DNS and spoken to in plain text. The
    /// same types as with a mesh, for a laptop without one.
    ///
    /// # Errors
    /// When the control thread cannot be started.
    pub fn disabled() -> Result<Self, Error> {
        Builder { plain: true, ..Builder::default() }.build()
    }
}

impl Builder {
    /// Uses this bootstrap. Default: the environment, as in [`Mesh::from_env`].
    pub fn bootstrap(mut self, bootstrap: Bootstrap) -> Self {
        self.bootstrap = Some(bootstrap);
        self
    }

    /// Uses the bootstrap in this file.
    pub fn bootstrap_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Takes the resources from this file or directory, as [`Mesh::from_file`] does, and needs no
    /// bootstrap.
    #[cfg(feature = "file")]
    pub fn files(mut self, path: impl Into<PathBuf>) -> Self {
        self.files = Some(path.into());
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

    /// Builds the mesh.
    ///
    /// # Errors
    /// When the bootstrap or the files are missing or malformed, or the control thread cannot be
    /// started.
    pub fn build(mut self) -> Result<Mesh, Error> {
        #[cfg(feature = "file")]
        {
            self.observer = self.auditing.observer().cloned();
        }
        let auditing = std::mem::take(&mut self.auditing);
        let mut registry = Registry::audited(auditing, std::mem::take(&mut self.filters));
        for factory in std::mem::take(&mut self.connection_filters) {
            registry.add_connection_filter(factory);
        }
        let control = match self.runtime.take() {
            Some(handle) => Control::on(handle),
            None => Control::thread()?,
        };
        let providers = Providers {
            #[cfg(feature = "tls")]
            identities: self.identities(),
            handle: control.handle().clone(),
            recorder: self.recorder.take(),
        };
        providers.identities.watch(&providers.handle, providers.recorder.clone());
        let registry = registry.certificate_providers(providers.names());
        let crypto = providers.identities.crypto().clone();
        let registry = registry.secrets(Arc::new(Secrets { crypto }));
        let edges = self.edges.take().unwrap_or_default();
        #[cfg(feature = "file")]
        let registry = self.for_workload(registry)?;
        #[cfg(feature = "file")]
        let (registry, policies) = self.policies(registry, &providers)?;
        #[cfg(not(feature = "file"))]
        let policies = None;
        let (source, registry) = self.source(registry, &providers)?;
        let client = Client::start(source, registry, providers.clone(), edges);
        Ok(Mesh::assemble(control, Box::new(client), (providers, policies)))
    }

    /// Policies are for the node of the bootstrap, unless somebody says otherwise.
    #[cfg(feature = "file")]
    fn for_workload(&mut self, registry: Registry) -> Result<Registry, Error> {
        if let Some(workload) = self.workload.take() {
            return Ok(registry.for_workload(workload));
        }
        if self.policies.is_some()
            && self.bootstrap.is_none()
            && let (Some(path), false) = (&self.file, self.wait)
        {
            self.bootstrap = Some(Bootstrap::from_file(path).map_err(Error::bootstrap)?);
        }
        Ok(match &self.bootstrap {
            Some(bootstrap) => registry.for_workload(Workload::of_node(&bootstrap.node)),
            None => registry,
        })
    }

    /// What enforces the policies of one set of files.
    #[cfg(feature = "file")]
    fn enforcer(&self, registry: &Registry, providers: &Providers) -> Enforcer {
        let guard = Arc::new(Guard::new(self.observer.clone(), providers.recorder.clone()));
        Enforcer { guard, verifier: self.verifier(registry, providers) }
    }

    #[cfg(all(feature = "file", feature = "tls"))]
    fn verifier(&self, registry: &Registry, providers: &Providers) -> Option<Arc<dyn Verify>> {
        let (scope, key) = self.break_glass.clone()?;
        let workload = registry.workload().cloned().unwrap_or_default();
        let crypto = providers.identities.crypto().clone();
        Some(Arc::new(Verifier { scope, key, crypto, workload }))
    }

    /// Without TLS there is no cryptography to verify a token with.
    #[cfg(all(feature = "file", not(feature = "tls")))]
    fn verifier(&self, _: &Registry, _: &Providers) -> Option<Arc<dyn Verify>> {
        None
    }

    /// Starts to enforce local policies, if there are any.
    #[cfg(feature = "file")]
    fn policies(
        &mut self,
        registry: Registry,
        providers: &Providers,
    ) -> Result<(Registry, Option<Policies>), Error> {
        let Some(path) = self.policies.take() else { return Ok((registry, None)) };
        let enforcer = self.enforcer(&registry, providers);
        let guard = enforcer.guard.clone();
        let policies = Policies::start(&path, &registry, enforcer, &providers.handle);
        let policies = policies.map_err(Error::file)?;
        Ok((registry.guarded(guard), Some(policies)))
    }

    #[cfg(feature = "tls")]
    fn identities(&mut self) -> Arc<Identities> {
        let default = || Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let crypto = self.crypto.take().unwrap_or_else(default);
        let identities = Identities::new(crypto, self.minimum);
        for (name, source) in std::mem::take(&mut self.identities) {
            identities.insert(name, source);
        }
        Arc::new(identities)
    }

    #[cfg_attr(not(feature = "file"), expect(unused_variables, reason = "only files need them"))]
    fn source(
        self,
        registry: Registry,
        providers: &Providers,
    ) -> Result<(Source, Registry), Error> {
        #[cfg(feature = "testing")]
        if let Some((text, memory)) = &self.text {
            let (first, watcher) = memory.open(text, &registry).map_err(Error::file)?;
            let enforcer = self.enforcer(&registry, providers);
            let guard = enforcer.guard.clone();
            let files = Files::watched(memory.path(), first, watcher, enforcer);
            return Ok((Source::Files(Box::new(files)), registry.guarded(guard)));
        }
        #[cfg(feature = "file")]
        if let Some(path) = &self.files {
            let enforcer = self.enforcer(&registry, providers);
            let guard = enforcer.guard.clone();
            let files = Files::open(path, (&registry, enforcer), &providers.handle);
            let files = files.map_err(Error::file)?;
            return Ok((Source::Files(Box::new(files)), registry.guarded(guard)));
        }
        let bootstrap = match (self.plain, self.bootstrap, self.file) {
            (true, ..) => return Ok((Source::Plain, registry)),
            (false, Some(bootstrap), _) => Ok(bootstrap),
            (false, None, Some(path)) if self.wait => return Ok((Source::File(path), registry)),
            (false, None, Some(path)) => Bootstrap::from_file(path),
            (false, None, None) => Bootstrap::from_env(),
        };
        let source = bootstrap.map(|it| Source::Bootstrap(Box::new(it)));
        Ok((source.map_err(Error::bootstrap)?, registry))
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("file", &self.file).finish_non_exhaustive()
    }
}
