//! Loggers that rules name.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use envoy_types::pb::envoy::config::rbac::v3::rbac::AuditLoggingOptions;
use envoy_types::pb::envoy::config::rbac::v3::rbac::audit_logging_options::AuditLoggerConfig as Config;
use envoy_types::pb::envoy::extensions::rbac::audit_loggers::stream::v3::StdoutAuditLog;
use envoy_types::pb::google::protobuf::{Struct, Value, value::Kind};
use mesh_core::authz::{
    AuditEvent, AuditLogger, AuditLoggerConfig, AuditLoggerFactory, Unrecorded,
};

use super::*;
use crate::parse::authz::Auditing;
use crate::proto::TypedStruct;

/// Counts the events of the loggers that it makes, which are called what their settings say.
#[derive(Default)]
struct Counting(Arc<AtomicUsize>);

#[derive(Debug)]
struct Counter(Arc<AtomicUsize>);

impl AuditLogger for Counter {
    fn log(&self, event: &AuditEvent<'_>) -> Result<(), Unrecorded> {
        assert!(event.decision.is_allowed());
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl AuditLoggerFactory for Counting {
    fn type_url(&self) -> &str {
        "x.test/test.Counting"
    }

    fn build(&self, config: AuditLoggerConfig<'_>) -> Result<Arc<dyn AuditLogger>, String> {
        let is_known = match config {
            AuditLoggerConfig::Message(bytes) => bytes == b"on",
            AuditLoggerConfig::Struct(fields) => fields.find("on").is_some(),
            _ => false,
        };
        if !is_known {
            return Err("on: is missing".into());
        }
        Ok(Arc::new(Counter(self.0.clone())))
    }
}

fn config(typed_config: Any, is_optional: bool) -> Config {
    let typed_config = Some(typed_config);
    let audit_logger = Some(core::TypedExtensionConfig { name: "x".into(), typed_config });
    Config { audit_logger, is_optional }
}

fn message(value: &[u8]) -> Any {
    Any { type_url: "type.googleapis.com/test.Counting".into(), value: value.to_vec() }
}

fn wrapped(type_url: &str, field: &str) -> Any {
    let value = Value { kind: Some(Kind::BoolValue(true)) };
    let value = Some(Struct { fields: [(field.to_owned(), value)].into() });
    packed(&TypedStruct { type_url: type_url.into(), value })
}

/// Rules that allow everything, always audited by the loggers that `logger_configs` describe.
fn audited(logger_configs: Vec<Config>, counting: Arc<Counting>) -> Result<Authorizer, String> {
    let mut rules = allowing(policy(Rule::Any(true), Identifier::Any(true)));
    let options = AuditLoggingOptions { audit_condition: 3, logger_configs };
    rules.audit_logging_options = Some(options);
    let factory = RbacFactory::new(Auditing::default().logger(counting));
    let settings = factory.parse(&filter(rules).encode_to_vec())?;
    Ok((*settings.downcast::<Authorizer>().unwrap()).clone())
}

#[test]
fn each_logger_that_rules_name_is_told() {
    let counting = Arc::new(Counting::default());
    let configs = vec![
        config(message(b"on"), false),
        config(wrapped("type.googleapis.com/test.Counting", "on"), false),
        config(packed(&StdoutAuditLog {}), true),
        config(Any { type_url: "x/unknown".into(), value: vec![] }, true),
        Config { audit_logger: None, is_optional: true },
    ];
    let rules = audited(configs[..2].to_vec(), counting.clone()).unwrap();
    let peer = Peer::default();
    let facts = Facts::connection(&peer);
    rules.report(&rules.judge(&facts), &facts, None).unwrap();
    assert_eq!(counting.0.load(Ordering::Relaxed), 2);
    assert!(audited(configs, counting).is_ok());
}

#[test]
fn the_standard_output_is_built_in() {
    let stdout = "type.googleapis.com/envoy.extensions.rbac.audit_loggers.stream.v3.StdoutAuditLog";
    for any in [packed(&StdoutAuditLog {}), wrapped(stdout, "x")] {
        assert!(audited(vec![config(any, false)], Arc::default()).is_ok());
    }
}

#[test]
fn unknown_and_wrong_loggers_are_refused_with_their_path() {
    let refused = |config: Config| audited(vec![config], Arc::default()).unwrap_err();
    let at = "rules.audit_logging_options.logger_configs[0].audit_logger";
    let unknown = || Any { type_url: "x/unknown".into(), value: vec![] };
    assert_eq!(
        refused(config(unknown(), false)),
        format!("{at}.typed_config: x/unknown is not supported")
    );
    assert_eq!(
        refused(config(wrapped("x/other", "on"), false)),
        format!("{at}.typed_config: x/other is not supported")
    );
    let nothing = Config { audit_logger: None, is_optional: false };
    assert_eq!(refused(nothing), format!("{at}: a logger without typed_config is not supported"));
    for any in [message(b"off"), wrapped("test.Counting", "off")] {
        // Being optional, a logger may be unknown, but not wrong.
        assert_eq!(refused(config(any, true)), format!("{at}.typed_config: on: is missing"));
    }
    let broken = Any { type_url: packed(&TypedStruct::default()).type_url, value: vec![0xff] };
    assert!(refused(config(broken, true)).starts_with(&format!("{at}.typed_config: ")));
}
