//! What a service sees of a request's body.

use bytes::Bytes;
use http::Method;
use http::header::UPGRADE;
use mesh_core::filter::Beginning;
use mesh_core::request::RequestHead;

use super::settings::{BodyOnRoute, Buffering, OnRoute, Settings};

/// What a service sees of a request's body.
#[derive(Debug)]
pub(super) struct Shown {
    /// All of it, or as much as the service may see.
    pub(super) bytes: Bytes,
    /// Whether there is more, or may be.
    pub(super) is_partial: bool,
    /// Whether it goes into `raw_body`.
    pub(super) as_bytes: bool,
}

/// How much of the body of the request `head` is waited for. None of a tunnel, which has no end.
pub(super) fn wanted(
    settings: &Settings,
    on_route: &OnRoute,
    head: &RequestHead<'_>,
) -> Option<Buffering> {
    let wanted = match on_route.body {
        BodyOnRoute::Same => settings.body,
        BodyOnRoute::Hidden => None,
        BodyOnRoute::Own(own) => Some(own),
    };
    wanted.filter(|_| *head.method != Method::CONNECT && !head.headers.contains_key(UPGRADE))
}

impl Buffering {
    /// How many bytes tell how the request goes on: one more than may be, where that is refused.
    pub(super) fn up_to(self) -> usize {
        self.most.saturating_add(usize::from(!self.is_cut))
    }

    /// What the service sees of `body`; nothing of one that is empty. `Err` if it is too long.
    pub(super) fn show(self, body: &Beginning) -> Result<Option<Shown>, TooLong> {
        let has_more = body.bytes.len() > self.most;
        if has_more && !self.is_cut {
            return Err(TooLong);
        }
        let bytes = body.bytes.slice(..body.bytes.len().min(self.most));
        let is_partial = has_more || !body.is_whole;
        let shown = Shown { bytes, is_partial, as_bytes: self.as_bytes };
        Ok(Some(shown).filter(|shown| !shown.bytes.is_empty()))
    }
}

/// A body that is longer than the service may see.
#[derive(Debug)]
pub(super) struct TooLong;

/// `bytes` as text, in which `!` stands for what is not UTF-8, as Envoy writes it.
pub(super) fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '!'));
    }
    text
}
