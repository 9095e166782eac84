//! The member `tenants` of the short form: what says whose requests are.

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::google::protobuf::StringValue;
#[cfg(feature = "ads")]
use mesh_core::filter::Tenancy;
use mesh_core::filter::TenantSource;
#[cfg(feature = "ads")]
use prost::Message as _;

use super::service::{any, resource};
use crate::file::cursor::{Cursor, Fields};
use crate::file::error::FileError;
use crate::file::resources::FileResource;

/// The name of the resource.
pub(in crate::file) const NAME: &str = "tenants";

/// What the mapping at `cursor` says, as a resource of one line for each source.
pub(super) fn compile(cursor: &Cursor<'_>) -> Result<FileResource, FileError> {
    let fields = cursor.fields(&["identity", "claim", "header", "required"])?;
    let mut lines = identities(&fields)?;
    if let Some(claim) = fields.get("claim") {
        lines.push(valid(format!("{CLAIM} {}", claim.text()?), &claim)?);
    }
    if let Some(header) = fields.get("header") {
        let own = header.fields(&["name", "from"])?;
        let from = texts(&own.required("from")?)?.into_iter().map(|(id, _)| id);
        let words: Vec<_> = [own.required("name")?.text()?].into_iter().chain(from).collect();
        lines.push(valid(format!("{HEADER} {}", words.join(" ")), &header)?);
    }
    if lines.is_empty() {
        return Err(cursor.invalid("needs `identity`, `claim` or `header`"));
    }
    if let Some(required) = fields.get("required")
        && !required.flag()?
    {
        lines.push(OPTIONAL.to_owned());
    }
    let value = StringValue { value: lines.join("\n") };
    let config = TypedExtensionConfig { name: NAME.to_owned(), typed_config: Some(any(&value)) };
    Ok(resource(NAME.to_owned(), cursor.origin(), &config))
}

fn identities(fields: &Fields<'_>) -> Result<Vec<String>, FileError> {
    let Some(identity) = fields.get("identity") else { return Ok(Vec::new()) };
    let each = texts(&identity)?.into_iter();
    each.map(|(text, cursor)| valid(format!("{IDENTITY} {text}"), &cursor)).collect()
}

/// One text, or several.
fn texts<'n>(cursor: &Cursor<'n>) -> Result<Vec<(&'n str, Cursor<'n>)>, FileError> {
    let all = if cursor.is_list() { cursor.items()? } else { vec![cursor.clone()] };
    all.into_iter().map(|it| Ok((it.text()?, it))).collect()
}

/// The line, if it says what it is meant to.
fn valid(line: String, cursor: &Cursor<'_>) -> Result<String, FileError> {
    if line.contains('\n') {
        return Err(cursor.invalid("is more than one line"));
    }
    match source(&line) {
        Ok(_) => Ok(line),
        Err(why) => Err(cursor.invalid(why)),
    }
}

fn source(line: &str) -> Result<TenantSource, String> {
    let (kind, text) = line.split_once(' ').unwrap_or((line, ""));
    let source = match kind {
        IDENTITY => TenantSource::identity(text),
        CLAIM => TenantSource::claim(text),
        HEADER => {
            let (name, trusted) = text.split_once(' ').unwrap_or((text, ""));
            TenantSource::header(name, trusted.split_whitespace())
        }
        other => return Err(format!("{other:?} is no source of tenants")),
    };
    source.map_err(|why| why.to_string())
}

/// What a resource made by [`compile`] says; `None` if it is none.
#[cfg(feature = "ads")]
pub(in crate::file) fn tenancy(resource: &FileResource) -> Option<Tenancy> {
    let config = TypedExtensionConfig::decode(&*resource.value).ok()?;
    let text = StringValue::decode(&*config.typed_config?.value).ok()?.value;
    let (optional, lines): (Vec<_>, Vec<_>) = text.lines().partition(|line| *line == OPTIONAL);
    let sources = lines.into_iter().map(source).collect::<Result<Vec<_>, _>>().ok()?;
    let tenancy = Tenancy::new(sources);
    Some(if optional.is_empty() { tenancy } else { tenancy.optional() })
}

const IDENTITY: &str = "identity";
const CLAIM: &str = "claim";
const HEADER: &str = "header";
const OPTIONAL: &str = "optional";
