//! One of three backends is killed (SIGKILL) under traffic on pooled connections, again and again.
//!
//! ```text
//! kill [--full]       asks over HTTP and over gRPC, with and without retries
//! kill serve NAME     is a backend; ends with its stdin
//! ```
#![expect(clippy::unwrap_used, reason = "a failure is a panic")]

mod ask;
mod backend;
mod run;
mod world;

use std::path::Path;
use std::process::ExitCode;

use ask::Protocol;
use clap::{Parser, Subcommand};
use run::Size;
use world::Retry;

#[derive(Parser)]
struct Kill {
    #[command(subcommand)]
    role: Option<Role>,
    /// At full size.
    #[arg(long)]
    full: bool,
}

#[derive(Subcommand)]
enum Role {
    /// Serves until its standard input ends.
    Serve { name: String },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Kill::parse();
    match arguments.role {
        Some(Role::Serve { name }) => backend::serve(&name).await,
        None => {
            let program = std::env::current_exe().unwrap();
            run(&program, if arguments.full { Size::FULL } else { Size::BRIEF }).await;
            ExitCode::SUCCESS
        }
    }
}

async fn run(program: &Path, size: Size) {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        for retry in [Retry::Never, Retry::Policy] {
            let report = run::run(program, size, protocol, retry).await;
            println!("{protocol:?}, {retry:?}: {report}");
            report.check(retry);
        }
    }
}
