//! What a connection begins with, as far as it was looked at.

use std::sync::Arc;

use mesh_core::identity::{ServerTls, Session};
use mesh_core::listener::{Hello, Spoken, Transport};
use mesh_core::snapshot::Inspection;

use super::Shared;
use super::shake::Closed;
use super::sniff::{Prefixed, Protocol};
use super::standing::PLAIN_TEXT;
use crate::server::secure::{Greeted, Judge, Secured};
use crate::transport::secure::Forbidden;

/// What a connection begins with, as far as it was looked at.
pub(super) enum Start {
    /// Nobody has looked.
    Unseen(Prefixed),
    Plain(Prefixed),
    Tls(Prefixed),
    Greeted(Box<dyn Greeted>),
}

impl Start {
    /// Looks as far as `inspection` wants.
    pub(super) async fn look(
        mut self,
        inspection: Inspection,
        shared: &Shared,
    ) -> Result<Self, Closed> {
        if inspection == Inspection::Addresses {
            return Ok(self);
        }
        if let Self::Unseen(mut io) = self {
            self = match io.transport().await.ok().flatten() {
                Some(Transport::Tls) => Self::Tls(io),
                Some(Transport::Plain) => Self::Plain(io),
                Some(_) | None => return Err(Closed::because("it ends before its first byte")),
            };
        }
        match self {
            Self::Tls(io) if inspection == Inspection::ClientHello => {
                let greet = shared.greet.as_ref();
                let greet = greet.ok_or_else(|| Closed::because("TLS is not built in"))?;
                let greeted = greet.greet(Box::new(io)).await;
                Ok(Self::Greeted(greeted.map_err(|why| Closed::because(format!("TLS: {why}")))?))
            }
            start @ (Self::Unseen(_) | Self::Plain(_) | Self::Tls(_) | Self::Greeted(_)) => {
                Ok(start)
            }
        }
    }

    pub(super) fn transport(&self) -> Transport {
        match self {
            Self::Unseen(_) | Self::Plain(_) => Transport::Plain,
            Self::Tls(_) | Self::Greeted(_) => Transport::Tls,
        }
    }

    pub(super) fn hello(&self) -> Option<&Hello> {
        match self {
            Self::Greeted(greeted) => Some(greeted.hello()),
            Self::Unseen(_) | Self::Plain(_) | Self::Tls(_) => None,
        }
    }

    /// The stream in plain text, and what it speaks.
    pub(super) async fn plain(self) -> Result<(Prefixed, Protocol), Closed> {
        match self {
            Self::Unseen(mut io) | Self::Plain(mut io) => {
                let protocol = speaks(&mut io).await?;
                Ok((io, protocol))
            }
            Self::Tls(_) | Self::Greeted(_) => Err(Closed::because(NO_TLS)),
        }
    }

    /// The stream after a handshake, what that has settled, and what is spoken on it. In plain text
    /// not a byte is answered.
    pub(super) async fn secured(
        self,
        tls: Arc<ServerTls>,
        shared: &Shared,
    ) -> Result<(Prefixed, Protocol, Settled), Closed> {
        let greeted = match self.look(Inspection::ClientHello, shared).await? {
            Self::Greeted(greeted) => greeted,
            Self::Unseen(_) | Self::Plain(_) | Self::Tls(_) => {
                return Err(Closed::because(PLAIN_TEXT));
            }
        };
        let secured = greeted.secure(tls).await;
        let secured = secured.map_err(|why| Closed::because(format!("TLS: {why}")))?;
        let Secured { io, session, digest, own, judge, forbidden } = secured;
        let mut io = Prefixed::new(io);
        let spoken = session.protocol.as_deref().and_then(Spoken::by);
        let protocol = match spoken {
            Some(Spoken::Http1) => Protocol::Http1,
            Some(Spoken::Http2) => Protocol::Http2,
            Some(_) | None => speaks(&mut io).await?,
        };
        Ok((io, protocol, Settled { session, digest, own, judge, forbidden }))
    }
}

/// What a handshake has settled.
pub(super) struct Settled {
    pub(super) session: Session,
    pub(super) digest: Box<[u8]>,
    pub(super) own: Box<[Arc<str>]>,
    pub(super) judge: Box<dyn Judge>,
    pub(super) forbidden: Option<Forbidden>,
}

const NO_TLS: &str = "it begins with a TLS handshake, where plain text is served";

/// What `io` speaks, by its first bytes.
async fn speaks(io: &mut Prefixed) -> Result<Protocol, Closed> {
    match io.protocol().await.ok().flatten() {
        Some(Protocol::Tls) => Err(Closed::because(NO_TLS)),
        Some(protocol) => Ok(protocol),
        None => Err(Closed::because("it ends before it shows what it speaks")),
    }
}
