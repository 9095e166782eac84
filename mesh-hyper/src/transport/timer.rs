//! Deadlines of calls, on a few shared wheels instead of one tokio timer per call.
//!
//! One task sleeps until the earliest deadline it knows of. A call whose deadline lies later than
//! that only touches its shard, so in steady traffic the task wakes once per timeout, not per call.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::wheel::{Key, Wheel};
use crate::runtime;

const SHARDS: usize = 4;

/// The deadlines of all calls of a mesh. Resolution 1 ms, never early.
#[derive(Debug)]
pub(crate) struct Timers {
    start: Instant,
    shards: [Shard; SHARDS],
    /// The tick at which the task looks next; `u64::MAX` while it looks or sleeps without end.
    armed: AtomicU64,
    earlier: Notify,
}

/// Padded, so that two workers do not share a cache line.
#[derive(Debug)]
#[repr(align(128))]
struct Shard(Mutex<Wheel>);

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Wheel> {
        // A wheel is never left half-changed: its methods do not panic between writes.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Timers {
    /// Timers whose task runs on `handle` for as long as they live.
    pub(crate) fn start(handle: &tokio::runtime::Handle) -> Arc<Self> {
        let _in_runtime = handle.enter();
        let timers = Arc::new(Self {
            start: runtime::now(),
            shards: std::array::from_fn(|_| Shard(Mutex::new(Wheel::new()))),
            armed: AtomicU64::new(u64::MAX),
            earlier: Notify::new(),
        });
        handle.spawn(run(Arc::downgrade(&timers)));
        timers
    }

    /// The first tick that is not before `at`.
    fn tick(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.start).as_nanos();
        u64::try_from(since.div_ceil(1_000_000)).unwrap_or(u64::MAX - 1)
    }

    fn time(&self, tick: u64) -> Instant {
        self.start + Duration::from_millis(tick)
    }

    /// Collects what is due, and returns the next tick to look at.
    fn turn(&self, due: &mut Vec<Waker>) -> Option<u64> {
        let elapsed = runtime::now().saturating_duration_since(self.start).as_millis();
        let now = u64::try_from(elapsed).unwrap_or(u64::MAX - 1);
        let turn = |shard: &Shard| {
            let mut wheel = shard.lock();
            wheel.advance(now, due);
            wheel.next_tick()
        };
        self.shards.iter().filter_map(turn).min()
    }
}

async fn run(timers: Weak<Timers>) {
    let mut due = Vec::new();
    loop {
        let Some(strong) = timers.upgrade() else { return };
        // While the wheels are looked at, every insertion counts as earlier and asks for another
        // look, so none falls between the look and the new `armed`.
        strong.armed.store(u64::MAX, Ordering::SeqCst);
        let next = strong.turn(&mut due);
        due.drain(..).for_each(Waker::wake);
        if let Some(next) = next {
            strong.armed.store(next, Ordering::SeqCst);
        }
        let until = next.map(|tick| strong.time(tick));
        // Wakes up now and then to see whether anybody still holds the timers.
        let patience = Duration::from_secs(60);
        tokio::select! {
            () = strong.earlier.notified() => {}
            () = async { runtime::sleep_until(until.unwrap_or_else(|| runtime::now() + patience)).await } => {}
            () = gone(&timers, patience) => {}
        }
    }
}

/// Resolves when only the task itself holds the timers.
async fn gone(timers: &Weak<Timers>, patience: Duration) {
    loop {
        tokio::time::sleep(patience).await;
        if timers.strong_count() <= 1 {
            return;
        }
    }
}

/// One call's deadline. Registers itself only when the call has to wait.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    deadline: Option<Instant>,
    registered: Option<(u8, Key)>,
}

impl Timer {
    pub(crate) fn new(deadline: Option<Instant>) -> Self {
        Self { deadline, registered: None }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the deadline has passed; otherwise the task of `cx` is woken when it does.
    #[inline]
    pub(crate) fn poll(&mut self, timers: &Timers, cx: &mut Context<'_>) -> bool {
        self.deadline.is_some_and(|deadline| self.poll_at(deadline, timers, cx))
    }

    /// The same of another time than the deadline, or of the time given when it was registered.
    #[inline]
    pub(crate) fn poll_at(&mut self, at: Instant, timers: &Timers, cx: &mut Context<'_>) -> bool {
        if let Some((shard, key)) = self.registered {
            return timers.shards[usize::from(shard) % SHARDS].lock().is_fired(key, cx.waker());
        }
        let shard = shard_of_thread();
        let tick = timers.tick(at);
        let key =
            timers.shards[usize::from(shard) % SHARDS].lock().insert(tick, cx.waker().clone());
        self.registered = Some((shard, key));
        if tick < timers.armed.load(Ordering::SeqCst) {
            timers.earlier.notify_one();
        }
        false
    }

    /// Forgets the registration. Called by the owner before it goes away, or registers anew.
    #[inline]
    pub(crate) fn cancel(&mut self, timers: &Timers) {
        if let Some((shard, key)) = self.registered.take() {
            timers.shards[usize::from(shard) % SHARDS].lock().remove(key);
        }
    }
}

fn shard_of_thread() -> u8 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: u8 = u8::try_from(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS).unwrap_or(0);
    }
    SHARD.with(|shard| *shard)
}
