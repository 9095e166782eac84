//! What the routes of servers change about header fields. Clients leave them alone, as gRPC does.

use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use mesh_core::route::{FieldChanges, FieldRules};

use crate::parse::field_name::writable;
use crate::parse::new_field::new_fields;
use crate::parse::{Path, Reject};

/// The fields of one level: a route, a virtual host, or all of a route configuration.
#[derive(Clone, Copy)]
pub(super) struct Level<'a> {
    pub(super) request_add: &'a [HeaderValueOption],
    pub(super) request_remove: &'a [String],
    pub(super) response_add: &'a [HeaderValueOption],
    pub(super) response_remove: &'a [String],
}

/// `level!(message)`: its fields, which have the same names in all messages.
macro_rules! level {
    ($message:expr) => {
        $crate::parse::route::fields::Level {
            request_add: &$message.request_headers_to_add,
            request_remove: &$message.request_headers_to_remove,
            response_add: &$message.response_headers_to_add,
            response_remove: &$message.response_headers_to_remove,
        }
    };
}
pub(super) use level;

/// Adds what `level` at `path` changes, after what is in `rules`.
pub(super) fn extend(
    rules: &mut FieldRules,
    level: Level<'_>,
    path: &Path<'_>,
) -> Result<(), Reject> {
    let request = FieldChanges {
        remove: removed(level.request_remove, "request_headers_to_remove", path)?,
        add: new_fields(level.request_add, "request_headers_to_add", path)?,
    };
    let response = FieldChanges {
        remove: removed(level.response_remove, "response_headers_to_remove", path)?,
        add: new_fields(level.response_add, "response_headers_to_add", path)?,
    };
    rules.request.extend((!request.is_empty()).then_some(request));
    rules.response.extend((!response.is_empty()).then_some(response));
    Ok(())
}

fn removed(
    names: &[String],
    field: &str,
    path: &Path<'_>,
) -> Result<Vec<http::HeaderName>, Reject> {
    let names = names.iter().enumerate();
    names.map(|(at, name)| writable(name, &path.element(field, at))).collect()
}
