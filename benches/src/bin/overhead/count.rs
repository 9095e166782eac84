//! Runs a client twice and takes the difference.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mesh_benches::shared::Error;
use mesh_benches::{Process, callgrind};

use crate::clients::Case;

/// Calls before those that count: enough for every client to have connected everywhere.
const WARM_UP: u32 = 320;

/// What a client is told on its command line, but for the number of calls.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    pub(crate) kind: &'a str,
    pub(crate) case: Case,
    pub(crate) who: Who<'a>,
}

/// Which side is measured.
#[derive(Debug)]
pub(crate) enum Who<'a> {
    /// A client that calls these addresses.
    Client(&'a [String]),
    /// A server with these arguments.
    Server(&'a [&'a str], &'a Caller),
}

/// A client that calls the server under measurement.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) binary: PathBuf,
    pub(crate) kind: &'static str,
}

/// What one call allocates, reallocations included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allocations {
    pub(crate) count: f64,
    pub(crate) bytes: f64,
}

impl Load<'_> {
    /// User-space instructions of one call.
    ///
    /// The profile of the longer run stays in `profile`, for `callgrind_annotate`.
    pub(crate) fn instructions(&self, binary: &Path, profile: &Path) -> Result<f64, Error> {
        self.per_call(self.case.calls(), |calls| {
            let command = callgrind::command(binary, profile);
            match self.who {
                Who::Client(addresses) => drop(self.run(command, calls, addresses)?),
                Who::Server(arguments, client) => {
                    drop(self.serve(command, arguments, calls, client)?);
                }
            }
            Ok([callgrind::total(profile)?])
        })
        .map(|[instructions]| instructions)
    }

    /// Allocations of one call, on all threads.
    pub(crate) fn allocations(&self, binary: &Path) -> Result<Allocations, Error> {
        self.per_call(self.case.counted(), |calls| {
            let command = Command::new(binary);
            let output = match self.who {
                Who::Client(addresses) => {
                    String::from_utf8(self.run(command, calls, addresses)?.stdout)?
                }
                Who::Server(arguments, client) => {
                    self.serve(command, arguments, calls, client)?.end("counted")?
                }
            };
            let (count, bytes) =
                output.trim().split_once(' ').ok_or("the client counted nothing")?;
            Ok([count.parse()?, bytes.parse()?])
        })
        .map(|[count, bytes]| Allocations { count, bytes })
    }

    /// Totals of a short and of a long run, subtracted and divided.
    fn per_call<const N: usize>(
        &self,
        [short, long]: [u32; 2],
        totals: impl Fn(u32) -> Result<[f64; N], Error>,
    ) -> Result<[f64; N], Error> {
        let (before, mut counts) = (totals(short)?, totals(long)?);
        for (count, before) in counts.iter_mut().zip(before) {
            *count = (*count - before) / f64::from(long - short);
        }
        Ok(counts)
    }

    /// Starts a server and calls it.
    fn serve(
        &self,
        mut server: Command,
        arguments: &[&str],
        calls: u32,
        client: &Caller,
    ) -> Result<Process, Error> {
        let mut server = Process::start(server.args(arguments))?;
        let address = server.hear("grpc")?;
        let caller =
            Load { kind: client.kind, case: self.case, who: Who::Server(arguments, client) };
        caller.run(Command::new(&client.binary), calls, &[address])?;
        Ok(server)
    }

    fn run(&self, mut client: Command, calls: u32, addresses: &[String]) -> Result<Output, Error> {
        let numbers = [calls, self.case.concurrency, WARM_UP].map(|number| number.to_string());
        client.args([self.case.mode.argument(), self.kind]).args(numbers).args(addresses);
        callgrind::run(&mut client)
    }
}
