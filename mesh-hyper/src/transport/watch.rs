//! What an attempt tells of its endpoint, for outlier detection and breakers.
//!
//! HTTP requests are judged by the head of the answer, and once more if the stream breaks
//! afterwards, as in Envoy. gRPC calls are judged at their end (gRFC A50). What the caller gives up
//! says nothing, nor does a request that goes to another connection because this one went away. A
//! deadline that passes is a failure, whoever has set it and however short: of HTTP requests until
//! the head has come, as in Envoy, of gRPC calls until their end, as in gRFC A50.

use std::sync::atomic::{AtomicU8, Ordering};

use http::header::HeaderName;
use http::{HeaderMap, StatusCode};
use mesh_core::breaker::Ticket;
use mesh_core::classify::{Class, Failure};
use mesh_core::outlier::{Counter, Local};
use mesh_core::request::Protocol;

use super::connection::Stream;

/// How an attempt is judged, if that is still open.
#[derive(Debug, Default)]
pub(super) struct Watch {
    outlier: AtomicU8,
    /// The same for the breaker.
    pub(super) trial: AtomicU8,
    /// What the breaker knows the attempt by, if it has one.
    pub(super) ticket: Ticket,
}

pub(super) const OFF: u8 = 0;
pub(super) const HTTP: u8 = 1;
pub(super) const GRPC: u8 = 2;
/// An HTTP request whose answer has begun.
const ANSWERED: u8 = 3;

impl Stream {
    /// A request with these header fields is being sent.
    #[inline]
    pub(super) fn sent(&self, headers: &HeaderMap) {
        if self.is_on_trial() {
            self.tried(headers);
        }
        if let Some(counter) = self.0.counter.get()
            && counter.is_on()
        {
            self.watch(counter, headers);
        }
    }

    #[cold]
    fn watch(&self, counter: &Counter, headers: &HeaderMap) {
        match Protocol::of(headers) {
            Protocol::Grpc => self.1.outlier.store(GRPC, Ordering::Relaxed),
            Protocol::Http | _ => {
                counter.sent();
                self.1.outlier.store(HTTP, Ordering::Relaxed);
            }
        }
    }

    /// The head of the answer has come.
    #[inline]
    pub(super) fn answered(&self, status: StatusCode, headers: &HeaderMap) {
        if self.is_on_trial() {
            self.judge_head(status, headers);
        }
        match self.1.outlier.load(Ordering::Relaxed) {
            HTTP => {
                self.1.outlier.store(ANSWERED, Ordering::Relaxed);
                self.count(|counter| counter.answered(status.as_u16()));
            }
            GRPC => {
                let has_status = headers.contains_key(GRPC_STATUS);
                if has_status || status != StatusCode::OK {
                    let is_plain = status == StatusCode::OK;
                    self.called(if is_plain { class(headers) } else { Class::Bad });
                }
            }
            _ => {}
        }
    }

    /// The answer has come to its end, or to the trailers there.
    pub(crate) fn ended(&self, trailers: Option<&HeaderMap>) {
        if self.is_on_trial() {
            self.judge_end(trailers);
        }
        match self.1.outlier.load(Ordering::Relaxed) {
            GRPC => self.called(trailers.map_or(Class::Bad, class)),
            _ => self.settle(),
        }
    }

    /// The stream broke, or the peer gave it back.
    pub(crate) fn broke(&self) {
        self.fail(Local::Broke);
    }

    /// There was no answer in time, or not all of it.
    pub(crate) fn late(&self) {
        self.fail(Local::TimedOut);
    }

    /// The time of the whole call is over.
    pub(crate) fn overdue(&self) {
        if self.1.outlier.load(Ordering::Relaxed) != ANSWERED {
            self.late();
        }
    }

    /// The peer has not looked at the request, which is sent again: for gRPC that is no attempt.
    pub(super) fn refused(&self) {
        if self.is_on_trial() {
            self.judge_failure(Failure::Refused);
        }
        if self.1.outlier.load(Ordering::Relaxed) == HTTP {
            self.broke();
        }
        self.settle();
    }

    fn fail(&self, failure: Local) {
        if self.is_on_trial() {
            self.judge_failure(match failure {
                Local::Broke => Failure::Reset,
                Local::TimedOut => Failure::TimedOut,
            });
        }
        match self.1.outlier.load(Ordering::Relaxed) {
            HTTP | ANSWERED => {
                self.settle();
                self.count(|counter| counter.failed(failure));
            }
            GRPC => self.called(Class::Bad),
            _ => {}
        }
    }

    fn called(&self, class: Class) {
        self.settle();
        if let Some(counter) = self.0.counter.get() {
            counter.ended(class);
        }
    }

    fn count(&self, outcome: impl FnOnce(&Counter) -> bool) {
        if self.0.counter.get().is_some_and(|counter| outcome(counter)) {
            self.0.signals.tripped();
        }
    }

    /// Nothing more is told of the attempt.
    fn settle(&self) {
        self.1.outlier.store(OFF, Ordering::Relaxed);
    }
}

/// What the `grpc-status` among `fields` says; without one the call has failed.
fn class(fields: &HeaderMap) -> Class {
    match fields.get(GRPC_STATUS) {
        Some(code) if code.as_bytes() == b"0" => Class::Good,
        _ => Class::Bad,
    }
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
