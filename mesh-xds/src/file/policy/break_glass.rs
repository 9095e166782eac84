//! `BreakGlass`: a token that lets in, for a while, what policies refuse.

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::google::protobuf::{Any, StringValue};
use prost::Message as _;

use super::header::Header;
use super::text::filled;
use crate::file::cursor::{Cursor, Fields};
use crate::file::error::FileError;
use crate::file::resources::FileResource;
use crate::file::short::resource;

/// What the names of resources with tokens begin with.
pub(in crate::file) const PREFIX: &str = "break-glass/";

/// The token of `document` with these `fields`, as it is: whoever enforces policies verifies it.
/// `None` if it is for other workloads.
pub(super) fn read(
    header: &Header,
    (document, fields): (&Cursor<'_>, &Fields<'_>),
) -> Result<Option<FileResource>, FileError> {
    let spec = fields.required("spec")?.fields(&["token"])?;
    let token = filled(&spec.required("token")?)?.to_owned();
    let name = format!("{PREFIX}{}", header.name);
    let config = TypedExtensionConfig {
        name: name.clone(),
        typed_config: Some(Any {
            type_url: STRING.to_owned(),
            value: StringValue { value: token }.encode_to_vec(),
        }),
    };
    Ok(header.is_within.then(|| resource(name, document.origin(), &config)))
}

/// The token in an encoded resource.
#[cfg(feature = "ads")]
pub(in crate::file) fn token(resource: &FileResource) -> Option<String> {
    let config = TypedExtensionConfig::decode(&*resource.value).ok()?;
    let any = config.typed_config.filter(|any| any.type_url == STRING)?;
    StringValue::decode(&*any.value).ok().map(|token| token.value)
}

const STRING: &str = "type.googleapis.com/google.protobuf.StringValue";
