//! The rules of this process in the chain of a server's listener.

use std::sync::Arc;

use mesh_core::filter::{Factory, Filter, Guard, Settings, Side};
use mesh_core::snapshot::HttpFilter;

use super::{Path, Reject};

/// The name of the filter, which no listener and no route may use.
pub(super) const NAME: &str = "mesh.local_authorization";

/// Puts `guard` among the filters of a server: in front, but behind those that verify tokens,
/// because rules may ask for what these say.
pub(super) fn insert(guard: &Arc<Guard>, into: &mut Vec<HttpFilter>) {
    let verifies = |filter: &HttpFilter| filter.factory.type_url().ends_with(TOKENS);
    let at = into.iter().rposition(verifies).map_or(0, |last| last + 1);
    let settings: Settings = guard.clone();
    let filter =
        HttpFilter { name: NAME.into(), factory: Arc::new(Local), settings, disabled: false };
    into.insert(at, filter);
}

/// Refuses the name of the filter.
pub(super) fn refuse_name(name: &str, path: &Path<'_>) -> Result<(), Reject> {
    match name {
        NAME => Err(path.reject("is the name of this process's own rules")),
        _ => Ok(()),
    }
}

/// Hands out the one guard that there is.
struct Local;

impl Factory for Local {
    fn type_url(&self) -> &str {
        NAME
    }

    fn is_for(&self, side: Side) -> bool {
        side == Side::Server
    }

    fn parse(&self, _: &[u8]) -> Result<Settings, String> {
        Err("is not configured by resources".to_owned())
    }

    fn build(&self, base: &Settings, _: &[Settings]) -> Arc<dyn Filter> {
        match base.clone().downcast::<Guard>() {
            Ok(guard) => guard,
            // Nothing else is ever there. If it were, nothing would be let through.
            Err(_) => Arc::new(Guard::new(None, None)),
        }
    }
}

/// Envoy's filter that verifies tokens.
const TOKENS: &str = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
