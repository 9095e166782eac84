//! Who answered how many calls.

use std::collections::BTreeMap;

/// Who answered how many calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    answers: BTreeMap<String, u64>,
    failed: u64,
    /// What the first failed call ended with.
    failure: Option<String>,
}

impl Counts {
    pub(crate) fn answered(&mut self, backend: &str) {
        match self.answers.get_mut(backend) {
            Some(count) => *count += 1,
            None => drop(self.answers.insert(backend.to_owned(), 1)),
        }
    }

    pub(crate) fn failed(&mut self, why: String) {
        self.failed += 1;
        self.failure.get_or_insert(why);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (backend, count) in &other.answers {
            *self.answers.entry(backend.clone()).or_default() += count;
        }
        self.failed += other.failed;
        if self.failure.is_none() {
            self.failure.clone_from(&other.failure);
        }
    }

    /// Calls that `backend` answered.
    pub(crate) fn of(&self, backend: &str) -> u64 {
        self.answers.get(backend).copied().unwrap_or_default()
    }

    /// All calls, answered or not.
    pub(crate) fn calls(&self) -> u64 {
        self.answers.values().sum::<u64>() + self.failed
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failed
    }

    /// An error that says what the first failed call ended with, if one has failed.
    pub(crate) fn check(&self) -> Result<(), String> {
        match &self.failure {
            Some(why) => Err(format!("{} calls failed, the first with: {why}", self.failed)),
            None => Ok(()),
        }
    }

    /// An error if any backend's share of the calls is not the percentage in `shares`, give or take
    /// `tolerance` points; one that is not listed must have none.
    pub(crate) fn check_shares(
        &self,
        shares: &[(&str, f64)],
        tolerance: f64,
    ) -> Result<(), String> {
        let listed = |name: &str| shares.iter().any(|(listed, _)| *listed == name);
        if let Some((name, count)) = self.answers.iter().find(|(name, _)| !listed(name)) {
            return Err(format!("{name} answered {count} calls instead of none"));
        }
        for (name, percent) in shares {
            // Exact: counts are far below 2^52.
            let share = 100.0 * self.of(name) as f64 / self.calls() as f64;
            let is_close = (share - percent).abs() <= tolerance;
            // Also where there was no call at all, and the share is not a number.
            if !is_close {
                return Err(format!(
                    "{name} answered {share:.2} % of {} calls instead of {percent} ± {tolerance} %",
                    self.calls()
                ));
            }
        }
        Ok(())
    }
}
