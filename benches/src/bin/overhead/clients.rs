//! The clients and what is measured of each: adding one is adding an entry.

use crate::server::Target;
use crate::workspace::{MESH, PEERS, Workspace};

/// A channel, or a server, under measurement.
#[derive(Debug)]
pub(crate) struct Client {
    /// Its name in the table, on `--only` and on its binary's command line.
    pub(crate) name: &'static str,
    /// Where its binary is built.
    pub(crate) workspace: &'static Workspace,
    /// The binary; `<binary>_counted` is the same over a counting allocator.
    pub(crate) binary: &'static str,
    /// Which addresses it is given.
    pub(crate) target: Target,
    /// What a server is told on its command line.
    pub(crate) arguments: &'static [&'static str],
    /// What is measured.
    pub(crate) cases: &'static [Case],
    /// The clients it is compared with, in the cases that both have.
    pub(crate) against: &'static [&'static str],
}

/// One load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) mode: Mode,
    /// Calls under way at any time.
    pub(crate) concurrency: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One gRPC call with 32 bytes each way.
    Unary,
    /// One message each way on a long bidirectional call.
    Stream,
    /// One gRPC call with 64 KiB each way.
    Large,
    /// One HTTP/1.1 GET with a 32-byte answer.
    Http1,
}

impl Mode {
    /// As the clients' command line knows it.
    pub(crate) fn argument(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::Stream => "stream",
            Self::Large => "64k",
            Self::Http1 => "http1",
        }
    }

    /// As the names of counts have it; a client's most usual load goes without.
    fn suffix(self) -> &'static str {
        match self {
            Self::Unary | Self::Http1 => "",
            Self::Stream => ".stream",
            Self::Large => ".64k",
        }
    }
}

impl Case {
    /// The name of what `subject` (a client, or one against another) does under this load.
    pub(crate) fn label(self, subject: &str) -> String {
        format!("{}@{}", self.load(subject), self.concurrency)
    }

    /// The same without the concurrency, for counts that do not depend on it.
    pub(crate) fn load(self, subject: &str) -> String {
        format!("{subject}{}", self.mode.suffix())
    }

    /// Calls of the short and of the long run.
    pub(crate) fn calls(self) -> [u32; 2] {
        let short = match self.mode {
            Mode::Unary | Mode::Stream | Mode::Http1 => 1000,
            Mode::Large => 200,
        };
        // More workers batch more calls per wake-up: longer runs make that average repeat.
        let short = if self.concurrency > 1 { 100 * self.concurrency } else { short };
        [short, 3 * short]
    }

    /// The same of the runs in which allocations are counted, which nothing slows down. What is read
    /// and written at once depends on the turns that processes take: over so many calls that is the
    /// same to a few thousandths of an allocation.
    pub(crate) fn counted(self) -> [u32; 2] {
        let times = match self.mode {
            Mode::Unary | Mode::Http1 => 40,
            Mode::Stream | Mode::Large => 4,
        };
        self.calls().map(|calls| calls * times)
    }
}

const UNARY: Case = Case { mode: Mode::Unary, concurrency: 1 };
const UNARY_32: Case = Case { mode: Mode::Unary, concurrency: 32 };
const STREAM: Case = Case { mode: Mode::Stream, concurrency: 1 };
const LARGE: Case = Case { mode: Mode::Large, concurrency: 1 };
const HTTP1: Case = Case { mode: Mode::Http1, concurrency: 1 };

pub(crate) static CLIENTS: [Client; 14] = [
    Client {
        name: "tonic",
        workspace: &PEERS,
        binary: "client",
        target: Target::Endpoint,
        arguments: &[],
        cases: &[UNARY, UNARY_32, STREAM, LARGE],
        against: &[],
    },
    Client {
        name: "tonic-balance",
        workspace: &PEERS,
        binary: "client",
        target: Target::Endpoints,
        arguments: &[],
        cases: &[UNARY, UNARY_32],
        against: &["tonic"],
    },
    Client {
        name: "tonic-xds",
        workspace: &PEERS,
        binary: "client",
        target: Target::ControlPlane,
        arguments: &[],
        cases: &[UNARY, UNARY_32],
        against: &["tonic"],
    },
    Client {
        name: "hyper-util",
        workspace: &PEERS,
        binary: "client",
        target: Target::Http1,
        arguments: &[],
        cases: &[HTTP1],
        against: &[],
    },
    Client {
        name: "mesh",
        workspace: &MESH,
        binary: "client",
        target: Target::Mesh,
        arguments: &[],
        cases: &[UNARY, UNARY_32, STREAM, LARGE],
        against: &["tonic", "tonic-xds"],
    },
    Client {
        name: "mesh+policies",
        workspace: &MESH,
        binary: "client",
        target: Target::Mesh,
        arguments: &[],
        cases: &[UNARY, UNARY_32],
        against: &["tonic", "mesh"],
    },
    Client {
        name: "mesh-http",
        workspace: &MESH,
        binary: "client",
        target: Target::Mesh,
        arguments: &[],
        cases: &[HTTP1],
        against: &["hyper-util"],
    },
    Client {
        name: "tonic-server",
        workspace: &PEERS,
        binary: "grpc_server",
        target: Target::Itself,
        arguments: &[],
        cases: &[UNARY, UNARY_32, STREAM, LARGE],
        against: &[],
    },
    Client {
        name: "server",
        workspace: &MESH,
        binary: "grpc_server",
        target: Target::Itself,
        arguments: &[],
        cases: &[UNARY, UNARY_32, STREAM, LARGE],
        against: &["tonic-server"],
    },
    Client {
        name: "server+rbac",
        workspace: &MESH,
        binary: "grpc_server",
        target: Target::Itself,
        arguments: &["100"],
        cases: &[UNARY],
        against: &["tonic-server", "server"],
    },
    Client {
        name: "server+rbac10k",
        workspace: &MESH,
        binary: "grpc_server",
        target: Target::Itself,
        arguments: &["10000"],
        cases: &[UNARY],
        against: &["server+rbac"],
    },
    Client {
        name: "server+mtls",
        workspace: &MESH,
        binary: "grpc_server",
        target: Target::ItselfSecured,
        arguments: &["tls"],
        cases: &[UNARY],
        against: &["server"],
    },
    Client {
        name: "mesh-one",
        workspace: &MESH,
        binary: "client",
        target: Target::Plain,
        arguments: &[],
        cases: &[UNARY],
        against: &[],
    },
    Client {
        name: "mesh+mtls",
        workspace: &MESH,
        binary: "client",
        target: Target::Secured,
        arguments: &[],
        cases: &[UNARY],
        against: &["mesh-one"],
    },
];
