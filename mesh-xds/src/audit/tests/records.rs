//! What stands in a record, and what never does.

use std::io::{self, Write};
use std::sync::mpsc;

use mesh_core::authz::AuditCondition;
use mesh_core::tenant::Tenant;
use proptest::prelude::*;

use super::*;
use crate::audit::spool::Spool;
use crate::audit::stdout::Lines;
use crate::audit::time::Clock;

/// Hands on what is written.
struct Wire(mpsc::Sender<Vec<u8>>);

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.into()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines that `events` leave.
fn lines(
    condition: AuditCondition,
    redaction: Redaction,
    events: impl FnOnce(&AuditLog),
) -> Vec<String> {
    let (sender, receiver) = mpsc::channel();
    let spool = Spool::start(Lines(Wire(sender)), Capacity::default(), WhenFull::Refuse).unwrap();
    let log = AuditLog::new(spool, condition, redaction, Clock::new(then));
    events(&log);
    drop(log);
    receiver.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
}

const ALWAYS: AuditCondition = AuditCondition::OnDenyAndAllow;

#[test]
fn records_are_lines_in_a_fixed_order() {
    let trace = "0123456789abcdef0123456789abcdef";
    let written = lines(ALWAYS, Redaction::default(), |log| {
        let mut traced = post("/pkg.Svc/Do");
        let parent = format!("00-{trace}-0123456789abcdef-01").parse().unwrap();
        traced.headers_mut().insert("traceparent", parent);
        assert!(tell(log, &deny(), traced));
        let tried = Authorizer { shadow: all(Action::Deny), ..Authorizer::default() };
        let tried = Authorizer { enforced: all(Action::Allow), ..tried };
        assert!(tell(log, &tried, post("/")));
    });
    let record = |path: &str, authorized: bool, shadow: bool, end: &str| {
        let rule = if authorized { "allowed" } else { "denied" };
        format!(
            r#"{{"grpc_audit_log":{{"timestamp":"2023-11-14T22:13:20.000000005Z","rpc_method":"{path}","principal":"spiffe://td/a","policy_name":"rbac","matched_rule":"all","authorized":{authorized},"rule":"{rule}: policy \"all\", permission 0, principal 0 matches","shadow":{shadow},"peer":"10.0.0.1:4711","server":"10.0.9.9:443","method":"POST","host":"shop:443","path":"{path}"{end}}}}}"#
        ) + "\n"
    };
    let end = format!(r#","trace_id":"{trace}""#);
    assert_eq!(
        written,
        [
            record("/pkg.Svc/Do", false, false, &end),
            record("/", false, true, ""),
            record("/", true, false, "")
        ]
    );
}

#[test]
fn the_condition_of_the_program_is_its_own() {
    for (condition, expected) in [
        (AuditCondition::None, 0),
        (AuditCondition::OnDeny, 1),
        (AuditCondition::OnAllow, 2),
        (AuditCondition::OnDenyAndAllow, 3),
    ] {
        let written = lines(condition, Redaction::default(), |log| {
            tell(log, &deny(), post("/"));
            for _ in 0..2 {
                tell(log, &Authorizer { enforced: all(Action::Allow), ..deny() }, post("/"));
            }
        });
        assert_eq!(written.len(), expected, "{condition:?}");
    }
}

#[test]
fn secrets_of_requests_are_not_written() {
    let canary = "c4n4ry";
    let request = |path: &str| {
        let mut request = post(&format!("{path}?token={canary}"));
        for name in ["authorization", "cookie", "x-key", "traceparent", "tracestate"] {
            let value = format!("00-{canary}{canary}-{canary}-{canary}").parse().unwrap();
            request.headers_mut().insert(name, value);
        }
        request
    };
    let redaction = Redaction::default()
        .paths_under(["/patients/"])
        .paths(|path| path.ends_with(".pdf"))
        .principals(|principal| principal.starts_with("spiffe://td/"));
    let written = lines(ALWAYS, redaction, |log| {
        for path in ["/a", "/patients/c4n4ry", "/c4n4ry.pdf"] {
            assert!(tell(log, &deny(), request(path)));
        }
    });
    assert_eq!(written.len(), 3);
    for line in written {
        assert!(!line.contains(canary) && !line.contains("spiffe"), "{line}");
        assert!(line.contains(r#""principal":"[redacted]""#), "{line}");
    }
}

#[test]
fn connections_have_records_without_a_request() {
    let written = lines(ALWAYS, Redaction::default(), |log| {
        let (rules, peer) = (deny(), Peer::default());
        let facts = Facts::connection(&peer);
        rules.report(&rules.judge(&facts), &facts, Some(log)).unwrap();
    });
    let expected = r#"{"grpc_audit_log":{"timestamp":"2023-11-14T22:13:20.000000005Z","rpc_method":"","principal":"","policy_name":"","matched_rule":"all","authorized":false,"rule":"denied: policy \"all\", permission 0, principal 0 matches","shadow":false}}"#;
    assert_eq!(written, [expected.to_owned() + "\n"]);
}

#[test]
fn records_say_whose_the_request_is() {
    let (method, headers) = (http::Method::POST, http::HeaderMap::new());
    let uri = http::Uri::from_static("https://h/");
    let head = RequestHead::from_pieces(&method, &uri, &headers, "h");
    let (rules, mut metadata) = (deny(), Metadata::default());
    metadata.set_tenant(Tenant::new("red").unwrap()).unwrap();
    let facts = Facts::request(&head, &metadata, None);
    let judgement = rules.judge(&facts);
    let event = judgement.enforced(&facts).unwrap();
    let members = record::decision(&event, &Redaction::default(), then());
    assert!(members.as_str().contains(r#""shadow":false,"tenant":"red","method":"POST""#));
}

proptest! {
    #[test]
    fn every_record_is_one_bounded_line_of_json(
        path in "/[ -~é\u{1b}\n]{0,9000}", name in "\\PC{0,3000}", host in "\\PC{0,3000}",
    ) {
        let (method, headers) = (http::Method::POST, http::HeaderMap::new());
        let uri = http::Uri::from_static("https://h/");
        let mut head = RequestHead::from_pieces(&method, &uri, &headers, &host);
        head.path = &path;
        let (mut peer, mut metadata) = (peer(), Metadata::default());
        metadata.set_tenant(Tenant::new(&"a".repeat(128)).unwrap()).unwrap();
        let certificate = peer.session.as_mut().unwrap().certificate.as_mut().unwrap();
        certificate.uris = [name.as_str().into()].into();
        let (rules, name) = (deny(), name.repeat(3));
        let facts = Facts::request(&head, &metadata, Some(&peer));
        let judgement = rules.judge(&facts).by(&name);
        let event = judgement.enforced(&facts).unwrap();
        let members = record::decision(&event, &Redaction::default(), then());
        let line = format!("{{{}}}", members.as_str());
        // As much as a chain adds.
        prop_assert!(line.len() + 400 <= MAX_RECORD, "{}", line.len());
        prop_assert!(!line.contains(char::is_control));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(&value["authorized"], &serde_json::Value::Bool(false));
    }
}
