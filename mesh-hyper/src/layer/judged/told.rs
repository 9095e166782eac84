use std::time::Duration;

use http::{HeaderMap, StatusCode};
use mesh_core::admission::Admission;
use mesh_core::breaker::{Change, Pass};
use mesh_core::classify::{Class, Classifier, Outcome};

use crate::layer::outlier::Trial;
use crate::runtime;
use crate::transport::trial::wanted;

/// Who is told how a request ended. Dropping it says that nothing is known.
#[derive(Debug)]
pub struct Told(Hears);

#[derive(Debug)]
enum Hears {
    Breaker { pass: Pass, is_probe: bool },
    Admission(Admission),
    Outlier(Trial),
}

impl Told {
    pub(crate) fn breaker(pass: Pass, is_probe: bool) -> Self {
        Self(Hears::Breaker { pass, is_probe })
    }

    pub(crate) fn admission(admission: Admission) -> Self {
        Self(Hears::Admission(admission))
    }

    pub(crate) fn outlier(trial: Trial) -> Self {
        Self(Hears::Outlier(trial))
    }

    /// Says what came of the request, and how long the server wants to be left alone.
    pub(crate) fn tell(self, class: Class, retry_after: Option<Duration>) {
        let now = runtime::now();
        match self.0 {
            Hears::Breaker { pass, .. } => {
                match runtime::with_rng(|rng| pass.done(class, retry_after, now, rng)) {
                    Change::None => {}
                    Change::Opened(wait) => tracing::warn!(?wait, "a breaker refuses requests"),
                    Change::Closed => tracing::info!("a breaker lets requests pass again"),
                }
            }
            Hears::Admission(admission) => admission.record(class, now),
            Hears::Outlier(trial) => trial.ended(class),
        }
    }

    /// Says that this is the head of an answer of HTTP.
    pub(super) fn answered(self, status: StatusCode, headers: &HeaderMap) {
        match self.0 {
            Hears::Outlier(trial) => trial.answered(status),
            Hears::Breaker { .. } | Hears::Admission(_) => {
                let class = Classifier::Http.class(&Outcome::answer(status, headers));
                self.tell(class, wanted(headers));
            }
        }
    }

    /// Says that a call of gRPC ended with the status in `fields`, or with none.
    pub(super) fn called(self, status: StatusCode, fields: &HeaderMap) {
        let outcome = Outcome::answer(status, fields);
        let code = outcome.grpc_code();
        match self.0 {
            // gRFC A50: all but OK are failures.
            Hears::Outlier(trial) if code == Some(0) => trial.called(Class::Good),
            Hears::Outlier(trial) => trial.called(Class::Bad),
            Hears::Breaker { .. } | Hears::Admission(_) => {
                let class = code.map_or(Class::Bad, |_| Classifier::Grpc.class(&outcome));
                self.tell(class, wanted(fields));
            }
        }
    }

    /// Whether others wait for the outcome.
    pub(super) fn is_urgent(&self) -> bool {
        matches!(self.0, Hears::Breaker { is_probe: true, .. })
    }
}
