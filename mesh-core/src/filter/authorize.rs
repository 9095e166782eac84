//! Requests that may not happen are answered here.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{Context, Filter, LocalResponse, Slot, Step};
use crate::authz::{Authorizer, Decision, Facts, Judgement, Observer, Unrecorded, Verdict};
use crate::metadata::{Fields, Metadata};
use crate::request::RequestHead;

/// Lets requests pass that the rules of an [`Authorizer`] allow (Envoy's and gRPC's RBAC filter).
///
/// Others are answered with 403 and `RBAC: access denied`, or for gRPC `PERMISSION_DENIED` (7). In
/// metadata it leaves what Envoy does: what the shadow rules say, under
/// `envoy.filters.http.rbac`, and `access_log_hint` of rules that log, under `envoy.common`.
#[derive(Clone)]
pub struct Authorize {
    rules: Arc<Authorizer>,
    observer: Option<Arc<dyn Observer>>,
    name: Arc<str>,
}

impl Authorize {
    /// A filter that enforces `rules`, and tells `observer` of all it decides.
    #[must_use]
    pub fn new(rules: Arc<Authorizer>, observer: Option<Arc<dyn Observer>>) -> Self {
        Self { rules, observer, name: Arc::default() }
    }

    /// The same, called `name` in records of its decisions. Default: nothing.
    #[must_use]
    pub fn named(self, name: Arc<str>) -> Self {
        Self { name, ..self }
    }
}

impl Filter for Authorize {
    fn poll_request(
        &self,
        _: &mut Slot,
        head: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        if self.rules.is_empty() {
            return Step::Continue;
        }
        let facts = facts(head, context);
        let judgement = self.rules.judge(&facts).by(&self.name);
        let recorded = self.rules.report(&judgement, &facts, self.observer.as_deref());
        let Judgement { decision, shadow, .. } = judgement;
        if let Some(shadow) = &shadow {
            note_shadow(&mut context.metadata, shadow, &self.rules.shadow_prefix);
        }
        let passage = match recorded {
            Ok(()) => Step::Continue,
            Err(why) => Step::Respond(unrecorded(why)),
        };
        let Some(decision) = decision else { return passage };
        if let Some(hint) = decision.log {
            note(&mut context.metadata, COMMON, Fields::from_iter([(LOG_HINT, hint.into())]));
        }
        match decision.verdict {
            Verdict::Allow => passage,
            Verdict::Deny => Step::Respond(denial(&decision)),
        }
    }

    fn watches_all(&self) -> bool {
        false
    }
}

/// What is known of a request.
pub(super) fn facts<'c>(head: &'c RequestHead<'c>, context: &'c Context<'_>) -> Facts<'c> {
    let facts = Facts::request(head, &context.metadata, context.peer);
    match context.route {
        Some(route) => facts.on_route(&route.metadata),
        None => facts,
    }
}

impl fmt::Debug for Authorize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorize").field("rules", &self.rules).finish_non_exhaustive()
    }
}

#[cold]
fn denial(decision: &Decision<'_>) -> LocalResponse {
    LocalResponse {
        status: StatusCode::FORBIDDEN,
        grpc: PERMISSION_DENIED,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"RBAC: access denied"),
        why: Cow::Owned(decision.to_string()),
    }
}

/// What may happen, but not without a record. It is no fault of the caller's, and another server
/// may do better.
#[cold]
fn unrecorded(why: Unrecorded) -> LocalResponse {
    LocalResponse {
        status: StatusCode::SERVICE_UNAVAILABLE,
        grpc: UNAVAILABLE,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"RBAC: audit unavailable"),
        why: Cow::Owned(why.to_string()),
    }
}

#[cold]
fn note_shadow(metadata: &mut Metadata, shadow: &Decision<'_>, prefix: &str) {
    let result = if shadow.is_allowed() { "allowed" } else { "denied" };
    let mut fields = Fields::default();
    fields.set(&format!("{prefix}{SHADOW_RESULT}"), result);
    if let Some(policy) = shadow.policy {
        fields.set(&format!("{prefix}{SHADOW_POLICY}"), &**policy);
    }
    note(metadata, NAMESPACE, fields);
}

/// Notes are for logs: one that has no room any more changes no decision.
#[cold]
fn note(metadata: &mut Metadata, namespace: &str, fields: Fields) {
    let _ = metadata.add(namespace, fields);
}

/// gRPC's status codes.
const PERMISSION_DENIED: u8 = 7;
const UNAVAILABLE: u8 = 14;

const NAMESPACE: &str = "envoy.filters.http.rbac";
const SHADOW_RESULT: &str = "shadow_engine_result";
const SHADOW_POLICY: &str = "shadow_effective_policy_id";
const COMMON: &str = "envoy.common";
const LOG_HINT: &str = "access_log_hint";

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::{Method, Uri};

    use super::*;
    use crate::authz::{Action, AuditCondition, Condition, Expression, Policy, Rules, Ruleset};
    use crate::filter::HeaderChanges;
    use crate::matcher::StringMatcher;
    use crate::rng::XorShift;

    /// Counts audited denials.
    #[derive(Default)]
    struct Denials(AtomicUsize);

    impl Observer for Denials {
        fn judged(&self, judgement: &Judgement<'_>, _: &Facts<'_>) -> Result<(), Unrecorded> {
            let audited = judgement.decision.is_some_and(|it| it.audit && !it.is_allowed());
            self.0.fetch_add(usize::from(audited), Ordering::Relaxed);
            Ok(())
        }
    }

    /// Rules whose policy `admin` is for `/admin`.
    fn admin(action: Action) -> Ruleset {
        let path = Condition::Path(StringMatcher::exact("/admin"));
        let (permissions, principals) = (vec![path.into()], vec![Expression::Always]);
        let policies = [("admin".into(), Policy { permissions, principals })].into();
        Ruleset::Rules(Rules::new(action, policies).unwrap().audit(AuditCondition::OnDeny))
    }

    fn ask(filter: &Authorize, path: &'static str) -> (Step, Metadata) {
        let (method, uri, headers) = (Method::GET, Uri::from_static(path), HeaderMap::new());
        let (mut rng, mut changes) = (XorShift::new(1), HeaderChanges::default());
        let mut context = Context {
            now: crate::testing::at(0),
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
        let head = RequestHead::from_pieces(&method, &uri, &headers, "a");
        let step = filter.poll_request(&mut Slot::Empty, &head, &mut context);
        (step, context.metadata)
    }

    #[test]
    fn denied_requests_are_answered_and_audited() {
        let (rules, denials) = (Some(admin(Action::Deny)), Arc::new(Denials::default()));
        let rules = Arc::new(Authorizer { enforced: rules, ..Authorizer::default() });
        let filter = Authorize::new(rules, Some(denials.clone()));
        let (step, metadata) = ask(&filter, "/admin");
        let Step::Respond(response) = step else { panic!("answered: {step:?}") };
        assert_eq!((response.status, response.grpc), (StatusCode::FORBIDDEN, 7));
        assert_eq!((&*response.body, metadata.is_empty()), (&b"RBAC: access denied"[..], true));
        assert_eq!(response.why, r#"denied: policy "admin", permission 0, principal 0 matches"#);
        assert!(matches!(ask(&filter, "/").0, Step::Continue));
        assert_eq!(denials.0.load(Ordering::Relaxed), 1);
    }

    /// Never gets anything written down.
    struct Full;

    impl Observer for Full {
        fn judged(&self, judgement: &Judgement<'_>, _: &Facts<'_>) -> Result<(), Unrecorded> {
            assert_eq!(judgement.filter, "rbac");
            Err(Unrecorded)
        }
    }

    #[test]
    fn what_cannot_be_recorded_does_not_happen() {
        let (rules, name) = (Some(admin(Action::Deny)), Arc::from("rbac"));
        let rules = Arc::new(Authorizer { enforced: rules, ..Authorizer::default() });
        let filter = Authorize::new(rules, Some(Arc::new(Full))).named(name);
        for (path, status, grpc) in [("/", 503, 14), ("/admin", 403, 7)] {
            let (step, _) = ask(&filter, path);
            let Step::Respond(response) = step else { panic!("answered: {step:?}") };
            assert_eq!((response.status.as_u16(), response.grpc), (status, grpc));
        }
    }

    #[test]
    fn shadow_rules_and_logs_only_leave_notes() {
        let shadow_prefix = "try_".into();
        let enforced = Some(admin(Action::Log));
        let rules = Authorizer { enforced, shadow: Some(admin(Action::Deny)), shadow_prefix };
        let filter = Authorize::new(Arc::new(rules), None);
        for (path, result, policy, hint) in
            [("/admin", "denied", Some("admin"), true), ("/", "allowed", None, false)]
        {
            let (step, metadata) = ask(&filter, path);
            assert!(matches!(step, Step::Continue));
            let found = |name: &str| metadata.find(NAMESPACE, &[name]).cloned();
            assert_eq!(found("try_shadow_engine_result"), Some(result.into()));
            assert_eq!(found("try_shadow_effective_policy_id"), policy.map(Into::into));
            assert_eq!(metadata.find(COMMON, &[LOG_HINT]), Some(&hint.into()));
        }
    }
}
