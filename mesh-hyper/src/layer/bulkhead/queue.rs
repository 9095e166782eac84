use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_core::concurrency::{Limiter, Permit};
use mesh_core::request::Criticality;
use tokio::sync::oneshot::{Receiver, Sender, channel};

use crate::runtime;

/// Places, and those who wait for one: the most critical first, and of those the first to come.
#[derive(Debug)]
pub(super) struct Queue {
    limiter: Limiter,
    /// How many may wait.
    length: usize,
    /// How many stand in the lines, some of whom may have left.
    waiting: AtomicUsize,
    /// From the least critical to the most.
    lines: Mutex<[VecDeque<Sender<Place>>; Criticality::ALL.len()]>,
}

/// What a request is told.
#[derive(Debug)]
pub(super) enum Answer {
    /// It may go.
    Go(Place),
    /// It will be told.
    Wait(Receiver<Place>),
    /// There is no place, neither here nor among those who wait.
    Full,
}

/// A place among the requests under way. Dropping it makes room for one that waits.
#[derive(Debug)]
pub(super) struct Place {
    queue: Arc<Queue>,
    permit: Option<Permit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            drop(permit);
            self.queue.serve();
        }
    }
}

impl Queue {
    pub(super) fn new(limiter: Limiter, length: usize) -> Self {
        let (waiting, lines) = (AtomicUsize::new(0), Mutex::default());
        Self { limiter, length, waiting, lines }
    }

    pub(super) fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// Asks for a place.
    pub(super) fn enter(self: &Arc<Self>, criticality: Criticality) -> Answer {
        // Nobody is overtaken.
        if self.waiting.load(Ordering::Relaxed) == 0
            && let Some(place) = self.place(criticality)
        {
            return Answer::Go(place);
        }
        if self.length == 0 {
            return Answer::Full;
        }
        let mut lines = self.lock();
        let mut waiting = lines.iter().map(VecDeque::len).sum::<usize>();
        if waiting >= self.length {
            lines.iter_mut().for_each(|line| line.retain(|sender| !sender.is_closed()));
            waiting = lines.iter().map(VecDeque::len).sum();
        }
        if waiting >= self.length {
            self.waiting.store(waiting, Ordering::Relaxed);
            return Answer::Full;
        }
        let (sender, receiver) = channel();
        for (line, known) in lines.iter_mut().zip(Criticality::ALL) {
            if known == criticality {
                line.push_back(sender);
                break;
            }
        }
        // Either this sees the place that somebody leaves now, or that one sees who waits.
        self.waiting.store(waiting + 1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.serve_lines(&mut lines);
        Answer::Wait(receiver)
    }

    fn place(self: &Arc<Self>, criticality: Criticality) -> Option<Place> {
        let now = runtime::now();
        let permit = runtime::with_rng(|rng| self.limiter.admit(criticality, now, rng)).ok()?;
        Some(Place { queue: self.clone(), permit: Some(permit) })
    }

    /// Gives the places that are there to those who wait.
    fn serve(self: &Arc<Self>) {
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.serve_lines(&mut self.lock());
        }
    }

    fn serve_lines(
        self: &Arc<Self>,
        lines: &mut [VecDeque<Sender<Place>>; Criticality::ALL.len()],
    ) {
        'all: for (line, criticality) in lines.iter_mut().zip(Criticality::ALL).rev() {
            while let Some(sender) = line.pop_front() {
                if sender.is_closed() {
                    continue;
                }
                let Some(place) = self.place(criticality) else {
                    // Others may use even less.
                    line.push_front(sender);
                    break 'all;
                };
                if let Err(mut place) = sender.send(place) {
                    // It has just left. Its place is for the next, who is served here.
                    drop(place.permit.take());
                }
            }
        }
        let waiting = lines.iter().map(VecDeque::len).sum();
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, [VecDeque<Sender<Place>>; Criticality::ALL.len()]> {
        // Nothing panics in between, and the lines are always whole.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
