//! From resources to what servers enforce.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use mesh_core::authz::Authorizer;
use mesh_core::filter::{BreakGlass, Guard};

#[cfg(feature = "tls")]
use super::policy;
use super::resources::FileResource;
#[cfg(feature = "tls")]
use crate::break_glass::Verifier;
use crate::parse;

/// Has a guard enforce the policies in files.
#[derive(Clone, Debug)]
pub(crate) struct Enforcer {
    pub(crate) guard: Arc<Guard>,
    /// What verifies the tokens of emergencies. Without it none has an effect.
    #[cfg(feature = "tls")]
    pub(crate) verifier: Option<Verifier>,
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
        let tokens = resources.iter().filter(|resource| resource.is_break_glass());
        self.guard.except(tokens.filter_map(|token| self.exception(token, now)).collect());
        self.guard.replace(rules);
    }

    /// What the token in `resource` lets in. One that is not valid has no effect.
    #[cfg(feature = "tls")]
    fn exception(&self, resource: &FileResource, now: (SystemTime, Instant)) -> Option<BreakGlass> {
        let origin = &resource.origin;
        let Some(verifier) = &self.verifier else {
            tracing::error!(%origin, "a BreakGlass has no effect: no key is configured");
            return None;
        };
        let token = policy::token(resource)?;
        match verifier.verify(&token, now) {
            Ok(exception) => {
                tracing::warn!(%origin, title = exception.title(), "a BreakGlass is in force");
                Some(exception)
            }
            Err(error) => {
                tracing::error!(%origin, %error, "a BreakGlass has no effect");
                None
            }
        }
    }

    #[cfg(not(feature = "tls"))]
    fn exception(&self, resource: &FileResource, _: (SystemTime, Instant)) -> Option<BreakGlass> {
        tracing::error!(origin = %resource.origin, "a BreakGlass has no effect without TLS");
        None
    }
}
