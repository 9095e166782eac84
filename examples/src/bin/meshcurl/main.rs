//! Sends requests through a mesh and prints a line of JSON for each: curl for a mesh.
//!
//! ```text
//! meshcurl --bootstrap bootstrap.json --target xds:///greeter /hello -n 3
//! meshcurl --target xds:///greeter --grpc -d hi /echo.Echo/Say --explain
//! ```
//!
//! Exit codes: 0 when every request has its line, whatever became of it; 1 when there is no mesh or
//! nowhere to print; 2 when the command line is malformed.

mod args;
mod ask;
mod caller;
mod outcome;
mod run;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use mesh_hyper::Mesh;
use tokio::io::BufReader;

use crate::args::Arguments;
use crate::ask::Ask;
use crate::caller::Caller;
use crate::run::Lines;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(code) => code,
        Err(error) => fail(&*error, 1),
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let mesh = match &arguments.bootstrap {
        Some(path) => Mesh::from_bootstrap(path)?,
        None => Mesh::from_env()?,
    };
    let caller = match Caller::new(&mesh, &arguments.target) {
        Ok(caller) => caller,
        Err(error) => return Ok(fail(&error, 2)),
    };
    let notes = arguments.explain.then(io::stderr);
    let mut lines = Lines { results: io::stdout(), notes };
    if arguments.interactive {
        let input = BufReader::new(tokio::io::stdin());
        lines.interact(&caller, input, arguments.timeout).await?;
        return Ok(ExitCode::SUCCESS);
    }
    match Ask::from_arguments(arguments) {
        Ok(ask) => lines.run(&caller, ask).await?,
        Err(why) => return Ok(fail(&*Box::<dyn Error>::from(why), 2)),
    }
    Ok(ExitCode::SUCCESS)
}

fn fail(error: &dyn Error, code: u8) -> ExitCode {
    eprintln!("meshcurl: {}", outcome::chain(error));
    ExitCode::from(code)
}
