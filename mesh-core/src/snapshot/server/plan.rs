use std::sync::Arc;

use super::Routes;
use crate::filter::Chain;
use crate::request::RequestHead;
use crate::rng::Rng;
use crate::route::{Action, Route};
use crate::snapshot::NoPlan;

/// What one request at a server passes before it is served.
#[derive(Clone, Debug)]
pub struct ServerPlan {
    /// The route it falls under.
    pub route: Arc<Route>,
    /// The filters it passes.
    pub chain: Chain,
    /// What the route itself answers once the filters have let it pass; `None` if it is served.
    pub answer: Option<NoPlan>,
}

impl Routes {
    /// What happens to the request `head`.
    ///
    /// Only routes with `non_forwarding_action` are served (gRFC A36). Direct responses and redirects
    /// pass the filters first, as in Envoy: what authorization denies must not be told either. Takes
    /// from `rng` what the search for the route takes.
    ///
    /// # Errors
    /// [`NoPlan`] for routes that neither serve nor answer, and where there is none.
    pub fn plan(&self, head: &RequestHead<'_>, rng: &mut dyn Rng) -> Result<ServerPlan, NoPlan> {
        let route = self.table.find(head, rng)?;
        let answer = match &route.action {
            Action::NonForwarding => None,
            Action::DirectResponse { status, body } => {
                let (route, body) = (route.clone(), body.clone());
                Some(NoPlan::Respond { route, status: *status, body })
            }
            Action::Redirect(redirect) => {
                let matched = route.matcher.path.matched(head.path).unwrap_or_default();
                let location = redirect.location(head, matched);
                let status = redirect.code.status();
                Some(NoPlan::Redirect { route: route.clone(), status, location })
            }
            Action::Forward(_) => {
                let why = "the route is for clients".into();
                return Err(NoPlan::Unsupported { route: route.clone(), why });
            }
            Action::Unsupported(why) => {
                return Err(NoPlan::Unsupported { route: route.clone(), why: why.clone() });
            }
        };
        Ok(ServerPlan { route: route.clone(), chain: self.chains.find(route, None), answer })
    }
}
