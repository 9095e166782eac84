//! A server with so many workers, and a queue.

use std::collections::VecDeque;

/// Jobs by number: those that are worked on, and those that wait for a worker.
#[derive(Debug)]
pub(super) struct Station {
    idle: u32,
    waiting: VecDeque<u64>,
}

impl Station {
    /// A server with nothing to do.
    pub(super) fn new(workers: u32) -> Self {
        Self { idle: workers, waiting: VecDeque::new() }
    }

    /// A job comes. Returns whether it is worked on at once.
    pub(super) fn enter(&mut self, job: u64) -> bool {
        match self.idle.checked_sub(1) {
            Some(idle) => self.idle = idle,
            None => {
                self.waiting.push_back(job);
                return false;
            }
        }
        true
    }

    /// A job that was worked on has ended. Returns that which is worked on instead, the first for
    /// which somebody still waits.
    pub(super) fn leave(&mut self, is_wanted: impl Fn(u64) -> bool) -> Option<u64> {
        while let Some(job) = self.waiting.pop_front() {
            if is_wanted(job) {
                return Some(job);
            }
        }
        self.idle += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_wait_for_a_worker_unless_nobody_waits_for_them() {
        let mut station = Station::new(1);
        assert_eq!([1, 2, 3].map(|job| station.enter(job)), [true, false, false]);
        assert_eq!(station.leave(|job| job != 2), Some(3));
        assert_eq!(station.leave(|_| true), None);
        assert!(station.enter(4));
    }
}
