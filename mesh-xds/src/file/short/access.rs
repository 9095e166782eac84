//! Who may do what at a server: `allow`, `deny` and `roles`.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::rbac::v3 as pb;
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::Rbac;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;

use super::roles::Roles;
use super::service::any;
use crate::file::cursor::{Cursor, Fields};
use crate::file::error::FileError;
use crate::file::policy;
use crate::parse::Workload;

/// The filters that enforce what `fields` of a server say: first what is denied.
///
/// Without `allow` and `roles`, everything is allowed that is not denied; with them, nothing else
/// is.
pub(super) fn filters(
    fields: &Fields<'_>,
    roles: &Roles,
    workload: &Workload,
) -> Result<Vec<hcm::HttpFilter>, FileError> {
    let mut filters = Vec::new();
    if let Some(deny) = fields.entry("deny") {
        let rules = rules(&deny, "deny", workload)?;
        filters.push(filter("deny", pb::rbac::Action::Deny, rules));
    }
    let allow = fields.entry("allow").map(|it| rules(&it, "allow", workload)).transpose()?;
    let granted = fields.entry("roles").map(|it| roles.granted(&it)).transpose()?;
    if allow.is_some() || granted.is_some() {
        let mut rules = allow.unwrap_or_default();
        rules.extend(granted.unwrap_or_default());
        filters.push(filter("allow", pb::rbac::Action::Allow, rules));
    }
    Ok(filters)
}

fn filter(
    name: &str,
    action: pb::rbac::Action,
    policies: BTreeMap<String, pb::Policy>,
) -> hcm::HttpFilter {
    let policies = policies.into_iter().collect();
    let rules = Some(pb::Rbac { action: action.into(), policies, ..Default::default() });
    let config = any(&Rbac { rules, ..Default::default() });
    hcm::HttpFilter {
        name: name.to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    }
}

fn rules(
    cursor: &Cursor<'_>,
    name: &str,
    workload: &Workload,
) -> Result<BTreeMap<String, pb::Policy>, FileError> {
    let mut rules = BTreeMap::new();
    for (at, item) in cursor.items()?.iter().enumerate() {
        rules.insert(format!("{name}[{at}]"), policy::short_rule(item, workload)?);
    }
    Ok(rules)
}
