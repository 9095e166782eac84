//! What the claims of a token let in, and when.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mesh_core::filter::BreakGlass;
use serde_json::{Map, Value};

use super::error::Invalid;
use crate::file::rules;
use crate::parse::Workload;

/// What `payload`, which was verified, lets in within `scope`.
pub(super) fn grant(
    payload: &str,
    (scope, workload): (&str, &Workload),
    now: (SystemTime, Instant),
) -> Result<BreakGlass, Invalid> {
    let malformed = Invalid::Malformed("its claims are not a JSON object");
    let Ok(Value::Object(claims)) = serde_json::from_str(payload) else { return Err(malformed) };
    if text(&claims, "aud")? != scope {
        return Err(Invalid::Scope);
    }
    let (holder, reason) = (text(&claims, "sub")?, text(&claims, "reason")?);
    let (from, until) = (time(&claims, "nbf")?, time(&claims, "exp")?);
    let length = until.checked_sub(from).filter(|length| !length.is_zero());
    if length.ok_or(Invalid::Claim("exp"))? > MAX_LENGTH {
        return Err(Invalid::TooLong);
    }
    let (wall, steady) = now;
    let wall = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let left = until.checked_sub(wall).filter(|left| !left.is_zero());
    let end = steady + left.ok_or(Invalid::Expired)?;
    let start = steady + from.saturating_sub(wall);
    let rules = claims.get("rules").ok_or(Invalid::Claim("rules"))?;
    let rules = rules::allowing(&rules.to_string(), workload);
    let rules = rules.map_err(|why| Invalid::Rules(why.to_string()))?;
    let title = format!("{holder}: {reason}");
    Ok(BreakGlass::new(title, Arc::new(rules), start..end))
}

/// A claim that is a text, which is not empty and fits on a line.
fn text<'c>(claims: &'c Map<String, Value>, name: &'static str) -> Result<&'c str, Invalid> {
    let is_line = |text: &&str| {
        !text.is_empty() && text.len() <= MAX_TEXT && !text.contains(char::is_control)
    };
    let text = claims.get(name).and_then(Value::as_str).filter(is_line);
    text.ok_or(Invalid::Claim(name))
}

/// A claim that is a time in seconds since 1970.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Duration, Invalid> {
    let seconds = claims.get(name).and_then(Value::as_u64);
    let seconds = seconds.filter(|seconds| *seconds <= MAX_TIME);
    seconds.map(Duration::from_secs).ok_or(Invalid::Claim(name))
}

const MAX_LENGTH: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_TEXT: usize = 256;
/// The year 9999.
const MAX_TIME: u64 = 253_402_300_799;
