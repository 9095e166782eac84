//! Records from the decision to the line, and lines that were tampered with.

#[cfg(feature = "audit")]
mod chains;
mod records;
mod spools;
#[cfg(feature = "audit")]
mod tampering;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Request;
use mesh_core::authz::{Action, Authorizer, Expression, Facts, Observer, Policy, Rules, Ruleset};
use mesh_core::identity::{Certificate, Peer, Session};
use mesh_core::metadata::Metadata;
use mesh_core::request::RequestHead;

use super::*;

/// A second that everything happens in.
fn then() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 5)
}

/// Rules whose policy `all` matches everything.
fn all(action: Action) -> Option<Ruleset> {
    let (permissions, principals) = (vec![Expression::Always], vec![Expression::Always]);
    let policies = [(Arc::from("all"), Policy { permissions, principals })].into();
    Some(Ruleset::Rules(Rules::new(action, policies).unwrap()))
}

fn deny() -> Authorizer {
    Authorizer { enforced: all(Action::Deny), ..Authorizer::default() }
}

fn peer() -> Peer {
    let uris = ["spiffe://td/a".into()].into();
    let certificate = Some(Certificate { uris, ..Certificate::default() });
    Peer {
        remote: Some(([10, 0, 0, 1], 4711).into()),
        local: Some(([10, 0, 9, 9], 443).into()),
        session: Some(Session { certificate, ..Session::default() }),
    }
}

/// Lets `rules` judge a call, and tells `log`. Says whether it may go on.
fn tell(log: &AuditLog, rules: &Authorizer, request: Request<()>) -> bool {
    let (parts, ()) = request.into_parts();
    let (peer, metadata) = (peer(), Metadata::default());
    let head = RequestHead::new(&parts, "shop:443");
    let facts = Facts::request(&head, &metadata, Some(&peer));
    let judgement = rules.judge(&facts).by("rbac");
    rules.report(&judgement, &facts, Some(log as &dyn Observer)).is_ok()
}

fn post(path: &str) -> Request<()> {
    Request::post(format!("https://shop{path}")).body(()).unwrap()
}
