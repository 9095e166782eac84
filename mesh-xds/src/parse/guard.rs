//! The rules of this process in the chain of a server's listener.

use std::sync::Arc;

use mesh_core::filter::{Factory, Filter, Guard, Settings, Side, Tenancy};
use mesh_core::snapshot::HttpFilter;

use super::{Path, Reject};

/// The names of the filters, which no listener and no route may use.
pub(super) const NAME: &str = "mesh.local_authorization";
const TENANCY: &str = "mesh.tenancy";

/// Puts `guard` among the filters of a server: in front, but behind those that verify tokens,
/// because rules may ask for what these say.
pub(super) fn insert(guard: &Arc<Guard>, into: &mut Vec<HttpFilter>) {
    insert_named(NAME, guard.clone(), into);
}

/// Puts what finds out whose requests are at the same place.
pub(super) fn insert_tenancy(tenancy: &Arc<Tenancy>, into: &mut Vec<HttpFilter>) {
    insert_named(TENANCY, tenancy.clone(), into);
}

fn insert_named(name: &'static str, filter: Arc<dyn Filter>, into: &mut Vec<HttpFilter>) {
    let verifies = |filter: &HttpFilter| filter.factory.type_url().ends_with(TOKENS);
    let at = into.iter().rposition(verifies).map_or(0, |last| last + 1);
    let factory = Arc::new(Local { name, filter });
    into.insert(
        at,
        HttpFilter { name: name.into(), factory, settings: Arc::new(()), disabled: false },
    );
}

/// Refuses the name of the filter.
pub(super) fn refuse_name(name: &str, path: &Path<'_>) -> Result<(), Reject> {
    match name {
        NAME | TENANCY => Err(path.reject("is the name of this process's own rules")),
        _ => Ok(()),
    }
}

/// Hands out the one filter that there is.
struct Local {
    name: &'static str,
    filter: Arc<dyn Filter>,
}

impl Factory for Local {
    fn type_url(&self) -> &str {
        self.name
    }

    fn is_for(&self, side: Side) -> bool {
        side == Side::Server
    }

    fn parse(&self, _: &[u8]) -> Result<Settings, String> {
        Err("is not configured by resources".to_owned())
    }

    fn build(&self, _: &Settings, _: &[Settings]) -> Arc<dyn Filter> {
        self.filter.clone()
    }
}

/// Envoy's filter that verifies tokens.
const TOKENS: &str = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
