//! Rules of this process, which no listener can leave out.

use std::fmt;
use std::sync::Arc;

use super::{Authorize, BreakGlass, Context, Filter, Slot, Step, Tenancy, authorize};
use crate::authz::{Authorizer, Observer};
use crate::cell::Cell;
use crate::record::{Event, Recorder};
use crate::request::RequestHead;

/// Rules of this process itself, in front of what its listeners say: a request must pass both.
///
/// They are replaced as a whole while requests pass; a request is judged by those that are there
/// when it comes. Until there are any, nothing passes.
pub struct Guard {
    filters: Cell<Vec<Authorize>>,
    closed: Authorize,
    observer: Option<Arc<dyn Observer>>,
    recorder: Option<Arc<dyn Recorder>>,
    exceptions: Cell<Vec<BreakGlass>>,
    tenancy: Cell<Option<Tenancy>>,
}

impl Guard {
    /// One that lets nothing pass until it has rules, and tells `observer` of all it decides, and
    /// `recorder` of all that emergencies let in.
    #[must_use]
    pub fn new(observer: Option<Arc<dyn Observer>>, recorder: Option<Arc<dyn Recorder>>) -> Self {
        let closed =
            Authorize::new(Arc::new(Authorizer::closed()), observer.clone()).named(NAME.into());
        let (filters, exceptions, tenancy) = (Cell::empty(), Cell::empty(), Cell::empty());
        Self { filters, closed, observer, recorder, exceptions, tenancy }
    }

    /// Lets in also what one of `exceptions` lets in, in place of those before.
    pub fn except(&self, exceptions: Vec<BreakGlass>) {
        self.exceptions.publish(Arc::new(exceptions));
    }

    /// Finds out by `tenancy` whose requests are before they are judged, in place of what was there
    /// before. No emergency lets in what it refuses.
    pub fn tenants(&self, tenancy: Option<Tenancy>) {
        self.tenancy.publish(Arc::new(tenancy));
    }

    /// Whether an emergency lets in what is refused. Each that does is reported; one that cannot be
    /// reported lets nothing in.
    #[cold]
    fn lets_in(&self, head: &RequestHead<'_>, context: &Context<'_>) -> bool {
        let exceptions = self.exceptions.load();
        let Some(exceptions) = exceptions.as_deref() else { return false };
        let facts = authorize::facts(head, context);
        let found = exceptions.iter().find(|it| it.lets_in(&facts, context.now));
        let Some(found) = found else { return false };
        if let Some(observer) = &self.observer
            && observer.let_in(found.title(), &facts).is_err()
        {
            return false;
        }
        if let Some(recorder) = &self.recorder {
            recorder.record(&Event::BreakGlass { title: found.title() });
        }
        true
    }

    /// Lets pass what all of `rules` let pass, from the next request on.
    pub fn replace(&self, rules: impl IntoIterator<Item = Arc<Authorizer>>) {
        let name: Arc<str> = NAME.into();
        let filter = |rules| Authorize::new(rules, self.observer.clone()).named(name.clone());
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
        let tenancy = self.tenancy.load();
        if let Some(tenancy) = tenancy.as_deref().and_then(Option::as_ref) {
            let step = tenancy.poll_request(slot, head, context);
            if !matches!(step, Step::Continue) {
                return step;
            }
        }
        // None of them waits, so none is asked twice.
        let mut answers = filters.iter().map(|filter| filter.poll_request(slot, head, context));
        match answers.find(|step| !matches!(step, Step::Continue)) {
            Some(_) if self.lets_in(head, context) => Step::Continue,
            Some(refusal) => refusal,
            None => Step::Continue,
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("filters", &self.filters).finish_non_exhaustive()
    }
}

/// What records of decisions call it.
const NAME: &str = "authorization";

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::{HeaderMap, Method, StatusCode, Uri};

    use super::*;
    use crate::authz::{
        Action, Condition, Expression, Facts, Judgement, Policy, Rules, Ruleset, Unrecorded,
    };
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
        refused_at(guard, path, 0)
    }

    /// The same at a second.
    fn refused_at(guard: &Guard, path: &'static str, second: u64) -> Option<StatusCode> {
        let (method, uri, headers) = (Method::GET, Uri::from_static(path), HeaderMap::new());
        let (mut rng, mut changes) = (XorShift::new(1), HeaderChanges::default());
        let mut context = Context {
            now: crate::testing::at(second),
            wall: 0,
            peer: None,
            connection: None,
            route: None,
            cluster: None,
            metadata: Metadata::default(),
            rng: &mut rng,
            answer: None,
            body: None,
            changes: &mut changes,
        };
        let head = RequestHead::from_pieces(&method, &uri, &headers, "shop");
        match guard.poll_request(&mut Slot::Empty, &head, &mut context) {
            Step::Respond(LocalResponse { status, .. }) => Some(status),
            Step::Continue => None,
            step @ (Step::WaitUntil(_) | Step::WaitFor(..) | Step::Ask(_) | Step::Body { .. }) => {
                panic!("{step:?}")
            }
        }
    }

    #[test]
    fn nothing_passes_before_there_are_rules_and_then_what_all_of_them_allow() {
        let guard = Guard::new(None, None);
        assert_eq!(refused(&guard, "/a"), Some(StatusCode::FORBIDDEN));
        guard.replace([rules(Action::Deny, "/b"), rules(Action::Allow, "/a")]);
        assert_eq!(refused(&guard, "/a"), None);
        assert_eq!(refused(&guard, "/b"), Some(StatusCode::FORBIDDEN));
        guard.replace([rules(Action::Deny, "/a"), rules(Action::Allow, "/a")]);
        assert_eq!(refused(&guard, "/a"), Some(StatusCode::FORBIDDEN));
        guard.replace([]);
        assert_eq!(refused(&guard, "/b"), None);
    }

    /// Counts what was let in for Ann: as it was observed, and as it was recorded.
    #[derive(Default)]
    struct Titles {
        observed: AtomicUsize,
        recorded: AtomicUsize,
    }

    impl Observer for Titles {
        fn judged(&self, _: &Judgement<'_>, _: &Facts<'_>) -> Result<(), Unrecorded> {
            Ok(())
        }

        fn let_in(&self, title: &Arc<str>, _: &Facts<'_>) -> Result<(), Unrecorded> {
            assert_eq!(&**title, "ann: fire");
            self.observed.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    impl Recorder for Titles {
        fn record(&self, event: &Event<'_>) {
            let Event::BreakGlass { title } = event else { panic!("{event:?}") };
            assert_eq!(*title, "ann: fire");
            self.recorded.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn an_emergency_lets_in_what_it_names_while_it_lasts_and_is_reported() {
        let titles = Arc::new(Titles::default());
        let guard = Guard::new(Some(titles.clone()), Some(titles.clone()));
        let window = crate::testing::at(10)..crate::testing::at(20);
        guard.except(vec![BreakGlass::new("ann: fire", rules(Action::Allow, "/a"), window)]);
        assert_eq!(refused_at(&guard, "/a", 15), Some(StatusCode::FORBIDDEN), "no policies yet");
        guard.replace([rules(Action::Deny, "/a"), rules(Action::Allow, "/c")]);
        let seen = [9, 10, 19, 20].map(|second| refused_at(&guard, "/a", second).is_none());
        assert_eq!(seen, [false, true, true, false]);
        assert_eq!(refused_at(&guard, "/b", 15), Some(StatusCode::FORBIDDEN));
        assert_eq!(refused_at(&guard, "/c", 15), None);
        let counts = [&titles.observed, &titles.recorded].map(|it| it.load(Ordering::Relaxed));
        assert_eq!(counts, [2, 2]);
    }
}
