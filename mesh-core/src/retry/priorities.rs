use std::num::NonZeroU32;

/// Retries leave the priorities of a cluster that were asked before (Envoy's
/// `envoy.retry_priorities.previous_priorities`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priorities {
    /// After how many attempts the priorities asked so far are left alone, and after how many more
    /// those asked since (`update_frequency`).
    pub update_frequency: NonZeroU32,
}

impl Priorities {
    /// The priorities that the next attempt had better not go to; none is as for every first
    /// attempt.
    ///
    /// `asked` is the priority of each attempt so far, or `None` where its endpoint is in no
    /// priority any more. `able` are those that can take calls at present. As soon as all of them
    /// have been asked it is as if none had.
    #[must_use]
    pub fn excluded(&self, asked: &[Option<u32>], able: &[u32]) -> Vec<u32> {
        let every = usize::try_from(self.update_frequency.get()).unwrap_or(usize::MAX);
        let mut excluded: Vec<u32> = Vec::new();
        for asked in asked.chunks_exact(every) {
            for priority in asked.iter().flatten() {
                if !excluded.contains(priority) {
                    excluded.push(*priority);
                }
            }
            if able.iter().all(|priority| excluded.contains(priority)) {
                excluded.clear();
            }
        }
        excluded.sort_unstable();
        excluded
    }
}
