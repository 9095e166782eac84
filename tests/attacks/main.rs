//! Clients that mean harm to a mesh server, over real sockets, while others are served.
//!
//! ```text
//! attacks [--seconds N] [--only NAME]...   each attack for N seconds (3 without --seconds)
//! attacks serve                            is the server; ends with its stdin
//! ```
//!
//! Of each attack is asked: do all calls of the good client succeed, does the server's memory grow
//! by no more than 32 MiB, does every call that reaches the application end, and do none reach it
//! that must not?
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failure is a panic")]

mod good;
mod list;
#[expect(dead_code, reason = "the server's own tests look at more of the answers")]
#[path = "../../mesh-hyper/src/server/tests/raw.rs"]
mod raw;
mod server;
mod victim;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::time::Instant;

use list::{ALL, Attack};
use victim::Victim;

/// What the server may come to use more under an attack, in KiB.
const GROWTH: u64 = 32 * 1024;

#[derive(Parser)]
struct Attacks {
    #[command(subcommand)]
    mode: Option<Mode>,
    /// How long each attack lasts.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Only this attack; repeatable.
    #[arg(long)]
    only: Vec<String>,
}

#[derive(Subcommand)]
enum Mode {
    /// Serves until its standard input ends.
    Serve,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Attacks::parse();
    match arguments.mode {
        Some(Mode::Serve) => return server::serve().await,
        None => {}
    }
    let seconds = Duration::from_secs(arguments.seconds);
    let is_wanted = |attack: &&Attack| {
        arguments.only.is_empty() || arguments.only.iter().any(|name| name == attack.name)
    };
    let (mut run, mut misses) = (0, 0);
    for attack in ALL.iter().filter(is_wanted) {
        run += 1;
        misses += usize::from(!withstood(attack, seconds).await);
    }
    println!("attacks: {run} of {seconds:?} each, {misses} not withstood");
    if misses == 0 && run > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one attack against a server of its own, and says what came of it.
async fn withstood(attack: &Attack, length: Duration) -> bool {
    let mut victim = Victim::start().await;
    let address = victim.address;
    // What a server needs for any clients at all is not the attack's.
    good::warm(address).await;
    let memory = victim.memory();
    let until = Instant::now() + length;
    let good = tokio::spawn(good::calls(address, until));
    let connections = list::run(attack, address, until).await;
    let good = good.await.unwrap();
    let growth = memory.growth();
    let counts = victim.at_rest().await;
    let mut misses = Vec::new();
    if !good.errors.is_empty() {
        misses.push(format!("{} good calls failed: {}", good.errors.len(), good.errors[0]));
    }
    if counts.good != good.calls + good::WARM {
        misses.push(format!("{} good calls were served, {} made", counts.good, good.calls));
    }
    if growth > GROWTH {
        misses.push(format!("{growth} KiB more memory"));
    }
    if counts.started != counts.ended {
        misses.push(format!("{} calls began, {} ended", counts.started, counts.ended));
    }
    if !attack.calls.allow(counts.started, connections) {
        misses.push(format!("{} calls reached the application", counts.started));
    }
    println!(
        "{:<28} {connections:>6} connections, {:>7} calls of its own, {:>6} good, {growth:>6} KiB{}",
        attack.name,
        counts.started,
        good.calls,
        if misses.is_empty() { String::new() } else { format!(": {}", misses.join("; ")) },
    );
    misses.is_empty()
}
