//! The weather over time, and what came of it.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mesh_tests::{EchoClient, Message};
use tokio::time::{Instant, interval, sleep, timeout};

use crate::hop::Weather;
use crate::traffic::{DEADLINE, SAY, Traffic};
use crate::world::{Bound, World};

/// How long each part lasts, and calls a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    fair: Duration,
    slow: Duration,
    failing: Duration,
    after: Duration,
    rate: u32,
    peak: u32,
}

impl Size {
    pub(crate) const FULL: Self = Self {
        fair: Duration::from_secs(5),
        slow: Duration::from_secs(10),
        failing: Duration::from_secs(30),
        after: Duration::from_secs(15),
        rate: 600,
        peak: 1_200,
    };
    /// As long, and with fewer calls.
    pub(crate) const THIN: Self = Self { rate: 40, peak: 80, ..Self::FULL };
}

/// A handler that runs so long after its deadline is late, not merely about to be ended.
const GRACE: Duration = Duration::from_millis(100);

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Calls while the last service failed, and those of them that reached it.
    offered: u64,
    attempts: u64,
    /// Calls while all was well, or one zone slow, and those that failed.
    well: u64,
    failed: u64,
    /// The most handlers seen at once that ran on after their deadline.
    late: usize,
    /// Those that had none.
    endless: usize,
    /// Those that ran when all calls had ended.
    left: usize,
    /// How long after the fault had ended the last call was made that failed.
    recovery: Duration,
}

pub(crate) async fn run(size: Size, world: World) -> Report {
    let weather = &world.weather;
    let mut first = EchoClient::new(world.callers.clone().wait_for_ready(true));
    timeout(Duration::from_secs(30), first.call(SAY, Message::default())).await.unwrap().unwrap();
    let mut report = Report::default();
    let traffic = Traffic::start(world.callers.clone(), size.rate);
    let counts = traffic.counts.clone();
    let so_far = || {
        let now = [&counts.offered, &counts.failed, &weather.attempts];
        now.map(|count| count.load(Ordering::Relaxed))
    };

    watch(size.fair, weather, &mut report).await;
    weather.is_slow.store(true, Ordering::Relaxed);
    watch(size.slow, weather, &mut report).await;
    traffic.rate.store(size.peak, Ordering::Relaxed);
    watch(size.fair, weather, &mut report).await;
    let [offered, failed, attempts] = so_far();
    (report.well, report.failed) = (offered, failed);
    weather.is_failing.store(true, Ordering::Relaxed);
    watch(size.failing, weather, &mut report).await;
    let [all, _, reached] = so_far();
    (report.offered, report.attempts) = (all - offered, reached - attempts);
    weather.is_failing.store(false, Ordering::Relaxed);
    weather.is_slow.store(false, Ordering::Relaxed);
    let ended = Instant::now();
    watch(size.after, weather, &mut report).await;
    let counts = traffic.stop().await;
    let last = counts.last_failed.lock().unwrap().unwrap_or(ended);
    report.recovery = last.saturating_duration_since(ended);
    // Whoever called has an answer or has given up by now.
    sleep(DEADLINE).await;
    report.left = weather.handlers.count();
    report
}

/// Looks after the handlers for so long.
async fn watch(time: Duration, weather: &Weather, report: &mut Report) {
    let (mut tick, end) = (interval(GRACE / 2), Instant::now() + time);
    while Instant::now() < end {
        let woken = tick.tick().await.into_std();
        // Where the machine has slept, so have the handlers.
        let then = woken.checked_sub(GRACE).unwrap();
        report.late = report.late.max(weather.handlers.late(then));
        report.endless = report.endless.max(weather.handlers.endless());
    }
}

impl Report {
    /// Attempts at the last service for each call.
    fn ratio(&self) -> f64 {
        self.attempts as f64 / self.offered as f64
    }

    /// # Panics
    /// When retries made things worse.
    pub(crate) fn check(&self, bound: Bound) {
        let most = match bound {
            Bound::Hop => 1.44,
            Bound::Chain => 1.2,
        };
        assert!(self.ratio() <= most, "{self}");
        assert_eq!((self.late, self.endless, self.left), (0, 0, 0), "{self}");
        assert!(self.recovery <= Duration::from_secs(10), "{self}");
        assert!(self.failed * 100 <= self.well, "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:.3} attempts for each of {} calls", self.ratio(), self.offered)?;
        writeln!(f, "  {} of {} failed before", self.failed, self.well)?;
        writeln!(
            f,
            "  handlers: {} late, {} without a deadline, {} left",
            self.late, self.endless, self.left
        )?;
        write!(f, "  recovered after {:?}", self.recovery)
    }
}
