//! Policies as Kubernetes writes them, in the groups `security.mesh.io` and `security.istio.io`.
//!
//! ```text
//! document ─► Header: kind, name, namespace ─┬─ AuthorizationPolicy ─► RBAC rules, by action
//!             Workload: is it for us?        └─ PeerAuthentication ─► which TLS servers speak
//! ```
//!
//! They mean what Istio documents. What would widen a policy by accident is an error: a list that
//! is empty, a `*` in the middle of a value, a namespace or a label of a workload that is not known.
//! The rules become resources of type `TypedExtensionConfig` that hold Envoy's RBAC filter, called
//! `authorization/deny`, `authorization/allow` and `authorization/audit`, which every server of the
//! mesh enforces before (or, since conditions may ask for what a token says, right after the
//! filters that verify tokens) the filters of its listener, wherever that comes from.

mod authorization;
mod break_glass;
mod claims;
mod compiled;
mod header;
mod lint;
mod list;
mod operation;
mod peer;
mod short;
mod source;
mod term;
#[cfg(test)]
mod tests;
mod text;
mod when;
mod workload;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use self::authorization::AuthorizationPolicy;
use self::header::{Header, Kind};
use self::peer::PeerAuthentication;
use super::cursor::Cursor;
use super::error::{FileError, Origin, Why};
use super::resources::FileResource;
use super::tree::Node;
use crate::parse::Workload;

pub(super) use self::break_glass::PREFIX as BREAK_GLASS;
#[cfg(feature = "ads")]
pub(super) use self::break_glass::token;
pub(super) use self::compiled::PREFIX;
pub(super) use self::header::is_policy;
pub(super) use self::lint::is_everything;
pub(super) use self::list::filled;
pub(super) use self::peer::Mode;
pub(super) use self::short::{short_permission, short_principal, short_rule};
pub(super) use self::workload::workload;

/// The policies of a set of files.
#[derive(Debug, Default)]
pub(super) struct Policies {
    workload: Workload,
    authorization: Vec<AuthorizationPolicy>,
    peers: Vec<PeerAuthentication>,
    tokens: Vec<FileResource>,
    /// Where each is, by kind, namespace and name.
    origins: HashMap<(&'static str, String), Origin>,
}

impl Policies {
    /// No policies yet, for `workload`.
    pub(super) fn new(workload: Workload) -> Self {
        Self { workload, ..Self::default() }
    }

    /// Adds the policy, or the list of policies, in `node`.
    pub(super) fn add(&mut self, node: &Node, file: &Arc<Path>) -> Vec<FileError> {
        self.document(&Cursor::root(node, file))
    }

    fn document(&mut self, document: &Cursor<'_>) -> Vec<FileError> {
        let (kind, fields) = match header::kind(document) {
            Ok(read) => read,
            Err(error) => return vec![error],
        };
        if kind == Kind::List {
            return match fields.required("items").and_then(|items| items.items()) {
                Ok(items) => items.iter().flat_map(|item| self.document(item)).collect(),
                Err(error) => vec![error],
            };
        }
        let header = Header::read(kind, &fields, &self.workload);
        let read = header.and_then(|header| self.policy(&header, (document, &fields)));
        read.err().into_iter().collect()
    }

    fn policy(
        &mut self,
        header: &Header,
        at: (&Cursor<'_>, &super::cursor::Fields<'_>),
    ) -> Result<(), FileError> {
        let kind = match header.kind {
            Kind::AuthorizationPolicy => "AuthorizationPolicy",
            Kind::BreakGlass => "BreakGlass",
            Kind::PeerAuthentication | Kind::List => "PeerAuthentication",
        };
        let name = format!("{}/{}", header.namespace, header.name);
        if let Some(first) = self.origins.insert((kind, name.clone()), at.0.origin()) {
            let type_name = kind.to_owned();
            return Err(at.0.fail_key(Why::Duplicate { type_name, name, first }));
        }
        match header.kind {
            Kind::AuthorizationPolicy => {
                let policy = AuthorizationPolicy::read(header, at, &self.workload)?;
                self.authorization.extend(policy);
            }
            Kind::BreakGlass => self.tokens.extend(break_glass::read(header, at)?),
            Kind::PeerAuthentication | Kind::List => {
                if let Some(policy) = PeerAuthentication::read(header, at, &self.workload)? {
                    self.add_peer(policy, at.0)?;
                }
            }
        }
        Ok(())
    }

    /// Of two for the same workloads nobody could say which counts.
    fn add_peer(
        &mut self,
        policy: PeerAuthentication,
        document: &Cursor<'_>,
    ) -> Result<(), FileError> {
        let other = self.peers.iter().find(|other| other.level() == policy.level());
        if let Some(other) = other {
            let why = format!("is for the same workloads as the one at {}", other.origin());
            return Err(document.fail_key(Why::Invalid(why)));
        }
        self.peers.push(policy);
        Ok(())
    }

    /// The workload that they are for.
    pub(super) fn workload(&self) -> &Workload {
        &self.workload
    }

    /// What they say of connections to `port`; `None` if nothing.
    pub(super) fn mode(&self, port: Option<u16>) -> Option<Mode> {
        peer::decided(&self.peers, port.map(u32::from))
    }

    /// Where the rules are, by the names that decisions call them.
    pub(super) fn rules(&self) -> BTreeMap<String, Origin> {
        let rules = self.authorization.iter().flat_map(|policy| &policy.rules);
        let denials = peer::denials(&self.peers);
        let denials = denials.into_iter().map(|(name, origin, _)| (name, origin));
        rules.map(|rule| (rule.name.clone(), rule.origin.clone())).chain(denials).collect()
    }

    /// What is probably not meant.
    pub(super) fn lint(&self) -> Vec<super::notes::Note> {
        lint::lint(&self.authorization)
    }

    /// The resources that they stand for.
    pub(super) fn resources(&self) -> Vec<FileResource> {
        let mut resources = compiled::compile(&self.authorization, &self.peers);
        resources.extend_from_slice(&self.tokens);
        resources
    }
}
