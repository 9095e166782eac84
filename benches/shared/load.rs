//! What one worker does: a number of calls, one after the other, each answer checked.

use http::Uri;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{Body as HttpBody, Bytes, StdError};

use super::Error;
use super::echo::{EchoClient, Payload};

/// Bytes of a message, and of an HTTP/1.1 answer, unless the mode says otherwise.
pub(super) const SMALL: usize = 32;

/// Bytes of a message in mode `64k`.
pub(super) const LARGE: usize = 64 * 1024;

pub(super) async fn unary<T>(
    mut client: EchoClient<T>,
    calls: usize,
    size: usize,
) -> Result<(), Error>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    for _ in 0..calls {
        let answer = client.unary(Payload::zeros(size)).await?.into_inner();
        expect_length(size, answer.data.len())?;
    }
    Ok(())
}

/// One call; each message waits for the echo of the one before, so that how many share a write
/// does not depend on how fast the server is.
pub(super) async fn stream<T>(mut client: EchoClient<T>, messages: usize) -> Result<(), Error>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    let (sender, receiver) = mpsc::channel(1);
    let mut echoes = client.stream(ReceiverStream::new(receiver)).await?.into_inner();
    for _ in 0..messages {
        sender.send(Payload::zeros(SMALL)).await?;
        let echo = echoes.message().await?.ok_or("the stream ended early")?;
        expect_length(SMALL, echo.data.len())?;
    }
    drop(sender);
    match echoes.message().await? {
        Some(_) => Err("an echo of nothing".into()),
        None => Ok(()),
    }
}

pub(super) async fn http<G, F>(get: G, uri: Uri, calls: usize) -> Result<(), Error>
where
    G: Fn(Uri) -> F,
    F: Future<Output = Result<Bytes, Error>>,
{
    for _ in 0..calls {
        expect_length(SMALL, get(uri.clone()).await?.len())?;
    }
    Ok(())
}

fn expect_length(expected: usize, found: usize) -> Result<(), Error> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("an answer of {found} bytes where {expected} were sent").into())
    }
}
