//! Rules of the short form, whose keys are fewer and may stand for one value without a list.

use envoy_types::pb::envoy::config::rbac::v3::{Permission, Policy, Principal};

use super::list;
use super::operation::{host, method, path, to_port};
use super::source::{Place, block, namespace, principal};
use super::term::Term;
use super::when::{When, when};
use crate::file::cursor::{Cursor, Fields};
use crate::file::error::FileError;
use crate::parse::Workload;

/// The rule at `cursor`: all that it says must hold. One without anything matches everything.
pub(in crate::file) fn short_rule(
    cursor: &Cursor<'_>,
    workload: &Workload,
) -> Result<Policy, FileError> {
    let fields = cursor.fields(&[
        "from",
        "namespaces",
        "ips",
        "when",
        "methods",
        "paths",
        "hosts",
        "ports",
    ])?;
    let place = Place { workload, namespace: workload.namespace() };
    let conditions = fields.entry("when").map(|it| when(&it, place)).transpose()?;
    let When { mut principals, mut permissions } = conditions.unwrap_or_default();
    permissions.extend(permission_terms(&fields)?);
    principals.extend(one_of(&fields, "from", &|it| principal(it, workload))?);
    principals.extend(one_of(&fields, "namespaces", &namespace)?);
    principals.extend(one_of(&fields, "ips", &block)?);
    Ok(Policy {
        permissions: vec![Permission::all(permissions)],
        principals: vec![Principal::all(principals)],
        ..Default::default()
    })
}

/// A permission of a role.
pub(in crate::file) fn short_permission(cursor: &Cursor<'_>) -> Result<Permission, FileError> {
    let fields = cursor.fields(&["methods", "paths", "hosts", "ports"])?;
    permission_terms(&fields).map(Permission::all)
}

/// A principal that has a role.
pub(in crate::file) fn short_principal(
    cursor: &Cursor<'_>,
    workload: &Workload,
) -> Result<Principal, FileError> {
    principal(cursor, workload)
}

fn permission_terms(fields: &Fields<'_>) -> Result<Vec<Permission>, FileError> {
    let mut terms = Vec::new();
    terms.extend(one_of(fields, "methods", &method)?);
    terms.extend(one_of(fields, "paths", &path)?);
    terms.extend(one_of(fields, "hosts", &host)?);
    terms.extend(one_of(fields, "ports", &to_port)?);
    Ok(terms)
}

/// One of the values at `key` matches.
fn one_of<'n, T: Term>(
    fields: &Fields<'n>,
    key: &str,
    value: &dyn Fn(&Cursor<'n>) -> Result<T, FileError>,
) -> Result<Option<T>, FileError> {
    let Some(cursor) = fields.entry(key) else { return Ok(None) };
    if !cursor.is_list() {
        return value(&cursor).map(Some);
    }
    let each = list::filled(&cursor)?.iter().map(value).collect::<Result<_, _>>()?;
    Ok(Some(T::any(each)))
}
