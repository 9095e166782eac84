//! How much memory this process has come to use.

use std::fs;

/// Watches the peak of the resident set from its start on. Knows nothing where `/proc` does not, and
/// in tests, which run side by side.
#[derive(Debug)]
pub(crate) struct Peak {
    start: Option<u64>,
}

impl Peak {
    pub(crate) fn start() -> Self {
        // Sets the peak back to what is in use now (proc_pid_clear_refs(5)).
        let clear = || fs::write("/proc/self/clear_refs", "5").ok();
        let start = if cfg!(test) { None } else { clear().and_then(|()| kilobytes("VmRSS:")) };
        Self { start }
    }

    /// The peak so far above what there was at the start, in KiB.
    pub(crate) fn growth(&self) -> Option<u64> {
        Some(kilobytes("VmHWM:")?.saturating_sub(self.start?))
    }
}

fn kilobytes(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}
