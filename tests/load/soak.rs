//! The load tests at full size: half an hour, with `--full`; without it, a minute of it.
#![expect(clippy::unwrap_used, reason = "a failure is a panic")]

mod chat;
mod flips;
mod monday;
mod outage;
mod traffic;

use std::time::Duration;

#[tokio::main]
async fn main() {
    let is_full = std::env::args().any(|argument| argument == "--full");
    let of = |full: u32, brief: u32| if is_full { full } else { brief };
    let seconds = |full, brief| Duration::from_secs(of(full, brief).into());
    for features in [&[][..], &["delta"]] {
        println!("server features {features:?}");
        let size =
            flips::Size { flips: of(100, 5), rate: 2_000, delay: seconds(3, 1), streams: 50 };
        println!("{size:?}");
        println!("{:?}", flips::run(size, features).await);
        let size = outage::Size { down: seconds(60, 5), rate: 2_000, flaps: of(100, 20) };
        println!("{size:?}");
        println!("{:?}", outage::run(size, features).await);
    }
    let size = monday::Size { targets: 300, late: seconds(20, 5) };
    println!("{size:?}");
    monday::run(size).await;
    println!("no call has failed");
}
