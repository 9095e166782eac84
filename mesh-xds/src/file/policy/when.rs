//! `when`: further conditions, on who it is or on what is done.

use envoy_types::pb::envoy::config::rbac::v3::permission::Rule;
use envoy_types::pb::envoy::config::rbac::v3::principal::Identifier;
use envoy_types::pb::envoy::config::rbac::v3::{Permission, Principal};
use envoy_types::pb::envoy::r#type::matcher::v3::value_matcher::MatchPattern;
use mesh_core::matcher::Field;
use mesh_core::tenant::{NAME, NAMESPACE};

use super::list::{List, Pair};
use super::operation::to_port;
use super::source::{Place, block, namespace, principal};
use super::term::{Term, identify, permit};
use super::text::{Case, Form, filled, range};
use super::{claims, list};
use crate::file::cursor::{Cursor, Fields};
use crate::file::diagnose::similar;
use crate::file::error::{FileError, Why};

/// Conditions, by what they are on.
#[derive(Default)]
pub(super) struct When {
    pub(super) principals: Vec<Principal>,
    pub(super) permissions: Vec<Permission>,
}

/// The conditions in the list at `cursor`.
pub(super) fn when(cursor: &Cursor<'_>, place: Place<'_>) -> Result<When, FileError> {
    let mut when = When::default();
    for item in list::filled(cursor)? {
        condition(&item, place, &mut when)?;
    }
    Ok(when)
}

fn condition(cursor: &Cursor<'_>, place: Place<'_>, into: &mut When) -> Result<(), FileError> {
    let fields = cursor.fields(&["key", "values", "notValues"])?;
    if fields.entry("values").or_else(|| fields.entry("notValues")).is_none() {
        return Err(cursor.invalid("needs `values` or `notValues`"));
    }
    let at = fields.required("key")?;
    let key = filled(&at)?;
    let who = &mut into.principals;
    match key {
        "source.ip" | "remote.ip" => read(&fields, who, &block),
        "source.namespace" => read(&fields, who, &namespace),
        "source.principal" => read(&fields, who, &|it| principal(it, place.workload)),
        "request.auth.principal" => read(&fields, who, &claims::principal),
        "request.auth.audiences" => read(&fields, who, &|it| claims::claim(&["aud"], it)),
        "request.auth.presenter" => read(&fields, who, &|it| claims::claim(&["azp"], it)),
        "tenant" => read(&fields, who, &tenant),
        "destination.ip" => read(&fields, &mut into.permissions, &|it| {
            range(it).map(|range| permit(Rule::DestinationIp(range)))
        }),
        "destination.port" => read(&fields, &mut into.permissions, &to_port),
        "connection.sni" => read(&fields, &mut into.permissions, &|it| {
            let matcher = Form::read(it)?.matcher(Case::Matters);
            Ok(permit(Rule::RequestedServerName(matcher)))
        }),
        _ => bracketed(key, &at, &fields, into),
    }
}

/// Keys that name something: `request.headers[NAME]` and the like.
fn bracketed(
    key: &str,
    at: &Cursor<'_>,
    fields: &Fields<'_>,
    into: &mut When,
) -> Result<(), FileError> {
    let Some((base, names)) = key.split_once('[') else { return Err(unknown(key, at)) };
    let names = names.strip_suffix(']').map(|names| names.split("][").collect::<Vec<_>>());
    let is_name = |name: &&str| !name.is_empty() && !name.contains(['[', ']']);
    let names = names.filter(|names| names.iter().all(is_name));
    let names = names.ok_or_else(|| at.invalid("expected a name in brackets"))?;
    match (base, &*names) {
        ("request.auth.claims", path) => {
            read(fields, &mut into.principals, &|it| claims::claim(path, it))
        }
        ("request.headers", [name]) => {
            let lower = name.to_ascii_lowercase();
            if lower.starts_with("grpc-") || lower == ":scheme" {
                return Err(at.invalid(format!("{name:?} may not be matched")));
            }
            Field::new(&lower).map_err(|why| at.invalid(why.to_string()))?;
            read(fields, &mut into.principals, &|it| {
                Ok(identify(Identifier::Header(Form::read(it)?.header(name, Case::Matters))))
            })
        }
        (_, [name]) if base.starts_with(EXPERIMENTAL) => {
            let namespace = base.strip_prefix("experimental.").unwrap_or(base);
            read(fields, &mut into.permissions, &|it| metadata(namespace, name, it))
        }
        _ => Err(unknown(key, at)),
    }
}

/// Whose the request is, as the mesh has found out.
fn tenant(cursor: &Cursor<'_>) -> Result<Principal, FileError> {
    let matcher = Form::read(cursor)?.matcher(Case::Matters);
    let value = claims::value(MatchPattern::StringMatch(matcher));
    Ok(Principal::metadata(claims::metadata(NAMESPACE, &[NAME], value)))
}

/// What a filter has said of the request: a text, or, with `[value]`, a list with it.
fn metadata(namespace: &str, key: &str, cursor: &Cursor<'_>) -> Result<Permission, FileError> {
    let text = filled(cursor)?;
    let value = match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some("") => return Err(cursor.invalid("may not be empty")),
        Some(text) => claims::listed(Form::of(text).matcher(Case::Matters)),
        None => {
            let matcher = Form::read(cursor)?.matcher(Case::Matters);
            claims::value(MatchPattern::StringMatch(matcher))
        }
    };
    Ok(Permission::metadata(claims::metadata(namespace, &[key], value)))
}

fn read<'n, T: Term>(
    fields: &Fields<'n>,
    into: &mut Vec<T>,
    value: &dyn Fn(&Cursor<'n>) -> Result<T, FileError>,
) -> Result<(), FileError> {
    List { fields, terms: into }.read(Pair("values", "notValues"), value)
}

fn unknown(key: &str, at: &Cursor<'_>) -> FileError {
    let suggestion = similar(key, KEYS.iter().map(|key| (*key).to_owned()));
    at.fail(Why::UnknownValue { name: key.to_owned(), suggestion })
}

const EXPERIMENTAL: &str = "experimental.envoy.filters.";
const KEYS: &[&str] = &[
    "connection.sni",
    "destination.ip",
    "destination.port",
    "remote.ip",
    "request.auth.audiences",
    "request.auth.claims[NAME]",
    "request.auth.presenter",
    "request.auth.principal",
    "request.headers[NAME]",
    "source.ip",
    "source.namespace",
    "source.principal",
    "tenant",
];
