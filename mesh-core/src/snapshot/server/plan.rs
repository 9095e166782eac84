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
}

impl Routes {
    /// What happens to the request `head`.
    ///
    /// Only routes with `non_forwarding_action` are served (gRFC A36). Takes from `rng` what the
    /// search for the route takes.
    ///
    /// # Errors
    /// [`NoPlan`] for everything that is not served.
    pub fn plan(&self, head: &RequestHead<'_>, rng: &mut dyn Rng) -> Result<ServerPlan, NoPlan> {
        let route = self.table.find(head, rng)?;
        match &route.action {
            Action::NonForwarding => {
                Ok(ServerPlan { route: route.clone(), chain: self.chains.find(route, None) })
            }
            Action::DirectResponse { status, body } => {
                let (route, body) = (route.clone(), body.clone());
                Err(NoPlan::Respond { route, status: *status, body })
            }
            Action::Redirect(redirect) => {
                let matched = route.matcher.path.matched(head.path).unwrap_or_default();
                let location = redirect.location(head, matched);
                let status = redirect.code.status();
                Err(NoPlan::Redirect { route: route.clone(), status, location })
            }
            Action::Forward(_) => {
                let why = "the route is for clients".into();
                Err(NoPlan::Unsupported { route: route.clone(), why })
            }
            Action::Unsupported(why) => {
                Err(NoPlan::Unsupported { route: route.clone(), why: why.clone() })
            }
        }
    }
}
