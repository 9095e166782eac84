//! The server under attack, in a process of its own.

use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout};

/// How long calls may take to end when their clients are gone.
const REST: Duration = Duration::from_secs(20);

pub(crate) struct Victim {
    pub(crate) address: SocketAddr,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What has reached the application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) good: u64,
    /// Calls that were none of the good client's.
    pub(crate) started: u64,
    pub(crate) ended: u64,
}

impl Victim {
    pub(crate) async fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).await.unwrap();
        Self { address: line.trim().parse().unwrap(), child, input, output }
    }

    /// Watches the peak of the server's memory from here on.
    pub(crate) fn memory(&self) -> Memory {
        let pid = self.child.id().unwrap();
        // Sets the peak back to what is in use now (proc_pid_clear_refs(5)).
        fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
        let start = kilobytes(pid, "VmRSS:");
        Memory { pid, start }
    }

    /// The counts once all calls have ended, or those after a while.
    pub(crate) async fn at_rest(&mut self) -> Counts {
        let end = Instant::now() + REST;
        loop {
            let counts = timeout(REST, self.counts()).await.unwrap();
            if counts.started == counts.ended || Instant::now() >= end {
                return counts;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn counts(&mut self) -> Counts {
        self.input.write_all(b"counts\n").await.unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).await.unwrap();
        let numbers: Vec<u64> = line.split_whitespace().map(|n| n.parse().unwrap()).collect();
        let [good, started, ended] = numbers[..] else { panic!("{line:?} is not three counts") };
        Counts { good, started, ended }
    }
}

pub(crate) struct Memory {
    pid: u32,
    start: u64,
}

impl Memory {
    /// The peak above what there was at the start, in KiB.
    pub(crate) fn growth(&self) -> u64 {
        kilobytes(self.pid, "VmHWM:").saturating_sub(self.start)
    }
}

fn kilobytes(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
