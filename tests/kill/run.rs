//! Calls at a steady rate while backends die.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mesh_tonic::Mesh;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::ask::{Caller, Protocol};
use crate::world::{Retry, World};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    kills: u32,
    /// Calls a second.
    rate: u32,
    /// How long between a kill and the next backend, and between that and the next kill.
    pause: Duration,
}

impl Size {
    pub(crate) const FULL: Self =
        Self { kills: 20, rate: 1_000, pause: Duration::from_millis(500) };
    pub(crate) const BRIEF: Self = Self { kills: 3, rate: 200, pause: Duration::from_millis(200) };
}

/// Calls are started in bursts this far apart.
const TICK: Duration = Duration::from_millis(5);

/// A pause up to this long is made up for; after a longer one fewer calls are made.
const CATCH_UP: Duration = Duration::from_millis(100);

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    calls: usize,
    kills: Vec<Kill>,
    /// Why calls failed, and how many.
    failed: BTreeMap<String, usize>,
    elapsed: Duration,
}

/// What a kill has cost.
#[derive(Clone, Debug, Default)]
struct Kill {
    /// Calls under way on the backend: all that were, but for those that others answered.
    under_way: usize,
    /// Those of them that failed.
    failed: usize,
    /// Calls that failed though they were made when others had failed already.
    after: usize,
}

/// A call from its start to its end.
struct Call {
    start: Instant,
    end: Instant,
    result: Result<String, String>,
}

type Calls = Arc<Mutex<Vec<Call>>>;

pub(crate) async fn run(program: &Path, size: Size, protocol: Protocol, retry: Retry) -> Report {
    let mut world = World::start(program, retry).await;
    let bootstrap = world.control.bootstrap(&[]).unwrap();
    let mesh = Mesh::builder().bootstrap(bootstrap).build().unwrap();
    let mut caller = Caller::new(&mesh, protocol);
    // All three are connected once all have answered.
    let mut answers = HashMap::new();
    while answers.len() < 3 {
        *answers.entry(caller.ask().await.unwrap()).or_insert(0) += 1;
    }
    let calls = Calls::default();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let traffic = tokio::spawn(drive(caller, size.rate, calls.clone(), stopped));
    let start = Instant::now();
    let mut kills = Vec::new();
    for _ in 0..size.kills {
        sleep(size.pause).await;
        let before = Instant::now();
        let name = world.kill().await;
        kills.push((name, before, Instant::now()));
        sleep(size.pause).await;
        world.add().await;
    }
    sleep(size.pause).await;
    stop.send(()).unwrap();
    traffic.await.unwrap();
    let calls = calls.lock().unwrap();
    Report::of(&calls, &kills, start.elapsed())
}

async fn drive(
    caller: Caller,
    rate: u32,
    calls: Calls,
    mut stopped: tokio::sync::oneshot::Receiver<()>,
) {
    let (mut tick, mut due, mut before) = (interval(TICK), 0.0, Instant::now());
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut under_way = tokio::task::JoinSet::new();
    while stopped.try_recv().is_err() {
        tick.tick().await;
        let now = Instant::now();
        due += f64::from(rate) * (now - before).min(CATCH_UP).as_secs_f64();
        before = now;
        while due >= 1.0 {
            due -= 1.0;
            let (mut caller, calls) = (caller.clone(), calls.clone());
            under_way.spawn(async move {
                let start = Instant::now();
                let result = caller.ask().await;
                let call = Call { start, end: Instant::now(), result };
                calls.lock().unwrap().push(call);
            });
        }
        while under_way.try_join_next().is_some() {}
    }
    under_way.join_all().await;
}

impl Report {
    fn of(calls: &[Call], kills: &[(String, Instant, Instant)], elapsed: Duration) -> Self {
        let mut report = Self { calls: calls.len(), elapsed, ..Self::default() };
        for (i, (name, before, after)) in kills.iter().enumerate() {
            let next = kills.get(i + 1).map(|(_, before, _)| *before);
            let failed = |call: &&Call| {
                call.result.is_err()
                    && call.end >= *before
                    && next.is_none_or(|next| call.end < next)
            };
            let failures = calls.iter().filter(failed);
            // Until the end of its connection is noticed, calls are still sent to it.
            let noticed = failures.clone().map(|call| call.end).min().unwrap_or(*after);
            let noticed = noticed.max(*after);
            let under_way = calls.iter().filter(|call| {
                let was = call.start < noticed && call.end >= *before;
                was && call.result.as_ref().map_or(true, |answer| answer == name)
            });
            report.kills.push(Kill {
                under_way: under_way.count(),
                failed: failures.clone().filter(|call| call.start < noticed).count(),
                after: failures.filter(|call| call.start >= noticed).count(),
            });
        }
        for call in calls {
            if let Err(why) = &call.result {
                // Ports are of no interest.
                let why: String = why.chars().filter(|c| !c.is_ascii_digit()).collect();
                *report.failed.entry(why).or_default() += 1;
            }
        }
        report
    }

    /// # Panics
    /// When more calls failed than must.
    pub(crate) fn check(&self, retry: Retry) {
        let failed: usize = self.failed.values().sum();
        let of_kills: usize = self.kills.iter().map(|kill| kill.failed + kill.after).sum();
        assert_eq!(failed, of_kills, "calls failed before the first kill: {self}");
        let is_bounded = |kill: &Kill| kill.failed <= kill.under_way && kill.after == 0;
        assert!(self.kills.iter().all(is_bounded), "{self}: {:?}", self.kills);
        if retry == Retry::Policy {
            assert_eq!(failed, 0, "{self}");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.calls as f64 / self.elapsed.as_secs_f64();
        writeln!(f, "{} calls, {rate:.0} a second, {} kills", self.calls, self.kills.len())?;
        let sum = |of: fn(&Kill) -> usize| self.kills.iter().map(of).sum::<usize>();
        write!(
            f,
            "  {} under way when it was killed, {} of them failed, {} later; {:?}",
            sum(|kill| kill.under_way),
            sum(|kill| kill.failed),
            sum(|kill| kill.after),
            self.failed
        )
    }
}
