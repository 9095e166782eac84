//! Roles: what they may do, and who has them.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::rbac::v3 as pb;

use crate::file::cursor::Cursor;
use crate::file::diagnose::similar;
use crate::file::error::{FileError, Why};
use crate::file::policy;
use crate::parse::Workload;

/// Roles by their names.
#[derive(Debug, Default)]
pub(super) struct Roles(BTreeMap<String, Role>);

/// Permissions, and those who have them.
#[derive(Debug, Default)]
struct Role {
    permissions: Vec<pb::Permission>,
    principals: Vec<pb::Principal>,
}

impl Roles {
    /// What `roles` and `bindings` of a document say: lists of permissions, and of principals, by
    /// role.
    pub(super) fn read(
        roles: Option<&Cursor<'_>>,
        bindings: Option<&Cursor<'_>>,
        workload: &Workload,
    ) -> Result<Self, FileError> {
        let mut read = Self::default();
        for (name, cursor) in roles.map_or(Ok(Vec::new()), |roles| roles.entries())? {
            let permissions = policy::filled(&cursor)?;
            let permissions = permissions.iter().map(policy::short_permission);
            let permissions = permissions.collect::<Result<_, _>>()?;
            read.0.insert(name.to_owned(), Role { permissions, ..Role::default() });
        }
        for (name, cursor) in bindings.map_or(Ok(Vec::new()), |bindings| bindings.entries())? {
            let principals = policy::filled(&cursor)?;
            let principals = principals.iter().map(|it| policy::short_principal(it, workload));
            let principals = principals.collect::<Result<_, _>>()?;
            match read.0.get_mut(name) {
                Some(role) => role.principals = principals,
                None => return Err(cursor.fail_key(read.unknown(name))),
            }
        }
        Ok(read)
    }

    /// A policy for each role in the list at `cursor`.
    pub(super) fn granted(
        &self,
        cursor: &Cursor<'_>,
    ) -> Result<BTreeMap<String, pb::Policy>, FileError> {
        let mut granted = BTreeMap::new();
        for item in policy::filled(cursor)? {
            let name = item.text()?;
            let role = self.0.get(name).ok_or_else(|| item.fail(self.unknown(name)))?;
            if role.principals.is_empty() {
                return Err(item.invalid("nobody has this role: `bindings` says who"));
            }
            let policy = pb::Policy {
                permissions: role.permissions.clone(),
                principals: role.principals.clone(),
                ..Default::default()
            };
            granted.insert(format!("role[{name}]"), policy);
        }
        Ok(granted)
    }

    fn unknown(&self, name: &str) -> Why {
        let suggestion = similar(name, self.0.keys().cloned());
        Why::UnknownValue { name: name.to_owned(), suggestion }
    }
}
