//! `from.source`: who it is.

use envoy_types::pb::envoy::config::rbac::v3::Principal;
use envoy_types::pb::envoy::r#type::matcher::v3::StringMatcher;

use super::claims;
use super::list::{List, Pair};
use super::term::{Term, from_range, named};
use super::text::{Case, Form, filled, range, regex};
use crate::file::cursor::Cursor;
use crate::file::error::FileError;
use crate::parse::Workload;

/// What sources are read against.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) workload: &'a Workload,
    /// The namespace of the policy.
    pub(super) namespace: &'a str,
}

/// The principal that the mapping at `cursor` describes.
pub(super) fn source(cursor: &Cursor<'_>, place: Place<'_>) -> Result<Principal, FileError> {
    let fields = cursor.fields(FIELDS)?;
    if fields.is_empty() {
        return Err(cursor.invalid("says nothing: everybody is meant by no `from` at all"));
    }
    for other in ["principals", "notPrincipals", "namespaces", "notNamespaces"] {
        if fields.entry(other).is_some()
            && let Some(accounts) =
                fields.entry("serviceAccounts").or_else(|| fields.entry("notServiceAccounts"))
        {
            let why = format!("excludes `{other}`, which is in the service account already");
            return Err(accounts.invalid(why));
        }
    }
    let mut terms = Vec::new();
    let mut list = List { fields: &fields, terms: &mut terms };
    let names = |value: &Cursor<'_>| principal(value, place.workload);
    list.read(Pair("principals", "notPrincipals"), &names)?;
    list.read(Pair("requestPrincipals", "notRequestPrincipals"), &claims::principal)?;
    list.read(Pair("namespaces", "notNamespaces"), &namespace)?;
    let accounts = |value: &Cursor<'_>| service_account(value, place.namespace);
    list.read(Pair("serviceAccounts", "notServiceAccounts"), &accounts)?;
    list.read(Pair("remoteIpBlocks", "notRemoteIpBlocks"), &block)?;
    list.read(Pair("ipBlocks", "notIpBlocks"), &block)?;
    Ok(Principal::all(terms))
}

/// A peer's name without `spiffe://`, as Istio writes it, or with it.
pub(super) fn principal(cursor: &Cursor<'_>, workload: &Workload) -> Result<Principal, FileError> {
    let form = Form::read(cursor)?;
    let strip = |text| str::strip_prefix(text, SCHEME).unwrap_or(text);
    let matchers: Vec<StringMatcher> = match form {
        Form::Present => vec![form.matcher(Case::Matters)],
        // A name that ends so, in any trust domain.
        Form::Suffix(text) => vec![regex(format!("{SCHEME}.*{}", regex::escape(text)))],
        Form::Exact(text) => {
            let each = |name: &String| Form::Exact(name).matcher(Case::Matters);
            in_domains(strip(text), workload).iter().map(each).collect()
        }
        Form::Prefix(text) => {
            let each = |name: &String| Form::Prefix(name).matcher(Case::Matters);
            in_domains(strip(text), workload).iter().map(each).collect()
        }
    };
    Ok(Principal::any(matchers.into_iter().map(named).collect()))
}

/// The names that `name` stands for in each of the trust domains that its own stands for.
fn in_domains(name: &str, workload: &Workload) -> Vec<String> {
    match name.split_once('/') {
        Some((domain, rest)) => {
            let each = |domain: &str| format!("{SCHEME}{domain}/{rest}");
            workload.domains(domain).into_iter().map(each).collect()
        }
        // The trust domain itself is cut short.
        None => vec![format!("{SCHEME}{name}")],
    }
}

/// Whoever is in a namespace, in which any `*` stands for anything, as in Istio.
pub(super) fn namespace(cursor: &Cursor<'_>) -> Result<Principal, FileError> {
    let parts: Vec<String> = filled(cursor)?.split('*').map(regex::escape).collect();
    Ok(named(regex(format!(".*/ns/{}/.*", parts.join(".*")))))
}

/// `NAME` or `NAMESPACE/NAME`.
fn service_account(cursor: &Cursor<'_>, namespace: &str) -> Result<Principal, FileError> {
    let text = filled(cursor)?;
    let (namespace, name) = text.split_once('/').unwrap_or((namespace, text));
    let is_name = |it: &str| !it.is_empty() && !it.contains(['/', '*']);
    if !is_name(namespace) || !is_name(name) || text.len() > MAX_ACCOUNT {
        return Err(cursor.invalid("a service account is `name` or `namespace/name`, without `*`"));
    }
    let (namespace, name) = (regex::escape(namespace), regex::escape(name));
    // Other parts may stand between the two and after them.
    Ok(named(regex(format!("{SCHEME}.+/ns/{namespace}/(.+/|)sa/{name}(/.+)?"))))
}

pub(super) fn block(cursor: &Cursor<'_>) -> Result<Principal, FileError> {
    range(cursor).map(from_range)
}

const SCHEME: &str = "spiffe://";
const MAX_ACCOUNT: usize = 320;
const FIELDS: &[&str] = &[
    "principals",
    "notPrincipals",
    "requestPrincipals",
    "notRequestPrincipals",
    "namespaces",
    "notNamespaces",
    "serviceAccounts",
    "notServiceAccounts",
    "ipBlocks",
    "notIpBlocks",
    "remoteIpBlocks",
    "notRemoteIpBlocks",
];
