//! Identities that are replaced and withdrawn, and policies that flip, between processes under
//! traffic.
//!
//! ```text
//! rotation [--full]           all of it; with --full at full size and with bounds on times
//! rotation serve BOOTSTRAP    is the server; ends with its stdin
//! rotation call BOOTSTRAP     is a client; the same
//! ```
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failure is a panic")]

mod agent;
mod client;
mod flips;
mod place;
mod serial;
mod server;
mod tale;
mod tap;
mod turnover;
mod withdrawal;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use place::Way;
use withdrawal::{Means, Withdrawal};
use world::Policy;

#[derive(Parser)]
struct Rotation {
    #[command(subcommand)]
    role: Option<Role>,
    /// At full size.
    #[arg(long)]
    full: bool,
}

#[derive(Subcommand)]
enum Role {
    /// Serves until its standard input ends.
    Serve { bootstrap: String },
    /// Calls until a line comes on its standard input.
    Call { bootstrap: String },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Rotation::parse();
    match arguments.role {
        Some(Role::Serve { bootstrap }) => server::serve(&bootstrap).await,
        Some(Role::Call { bootstrap }) => client::call(&bootstrap).await,
        None => {
            let program = std::env::current_exe().unwrap();
            run(&program, arguments.full).await;
            ExitCode::SUCCESS
        }
    }
}

async fn run(program: &Path, is_full: bool) {
    turnover(program, is_full).await;
    withdrawal(program, is_full).await;
    flips(program, is_full).await;
    println!("nothing has failed that must not");
}

async fn turnover(program: &Path, is_full: bool) {
    let serials = if is_full { 500 } else { 30 };
    let report = turnover::run(program, serials).await;
    let turnover::Report { serials_of_clients, serials_of_servers, halves, .. } = report;
    println!("{serials_of_clients} serials of clients, {serials_of_servers} of servers");
    println!("  {halves} writes left half on each side, {:?}", report.elapsed);
    println!("  {:.0} new connections a second, {} requests", report.rate(), report.requests);
    assert!(serials_of_clients >= serials && serials_of_servers >= serials);
    assert!(!is_full || report.rate() >= 20.0, "too few new connections");
}

async fn withdrawal(program: &Path, is_full: bool) {
    const BOUND: Duration = Duration::from_secs(1);
    let mut withdrawal = Withdrawal::start(program).await;
    for means in Means::ALL {
        let (mut slowest_to_refuse, mut slowest_to_close) = (Duration::ZERO, Duration::ZERO);
        for round in 0..if is_full { 10 } else { 1 } {
            let report = withdrawal.withdraw(means, Way::ALL[round % Way::ALL.len()]).await;
            // The last that was accepted counts, or the first that was not: whichever was later.
            slowest_to_refuse = slowest_to_refuse.max(report.accepted).max(report.refused);
            slowest_to_close = slowest_to_close.max(report.closed);
        }
        println!(
            "{means:?}: refused within {slowest_to_refuse:?}, closed within {slowest_to_close:?}"
        );
        let is_in_time = slowest_to_refuse <= BOUND && slowest_to_close <= BOUND;
        assert!(!is_full || is_in_time, "it takes longer than {BOUND:?}");
    }
    println!("  {} requests of somebody else", withdrawal.end().await);
}

async fn flips(program: &Path, is_full: bool) {
    let size = match is_full {
        true => flips::Size { flips: 40, rate: 2_400, between: 1_200 },
        false => flips::Size { flips: 8, rate: 300, between: 20 },
    };
    for policy in [Policy::OfListener, Policy::OfRoutes] {
        let report = flips::run(program, size, policy).await;
        println!("{size:?}\n  {:.0} requests a second: {report:?}", report.rate());
        report.check();
        assert!(!is_full || report.rate() >= 2_000.0, "too few requests");
    }
}
