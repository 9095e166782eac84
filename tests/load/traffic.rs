//! Calls at a steady rate, each checked against the configurations it may have seen.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_tests::{EchoClient, Message};
use mesh_tonic::{Channel, Mesh};
use mesh_xds::graph;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

pub(crate) const SAY: &str = "/test.Echo/Say";

/// Calls are started in bursts this far apart.
const TICK: Duration = Duration::from_millis(5);

/// A pause up to this long is made up for; after a longer one fewer calls are made.
const CATCH_UP: Duration = Duration::from_millis(250);

/// Calls under way at most, well below the limit of a cluster (1024).
const WIDTH: u32 = 256;

/// What never comes true within this time is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between which numbers of configurations the one in use is.
#[derive(Debug, Default)]
pub(crate) struct Epoch {
    /// No later one can be in use.
    pub(crate) newest: AtomicU32,
    /// No earlier one can be in use.
    pub(crate) oldest: AtomicU32,
}

/// What calls have seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) calls: u64,
    /// Answers by backend.
    pub(crate) answers: BTreeMap<String, u64>,
    /// The first of each kind.
    pub(crate) failures: BTreeMap<String, u64>,
}

/// Calls that go on until they are stopped.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Report>,
}

impl Traffic {
    /// Starts `rate` calls a second. `expect` says who answers under each configuration.
    pub(crate) fn start(
        client: EchoClient<Channel>,
        rate: u32,
        epoch: Arc<Epoch>,
        expect: fn(u32) -> &'static str,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(drive(client, rate, epoch, expect, stop.clone()));
        Self { stop, task }
    }

    /// Waits for the last call.
    ///
    /// # Panics
    /// When a call has failed, or was answered by somebody who no configuration led to.
    pub(crate) async fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        let report = self.task.await.unwrap();
        assert_eq!(report.failures, BTreeMap::new(), "{report:?}");
        report
    }
}

async fn drive(
    client: EchoClient<Channel>,
    rate: u32,
    epoch: Arc<Epoch>,
    expect: fn(u32) -> &'static str,
    stop: Arc<AtomicBool>,
) -> Report {
    let report = Arc::new(Mutex::new(Report::default()));
    let places = Arc::new(Semaphore::new(WIDTH as usize));
    let (mut tick, mut due, mut before) = (interval(TICK), 0.0, Instant::now());
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !stop.load(Ordering::Relaxed) {
        tick.tick().await;
        // A late tick makes up for it, as long as it is not so late that the machine is too slow.
        let now = Instant::now();
        due += f64::from(rate) * (now - before).min(CATCH_UP).as_secs_f64();
        before = now;
        while due >= 1.0 {
            due -= 1.0;
            let place = places.clone().acquire_owned().await.unwrap();
            let (mut client, epoch, report) = (client.clone(), epoch.clone(), report.clone());
            tokio::spawn(async move {
                let from = epoch.oldest.load(Ordering::SeqCst);
                let answer = client.call(SAY, Message::default()).await;
                let to = epoch.newest.load(Ordering::SeqCst);
                report.lock().unwrap().take(answer, from..=to, expect);
                drop(place);
            });
        }
    }
    // All places are free when the last call has ended.
    drop(places.acquire_many(WIDTH).await.unwrap());
    std::mem::take(&mut *report.lock().unwrap())
}

impl Report {
    fn take(
        &mut self,
        answer: Result<tonic::Response<Message>, tonic::Status>,
        mut epochs: std::ops::RangeInclusive<u32>,
        expect: fn(u32) -> &'static str,
    ) {
        self.calls += 1;
        let failure = match answer {
            Ok(answer) => {
                let backend = answer.into_inner().text;
                let is_expected = epochs.any(|epoch| expect(epoch) == backend);
                let failure = format!("answered by {backend} under configuration {epochs:?}");
                *self.answers.entry(backend).or_default() += 1;
                if is_expected {
                    return;
                }
                failure
            }
            Err(status) => format!("{:?}: {}", status.code(), status.message()),
        };
        *self.failures.entry(failure).or_default() += 1;
    }
}

/// Waits until what the mesh knows is as `condition` wants it.
pub(crate) async fn eventually(mesh: &Mesh, condition: impl Fn(&graph::Status) -> bool) {
    let mut tick = interval(TICK);
    let waited = timeout(PATIENCE, async {
        loop {
            tick.tick().await;
            if mesh.status().await.graph.is_some_and(|graph| condition(&graph)) {
                return;
            }
        }
    });
    let waited = waited.await;
    assert_eq!(waited, Ok(()), "{}", mesh.status().await);
}

/// Whether no target waits for anything.
pub(crate) fn is_complete(graph: &graph::Status) -> bool {
    graph.roots.iter().all(|root| root.waiting.is_empty() && root.state.snapshot().is_some())
}

/// Calls until `backend` answers.
///
/// # Panics
/// When a call fails, or it never does.
pub(crate) async fn until_answered_by(client: &mut EchoClient<Channel>, backend: &str) {
    let calls = async {
        while client.call(SAY, Message::default()).await.unwrap().into_inner().text != backend {}
    };
    timeout(PATIENCE, calls).await.unwrap();
}
