//! What a service may leave to the defaults.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::identity::SpiffeId;

use super::breaker::Breaker;
use super::cursor::{Cursor, Fields};
use super::retry::Retry;
use crate::file::error::FileError;

/// What the endpoints of a service speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http,
    /// HTTP/2 without TLS, from its first byte. gRPC is that.
    Http2,
}

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Balance {
    #[default]
    RoundRobin,
    LeastRequest,
    Random,
    PickFirst,
}

/// The settings of a service, some of which `defaults` has too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) protocol: Protocol,
    pub(super) timeout: Option<Duration>,
    pub(super) balance: Balance,
    pub(super) retry: Option<Retry>,
    pub(super) breaker: Option<Breaker>,
    /// The certificate provider that TLS towards endpoints uses; without one there is no TLS.
    pub(super) identity: Option<Arc<str>>,
    /// The SPIFFE IDs that endpoints may have; none stands for all.
    pub(super) peers: Arc<[Arc<str>]>,
}

impl Settings {
    /// Those of `defaults`.
    pub(super) fn read_all(cursor: &Cursor<'_>) -> Result<Self, FileError> {
        let known = ["timeout", "balance", "retry", "breaker", "identity", "peers"];
        Self::default().with(&cursor.fields(&known)?)
    }

    /// These, but for what `fields` says.
    pub(super) fn with(mut self, fields: &Fields<'_>) -> Result<Self, FileError> {
        if let Some(protocol) = fields.get("protocol") {
            self.protocol = protocol.choice(PROTOCOLS)?;
        }
        if let Some(timeout) = fields.get("timeout") {
            self.timeout = Some(timeout.duration()?);
        }
        if let Some(balance) = fields.get("balance") {
            self.balance = balance.choice(BALANCES)?;
        }
        if let Some(retry) = fields.get("retry") {
            self.retry = Some(Retry::read(&retry)?);
        }
        if let Some(breaker) = fields.get("breaker") {
            self.breaker = Some(Breaker::read(&breaker)?);
        }
        if let Some(identity) = fields.get("identity") {
            self.identity = Some(identity.text()?.into());
        }
        if let Some(peers) = fields.get("peers") {
            self.peers = ids(&peers)?;
            if self.identity.is_none() {
                return Err(peers.invalid("only with `identity`: without TLS nobody has a name"));
            }
        }
        Ok(self)
    }
}

/// One SPIFFE ID, or several.
fn ids(cursor: &Cursor<'_>) -> Result<Arc<[Arc<str>]>, FileError> {
    let id = |cursor: &Cursor<'_>| match cursor.text()? {
        text if SpiffeId::parse(text).is_ok() => Ok(Arc::from(text)),
        _ => Err(cursor.mismatch("a SPIFFE ID such as `spiffe://domain/path`")),
    };
    if cursor.is_text() {
        return Ok([id(cursor)?].into());
    }
    match cursor.items()? {
        items if items.is_empty() => Err(cursor.mismatch("at least one SPIFFE ID")),
        items => items.iter().map(id).collect(),
    }
}

const PROTOCOLS: &[(&str, Protocol)] =
    &[("http", Protocol::Http), ("http2", Protocol::Http2), ("grpc", Protocol::Http2)];

const BALANCES: &[(&str, Balance)] = &[
    ("round_robin", Balance::RoundRobin),
    ("least_request", Balance::LeastRequest),
    ("random", Balance::Random),
    ("pick_first", Balance::PickFirst),
];
