//! Servers that answer before they have read the request, which never ends by itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tonic::{Code, Status};

use super::Size;
use crate::Kind;
use crate::client::{Lane, Link, Repeated, endless, eventually};
use crate::findings::Findings;

/// Each kind of answer so often.
const TIMES: u32 = 50;

/// The size of a message.
const KIBIBYTES: usize = 16;

pub(super) async fn run(lane: Lane, _: Size, mut found: Findings) -> Findings {
    let link = lane.plain(|_| {});
    let (mut failures, mut bodies) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        for method in ["Early", "Refuse"] {
            let (body, taken) = endless(Bytes::from_static(&[0; KIBIBYTES << 10]), u64::MAX);
            bodies.push(taken);
            let answered = match (method, call(&link, method, body).await) {
                ("Early", Ok(message)) => message == "early",
                ("Refuse", Err(status)) if status.code() == Code::FailedPrecondition => {
                    status.message() == "not today"
                }
                (_, Err(status)) => {
                    failures.push(status);
                    continue;
                }
                (_, Ok(_)) => false,
            };
            assert!(answered, "{method} is answered otherwise");
        }
    }
    found.failures(&failures);
    // Who still sends a body holds its counter.
    let dropped = eventually(|| bodies.iter().all(|taken| Arc::strong_count(taken) == 1));
    found.exactly("bodies that go on", u64::from(!dropped.await), 0);
    let taken = bodies.iter().map(|taken| taken.load(Ordering::SeqCst)).max().unwrap_or_default();
    let kibibytes = taken * KIBIBYTES as u64;
    match lane.kind() {
        Kind::Hyper | Kind::Envoy => found.at_most("KiB sent at the most", kibibytes, 8 << 10),
        // C-core takes, and throws away, what comes after its answer until that has been read.
        Kind::Ccore => found.note("KiB sent at the most", kibibytes),
    }
    link.say(Bytes::from_static(b"still there?")).await.unwrap();
    let report = lane.report().await;
    found.exactly("calls at handlers", report.calls, u64::from(TIMES) * 2 + 1);
    found.exactly("connections", report.connections, 1);
    found.exactly("left under way", link.left_under_way().await, 0);
    found
}

/// The answer to a request without end.
async fn call(link: &Link, method: &str, body: Repeated) -> Result<Bytes, Status> {
    let mut answers = link.open(method, Duration::ZERO, body).await?.into_inner();
    let message = answers.message().await?.unwrap_or_default();
    match answers.message().await? {
        None => Ok(message),
        Some(_) => Err(Status::data_loss("one more message came")),
    }
}
