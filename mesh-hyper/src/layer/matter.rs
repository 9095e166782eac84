//! How much a request matters, for layers that have to choose.

use http::HeaderMap;
use mesh_core::inherited::CRITICALITY;
use mesh_core::request::Criticality;

use crate::inherit;

/// Whether the callers' word counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callers {
    Unheard,
    Obeyed,
}

/// How much a request with these header fields matters: as much as the request of the mesh that it
/// is, or is made for, and outside of any as much as it says itself, if its word counts.
pub(super) fn criticality(callers: Callers, headers: Option<&mut HeaderMap>) -> Criticality {
    let inherited = inherit::with(|request| request.map(|request| request.criticality));
    inherited.unwrap_or_else(|| match (callers, headers) {
        (Callers::Obeyed, Some(headers)) => {
            // As in servers of the mesh, the last one counts.
            let said = headers.get_all(CRITICALITY).iter().next_back();
            said.and_then(|value| Criticality::parse(value.as_bytes())).unwrap_or_default()
        }
        (Callers::Obeyed, None) | (Callers::Unheard, _) => Criticality::default(),
    })
}
