//! All that a call holds until its response has ended.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use http::HeaderMap;
use mesh_core::cluster::{Address, Permit};
use mesh_core::filter::End;

use super::{Course, Late, Passing};
use crate::error::{Error, Kind};
use crate::pool::Pool;
use crate::report::Report;
use crate::runtime;
use crate::transport::connection::{Stream, Wire};
use crate::transport::h1;
use crate::transport::pump::Pumping;
use crate::transport::timer::Timer;

/// What a call was made on: the target, which the data plane's upper floor knows in full.
pub(crate) trait Owner: Any + fmt::Debug + Send + Sync {
    /// The target's name.
    fn name(&self) -> &str;
}

/// What a call holds from the moment it is sent until its response has ended.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    pub(crate) stream: Option<Stream>,
    pub(crate) permit: Option<Permit>,
    pub(crate) timer: Timer,
    /// Most calls have none, and carry a pointer only.
    pub(crate) pump: Option<Box<Pumping>>,
    pub(crate) passing: Passing,
    pub(crate) course: Course,
    pub(crate) report: Option<Box<Report>>,
    /// Keeps the mesh running, which watches the deadline.
    pub(crate) owner: Option<Arc<dyn Owner>>,
    /// How often the request has been sent.
    pub(crate) attempts: u32,
    /// Whether the deadline is the end of the stream's life, which is nobody's fault.
    pub(crate) is_lifetime: bool,
    /// Frames that were there without waiting, since the clock was last looked at.
    ready: u8,
}

impl Guard {
    pub(crate) fn new(permit: Permit, deadline: Option<Instant>) -> Self {
        Self {
            stream: None,
            permit: Some(permit),
            timer: Timer::new(deadline),
            pump: None,
            passing: Passing::default(),
            course: Course::default(),
            report: None,
            owner: None,
            attempts: 1,
            is_lifetime: false,
            ready: 0,
        }
    }

    /// Where the request was sent to, until that is given back.
    pub(crate) fn upstream(&self) -> Option<&Address> {
        self.stream.as_ref().map(|stream| &stream.0.endpoint.address)
    }

    /// Gives everything back; the call ended as `end` says.
    pub(crate) fn release(&mut self, end: End) {
        if let Some(pump) = self.pump.take() {
            pump.stop();
        }
        if let Some(stream) = self.stream.take() {
            if end == End::Complete {
                stream.ended(None);
            }
            self.timer.cancel(&stream.0.signals.timers);
            if matches!(stream.0.wire, Wire::H1(_)) {
                h1::recycle(stream);
            }
        }
        self.permit = None;
        self.course = Course::default();
        std::mem::take(&mut self.passing).finish(end);
        if let Some(report) = self.report.take() {
            report.finish(end);
        }
    }

    /// The attempt is over, and the call is not: it has no stream, and no place among the requests
    /// under way, until the next attempt.
    pub(crate) fn end_attempt(&mut self) {
        if let Some(pump) = self.pump.take() {
            pump.stop();
        }
        if let Some(stream) = self.stream.take() {
            self.timer.cancel(&stream.0.signals.timers);
            if matches!(stream.0.wire, Wire::H1(_)) {
                h1::recycle(stream);
            }
        }
        self.permit = None;
    }

    /// Takes the attempt out of the call, which goes on without it.
    pub(crate) fn detach(&mut self) -> Option<(Stream, Permit)> {
        let (stream, permit) = (self.stream.take()?, self.permit.take()?);
        self.timer.cancel(&stream.0.signals.timers);
        Some((stream, permit))
    }

    /// `error`, or the failure of the request body if that is what broke the stream.
    pub(crate) fn cause(&self, error: Error) -> Error {
        match self.pump.as_deref().and_then(Pumping::failure) {
            Some(failure) => Error::body(failure),
            None => error,
        }
    }

    /// The deadline has passed while an attempt was under way on `stream`.
    pub(crate) fn overdue(&self, stream: &Stream) {
        if !self.is_lifetime {
            stream.overdue();
        }
    }

    /// That the time was over while the call was `waiting`.
    pub(crate) fn late(&self, late: Late, waiting: &str) -> Error {
        if late == Late::Deadline {
            self.stream.iter().for_each(|stream| self.overdue(stream));
        }
        let target = self.owner.as_ref().map_or("", |owner| owner.name());
        let what = match late {
            Late::Deadline => "the deadline passed",
            Late::Idle => "it was silent for too long",
            Late::Attempt | Late::Alone => "the time for the attempt was over",
        };
        let why = match &self.stream {
            Some(stream) => format!(
                "{target}: {what} {waiting} {} of cluster {}",
                stream.0.endpoint.address, stream.0.signals.cluster
            ),
            None => format!("{target}: {what}"),
        };
        Error::new(Kind::Deadline, why)
    }

    /// What is over, if something is; otherwise the task of `cx` is woken when something is.
    #[inline]
    pub(crate) fn poll_late(&mut self, cx: &mut Context<'_>) -> Option<Late> {
        let stream = self.stream.as_ref()?;
        let timers = &stream.0.signals.timers;
        let late = match self.course.tries() {
            None => self.timer.poll(timers, cx).then_some(Late::Deadline),
            Some(tries) => tries.pace.poll(&mut self.timer, timers, self.pump.as_deref(), cx),
        };
        if late == Some(Late::Attempt) {
            stream.late();
        }
        late
    }

    /// Whether the deadline of a response that never has to be waited for has passed.
    pub(super) fn is_overdue(&mut self) -> bool {
        const PATIENCE: u8 = 64;
        self.ready = (self.ready + 1) % PATIENCE;
        self.ready == 0 && self.timer.deadline().is_some_and(|at| at <= runtime::now())
    }

    /// An attempt starts on `stream`.
    #[inline]
    pub(crate) fn start(&mut self, stream: Stream, pump: Option<Box<Pumping>>) {
        self.course.start();
        if let (Some(tries), Some(pump)) = (self.course.tries(), &pump)
            && tries.pace.is_timed()
        {
            pump.watch(runtime::now());
        }
        self.stream = Some(stream);
        self.pump = pump;
    }

    /// The head of a response goes to the caller.
    #[inline]
    pub(crate) fn answered(&mut self, headers: &mut HeaderMap) {
        if let Some(pump) = &mut self.pump {
            pump.commit();
        }
        if let Some(tries) = self.course.tries()
            && let Some(stream) = &self.stream
        {
            // It may have been set for the attempt, which has ended.
            self.timer.cancel(&stream.0.signals.timers);
            tries.pace.answered();
        }
        let pool = self.stream.as_ref().filter(|_| self.course.is_some());
        let pool = pool.and_then(|stream| stream.0.signals.owner::<Pool>());
        self.course.answered(headers, pool.as_deref());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.release(End::Cancelled);
    }
}
