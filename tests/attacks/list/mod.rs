//! The attacks.

mod floods;
mod heads;
mod http1;
mod slow;
mod streams;

use std::net::SocketAddr;
use std::pin::Pin;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// One way to do harm.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// How many calls may come of it.
    pub(crate) calls: Calls,
    /// How many connections at a time.
    parallel: usize,
    /// What it does with a connection, until that ends. One that it leaves open is closed then.
    on: fn(TcpStream) -> Deed,
}

type Deed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How many calls may reach the application.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Calls {
    /// None at all.
    None,
    /// No more than these for each connection.
    Most(u64),
    /// As many as it likes.
    Any,
}

impl Calls {
    pub(crate) fn allow(self, calls: u64, connections: u64) -> bool {
        match self {
            Self::None => calls == 0,
            Self::Most(each) => calls <= each * connections,
            Self::Any => true,
        }
    }
}

/// Enough to keep a server of two cores busy.
const PARALLEL: usize = 4;

/// Repeats an attack until then; how many connections it took.
pub(crate) async fn run(attack: &Attack, address: SocketAddr, until: Instant) -> u64 {
    let mut attackers = JoinSet::new();
    for _ in 0..attack.parallel {
        let on = attack.on;
        attackers.spawn(async move {
            let mut connections = 0;
            while let Ok(Ok(io)) = timeout_at(until, TcpStream::connect(address)).await {
                connections += 1;
                if timeout_at(until, on(io)).await.is_err() {
                    break;
                }
            }
            connections
        });
    }
    attackers.join_all().await.into_iter().sum()
}

macro_rules! attacks {
    ($($name:literal $on:path, $calls:expr, $parallel:expr;)*) => {
        /// All there are.
        pub(crate) const ALL: &[Attack] = &[$(Attack {
            name: $name,
            calls: $calls,
            parallel: $parallel,
            on: |io| Box::pin($on(io)),
        }),*];
    };
}

attacks! {
    "rapid-reset" streams::resets_at_once, Calls::Most(1_024), PARALLEL;
    "rapid-reset-paced" streams::resets_in_turn, Calls::Most(1_024), PARALLEL;
    "made-you-reset" streams::errors, Calls::Most(1_024), PARALLEL;
    "streams-above-the-limit" streams::too_many, Calls::Most(256), PARALLEL;
    "window-of-nothing" streams::no_window, Calls::Most(256), PARALLEL;
    "socket-never-read" streams::never_read, Calls::Most(256), PARALLEL;
    "single-bytes" streams::single_bytes, Calls::Most(8), PARALLEL;
    "empty-data" streams::empty_data, Calls::Most(1), PARALLEL;
    "settings" floods::settings, Calls::None, PARALLEL;
    "pings" floods::pings, Calls::None, PARALLEL;
    "priorities" floods::priorities, Calls::None, PARALLEL;
    "window-updates" floods::window_updates, Calls::None, PARALLEL;
    "unknown-frames" floods::unknown_frames, Calls::None, PARALLEL;
    "frames-too-large" floods::too_large, Calls::None, PARALLEL;
    "random-bytes" floods::random_bytes, Calls::None, PARALLEL;
    "continuations" heads::continuations, Calls::None, PARALLEL;
    "heads-too-large" heads::too_large, Calls::None, PARALLEL;
    "hpack-bomb" heads::bomb, Calls::None, PARALLEL;
    "cookie-crumbs" heads::crumbs, Calls::None, PARALLEL;
    "many-hosts" heads::hosts, Calls::None, PARALLEL;
    "http1-endless-head" http1::endless_head, Calls::None, PARALLEL;
    "http1-smuggling" http1::smuggling, Calls::None, PARALLEL;
    "http1-pipelining" http1::pipelining, Calls::Any, PARALLEL;
    "http1-chunk-extensions" http1::chunk_extensions, Calls::Most(1), PARALLEL;
    "slow-nothing" slow::nothing, Calls::None, 500;
    "slow-preface" slow::preface, Calls::None, 500;
    "slow-http1-head" slow::http1_head, Calls::None, 500;
    "slow-http2-head" slow::http2_head, Calls::None, 500;
    "tls-where-there-is-none" slow::tls, Calls::None, PARALLEL;
}

/// Sends `bytes` again and again until the server has enough.
async fn flood(io: &mut TcpStream, bytes: &[u8]) {
    use tokio::io::AsyncWriteExt;
    while io.write_all(bytes).await.is_ok() {}
}
