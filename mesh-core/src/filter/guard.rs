//! Rules of this process, which no listener can leave out.

use std::fmt;
use std::sync::Arc;

use http::HeaderName;

use super::{Authorize, BreakGlass, Context, Filter, Slot, Step, Tenancy, authorize};
use crate::authz::{Authorizer, Observer};
use crate::cell::Cell;
use crate::record::{Event, Recorder};
use crate::request::{EscapedSlashes, Paths, RequestHead, Rewritten};

/// Rules of this process itself, in front of what its listeners say: a request must pass both.
///
/// They are replaced as a whole while requests pass; a request is judged by those that are there
/// when it comes. Until there are any, nothing passes.
pub struct Guard {
    enforced: Cell<Enforced>,
    closed: Authorize,
    observer: Option<Arc<dyn Observer>>,
    recorder: Option<Arc<dyn Recorder>>,
}

/// What a [`Guard`] goes by.
#[derive(Debug, Default)]
pub struct Enforcement {
    /// A request must pass all of them.
    pub rules: Vec<Arc<Authorizer>>,
    /// What they refuse and one of these lets in is let in.
    pub exceptions: Vec<BreakGlass>,
    /// Finds out whose requests are before they are judged. No emergency lets in what it refuses.
    pub tenancy: Option<Tenancy>,
}

/// The same, ready for requests. One value, so that nothing passes between parts of two.
#[derive(Debug)]
struct Enforced {
    filters: Vec<Authorize>,
    exceptions: Vec<BreakGlass>,
    tenancy: Option<Tenancy>,
}

impl Guard {
    /// One that lets nothing pass until it has rules, and tells `observer` of all it decides, and
    /// `recorder` of all that emergencies let in.
    #[must_use]
    pub fn new(observer: Option<Arc<dyn Observer>>, recorder: Option<Arc<dyn Recorder>>) -> Self {
        let closed =
            Authorize::new(Arc::new(Authorizer::closed()), observer.clone()).named(NAME.into());
        Self { enforced: Cell::empty(), closed, observer, recorder }
    }

    /// Goes by `enforcement` in place of what was there before, from the next request on.
    pub fn enforce(&self, enforcement: Enforcement) {
        let name: Arc<str> = NAME.into();
        let filter = |rules| Authorize::new(rules, self.observer.clone()).named(name.clone());
        let Enforcement { rules, exceptions, tenancy } = enforcement;
        let filters = rules.into_iter().map(filter).collect();
        self.enforced.publish(Arc::new(Enforced { filters, exceptions, tenancy }));
    }

    /// Whether an emergency lets in what is refused. Each that does is reported; one that cannot be
    /// reported lets nothing in.
    #[cold]
    fn lets_in(
        &self,
        exceptions: &[BreakGlass],
        head: &RequestHead<'_>,
        context: &Context<'_>,
    ) -> bool {
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

    fn judge(
        &self,
        enforced: &Enforced,
        head: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        // None of them waits or remembers anything, so none is asked twice.
        let mut slot = Slot::default();
        let mut answers =
            enforced.filters.iter().map(|filter| filter.poll_request(&mut slot, head, context));
        match answers.find(|step| !matches!(step, Step::Continue)) {
            Some(_) if self.lets_in(&enforced.exceptions, head, context) => Step::Continue,
            Some(refusal) => refusal,
            None => Step::Continue,
        }
    }

    /// Judges a request as it is and, where services may read its path otherwise, as they may: it
    /// must pass as both.
    fn judge_all(
        &self,
        enforced: &Enforced,
        head: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        let step = self.judge(enforced, head, context);
        if !matches!(step, Step::Continue) || !may_be_read_otherwise(head.path) {
            return step;
        }
        match NORMAL.rewrite(head.path) {
            Rewritten::To(path) if path == head.path => step,
            Rewritten::To(path) => {
                self.judge(enforced, &RequestHead { path: &path, ..*head }, context)
            }
            Rewritten::Redirect(_) | Rewritten::Refused => {
                self.closed.poll_request(&mut Slot::default(), head, context)
            }
        }
    }
}

impl Filter for Guard {
    fn poll_request(
        &self,
        slot: &mut Slot,
        head: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        let enforced = self.enforced.load();
        let Some(enforced) = enforced.as_deref() else {
            return self.closed.poll_request(slot, head, context);
        };
        if let Some(tenancy) = &enforced.tenancy {
            let step = tenancy.poll_request(slot, head, context);
            if !matches!(step, Step::Continue) {
                return step;
            }
        }
        if enforced.filters.is_empty() {
            return Step::Continue;
        }
        let is_there = |name: &HeaderName| head.headers.contains_key(name);
        if !context.changes.remove.iter().any(is_there) {
            return self.judge_all(enforced, head, context);
        }
        // What nobody is trusted to say is not said to rules either.
        let mut headers = head.headers.clone();
        for name in &context.changes.remove {
            headers.remove(name);
        }
        self.judge_all(enforced, &RequestHead { headers: &headers, ..*head }, context)
    }

    fn watches_all(&self) -> bool {
        false
    }
}

/// Whether a path has anything that [`NORMAL`] may rewrite.
fn may_be_read_otherwise(path: &str) -> bool {
    let mut before = b' ';
    path.bytes().any(|byte| {
        let is_doubtful = match byte {
            b'%' | b'\\' => true,
            b'/' | b'.' => before == b'/',
            _ => !byte.is_ascii(),
        };
        before = byte;
        is_doubtful
    })
}

/// How services that read paths otherwise read them.
const NORMAL: Paths =
    Paths { escaped_slashes: EscapedSlashes::Keep, normalize: true, merge_slashes: true };

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("enforced", &self.enforced).finish_non_exhaustive()
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
    use crate::filter::{HeaderChanges, LocalResponse, TenantSource};
    use crate::matcher::{HeaderMatcher, StringMatcher, ValueMatcher};
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

    fn of<const N: usize>(rules: [Arc<Authorizer>; N]) -> Enforcement {
        Enforcement { rules: rules.into(), ..Enforcement::default() }
    }

    /// What is answered to a request for `path`, if it does not pass.
    fn refused(guard: &Guard, path: &'static str) -> Option<StatusCode> {
        refused_at(guard, path, 0)
    }

    /// The same at a second.
    fn refused_at(guard: &Guard, path: &'static str, second: u64) -> Option<StatusCode> {
        refused_with(guard, (path, HeaderMap::new()), second)
    }

    /// The same with these header fields.
    fn refused_with(
        guard: &Guard,
        (path, headers): (&'static str, HeaderMap),
        second: u64,
    ) -> Option<StatusCode> {
        let (method, uri) = (Method::GET, Uri::from_static(path));
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
        guard.enforce(of([rules(Action::Deny, "/b"), rules(Action::Allow, "/a")]));
        assert_eq!(refused(&guard, "/a"), None);
        assert_eq!(refused(&guard, "/b"), Some(StatusCode::FORBIDDEN));
        guard.enforce(of([rules(Action::Deny, "/a"), rules(Action::Allow, "/a")]));
        assert_eq!(refused(&guard, "/a"), Some(StatusCode::FORBIDDEN));
        guard.enforce(Enforcement::default());
        assert_eq!(refused(&guard, "/b"), None);
    }

    #[test]
    fn a_path_that_may_be_read_otherwise_must_pass_in_both_readings() {
        let guard = Guard::new(None, None);
        guard.enforce(of([rules(Action::Deny, "/admin")]));
        for path in ["//admin", "/x/../admin", "/./admin", "/%61dmin", "/a%00"] {
            assert_eq!(refused(&guard, path), Some(StatusCode::FORBIDDEN), "{path}");
        }
        for path in ["/x", "/admin.d", "/x/%7Ea", "/adm%69n2", "/..admin"] {
            assert_eq!(refused(&guard, path), None, "{path}");
        }
        guard.enforce(of([rules(Action::Allow, "/a")]));
        assert_eq!(refused(&guard, "/x/../a"), Some(StatusCode::FORBIDDEN));
    }

    #[test]
    fn rules_do_not_see_what_nobody_is_trusted_to_say() {
        let name = http::HeaderName::from_static("x-tenant");
        let source = TenantSource::header(name.as_str(), ["spiffe://td/gateway"]).unwrap();
        let value = ValueMatcher::String(StringMatcher::exact("red"));
        let said = Condition::Header(HeaderMatcher::new("x-tenant", value).unwrap());
        let policy =
            Policy { permissions: vec![said.into()], principals: vec![Expression::Always] };
        let allowed = Rules::new(Action::Allow, [("p".into(), policy)].into()).unwrap();
        let enforced = Some(Ruleset::Rules(allowed));
        let rules = Arc::new(Authorizer { enforced, ..Authorizer::default() });
        let guard = Guard::new(None, None);
        let headers = HeaderMap::from_iter([(name, http::HeaderValue::from_static("red"))]);
        guard.enforce(of([rules.clone()]));
        assert_eq!(refused_with(&guard, ("/", headers.clone()), 0), None);
        let tenancy = Some(Tenancy::new([source]).optional());
        guard.enforce(Enforcement { tenancy, ..of([rules]) });
        assert_eq!(refused_with(&guard, ("/", headers), 0), Some(StatusCode::FORBIDDEN));
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
        let exceptions = vec![BreakGlass::new("ann: fire", rules(Action::Allow, "/a"), window)];
        assert_eq!(refused_at(&guard, "/a", 15), Some(StatusCode::FORBIDDEN), "no policies yet");
        let both = of([rules(Action::Deny, "/a"), rules(Action::Allow, "/c")]);
        guard.enforce(Enforcement { exceptions, ..both });
        let seen = [9, 10, 19, 20].map(|second| refused_at(&guard, "/a", second).is_none());
        assert_eq!(seen, [false, true, true, false]);
        assert_eq!(refused_at(&guard, "/b", 15), Some(StatusCode::FORBIDDEN));
        assert_eq!(refused_at(&guard, "/c", 15), None);
        let counts = [&titles.observed, &titles.recorded].map(|it| it.load(Ordering::Relaxed));
        assert_eq!(counts, [2, 2]);
    }
}
