//! `retry`: when the requests of a route are sent again.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::envoy::config::route::v3::RetryPolicy;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, UInt32Value, Value};
use mesh_core::retry::{Conditions, Methods, OfRetries};

use super::cursor::Cursor;
use super::service::proto_duration;
use crate::file::error::FileError;
use crate::parse::MESH_RETRY;

/// When requests are sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Retry {
    on: Conditions,
    times: u32,
    attempt_timeout: Option<Duration>,
    of_retries: OfRetries,
    methods: Methods,
}

impl Retry {
    pub(super) fn read(cursor: &Cursor<'_>) -> Result<Self, FileError> {
        let known = ["on", "times", "attempt_timeout", "of_retries", "methods"];
        let fields = cursor.fields(&known)?;
        let times = fields.get("times").map(|times| match times.number(MAX_TIMES)? {
            0 => Err(times.mismatch(&format!("a number from 1 to {MAX_TIMES}"))),
            number => Ok(number),
        });
        let timeout = fields.get("attempt_timeout").map(|timeout| timeout.duration());
        let of_retries = fields.get("of_retries").map(|it| it.choice(OF_RETRIES));
        let methods = fields.get("methods").map(|it| it.choice(METHODS));
        Ok(Self {
            on: conditions(&fields.required("on")?)?,
            times: times.transpose()?.unwrap_or(1),
            attempt_timeout: timeout.transpose()?,
            of_retries: of_retries.transpose()?.unwrap_or_default(),
            methods: methods.transpose()?.unwrap_or(Methods::Idempotent),
        })
    }

    pub(super) fn policy(&self) -> RetryPolicy {
        RetryPolicy {
            retry_on: self.on.to_string(),
            num_retries: Some(UInt32Value { value: self.times }),
            per_try_timeout: self.attempt_timeout.map(proto_duration),
            ..Default::default()
        }
    }

    /// What of it has no field in xDS.
    pub(super) fn metadata(&self) -> Option<Metadata> {
        let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
        let mut fields = std::collections::HashMap::new();
        if self.of_retries == OfRetries::Once {
            fields.insert("of_retries".to_owned(), text("once"));
        }
        if self.methods == Methods::Idempotent {
            fields.insert("methods".to_owned(), text("idempotent"));
        }
        (!fields.is_empty()).then(|| Metadata {
            filter_metadata: [(MESH_RETRY.to_owned(), Struct { fields })].into(),
            ..Default::default()
        })
    }
}

/// One condition, or several.
fn conditions(cursor: &Cursor<'_>) -> Result<Conditions, FileError> {
    let words: Vec<_> =
        Conditions::all().map(|condition| (condition.to_string(), condition)).collect();
    let words: Vec<_> = words.iter().map(|(word, condition)| (&**word, *condition)).collect();
    if cursor.is_text() {
        return cursor.choice(&words);
    }
    let mut all = Conditions::NONE;
    for item in cursor.items()? {
        all = all | item.choice(&words)?;
    }
    match all.is_empty() {
        true => Err(cursor.mismatch("at least one condition")),
        false => Ok(all),
    }
}

const OF_RETRIES: &[(&str, OfRetries)] = &[("retry", OfRetries::Retry), ("once", OfRetries::Once)];

const METHODS: &[(&str, Methods)] = &[("all", Methods::All), ("idempotent", Methods::Idempotent)];

/// More is a slip of the pen.
const MAX_TIMES: u32 = 100;
