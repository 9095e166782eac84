//! Decisions are written down before the handler runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::{Response, StatusCode};
use mesh_core::authz::{
    Action, AuditCondition, AuditEvent, AuditLogger, AuditLoggers, Authorizer, Condition,
    Expression, Observer, Policy, Rules, Ruleset, Unrecorded,
};
use mesh_core::filter::{Authorize, Factory, Filter, Settings};
use mesh_core::matcher::StringMatcher;
use mesh_core::route;
use mesh_core::snapshot::HttpFilter;

use super::kit::{App, Kit, ask, get, grpc, routes};
use crate::audit::{AuditLog, verify};

/// Makes the filter `rbac`, which allows what is not under `/secret`.
struct Rbac {
    rules: Arc<Authorizer>,
    observer: Option<Arc<dyn Observer>>,
}

impl Rbac {
    fn filter(observer: Option<Arc<dyn Observer>>, loggers: AuditLoggers) -> HttpFilter {
        let path = Condition::Path(StringMatcher::prefix("/secret").unwrap());
        let (permissions, principals) = (vec![path.into()], vec![Expression::Always]);
        let policies = [(Arc::from("secrets"), Policy { permissions, principals })].into();
        let rules = Rules::new(Action::Deny, policies).unwrap();
        let rules = rules.audit(AuditCondition::OnDenyAndAllow).log_to(loggers);
        let enforced = Some(Ruleset::Rules(rules));
        let rules = Arc::new(Authorizer { enforced, ..Authorizer::default() });
        HttpFilter {
            name: "rbac".into(),
            factory: Arc::new(Self { rules, observer }),
            settings: Arc::new(()),
            disabled: false,
        }
    }
}

impl Factory for Rbac {
    fn type_url(&self) -> &str {
        "test.Rbac"
    }

    fn parse(&self, _: &[u8]) -> Result<Settings, String> {
        Ok(Arc::new(()))
    }

    fn build(&self, _: &Settings, _: &[Settings]) -> Arc<dyn Filter> {
        Arc::new(Authorize::new(self.rules.clone(), self.observer.clone()))
    }

    fn build_named(&self, name: &Arc<str>, _: &Settings, _: &[Settings]) -> Arc<dyn Filter> {
        let filter = Authorize::new(self.rules.clone(), self.observer.clone());
        Arc::new(filter.named(name.clone()))
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_allows_and_denies_is_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let log = AuditLog::file(&path).open().unwrap();
    // The handler answers with what is in the log by then.
    let app = App::new({
        let (log, path) = (log.clone(), path.clone());
        move |_| {
            log.flush(Duration::from_secs(60)).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            async move { Response::new(crate::full(text)) }
        }
    });
    let kit = Kit::serving(app);
    let filter = Rbac::filter(Some(Arc::new(log.clone())), AuditLoggers::default());
    kit.publish(1, routes(&[("/", route::Action::NonForwarding)], &[filter]));
    let (sender, _) = kit.h2().await;
    let mut request = get("/open?token=c4n4ry");
    request.headers_mut().insert("authorization", "Bearer c4n4ry".parse().unwrap());
    let seen = ask(&sender, request).await.unwrap();
    let seen = String::from_utf8(seen.body.to_vec()).unwrap();
    let record = |path: &str, allowed: bool| {
        format!(
            r#""rpc_method":"{path}","principal":"","policy_name":"rbac","matched_rule":"{}","authorized":{allowed},"#,
            if allowed { "" } else { "secrets" }
        )
    };
    assert!(seen.lines().last().unwrap().contains(&record("/open", true)), "{seen}");
    assert_eq!(ask(&sender, get("/secret")).await.unwrap().status, StatusCode::FORBIDDEN);
    log.flush(Duration::from_secs(60)).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.lines().last().unwrap().contains(&record("/secret", false)), "{text}");
    assert!(text.contains(r#""peer":"192.0.2.1:1","server":"192.0.2.2:80","method":"GET""#));
    assert!(!text.contains("c4n4ry"));
    assert_eq!(verify(text.as_bytes(), None).unwrap().decisions, 2);
}

/// A log that may be full.
#[derive(Debug, Default)]
struct Fills {
    told: AtomicUsize,
    is_full: AtomicBool,
}

impl AuditLogger for Fills {
    fn log(&self, _: &AuditEvent<'_>) -> Result<(), Unrecorded> {
        self.told.fetch_add(1, Ordering::SeqCst);
        if self.is_full.load(Ordering::SeqCst) { Err(Unrecorded) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_served_without_a_record() {
    let (served, log) = (Arc::new(AtomicUsize::new(0)), Arc::new(Fills::default()));
    let app = App::new({
        let served = served.clone();
        move |_| {
            served.fetch_add(1, Ordering::SeqCst);
            async { Response::new(crate::full("served")) }
        }
    });
    let kit = Kit::serving(app);
    let loggers = [log.clone() as Arc<dyn AuditLogger>].into_iter().collect();
    let filter = Rbac::filter(None, loggers);
    kit.publish(1, routes(&[("/", route::Action::NonForwarding)], &[filter]));
    let (sender, _) = kit.h2().await;
    assert_eq!(ask(&sender, get("/open")).await.unwrap().body, "served");
    log.is_full.store(true, Ordering::SeqCst);
    let seen = ask(&sender, get("/open")).await.unwrap();
    assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask(&sender, grpc("/a.B/Open")).await.unwrap().trailers_only(), "14");
    assert_eq!(ask(&sender, get("/secret")).await.unwrap().status, StatusCode::FORBIDDEN);
    assert_eq!((served.load(Ordering::SeqCst), log.told.load(Ordering::SeqCst)), (1, 4));
}
