//! Filters against too much to do: limits of concurrency, and admission control.

mod admit;
mod limit;
#[cfg(test)]
mod tests;

pub use admit::Admit;
pub use limit::LimitConcurrency;

use http::{HeaderMap, StatusCode};

use super::{LocalResponse, Step};
use crate::classify::Outcome;

/// Refuses with `status`, or with the gRPC code that stands for it.
fn refuse(status: StatusCode, body: &'static str, why: &'static str) -> Step {
    const UNKNOWN: u8 = 2;
    let headers = HeaderMap::new();
    let code = Outcome::answer(status, &headers).grpc_code();
    Step::Respond(LocalResponse {
        status,
        grpc: code.and_then(|code| u8::try_from(code).ok()).unwrap_or(UNKNOWN),
        headers,
        body: body.into(),
        why: why.into(),
    })
}
