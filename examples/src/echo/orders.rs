//! What a request wants of its answer, each in a list with an entry per attempt: the last
//! attempts, which have none, are answered as usual.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_core::inherited;

/// The statuses: of HTTP, or gRPC's codes.
const STATUS: HeaderName = HeaderName::from_static("x-echo-status");

/// How long to wait before the answer, in milliseconds.
const DELAY: HeaderName = HeaderName::from_static("x-echo-delay-ms");

/// A field of the answers with such a status, as `name: value`.
const FIELD: HeaderName = HeaderName::from_static("x-echo-field");

/// What is wanted of one answer.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) status: Option<u16>,
    pub(super) delay: Duration,
    pub(super) field: Option<(HeaderName, HeaderValue)>,
}

impl Orders {
    /// What `headers` say of the attempt that they say to be.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let attempt = usize::try_from(inherited::retries(headers)).unwrap_or(usize::MAX);
        let number = |name: HeaderName| -> Option<u32> {
            let list = headers.get(name)?.to_str().ok()?;
            list.split(',').nth(attempt)?.trim().parse().ok()
        };
        let status = number(STATUS).and_then(|status| u16::try_from(status).ok());
        let field = headers.get(FIELD).filter(|_| status.is_some()).and_then(|field| {
            let (name, value) = field.to_str().ok()?.split_once(':')?;
            Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
        });
        let delay = Duration::from_millis(number(DELAY).unwrap_or_default().into());
        Self { status, delay, field }
    }
}
