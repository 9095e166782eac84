//! Opening a byte stream to an endpoint: TCP or Unix socket, several addresses raced.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::cluster::{Address, Endpoint};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

use super::secure::Secure;

/// A byte stream in both directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A byte stream being opened.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send>>;

/// Opens byte streams to addresses. Replaced in tests by in-memory streams.
pub trait Connect: Send + Sync + 'static {
    /// Opens a stream to `address`.
    ///
    /// # Cancel safety
    /// Dropping the future gives the attempt up.
    fn connect(&self, address: &Address) -> Connecting;
}

/// The operating system's sockets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sockets;

impl Connect for Sockets {
    fn connect(&self, address: &Address) -> Connecting {
        match address {
            Address::Socket(address) => {
                let address = *address;
                Box::pin(async move {
                    let stream = TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    Ok(Box::new(stream) as Box<dyn Io>)
                })
            }
            Address::Unix(path) => {
                let path = path.clone();
                Box::pin(async move {
                    let stream = UnixStream::connect(&*path).await?;
                    Ok(Box::new(stream) as Box<dyn Io>)
                })
            }
            _ => Box::pin(async { Err(io::Error::from(io::ErrorKind::Unsupported)) }),
        }
    }
}

/// How connections are opened.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) connector: Arc<dyn Connect>,
    /// `None` where TLS is not built in: then there are no connections that need it.
    pub(crate) secure: Option<Arc<dyn Secure>>,
}

/// Pause between attempts at one endpoint's addresses (gRFC A61).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Opens a stream to the first of the endpoint's addresses that answers (RFC 8305).
///
/// The next address is tried 250 ms after the one before, or at once when that has failed.
pub(crate) async fn race(connector: &dyn Connect, endpoint: &Endpoint) -> io::Result<Box<dyn Io>> {
    if endpoint.more.is_empty() {
        return connector.connect(&endpoint.address).await;
    }
    let mut waiting = interleave(endpoint.addresses()).into_iter();
    let mut racing = JoinSet::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match waiting.next() {
            Some(address) => drop(racing.spawn(connector.connect(&address))),
            None if racing.is_empty() => return Err(last),
            None => {}
        }
        let pause = async {
            match waiting.len() {
                0 => std::future::pending().await,
                _ => tokio::time::sleep(ATTEMPT_DELAY).await,
            }
        };
        tokio::select! {
            Some(done) = racing.join_next() => match done {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(error) => last = io::Error::other(error),
            },
            () = pause => {}
        }
    }
}

/// The addresses with their families in turn, beginning with the family of the first.
fn interleave<'a>(addresses: impl Iterator<Item = &'a Address>) -> Vec<Address> {
    let is_v6 = |address: &Address| matches!(address, Address::Socket(a) if a.is_ipv6());
    let all: Vec<&Address> = addresses.collect();
    let leading = all.first().is_some_and(|a| is_v6(a));
    let (first, second): (Vec<_>, Vec<_>) = all.into_iter().partition(|a| is_v6(a) == leading);
    let mut second = second.into_iter();
    let mut order = Vec::new();
    for address in first {
        order.push(address.clone());
        order.extend(second.next().cloned());
    }
    order.extend(second.cloned());
    order
}

/// The stream to `endpoint`, or why there is none, within `timeout`.
pub(crate) async fn open(
    connector: &Arc<dyn Connect>,
    endpoint: &Endpoint,
    timeout: Duration,
) -> Result<Box<dyn Io>, String> {
    match tokio::time::timeout(timeout, race(&**connector, endpoint)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(format!("cannot connect to {}: {error}", endpoint.address)),
        Err(_) => Err(format!("cannot connect to {} within {timeout:?}", endpoint.address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<Address> {
        list.iter().map(|a| Address::Socket(a.parse().unwrap())).collect()
    }

    #[test]
    fn families_take_turns_from_the_first_one() {
        let given = addresses(&["[::1]:1", "[::1]:2", "127.0.0.1:3", "[::1]:4"]);
        let want = addresses(&["[::1]:1", "127.0.0.1:3", "[::1]:2", "[::1]:4"]);
        assert_eq!(interleave(given.iter()), want);
    }

    /// Answers by port: 1 never, 2 refuses, 3 connects.
    struct ByPort;

    impl Connect for ByPort {
        fn connect(&self, address: &Address) -> Connecting {
            let Address::Socket(address) = address else { panic!("not a socket") };
            match address.port() {
                1 => Box::pin(std::future::pending()),
                2 => Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) }),
                _ => Box::pin(async { Ok(Box::new(tokio::io::duplex(64).0) as Box<dyn Io>) }),
            }
        }
    }

    async fn elapsed(list: &[&str]) -> (bool, Duration) {
        let mut all = addresses(list).into_iter();
        let first = Endpoint::new(all.next().unwrap());
        let endpoint = Endpoint { more: all.collect(), ..first };
        let start = tokio::time::Instant::now();
        (race(&ByPort, &endpoint).await.is_ok(), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_costs_250_ms_and_a_refusing_one_nothing() {
        let silent = elapsed(&["[::1]:1", "127.0.0.1:3"]).await;
        assert_eq!(silent, (true, Duration::from_millis(250)));
        let refusing = elapsed(&["[::1]:2", "127.0.0.1:3"]).await;
        assert_eq!(refusing, (true, Duration::ZERO));
        let both = elapsed(&["[::1]:2", "127.0.0.1:2"]).await;
        assert_eq!(both, (false, Duration::ZERO));
    }
}
