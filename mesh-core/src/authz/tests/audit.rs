//! Who is told of which decision, and what comes of it if a record is not kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::authz::{
    Action, AuditCondition, AuditEvent, AuditLogger, AuditLoggers, Authorizer, Effect, Judgement,
    Observer, Policy, Rules, Ruleset, Unrecorded, Verdict,
};
use crate::identity::Peer;

/// Counts what it is told of, by verdict and effect, and says `answer`.
#[derive(Debug)]
struct Tally {
    allowed: AtomicUsize,
    denied: AtomicUsize,
    shadow: AtomicUsize,
    answer: Result<(), Unrecorded>,
}

impl Tally {
    fn new(answer: Result<(), Unrecorded>) -> Arc<Self> {
        let zero = AtomicUsize::default;
        Arc::new(Self { allowed: zero(), denied: zero(), shadow: zero(), answer })
    }

    /// How many were allowed, denied, and of shadow rules.
    fn told(&self) -> [usize; 3] {
        [&self.allowed, &self.denied, &self.shadow].map(|count| count.load(Ordering::Relaxed))
    }
}

impl AuditLogger for Tally {
    fn log(&self, event: &AuditEvent<'_>) -> Result<(), Unrecorded> {
        assert_eq!(event.filter, "rbac");
        let count = match (event.effect, event.decision.verdict) {
            (Effect::Shadow, _) => &self.shadow,
            (Effect::Enforced, Verdict::Allow) => &self.allowed,
            (Effect::Enforced, Verdict::Deny) => &self.denied,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.answer
    }
}

impl Observer for Tally {
    fn judged(&self, judgement: &Judgement<'_>, facts: &Facts<'_>) -> Result<(), Unrecorded> {
        judgement.enforced(facts).map_or(Ok(()), |event| self.log(&event))
    }
}

/// Rules that allow, or deny, everything.
fn rules(action: Action, condition: AuditCondition, loggers: &[Arc<Tally>]) -> Ruleset {
    let (permissions, principals) = (vec![Expression::Always], vec![Expression::Always]);
    let policies = [("all".into(), Policy { permissions, principals })].into();
    let loggers: AuditLoggers =
        loggers.iter().map(|it| it.clone() as Arc<dyn AuditLogger>).collect();
    Ruleset::Rules(Rules::new(action, policies).unwrap().audit(condition).log_to(loggers))
}

fn report(rules: &Authorizer, observer: Option<&dyn Observer>) -> Result<(), Unrecorded> {
    let peer = Peer::default();
    let facts = Facts::connection(&peer);
    rules.report(&rules.judge(&facts).by("rbac"), &facts, observer)
}

#[test]
fn every_logger_is_told_once_of_what_is_audited() {
    for (condition, on_allow, on_deny) in [
        (AuditCondition::None, 0, 0),
        (AuditCondition::OnDeny, 0, 1),
        (AuditCondition::OnAllow, 1, 0),
        (AuditCondition::OnDenyAndAllow, 1, 1),
    ] {
        let (one, two) = (Tally::new(Ok(())), Tally::new(Ok(())));
        for action in [Action::Allow, Action::Deny] {
            let enforced = Some(rules(action, condition, &[one.clone(), two.clone()]));
            assert_eq!(report(&Authorizer { enforced, ..Authorizer::default() }, None), Ok(()));
        }
        assert_eq!((one.told(), two.told()), ([on_allow, on_deny, 0], [on_allow, on_deny, 0]));
    }
}

#[test]
fn loggers_belong_to_the_rules_that_name_them() {
    let (own, shadow) = (Tally::new(Ok(())), Tally::new(Ok(())));
    let condition = AuditCondition::OnDenyAndAllow;
    let rules = Authorizer {
        enforced: Some(rules(Action::Allow, condition, std::slice::from_ref(&own))),
        shadow: Some(rules(Action::Deny, condition, std::slice::from_ref(&shadow))),
        ..Authorizer::default()
    };
    assert_eq!(report(&rules, None), Ok(()));
    assert_eq!((own.told(), shadow.told()), ([1, 0, 0], [0, 0, 1]));
}

#[test]
fn one_missing_record_is_missed_and_the_others_are_told() {
    let condition = AuditCondition::OnDenyAndAllow;
    let (keeps, fails) = (Tally::new(Ok(())), Tally::new(Err(Unrecorded)));
    let loggers = [fails.clone(), keeps.clone()];
    let enforced = Some(rules(Action::Allow, condition, &loggers));
    let strict = Authorizer { enforced, ..Authorizer::default() };
    assert_eq!(report(&strict, None), Err(Unrecorded));
    assert_eq!((keeps.told(), fails.told()), ([1, 0, 0], [1, 0, 0]));
    let shadow = Some(rules(Action::Allow, condition, &loggers));
    let tried = Authorizer { shadow, ..Authorizer::default() };
    assert_eq!(report(&tried, None), Ok(()));
    let enforced = Some(rules(Action::Allow, AuditCondition::None, &loggers));
    let watched = Authorizer { enforced, ..Authorizer::default() };
    assert_eq!(report(&watched, Some(&*fails)), Err(Unrecorded));
}
