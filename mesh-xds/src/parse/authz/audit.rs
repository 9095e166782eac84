//! When decisions are audited, and by whom (gRFC A59).

use std::fmt;
use std::sync::Arc;

use envoy_types::pb::envoy::config::rbac::v3::rbac::AuditLoggingOptions;
use envoy_types::pb::envoy::config::rbac::v3::rbac::audit_logging_options::{
    AuditCondition as Condition, AuditLoggerConfig as Message,
};
use mesh_core::authz::{
    AuditCondition, AuditLogger, AuditLoggerConfig, AuditLoggerFactory, AuditLoggers, Observer,
};
use mesh_core::metadata::Fields;
use rustc_hash::FxHashMap;

use crate::audit::StdoutFactory;
use crate::parse::value::unpack;
use crate::parse::{Path, Reject};
use crate::proto::TypedStruct;
use crate::proto::fields;

/// Who is told of the decisions of filters: an observer of all of them, and the loggers that rules
/// may name.
///
/// `envoy.extensions.rbac.audit_loggers.stream.v3.StdoutAuditLog` is known from the start.
#[derive(Clone)]
pub struct Auditing {
    observer: Option<Arc<dyn Observer>>,
    loggers: FxHashMap<Box<str>, Arc<dyn AuditLoggerFactory>>,
}

impl Auditing {
    /// The same, with all decisions told to `observer`. Default: to nobody.
    #[must_use]
    pub fn observed(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// The same, with one more kind of logger that rules may name. Of two for one type the last
    /// counts.
    #[must_use]
    pub fn logger(mut self, factory: Arc<dyn AuditLoggerFactory>) -> Self {
        self.loggers.insert(message_name(factory.type_url()).into(), factory);
        self
    }

    pub(crate) fn observer(&self) -> Option<&Arc<dyn Observer>> {
        self.observer.as_ref()
    }

    /// The field `audit_logging_options` at `path`. A logger that is optional may be unknown, but
    /// not wrong.
    pub(super) fn options(
        &self,
        message: &AuditLoggingOptions,
        path: &Path<'_>,
    ) -> Result<(AuditCondition, AuditLoggers), Reject> {
        let mut loggers = Vec::new();
        for (at, config) in message.logger_configs.iter().enumerate() {
            let path = path.element("logger_configs", at);
            loggers.extend(self.build(config, &path.field("audit_logger"))?);
        }
        Ok((condition(message.audit_condition, path)?, loggers.into_iter().collect()))
    }

    fn build(
        &self,
        config: &Message,
        path: &Path<'_>,
    ) -> Result<Option<Arc<dyn AuditLogger>>, Reject> {
        let any = config.audit_logger.as_ref().and_then(|it| it.typed_config.as_ref());
        let Some(any) = any else {
            return optional(config, path, "a logger without typed_config");
        };
        let path = &path.field("typed_config");
        let content: Fields;
        let (type_url, settings) = match unpack::<TypedStruct>(any, path)? {
            Some(wrapper) => {
                content = wrapper.value.as_ref().map(fields).unwrap_or_default();
                (wrapper.type_url, AuditLoggerConfig::Struct(&content))
            }
            None => (any.type_url.clone(), AuditLoggerConfig::Message(&any.value)),
        };
        match self.loggers.get(message_name(&type_url)) {
            Some(factory) => factory.build(settings).map(Some).map_err(|why| path.reject(why)),
            None => optional(config, path, &type_url),
        }
    }
}

impl Default for Auditing {
    fn default() -> Self {
        let nothing = Self { observer: None, loggers: FxHashMap::default() };
        nothing.logger(Arc::new(StdoutFactory))
    }
}

impl fmt::Debug for Auditing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Auditing");
        debug.field("observed", &self.observer.is_some()).finish_non_exhaustive()
    }
}

/// Nothing, if it may be left out.
fn optional(
    config: &Message,
    path: &Path<'_>,
    kind: &str,
) -> Result<Option<Arc<dyn AuditLogger>>, Reject> {
    if config.is_optional {
        return Ok(None);
    }
    Err(path.reject(format_args!("{kind} is not supported")))
}

fn condition(number: i32, path: &Path<'_>) -> Result<AuditCondition, Reject> {
    match Condition::try_from(number) {
        Ok(Condition::None) => Ok(AuditCondition::None),
        Ok(Condition::OnDeny) => Ok(AuditCondition::OnDeny),
        Ok(Condition::OnAllow) => Ok(AuditCondition::OnAllow),
        Ok(Condition::OnDenyAndAllow) => Ok(AuditCondition::OnDenyAndAllow),
        Err(_) => Err(path.field("audit_condition").reject("is unknown")),
    }
}

fn message_name(type_url: &str) -> &str {
    type_url.rsplit_once('/').map_or(type_url, |(_, name)| name)
}
