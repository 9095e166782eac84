//! From resources to what servers enforce.

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use mesh_core::authz::Authorizer;
use mesh_core::filter::{BreakGlass, Guard, Tenancy};

use super::policy;
use super::resources::FileResource;
use super::short;
use crate::parse;

/// Verifies the tokens of emergencies.
pub(crate) trait Verify: fmt::Debug + Send + Sync {
    /// What `token` lets in; `now` is the same moment by the clock on the wall and by the steady
    /// one.
    ///
    /// # Errors
    /// Why it lets in nothing.
    fn verify(&self, token: &str, now: (SystemTime, Instant)) -> Result<BreakGlass, String>;
}

/// Has a guard enforce the policies in files.
#[derive(Clone, Debug)]
pub(crate) struct Enforcer {
    pub(crate) guard: Arc<Guard>,
    /// What verifies the tokens of emergencies. Without it none has an effect.
    pub(crate) verifier: Option<Arc<dyn Verify>>,
}

impl Enforcer {
    /// Enforces what `resources` say in place of what was said before, from the next request on.
    /// `now` is the same moment by the clock on the wall and by the steady one.
    pub(crate) fn enforce(&self, resources: &[FileResource], now: (SystemTime, Instant)) {
        let rules = resources.iter().filter(|resource| resource.is_authorization());
        let rules = rules.map(|resource| {
            // They were found valid. If they were not, nothing would be let through.
            parse::authorizer(&resource.value).unwrap_or_else(|_| Arc::new(Authorizer::closed()))
        });
        let tenancy = resources.iter().find(|resource| resource.is_tenancy());
        // It was found valid, too.
        let tenancy = tenancy.map(|it| short::tenancy(it).unwrap_or_else(|| Tenancy::new([])));
        self.guard.tenants(tenancy);
        let tokens = resources.iter().filter(|resource| resource.is_break_glass());
        self.guard.except(tokens.filter_map(|token| self.exception(token, now)).collect());
        self.guard.replace(rules);
    }

    /// What the token in `resource` lets in. One that is not valid has no effect.
    fn exception(&self, resource: &FileResource, now: (SystemTime, Instant)) -> Option<BreakGlass> {
        let origin = &resource.origin;
        let Some(verifier) = &self.verifier else {
            tracing::error!(%origin, "a BreakGlass has no effect: no key is configured");
            return None;
        };
        let Some(token) = policy::token(resource) else {
            tracing::error!(%origin, "a BreakGlass has no effect: it holds no token");
            return None;
        };
        match verifier.verify(&token, now) {
            Ok(exception) => {
                tracing::warn!(%origin, title = %exception.title(), "a BreakGlass is in force");
                Some(exception)
            }
            Err(error) => {
                tracing::error!(%origin, %error, "a BreakGlass has no effect");
                None
            }
        }
    }
}
