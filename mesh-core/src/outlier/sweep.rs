//! What is done between two intervals, in the order in which each dialect does it.

use std::hash::Hash;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::config::{Config, Percent};
use super::counter::{Sample, Tally};
use super::evaluate::{are_enough, least_success_rate};
use super::event::{Detector, Dialect, Spare};
use super::state::{Ejected, Outlier, enforcing, percent};
use crate::rng::Rng;

impl<K: Clone + Eq + Hash> Outlier<K> {
    pub(super) fn sweep(&mut self, config: &Config, now: Instant, rng: &mut dyn Rng) {
        self.restore_as_envoy(config, now);
        let samples: Vec<Sample> =
            self.records.iter().map(|record| record.counter.take()).collect();
        let answers: Vec<_> = samples.iter().map(|sample| sample.answers).collect();
        self.judge_as_envoy(
            &answers,
            [Detector::SuccessRate, Detector::FailurePercentage],
            (config, now),
            rng,
        );
        let local: Vec<_> = samples.iter().map(|sample| sample.local).collect();
        self.judge_as_envoy(
            &local,
            [Detector::SuccessRateLocalOrigin, Detector::FailurePercentageLocalOrigin],
            (config, now),
            rng,
        );
        let calls: Vec<_> = samples.iter().map(|sample| sample.calls).collect();
        self.judge_as_grpc(&calls, (config, now), rng);
        self.relent(config, now);
    }

    fn restore_as_envoy(&mut self, config: &Config, now: Instant) {
        for at in 0..self.records.len() {
            let record = &self.records[at];
            let Some(ejected) = record.ejected.filter(|e| e.by == Dialect::Envoy) else { continue };
            let time = config.ejection_time(record.multiplier).saturating_add(ejected.jitter);
            if now.saturating_duration_since(ejected.at) >= time {
                self.restore(at, now);
            }
        }
    }

    fn judge_as_envoy(
        &mut self,
        tallies: &[Tally],
        [by_rate, by_share]: [Detector; 2],
        (config, now): (&Config, Instant),
        rng: &mut dyn Rng,
    ) {
        let takes_part: Vec<_> = self.records.iter().map(|r| r.ejected.is_none()).collect();
        let part = || tallies.iter().zip(&takes_part).filter(|(_, t)| **t).map(|(t, _)| *t);
        let rate = &config.success_rate;
        let share = &config.failure_percentage;
        if let Some(least) = least_success_rate(part(), rate) {
            for at in (0..tallies.len()).filter(|at| takes_part[*at]) {
                let tally = tallies[at];
                let is_enough = tally.total >= rate.request_volume;
                if is_enough && tally.success_rate().is_some_and(|found| found < least) {
                    self.eject_as_envoy(at, by_rate, (config, now), rng);
                }
            }
        }
        if are_enough(part(), share.request_volume, share.minimum_hosts) {
            for at in (0..tallies.len()).filter(|at| takes_part[*at]) {
                let tally = tallies[at];
                let is_enough = tally.total > 0 && tally.total >= share.request_volume;
                let is_in = self.records[at].ejected.is_none();
                if is_enough && is_in && tally.fails_at(share.threshold) {
                    self.eject_as_envoy(at, by_share, (config, now), rng);
                }
            }
        }
    }

    /// gRPC has a detector of its own for each priority.
    fn judge_as_grpc(
        &mut self,
        tallies: &[Tally],
        (config, now): (&Config, Instant),
        rng: &mut dyn Rng,
    ) {
        if tallies.iter().all(|tally| *tally == Tally::default()) {
            return;
        }
        let groups = self.records.chunk_by(|a, b| a.group == b.group).map(<[_]>::len);
        let mut start = 0;
        let groups: Vec<Range<usize>> = groups
            .map(|len| {
                let group = start..start + len;
                start += len;
                group
            })
            .collect();
        for group in groups {
            let rate = &config.success_rate;
            if rate.enforcing != Percent::NONE
                && let Some(least) =
                    least_success_rate(tallies[group.clone()].iter().copied(), rate)
            {
                for at in group.clone() {
                    let tally = tallies[at];
                    let is_enough = tally.total >= rate.request_volume;
                    if is_enough && tally.success_rate().is_some_and(|found| found < least) {
                        self.eject_as_grpc(at, Detector::SuccessRate, &group, (config, now), rng);
                    }
                }
            }
            let share = &config.failure_percentage;
            let part = tallies[group.clone()].iter().copied();
            if share.enforcing != Percent::NONE
                && are_enough(part, share.request_volume, share.minimum_hosts)
            {
                for at in group.clone() {
                    let tally = tallies[at];
                    let is_enough = tally.total >= share.request_volume;
                    if is_enough && tally.fails_above(share.threshold) {
                        let why = Detector::FailurePercentage;
                        self.eject_as_grpc(at, why, &group, (config, now), rng);
                    }
                }
            }
        }
    }

    fn eject_as_grpc(
        &mut self,
        at: usize,
        why: Detector,
        group: &Range<usize>,
        (config, now): (&Config, Instant),
        rng: &mut dyn Rng,
    ) {
        if self.records[at].ejected.is_some() {
            return;
        }
        let ejected = self.records[group.clone()].iter().filter(|r| r.ejected.is_some()).count();
        if percent(ejected, group.len()) >= f64::from(config.max_ejection_percent.value()) {
            return self.spare(at, why, Spare::MaxEjection);
        }
        if !enforcing(config, why).decide(rng) {
            return self.spare(at, why, Spare::Enforcement);
        }
        self.records[at].multiplier = self.records[at].multiplier.saturating_add(1);
        let ejected = Ejected { at: now, by: Dialect::Grpc, jitter: Duration::ZERO };
        self.eject(at, why, ejected, config);
    }

    /// Endpoints that stood the interval are forgiven a little, and those that gRPC's rules ejected
    /// return when their time is over.
    fn relent(&mut self, config: &Config, now: Instant) {
        for at in 0..self.records.len() {
            let record = &mut self.records[at];
            match record.ejected {
                None => {
                    // Envoy waits a whole interval after the return, gRPC as well: there it returns
                    // at the end of a sweep only.
                    let stood = record.restored.is_none_or(|since| {
                        now.saturating_duration_since(since) >= config.interval
                    });
                    if stood {
                        record.multiplier = record.multiplier.saturating_sub(1);
                    }
                }
                Some(ejected) if ejected.by == Dialect::Grpc => {
                    let time = config.ejection_time(record.multiplier);
                    if now.saturating_duration_since(ejected.at) > time {
                        self.restore(at, now);
                    }
                }
                Some(_) => {}
            }
        }
    }
}
