//! What a service may leave to the defaults.

use std::time::Duration;

use super::cursor::{Cursor, Fields};
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) protocol: Protocol,
    pub(super) timeout: Option<Duration>,
    pub(super) balance: Balance,
}

impl Settings {
    /// Those of `defaults`.
    pub(super) fn read_all(cursor: &Cursor<'_>) -> Result<Self, FileError> {
        Self::default().with(&cursor.fields(&["timeout", "balance"])?)
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
        Ok(self)
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
