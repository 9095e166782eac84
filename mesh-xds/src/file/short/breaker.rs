//! `breaker`: when an endpoint is left alone because of its own answers.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};

use super::cursor::Cursor;
use crate::file::error::FileError;
use crate::parse::MESH_BREAKER;

/// When an endpoint is left alone, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Breaker {
    numbers: Vec<(&'static str, u32)>,
    durations: Vec<(&'static str, Duration)>,
}

impl Breaker {
    pub(super) fn read(cursor: &Cursor<'_>) -> Result<Self, FileError> {
        let known =
            ["consecutive", "failure_percent", "min_requests", "window", "wait", "max_wait"];
        let fields = cursor.fields(&known)?;
        let mut breaker = Self::default();
        for (name, most) in
            [("consecutive", MOST), ("failure_percent", 100), ("min_requests", MOST)]
        {
            let Some(number) = fields.get(name) else { continue };
            match number.number(most)? {
                0 => return Err(number.mismatch(&format!("a number from 1 to {most}"))),
                value => breaker.numbers.push((name, value)),
            }
        }
        for name in ["window", "wait", "max_wait"] {
            let Some(duration) = fields.get(name) else { continue };
            match duration.duration()? {
                short if short < LEAST => return Err(duration.invalid("below a millisecond")),
                value => breaker.durations.push((name, value)),
            }
        }
        if !breaker.numbers.iter().any(|(name, _)| *name != "min_requests") {
            return Err(cursor.invalid("either `consecutive` or `failure_percent` is needed"));
        }
        let of = |name| breaker.durations.iter().find(|(known, _)| *known == name);
        let wait = of("wait").map_or(WAIT, |(_, wait)| *wait);
        let max_wait = of("max_wait").map_or(MAX_WAIT, |(_, wait)| *wait);
        if max_wait < wait {
            return Err(
                cursor.invalid("`max_wait`, 30s by default, is below `wait`, 1s by default")
            );
        }
        Ok(breaker)
    }

    /// What clusters say of it, for which xDS has no field.
    pub(super) fn metadata(&self) -> Metadata {
        let number = |number| Value { kind: Some(Kind::NumberValue(number)) };
        let numbers = self.numbers.iter().map(|(name, value)| (*name, f64::from(*value)));
        let durations = self.durations.iter().map(|(name, value)| (*name, value.as_secs_f64()));
        let fields = numbers.chain(durations);
        let fields = fields.map(|(name, value)| (name.to_owned(), number(value))).collect();
        Metadata {
            filter_metadata: [(MESH_BREAKER.to_owned(), Struct { fields })].into(),
            ..Default::default()
        }
    }
}

/// As many as are counted.
const MOST: u32 = 500_000;

/// Breakers count time in milliseconds.
const LEAST: Duration = Duration::from_millis(1);

const WAIT: Duration = Duration::from_secs(1);

const MAX_WAIT: Duration = Duration::from_secs(30);
