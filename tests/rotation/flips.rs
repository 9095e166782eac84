//! A policy that allows and denies in turn, while requests are sent at a steady rate.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mesh_core::identity::Feed;
use mesh_hyper::{Client, Mesh};
use mesh_xds::bootstrap::Bootstrap;
use mesh_xds::identity::DevCa;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::world::{Action, Policy, World};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) flips: u32,
    /// Requests a second.
    pub(crate) rate: u32,
    /// Requests that are sent and answered between two flips, at least.
    pub(crate) between: u64,
}

/// What has become of requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
    /// Under way while the policy changed, so that either is right.
    pub(crate) meanwhile: u64,
    /// Sent after everybody had said to deny them, and let in.
    pub(crate) forbidden_successes: u64,
    /// Sent after everybody had said to allow them, and denied.
    pub(crate) wrongful_denials: u64,
    /// Neither allowed nor denied.
    pub(crate) failures: BTreeMap<String, u64>,
    /// Requests of the present phase that are sent and answered.
    settled: u64,
    pub(crate) elapsed: Duration,
}

/// In which policies are in force: 0 allows, 1 changes, 2 denies, 3 changes, and so on.
type Phase = Arc<AtomicU64>;

/// Bursts are this far apart.
const TICK: Duration = Duration::from_millis(2);

/// A pause up to this long is made up for.
const CATCH_UP: Duration = Duration::from_millis(250);

/// Requests under way at most.
const WIDTH: u32 = 256;

/// Flips the policy that `policy` makes of an action.
pub(crate) async fn run(program: &Path, size: Size, policy: fn(Action) -> Policy) -> Report {
    let ca = DevCa::new("td").unwrap();
    let world = World::start(program, &ca.issue(&ca.workload("/server")).unwrap(), &[&ca]).await;
    let bootstrap = Bootstrap::from_json(&world.control.bootstrap_json(&[])).unwrap();
    let source = Arc::new(Feed::of(ca.material(&ca.workload("/client")).unwrap()));
    let builder = Mesh::builder().bootstrap(bootstrap).identity("default", source);
    let client = Client::new(&builder.build().unwrap());
    world.push(policy(Action::Allow)).await;
    client.get("http://kept/").await.unwrap().text().await.unwrap();
    world.push(policy(Action::Allow)).await;

    let (phase, report) = (Phase::default(), watch::Sender::<Report>::default());
    let report = Arc::new(report);
    let start = Instant::now();
    let driver = tokio::spawn(drive(client, size.rate, phase.clone(), report.clone()));
    for action in [Action::Deny, Action::Allow].into_iter().cycle().take(size.flips as usize) {
        settle(&report, size.between).await;
        phase.fetch_add(1, Ordering::SeqCst);
        world.push(policy(action)).await;
        // Everybody has acknowledged it: what is sent from now on is decided by it.
        phase.fetch_add(1, Ordering::SeqCst);
    }
    settle(&report, size.between).await;
    stop(driver).await;
    let mut report = report.borrow().clone();
    report.elapsed = start.elapsed();
    report
}

/// Waits for `count` more requests that were sent and answered in the present phase.
async fn settle(report: &watch::Sender<Report>, count: u64) {
    report.send_modify(|report| report.settled = 0);
    report.subscribe().wait_for(|report| report.settled >= count).await.unwrap();
}

async fn stop(driver: JoinHandle<()>) {
    driver.abort();
    // It was aborted.
    drop(driver.await);
}

/// Sends requests, and does not wait for one to send the next.
async fn drive(client: Client, rate: u32, phase: Phase, report: Arc<watch::Sender<Report>>) {
    let places = Arc::new(Semaphore::new(WIDTH as usize));
    let (mut tick, mut due, mut before) = (interval(TICK), 0.0, Instant::now());
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tick.tick().await;
        let now = Instant::now();
        due += f64::from(rate) * (now - before).min(CATCH_UP).as_secs_f64();
        before = now;
        while due >= 1.0 {
            due -= 1.0;
            let place = places.clone().acquire_owned().await.unwrap();
            let (client, phase, report) = (client.clone(), phase.clone(), report.clone());
            tokio::spawn(async move {
                let sent = phase.load(Ordering::SeqCst);
                let answer = ask(&client).await;
                let answered = phase.load(Ordering::SeqCst);
                report.send_modify(|report| report.take(answer, sent, answered));
                drop(place);
            });
        }
    }
}

/// Whether one request is allowed.
async fn ask(client: &Client) -> Result<bool, String> {
    let response = client.get("http://kept/").await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let text = response.text().await.map_err(|error| error.to_string())?;
    match (status, &*text) {
        (200, "served") => Ok(true),
        (403, _) => Ok(false),
        _ => Err(format!("{status}: {text}")),
    }
}

impl Report {
    fn take(&mut self, answer: Result<bool, String>, sent: u64, answered: u64) {
        self.requests += 1;
        let is_allowed = match answer {
            Ok(is_allowed) => is_allowed,
            Err(why) => return *self.failures.entry(why).or_default() += 1,
        };
        self.allowed += u64::from(is_allowed);
        self.denied += u64::from(!is_allowed);
        if !sent.is_multiple_of(2) || answered != sent {
            self.meanwhile += 1;
            return;
        }
        self.settled += 1;
        let may = sent.is_multiple_of(4);
        self.forbidden_successes += u64::from(is_allowed && !may);
        self.wrongful_denials += u64::from(!is_allowed && may);
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// # Panics
    /// When anything was wrong.
    pub(crate) fn check(&self) {
        assert_eq!((self.forbidden_successes, self.wrongful_denials), (0, 0), "{self:?}");
        assert!(self.failures.is_empty(), "{self:?}");
    }
}
