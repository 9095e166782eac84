//! The process that every client calls.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Which of the server's addresses a client is given.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// One gRPC endpoint.
    Endpoint,
    /// All eight gRPC endpoints.
    Endpoints,
    /// The control plane, which knows the eight endpoints.
    ControlPlane,
    /// The HTTP/1.1 endpoint.
    Http1,
}

/// Ends with this value, and also if this process dies: it stays only while its input is open.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    grpc: Vec<String>,
    http1: Vec<String>,
    control_plane: Vec<String>,
}

impl Server {
    pub(crate) fn start(binary: &Path) -> Result<Self, Box<dyn Error>> {
        let mut process =
            Command::new(binary).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().ok_or("the server has no output")?;
        let mut lines = BufReader::new(output).lines();
        let mut addresses = |protocol: &str| -> Result<Vec<String>, Box<dyn Error>> {
            let line = lines.next().ok_or("the server ended early")??;
            let mut words = line.split_whitespace().map(str::to_owned);
            if words.next().as_deref() == Some(protocol) {
                Ok(words.collect())
            } else {
                Err(format!("no {protocol} addresses in {line:?}").into())
            }
        };
        let (grpc, http1, control_plane) =
            (addresses("grpc")?, addresses("http1")?, addresses("ads")?);
        Ok(Self { process, grpc, http1, control_plane })
    }

    pub(crate) fn addresses(&self, target: Target) -> &[String] {
        match target {
            Target::Endpoint => self.grpc.get(..1).unwrap_or_default(),
            Target::Endpoints => &self.grpc,
            Target::ControlPlane => &self.control_plane,
            Target::Http1 => &self.http1,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        if let Err(error) = self.process.wait() {
            eprintln!("the server did not end: {error}");
        }
    }
}
