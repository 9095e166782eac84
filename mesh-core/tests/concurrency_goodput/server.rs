//! A server with too much to do, by a heap of events.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use mesh_core::concurrency::{Algorithm, Limiter, Permit};
use mesh_core::request::Criticality;
use mesh_core::rng::{Rng, XorShift};
use mesh_core::testing::at;

/// How long a worker has to do with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// 10 ms.
    Even,
    /// 10 ms on average, exponentially distributed.
    Uneven,
}

/// Requests per second that workers can carry out.
const CAPACITY: f64 = 800.0;
const WORKERS: usize = 8;
pub(crate) const TIMEOUT: Duration = Duration::from_millis(100);
const LASTS: Duration = Duration::from_secs(20);

/// What came of it, from the second second on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Answers in time, by what the server can do.
    pub(crate) goodput: f64,
    /// Of requests that were admitted.
    pub(crate) p99: Duration,
}

/// An admitted request.
struct Admitted {
    from: Instant,
    permit: Permit,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives,
    Ends(usize),
}

/// Offers `load` times what the server can do.
pub(crate) fn overload(algorithm: Algorithm, load: f64, work: Work, seed: u64) -> Outcome {
    let limiter = Limiter::new(algorithm);
    let mut rng = XorShift::new(seed);
    let mut waiting: VecDeque<Admitted> = VecDeque::new();
    let mut workers: [Option<Admitted>; WORKERS] = [const { None }; WORKERS];
    let mut events = BinaryHeap::from([Reverse((at(0), Event::Arrives))]);
    let mut took = Vec::new();
    while let Some(Reverse((now, event))) = events.pop() {
        match event {
            Event::Arrives if now >= at(0) + LASTS => {}
            Event::Arrives => {
                if let Ok(permit) = limiter.admit(Criticality::Critical, now, &mut rng) {
                    waiting.push_back(Admitted { from: now, permit });
                }
                let gap = exponential(1.0 / (CAPACITY * load), &mut rng);
                events.push(Reverse((now + gap, Event::Arrives)));
            }
            Event::Ends(worker) => {
                let Admitted { from, permit } = workers[worker].take().unwrap();
                permit.done(now);
                if from >= at(1) {
                    took.push(now - from);
                }
            }
        }
        for (at, worker) in workers.iter_mut().enumerate().filter(|(_, it)| it.is_none()) {
            if let Some(next) = waiting.pop_front() {
                *worker = Some(next);
                let takes = match work {
                    Work::Even => Duration::from_millis(10),
                    Work::Uneven => exponential(0.01, &mut rng),
                };
                events.push(Reverse((now + takes, Event::Ends(at))));
            }
        }
    }
    assert_eq!(limiter.in_flight(), 0);
    took.sort_unstable();
    let good = took.iter().filter(|took| **took <= TIMEOUT).count();
    let seconds = (LASTS - Duration::from_secs(1)).as_secs_f64();
    let goodput = good as f64 / (CAPACITY * seconds);
    Outcome { goodput, p99: took[took.len() * 99 / 100] }
}

fn exponential(mean: f64, rng: &mut XorShift) -> Duration {
    Duration::from_secs_f64(-(1.0 - rng.unit()).ln() * mean)
}
