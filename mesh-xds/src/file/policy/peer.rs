//! `PeerAuthentication`: whether clients must use mutual TLS.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::rbac::v3::permission::Rule;
use envoy_types::pb::envoy::config::rbac::v3::{Permission, Policy};

use super::header::{Header, Selected, selects};
use super::term::{Term, named, permit};
use super::text::regex;
use crate::file::cursor::{Cursor, Fields};
use crate::file::error::{FileError, Origin, Why};
use crate::parse::Workload;

/// Whether connections use TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::file) enum Mode {
    /// They do not.
    Disable,
    /// They may, or not.
    Permissive,
    /// They must, and clients must show a certificate.
    Strict,
}

/// How many workloads a policy is for: the fewer, the more it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Mesh,
    Namespace,
    Workload,
}

/// A policy that is for this workload.
#[derive(Clone, Debug)]
pub(super) struct PeerAuthentication {
    level: Level,
    title: String,
    origin: Origin,
    /// `None` leaves it to policies for more workloads.
    mode: Option<Mode>,
    ports: BTreeMap<u32, Option<Mode>>,
}

impl PeerAuthentication {
    /// The policy of `document` with these `fields`; `None` if it is for other workloads.
    pub(super) fn read(
        header: &Header,
        (document, fields): (&Cursor<'_>, &Fields<'_>),
        workload: &Workload,
    ) -> Result<Option<Self>, FileError> {
        let spec = fields.required("spec")?;
        let spec = spec.fields(&["selector", "mtls", "portLevelMtls"])?;
        let selected = selects(&spec, workload)?;
        let mode = spec.entry("mtls").map_or(Ok(None), |it| mode(&it))?;
        let mut ports = BTreeMap::new();
        if let Some(entries) = spec.entry("portLevelMtls") {
            if selected == Selected::Everything {
                let why = "needs a `selector` with labels, as in Istio".to_owned();
                return Err(entries.fail_key(Why::Invalid(why)));
            }
            for (port, cursor) in entries.entries()? {
                let number = port.parse::<u16>().ok().filter(|port| *port != 0);
                let why = || Why::Invalid("a port is a number from 1 to 65535".to_owned());
                let number = number.ok_or_else(|| cursor.fail_key(why()))?;
                ports.insert(u32::from(number), self::mode(&cursor)?);
            }
        }
        let level = match selected {
            Selected::This => Level::Workload,
            Selected::Everything if workload.is_root(&header.namespace) => Level::Mesh,
            Selected::Everything => Level::Namespace,
            Selected::Another => return Ok(None),
        };
        let (title, origin) = (header.peer_title(), document.origin());
        let policy = Self { level, title, origin, mode, ports };
        Ok(header.is_within.then_some(policy))
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// `{ mode: STRICT }` and the like. `UNSET` is none.
fn mode(cursor: &Cursor<'_>) -> Result<Option<Mode>, FileError> {
    cursor.fields(&["mode"])?.required("mode")?.choice(MODES)
}

/// What `policies`, one for each level at the most, say of connections to `port`.
pub(super) fn decided(policies: &[PeerAuthentication], port: Option<u32>) -> Option<Mode> {
    let mut ordered: Vec<_> = policies.iter().collect();
    ordered.sort_by_key(|policy| std::cmp::Reverse(policy.level));
    let by_port = ordered.iter().find_map(|policy| *policy.ports.get(&port?)?);
    by_port.or_else(|| ordered.iter().find_map(|policy| policy.mode))
}

/// Rules that deny what `policies` do not permit, where a server that is not of the short form may
/// let in plain text: a request on a connection without a client certificate. With the name and the
/// place of the policy that says so.
pub(super) fn denials(policies: &[PeerAuthentication]) -> Vec<(String, Origin, Policy)> {
    let base = decided(policies, None);
    let mut ports: Vec<u32> = policies.iter().flat_map(|it| it.ports.keys().copied()).collect();
    ports.sort_unstable();
    ports.dedup();
    let is_strict = |port: &u32| decided(policies, Some(*port)) == Some(Mode::Strict);
    let (strict, lax): (Vec<u32>, Vec<u32>) = ports.into_iter().partition(is_strict);
    let to = |port: u32| permit(Rule::DestinationPort(port));
    let permission = match (base == Some(Mode::Strict), &*lax, &*strict) {
        (true, [], _) => Permission::always(),
        (true, lax, _) => Permission::any(lax.iter().copied().map(to).collect()).negated(),
        (false, _, []) => return Vec::new(),
        (false, _, strict) => Permission::any(strict.iter().copied().map(to).collect()),
    };
    let Some(policy) = policies.iter().max_by_key(|policy| policy.level) else { return Vec::new() };
    // Whoever has a name at all has shown a certificate.
    let principals = vec![named(regex(".+".to_owned())).negated()];
    let rule = Policy { permissions: vec![permission], principals, ..Default::default() };
    vec![(policy.title.clone(), policy.origin.clone(), rule)]
}

const MODES: &[(&str, Option<Mode>)] = &[
    ("UNSET", None),
    ("DISABLE", Some(Mode::Disable)),
    ("PERMISSIVE", Some(Mode::Permissive)),
    ("STRICT", Some(Mode::Strict)),
];
