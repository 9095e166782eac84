//! The command line, and the phases of a run.

use std::net::SocketAddr;
use std::time::Duration;

use http::Uri;
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{Body as HttpBody, Bytes, StdError};

use super::Error;
use super::echo::EchoClient;
use super::load::{self, LARGE, SMALL};

/// A run that takes longer than this has hung.
const LIMIT: Duration = Duration::from_secs(120);

/// What the command line asked for.
#[derive(Debug)]
pub struct Run {
    /// Which channel to build.
    pub kind: String,
    /// Where its servers are.
    pub addresses: Vec<SocketAddr>,
    mode: Mode,
    calls: usize,
    concurrency: usize,
    warm_up: usize,
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    Unary,
    Stream,
    Large,
    Http1,
}

impl Run {
    /// Reads the process's arguments.
    ///
    /// # Errors
    /// An argument is missing or does not parse.
    pub fn from_args() -> Result<Self, Error> {
        let mut args = std::env::args().skip(1);
        let mut next = |name| args.next().ok_or_else(|| format!("missing {name}"));
        let mode = match next("MODE")?.as_str() {
            "unary" => Mode::Unary,
            "stream" => Mode::Stream,
            "64k" => Mode::Large,
            "http1" => Mode::Http1,
            other => return Err(format!("unknown mode {other}").into()),
        };
        let kind = next("KIND")?;
        let calls = next("CALLS")?.parse()?;
        let concurrency = next("CONCURRENCY")?.parse()?;
        let warm_up = next("WARM_UP")?.parse()?;
        let addresses = args.map(|arg| arg.parse()).collect::<Result<_, _>>()?;
        Ok(Self { kind, addresses, mode, calls, concurrency, warm_up })
    }

    /// The first address, for clients that want one.
    ///
    /// # Errors
    /// No address was given.
    pub fn address(&self) -> Result<SocketAddr, Error> {
        self.addresses.first().copied().ok_or_else(|| "missing ADDRESS".into())
    }

    /// Runs a client to its end on a current-thread runtime, so that counts repeat.
    ///
    /// # Errors
    /// The client failed, or it hung.
    pub fn block_on(client: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { tokio::time::timeout(LIMIT, client).await? })
    }

    /// Makes the calls of a gRPC mode over `channel`.
    ///
    /// # Errors
    /// A call failed, or the mode is not a gRPC one.
    pub async fn grpc<T>(&self, channel: T) -> Result<(), Error>
    where
        T: GrpcService<Body> + Clone + Send + 'static,
        T::Error: Into<StdError>,
        T::Future: Send,
        T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
        <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
    {
        let client = EchoClient::new(channel);
        match self.mode {
            Mode::Unary => self.phases(|calls| load::unary(client.clone(), calls, SMALL)).await,
            Mode::Large => self.phases(|calls| load::unary(client.clone(), calls, LARGE)).await,
            Mode::Stream => self.phases(|calls| load::stream(client.clone(), calls)).await,
            Mode::Http1 => Err("http1 is not a gRPC mode".into()),
        }
    }

    /// Gets `uri` over HTTP/1.1; `get` returns the whole body of a successful answer.
    ///
    /// # Errors
    /// A call failed, or the mode is not `http1`.
    pub async fn http<G, F>(&self, uri: Uri, get: G) -> Result<(), Error>
    where
        G: Fn(Uri) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Bytes, Error>> + Send + 'static,
    {
        match self.mode {
            Mode::Http1 => self.phases(|calls| load::http(get.clone(), uri.clone(), calls)).await,
            Mode::Unary | Mode::Stream | Mode::Large => Err("a gRPC mode needs a channel".into()),
        }
    }

    /// The warm-up, then the calls that count, both spread over the workers.
    async fn phases<W, F>(&self, worker: W) -> Result<(), Error>
    where
        W: Fn(usize) -> F,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        for calls in [self.warm_up, self.calls] {
            let mut workers = JoinSet::new();
            for _ in 0..self.concurrency {
                workers.spawn(worker(calls / self.concurrency));
            }
            while let Some(worker) = workers.join_next().await {
                worker??;
            }
        }
        Ok(())
    }
}
