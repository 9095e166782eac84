//! Policies by name, and the index that finds them.

use std::fmt::Write as _;

use super::*;
use crate::matcher::{Cidr, HeaderMatcher, ValueMatcher};

fn path(text: &str) -> Condition {
    Condition::Path(exact(text))
}

fn named(name: &str) -> Condition {
    Condition::Authenticated(Some(exact(name)))
}

#[test]
fn the_first_policy_by_name_decides() {
    let all = || policy(Expression::Always, Expression::Always);
    let here = || policy(path("/pkg.Svc/Do"), named("spiffe://td/a"));
    let rules =
        rules(Action::Deny, [("b", all()), ("a", here()), ("Z", policy(path("/x"), path("/x")))]);
    let request = Request::default();
    request.judged(|facts| {
        let decision = rules.evaluate(facts);
        assert_eq!(decision.policy.map(|name| &**name), Some("a"));
        assert_eq!(decision.rule, Some(Rule::default()));
        let why = r#"denied: policy "a", permission 0, principal 0 matches"#;
        assert_eq!(decision.to_string(), why);
    });
    let query = Request::with(|r| r.query = Some("x"));
    query.judged(|facts| {
        let decision = rules.evaluate(facts);
        assert_eq!(
            (decision.policy.map(|name| &**name), decision.matched),
            (Some("Z"), Truth::Unknown)
        );
        assert!(decision.to_string().ends_with("cannot be ruled out"), "{decision}");
    });
}

#[test]
fn decisions_name_the_rule() {
    let several = Policy {
        permissions: vec![path("/x").into(), path("/pkg.Svc/Do").into()],
        principals: vec![named("x").into(), named("y").into(), Expression::Always],
    };
    let rules = rules(Action::Allow, [("p", several)]);
    let rule = Request::default().judged(|facts| rules.evaluate(facts).rule);
    assert_eq!(rule, Some(Rule { permission: 1, principal: 2 }));
}

#[test]
fn without_a_policy_the_action_decides() {
    let never = || Policy { permissions: vec![Expression::Always], principals: vec![] };
    for (action, verdict, log) in [
        (Action::Allow, Verdict::Deny, None),
        (Action::Deny, Verdict::Allow, None),
        (Action::Log, Verdict::Allow, Some(false)),
    ] {
        for rules in [rules(action, []), rules(action, [("never", never())])] {
            Request::default().judged(|facts| {
                let decision = rules.evaluate(facts);
                assert_eq!((decision.verdict, decision.policy, decision.log), (verdict, None, log));
                assert!(decision.to_string().ends_with("no policy matches"));
            });
        }
    }
}

#[test]
fn audits_follow_the_verdict() {
    use AuditCondition::{None, OnAllow, OnDeny, OnDenyAndAllow};
    for (condition, on_allow, on_deny) in [
        (None, false, false),
        (OnAllow, true, false),
        (OnDeny, false, true),
        (OnDenyAndAllow, true, true),
    ] {
        for (action, expect) in [(Action::Allow, on_allow), (Action::Deny, on_deny)] {
            let all = policy(Expression::Always, Expression::Always);
            let rules = rules(action, [("all", all)]).audit(condition);
            let audit = Request::default().judged(|facts| rules.evaluate(facts).audit);
            assert_eq!(audit, expect, "{condition:?} {action:?}");
        }
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |levels| (1..levels).fold(Expression::Always, |inner, _| inner.not());
    let rules = |levels| {
        let policies = [("p".into(), policy(nested(levels), Expression::Always))].into();
        Rules::new(Action::Allow, policies).map(|_| ())
    };
    assert_eq!((rules(MAX_DEPTH), rules(MAX_DEPTH + 1)), (Ok(()), Err(TooDeep)));
}

/// Rules of `count` policies that differ in what they demand.
fn many(action: Action, count: usize) -> Rules {
    let header = |name: &str, text: &str| {
        let value = ValueMatcher::String(exact(text));
        Condition::Header(HeaderMatcher::new(name, value).unwrap())
    };
    let demand = |at: usize| match at % 5 {
        0 => policy(path(&format!("/pkg.Svc/M{at}")), Expression::Always),
        1 => policy(Expression::Always, named(&format!("spiffe://td/{at}"))),
        2 => policy(header("x-tenant", &format!("t{at}")), Expression::Always),
        3 => policy(header(":authority", &format!("host{at}")), Expression::Always),
        _ => {
            let prefix = StringMatcher::prefix(&format!("/pkg{at}.")).unwrap();
            policy(Condition::Path(prefix), named("spiffe://td/a"))
        }
    };
    let policies = (0..count).map(|at| (format!("p{at:05}").into(), demand(at))).collect();
    Rules::new(action, policies).unwrap()
}

#[test]
fn one_of_many_policies_is_found() {
    let rules = many(Action::Allow, 1_000);
    let by = |request: &Request| {
        request.judged(|facts| rules.evaluate(facts).policy.map(|name| name.to_string()))
    };
    assert_eq!(by(&Request::default()), None);
    assert_eq!(by(&Request::with(|r| r.path = "/pkg.Svc/M995")).as_deref(), Some("p00995"));
    assert_eq!(by(&Request::with(|r| r.path = "/pkg444.Svc/Do")).as_deref(), Some("p00444"));
    let tenant = Request::default().header("x-tenant", b"t502");
    assert_eq!(by(&tenant).as_deref(), Some("p00502"));
    let both = Request::with(|r| r.path = "/pkg.Svc/M995").header("x-tenant", b"t502");
    assert_eq!(by(&both).as_deref(), Some("p00502"));
    let client = Request::with(|r| {
        let session = r.peer.as_mut().unwrap().session.as_mut().unwrap();
        session.certificate.as_mut().unwrap().uris = [Arc::from("spiffe://td/996")].into();
    });
    assert_eq!(by(&client).as_deref(), Some("p00996"));
}

#[test]
fn what_has_no_single_reading_is_asked_of_all() {
    let rules = many(Action::Deny, 1_000);
    let by = |request: &Request| {
        request.judged(|facts| rules.evaluate(facts).policy.map(|name| name.to_string()))
    };
    assert_eq!(by(&Request::default()), None);
    // Any path could be meant, any tenant, any client.
    assert_eq!(by(&Request::with(|r| r.query = Some("x"))).as_deref(), Some("p00000"));
    let tenants = Request::default().header("x-tenant", b"t7").header("x-tenant", b"t502");
    assert_eq!(by(&tenants).as_deref(), Some("p00007"));
    assert_eq!(by(&Request::with(|r| r.peer = None)).as_deref(), Some("p00001"));
}

#[test]
fn few_policies_are_looked_at() {
    let rules = many(Action::Allow, 10_000);
    let request = Request::with(|r| r.path = "/pkg.Svc/M9995").header("x-tenant", b"t7");
    let mut looked_at = String::new();
    request.judged(|facts| {
        rules.index.first(facts, |at| {
            write!(looked_at, "{at} ").unwrap();
            false
        })
    });
    assert_eq!(looked_at, "9995 7 ");
}

#[test]
fn the_rarest_demand_is_filed() {
    let shared = || path("/pkg.Svc/Do");
    let rare = |at: usize| policy(shared(), named(&format!("spiffe://td/{at}")));
    let policies = (0..50).map(|at| (format!("p{at:02}").into(), rare(at))).collect();
    let rules = Rules::new(Action::Allow, policies).unwrap();
    let mut looked_at = 0;
    Request::default().judged(|facts| {
        rules.index.first(facts, |_| {
            looked_at += 1;
            false
        })
    });
    assert_eq!(looked_at, 0);
}

#[test]
fn ranges_are_found_by_their_length() {
    let from = |network: &str, bits| {
        let range = Cidr::new(network.parse().unwrap(), bits).unwrap();
        policy(Expression::Always, Condition::SourceIp([range].into()))
    };
    let policies = [("10.0.1.0", 24), ("10.0.0.0", 8), ("fd00::", 8), ("11.0.0.0", 24)];
    let named =
        |(at, (network, bits)): (usize, (&str, u8))| (format!("p{at}").into(), from(network, bits));
    let rules = Rules::new(Action::Allow, policies.into_iter().enumerate().map(named).collect());
    let rules = rules.unwrap();
    let looked_at = |remote: Option<&str>| {
        let mut looked_at = String::new();
        Request::with(|r| r.peer.as_mut().unwrap().remote = remote.map(|it| it.parse().unwrap()))
            .judged(|facts| {
                rules.index.first(facts, |at| {
                    write!(looked_at, "{at}").unwrap();
                    false
                })
            });
        looked_at
    };
    assert_eq!(looked_at(Some("10.0.1.9:1")), "01");
    assert_eq!(looked_at(Some("[::ffff:10.0.2.9]:1")), "1");
    assert_eq!(looked_at(Some("[fd00::1]:1")), "2");
    assert_eq!(looked_at(Some("12.0.0.1:1")), "");
    // Nobody can say where a Unix domain socket comes from.
    assert_eq!(looked_at(None), "0123");
}
