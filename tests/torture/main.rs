//! Hard things to ask of a transport, asked of `mesh_tonic::Channel` over real sockets.
//!
//! ```text
//! torture                        the whole list against hyper, in a process of its own
//! torture serve                  is that server; says where it listens, ends with its stdin
//! torture run --server hyper|envoy|ccore --plain A --one A --goaway A [--admin A] [--pid N]
//! ```
//!
//! `tests/interop/torture.py` runs the list against Envoy and gRPC C-core, too. The list at a
//! smaller size, in one process, is the tests of this binary.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failure is a panic")]

mod cases;
mod client;
mod codec;
mod findings;
mod memory;
mod server;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::process::{ExitCode, Stdio};

use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use cases::Size;
use client::Lane;

#[derive(Parser)]
struct Torture {
    #[command(subcommand)]
    mode: Option<Mode>,
}

#[derive(Subcommand)]
enum Mode {
    /// Serves until its standard input ends.
    Serve,
    /// Runs the list against servers that are there.
    Run {
        #[command(flatten)]
        servers: Servers,
        /// Only this case; repeatable.
        #[arg(long)]
        only: Vec<String>,
    },
}

/// Servers of one kind, which do the same but for one setting each.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Servers {
    /// What they are.
    #[arg(long = "server")]
    kind: Kind,
    /// Without limits.
    #[arg(long)]
    plain: SocketAddr,
    /// With SETTINGS_MAX_CONCURRENT_STREAMS = 1.
    #[arg(long)]
    one: SocketAddr,
    /// With a GOAWAY after 50 requests (C-core: after 100 ms) on a connection.
    #[arg(long)]
    goaway: SocketAddr,
    /// Where Envoy tells its counters.
    #[arg(long)]
    admin: Option<SocketAddr>,
    /// The process, if it may be frozen for a while.
    #[arg(long)]
    pid: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Hyper,
    Envoy,
    Ccore,
}

#[tokio::main]
async fn main() -> ExitCode {
    match Torture::parse().mode {
        Some(Mode::Serve) => serve().await,
        Some(Mode::Run { servers, only }) => run(servers, &only).await,
        None => {
            let (_child, servers) = spawn().await;
            run(servers, &[]).await
        }
    }
}

/// Every case, or those in `only`; fails if anything is not as it should be.
async fn run(servers: Servers, only: &[String]) -> ExitCode {
    let is_wanted = |name: &str| only.is_empty() || only.iter().any(|wanted| wanted == name);
    let (mut run, mut misses) = (0, 0);
    for (name, case) in cases::ALL.iter().filter(|(name, _)| is_wanted(name)) {
        run += 1;
        let findings = cases::judged(name, *case, Lane::new(servers, name), Size::FULL).await;
        println!("{findings}");
        misses += findings.misses();
    }
    println!("torture: {:?}: {run} cases, {misses} misses", servers.kind);
    if misses == 0 && run > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn serve() -> ExitCode {
    let [plain, one, goaway] = server::start().await;
    println!("{plain} {one} {goaway}");
    // Whoever started it may end in whatever way.
    tokio::io::stdin().read_to_end(&mut Vec::new()).await.ok();
    ExitCode::SUCCESS
}

/// The server in a process of its own, so that what that takes is not counted as the client's.
async fn spawn() -> (Child, Servers) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).await.unwrap();
    let addresses: Vec<SocketAddr> = line.split_whitespace().map(|a| a.parse().unwrap()).collect();
    let [plain, one, goaway] = addresses[..] else { panic!("{line:?} is not three addresses") };
    let pid = child.id();
    (child, Servers { kind: Kind::Hyper, plain, one, goaway, admin: None, pid })
}
