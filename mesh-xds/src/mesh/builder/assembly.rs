//! Putting a mesh together.

use std::sync::Arc;

#[cfg(feature = "file")]
use mesh_core::filter::Guard;

use super::Builder;
use crate::bootstrap::Bootstrap;
#[cfg(all(feature = "file", feature = "tls"))]
use crate::break_glass::Verifier;
#[cfg(feature = "file")]
use crate::client::Files;
use crate::client::{Client, Source};
use crate::error::Error;
#[cfg(feature = "file")]
use crate::file::{Enforcer, Verify};
#[cfg(feature = "tls")]
use crate::identity::{Identities, Secrets};
use crate::mesh::Mesh;
use crate::mesh::control::Control;
#[cfg(feature = "file")]
use crate::mesh::policies::Policies;
use crate::parse::Registry;
#[cfg(feature = "file")]
use crate::parse::Workload;
use crate::providers::Providers;

impl Builder {
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
        if let Some(tenancy) = self.tenancy.take() {
            registry = registry.tenants(tenancy);
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
        let registry = registry.secrets(Arc::new(Secrets::new(crypto)));
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
