//! How near a certificate is to its end.

use std::time::{Duration, SystemTime};

/// The time in which a certificate can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Its first moment.
    pub from: SystemTime,
    /// Its last moment.
    pub until: SystemTime,
}

/// What is to be done about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Urgency {
    /// Nothing.
    None,
    /// Somebody should have replaced it by now: four fifths of its time are over.
    Late,
    /// It is so near its end that no new work should come: a handshake that begins now may fail
    /// before it ends, and clocks differ.
    Critical,
    /// It is over: handshakes fail.
    Over,
}

impl Lifetime {
    /// How urgent it is at `now` that another one comes.
    #[must_use]
    pub fn urgency(&self, now: SystemTime) -> Urgency {
        let [late, critical] = self.thresholds();
        match now {
            now if now > self.until => Urgency::Over,
            now if now >= critical => Urgency::Critical,
            now if now >= late => Urgency::Late,
            _ => Urgency::None,
        }
    }

    /// When that changes next; `None` once it is over.
    #[must_use]
    pub fn next_change(&self, now: SystemTime) -> Option<SystemTime> {
        let [late, critical] = self.thresholds();
        // The last moment still belongs to it.
        let over = self.until.checked_add(Duration::from_nanos(1)).unwrap_or(self.until);
        [late, critical, over].into_iter().find(|change| *change > now)
    }

    fn thresholds(&self) -> [SystemTime; 2] {
        let lifetime = self.until.duration_since(self.from).unwrap_or_default();
        let before = |margin| self.until.checked_sub(margin).unwrap_or(self.from);
        [before(lifetime / LATE), before((lifetime / CRITICAL).min(MAX_MARGIN))]
    }
}

/// Shares of a lifetime that are left then. SPIRE and Istio renew after half of it.
const LATE: u32 = 5;
const CRITICAL: u32 = 10;

/// The longest margin: what a drain and a few probes take.
const MAX_MARGIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgency_grows_towards_the_end() {
        use Urgency::*;
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let lifetime = |until: u64| Lifetime { from: at(1_000), until: at(1_000 + until) };
        for (until, now, expect, next) in [
            (100, 0, None, 1_080),
            (100, 1_079, None, 1_080),
            (100, 1_080, Late, 1_090),
            (100, 1_090, Critical, 1_100),
            (3_600, 1_000 + 2_880, Late, 1_000 + 3_540),
            (3_600, 1_000 + 3_539, Late, 1_000 + 3_540),
            (3_600, 1_000 + 3_540, Critical, 1_000 + 3_600),
        ] {
            let lifetime = lifetime(until);
            assert_eq!(lifetime.urgency(at(now)), expect, "{until} {now}");
            let change = lifetime.next_change(at(now)).unwrap();
            assert_eq!(change.duration_since(at(next)).unwrap().as_secs(), 0, "{until} {now}");
        }
        let lifetime = lifetime(100);
        assert_eq!(lifetime.urgency(at(1_100)), Critical);
        let over = lifetime.next_change(at(1_100)).unwrap();
        assert_eq!((lifetime.urgency(over), lifetime.next_change(over)), (Over, Option::None));
        let backwards = Lifetime { from: at(9), until: at(5) };
        assert_eq!((backwards.urgency(at(4)), backwards.urgency(at(6))), (None, Over));
    }
}
