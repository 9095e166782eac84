//! A mesh in one command: control plane, backends and client, all in this process, on loopback.
//!
//! ```text
//! cargo run -p mesh-examples --bin quickstart
//! ```
//!
//! Three greeters in two versions. While calls are made, configuration alone sends a tenth of them
//! to the new version, then only those of testers, then all; the new version drains, the old one
//! takes over, the new one returns. Not one call may fail: any that does, a share that is off, or
//! a call that client and backends count differently ends the program with an error.

mod backend;
mod counts;
mod greeter;
mod load;
mod step;
mod story;
mod table;
mod templates;
#[cfg(test)]
mod tests;

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::Parser;
use step::STEPS;
use story::{Sizes, Story};
use templates::Templates;

/// Shows a canary release by configuration, without a failed call.
#[derive(Debug, Parser)]
struct Arguments {
    /// A directory with other resources, named as those in `examples/resources/quickstart`.
    #[arg(long, value_name = "DIR")]
    resources: Option<PathBuf>,
    /// Keeps control plane and backends running at the end.
    #[arg(long)]
    serve: bool,
}

/// At five standard deviations, one run in two million is off by chance.
const SIZES: Sizes = Sizes { by_chance: 10_000, exact: 1_000 };

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse(), SIZES).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments, sizes: Sizes) -> Result<(), Box<dyn Error + Send + Sync>> {
    let templates = match &arguments.resources {
        Some(directory) => Templates::read(directory)?,
        None => Templates::built_in(),
    };
    let mut story = Story::start(templates).await?;
    let mut rows = Vec::new();
    for step in &STEPS {
        let row = story.step(step, sizes).await;
        let row = row.map_err(|error| format!("{}: {error}", step.title))?;
        let answered =
            story.backends().map(|it| format!("{} {}", it.name(), row.after.of(it.name())));
        println!(
            "{:<26} in use after {:>4} ms and {:>4} calls; then {}",
            row.title,
            row.switched_in.as_millis(),
            row.meanwhile.calls(),
            answered.collect::<Vec<_>>().join(", "),
        );
        rows.push(row);
    }
    table::print(&rows, &story);
    table::check(&rows, &story)?;
    if arguments.serve {
        println!("\nserving until interrupted; to join:");
        println!("export GRPC_XDS_BOOTSTRAP_CONFIG='{}'", story.bootstrap());
        tokio::signal::ctrl_c().await?;
    }
    Ok(())
}
