//! Rules of this process, which no listener can leave out.

use std::fmt;
use std::sync::Arc;

use super::{Authorize, Context, Filter, Slot, Step};
use crate::authz::{Authorizer, Observer};
use crate::cell::Cell;
use crate::request::RequestHead;

/// Rules of this process itself, in front of what its listeners say: a request must pass both.
///
/// They are replaced as a whole while requests pass; a request is judged by those that are there
/// when it comes. Until there are any, nothing passes.
pub struct Guard {
    filters: Cell<Vec<Authorize>>,
    closed: Authorize,
    observer: Option<Arc<dyn Observer>>,
}

impl Guard {
    /// One that lets nothing pass until it has rules, and tells `observer` of all it decides.
    #[must_use]
    pub fn new(observer: Option<Arc<dyn Observer>>) -> Self {
        let closed = Authorize::new(Arc::new(Authorizer::closed()), observer.clone());
        Self { filters: Cell::empty(), closed, observer }
    }

    /// Lets pass what all of `rules` let pass, from the next request on.
    pub fn replace(&self, rules: impl IntoIterator<Item = Arc<Authorizer>>) {
        let filter = |rules| Authorize::new(rules, self.observer.clone());
        self.filters.publish(Arc::new(rules.into_iter().map(filter).collect()));
    }
}

impl Filter for Guard {
    fn poll_request(
        &self,
        slot: &mut Slot,
        head: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        let filters = self.filters.load();
        let Some(filters) = filters.as_deref() else {
            return self.closed.poll_request(slot, head, context);
        };
        // None of them waits, so none is asked twice.
        let mut answers = filters.iter().map(|filter| filter.poll_request(slot, head, context));
        let answer = answers.find(|step| !matches!(step, Step::Continue));
        answer.unwrap_or(Step::Continue)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("filters", &self.filters).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, StatusCode, Uri};

    use super::*;
    use crate::authz::{Action, Condition, Expression, Policy, Rules, Ruleset};
    use crate::filter::{HeaderChanges, LocalResponse};
    use crate::matcher::StringMatcher;
    use crate::metadata::Metadata;
    use crate::rng::XorShift;

    fn rules(action: Action, path: &str) -> Arc<Authorizer> {
        let path = Condition::Path(StringMatcher::exact(path));
        let policy =
            Policy { permissions: vec![path.into()], principals: vec![Expression::Always] };
        let rules = Rules::new(action, [("p".into(), policy)].into()).unwrap();
        let enforced = Some(Ruleset::Rules(rules));
        Arc::new(Authorizer { enforced, ..Authorizer::default() })
    }

    /// What is answered to a request for `path`, if it does not pass.
    fn refused(guard: &Guard, path: &'static str) -> Option<StatusCode> {
        let (method, uri, headers) = (Method::GET, Uri::from_static(path), HeaderMap::new());
        let (mut rng, mut changes) = (XorShift::new(1), HeaderChanges::default());
        let mut context = Context {
            now: crate::testing::at(0),
            peer: None,
            route: None,
            metadata: Metadata::default(),
            rng: &mut rng,
            answer: None,
            changes: &mut changes,
        };
        let head = RequestHead::from_pieces(&method, &uri, &headers, "shop");
        match guard.poll_request(&mut Slot::Empty, &head, &mut context) {
            Step::Respond(LocalResponse { status, .. }) => Some(status),
            Step::Continue => None,
            step @ (Step::WaitUntil(_) | Step::Ask(_)) => panic!("{step:?}"),
        }
    }

    #[test]
    fn nothing_passes_before_there_are_rules_and_then_what_all_of_them_allow() {
        let guard = Guard::new(None);
        assert_eq!(refused(&guard, "/a"), Some(StatusCode::FORBIDDEN));
        guard.replace([rules(Action::Deny, "/b"), rules(Action::Allow, "/a")]);
        assert_eq!(refused(&guard, "/a"), None);
        assert_eq!(refused(&guard, "/b"), Some(StatusCode::FORBIDDEN));
        guard.replace([rules(Action::Deny, "/a"), rules(Action::Allow, "/a")]);
        assert_eq!(refused(&guard, "/a"), Some(StatusCode::FORBIDDEN));
        guard.replace([]);
        assert_eq!(refused(&guard, "/b"), None);
    }
}
