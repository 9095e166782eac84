//! Values that stand in many resources.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::{ConfigSource, TypedExtensionConfig};
use envoy_types::pb::google::protobuf;
use prost::{Message, Name};

use super::{Path, Reject};

/// A duration that is not negative.
pub(super) fn duration(value: protobuf::Duration, path: &Path<'_>) -> Result<Duration, Reject> {
    let seconds = u64::try_from(value.seconds).map_err(|_| path.reject("is negative"))?;
    // protobuf allows 10 000 years, and no more.
    if seconds > 315_576_000_000 {
        return Err(path.reject("is out of range"));
    }
    match u32::try_from(value.nanos) {
        Ok(nanos) if nanos < 1_000_000_000 => Ok(Duration::new(seconds, nanos)),
        Ok(_) => Err(path.reject("is out of range")),
        Err(_) => Err(path.reject("is negative")),
    }
}

/// A duration that is not negative, if there is one.
pub(super) fn optional_duration(
    value: Option<protobuf::Duration>,
    path: &Path<'_>,
) -> Result<Option<Duration>, Reject> {
    value.map(|value| duration(value, path)).transpose()
}

/// A duration above 0, if there is one.
pub(super) fn positive_duration(
    value: Option<protobuf::Duration>,
    path: &Path<'_>,
) -> Result<Option<Duration>, Reject> {
    match optional_duration(value, path)? {
        Some(Duration::ZERO) => Err(path.reject("is 0")),
        duration => Ok(duration),
    }
}

/// Refuses every source of configuration but the stream that the resource came on.
pub(super) fn same_stream(source: Option<&ConfigSource>, path: &Path<'_>) -> Result<(), Reject> {
    match source.and_then(|s| s.config_source_specifier.as_ref()) {
        Some(ConfigSourceSpecifier::Ads(_) | ConfigSourceSpecifier::Self_(_)) => Ok(()),
        _ => Err(path.reject("must be ads or self")),
    }
}

/// The message of type `M` in `any`, if that is what it says it is.
pub(super) fn unpack<M: Message + Name + Default>(
    any: &protobuf::Any,
    path: &Path<'_>,
) -> Result<Option<M>, Reject> {
    if !is_type::<M>(&any.type_url) {
        return Ok(None);
    }
    M::decode(&*any.value).map(Some).map_err(|e| path.reject(e))
}

/// Whether `type_url` names `M`. What stands before the last `/` does not matter.
pub(super) fn is_type<M: Name>(type_url: &str) -> bool {
    let name = type_url.rsplit_once('/').map_or(type_url, |(_, name)| name);
    name == M::full_name()
}

/// The configuration of an extension.
pub(super) fn typed_config<'a>(
    extension: Option<&'a TypedExtensionConfig>,
    path: &Path<'_>,
) -> Result<&'a protobuf::Any, Reject> {
    let any = extension.and_then(|e| e.typed_config.as_ref());
    any.ok_or_else(|| path.field("typed_config").reject("is required"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_bounds() {
        let parse = |seconds, nanos| {
            duration(protobuf::Duration { seconds, nanos }, &Path::root()).map_err(|r| r.why)
        };
        assert_eq!(parse(1, 5), Ok(Duration::new(1, 5)));
        for (seconds, nanos, why) in [
            (-1, 0, "is negative"),
            (0, -1, "is negative"),
            (0, 1_000_000_000, "is out of range"),
            (i64::MAX, 0, "is out of range"),
        ] {
            assert_eq!(parse(seconds, nanos), Err(why.into()));
        }
        let zero = Some(protobuf::Duration::default());
        assert_eq!(&*positive_duration(zero, &Path::root()).unwrap_err().why, "is 0");
    }
}
