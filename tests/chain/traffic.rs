//! Calls at a steady rate, whatever becomes of them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_tests::{EchoClient, Message};
use mesh_tonic::Channel;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

pub(crate) const SAY: &str = "/test.Echo/Say";

/// What each caller waits.
pub(crate) const DEADLINE: Duration = Duration::from_millis(400);

/// Calls are started in bursts this far apart.
const TICK: Duration = Duration::from_millis(5);

/// A pause up to this long is made up for; after a longer one fewer calls are made.
const CATCH_UP: Duration = Duration::from_millis(100);

/// Calls under way at most.
const WIDTH: u32 = 1_000;

/// Calls that go on until they are stopped.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// Calls a second; none ends it.
    pub(crate) rate: Arc<AtomicU32>,
    pub(crate) counts: Arc<Counts>,
    task: JoinHandle<()>,
}

/// What has become of the calls.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) offered: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// When the last was started that failed.
    pub(crate) last_failed: Mutex<Option<Instant>>,
}

impl Traffic {
    pub(crate) fn start(callers: Channel, rate: u32) -> Self {
        let (rate, counts) = (Arc::new(AtomicU32::new(rate)), Arc::<Counts>::default());
        let task = tokio::spawn(drive(EchoClient::new(callers), rate.clone(), counts.clone()));
        Self { rate, counts, task }
    }

    /// Waits for the last call.
    pub(crate) async fn stop(self) -> Arc<Counts> {
        self.rate.store(0, Ordering::Relaxed);
        self.task.await.unwrap();
        self.counts
    }
}

async fn drive(client: EchoClient<Channel>, rate: Arc<AtomicU32>, counts: Arc<Counts>) {
    let places = Arc::new(Semaphore::new(WIDTH as usize));
    let (mut tick, mut due, mut before) = (interval(TICK), 0.0, Instant::now());
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tick.tick().await;
        let rate = rate.load(Ordering::Relaxed);
        if rate == 0 {
            break;
        }
        let now = Instant::now();
        due += f64::from(rate) * (now - before).min(CATCH_UP).as_secs_f64();
        before = now;
        while due >= 1.0 {
            due -= 1.0;
            let place = places.clone().acquire_owned().await.unwrap();
            let (client, counts) = (client.clone(), counts.clone());
            tokio::spawn(async move {
                call(client, &counts).await;
                drop(place);
            });
        }
    }
    // All places are free when the last call has ended.
    drop(places.acquire_many(WIDTH).await.unwrap());
}

async fn call(mut client: EchoClient<Channel>, counts: &Counts) {
    counts.offered.fetch_add(1, Ordering::Relaxed);
    let started = Instant::now();
    let mut request = tonic::Request::new(Message::default());
    request.set_timeout(DEADLINE);
    if client.call(SAY, request).await.is_err() {
        counts.failed.fetch_add(1, Ordering::Relaxed);
        let mut last = counts.last_failed.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).max(Some(started));
    }
}
