//! Choices out of a generator of one's own.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use mesh_core::rng::XorShift;
use pin_project_lite::pin_project;

use crate::runtime;

/// Makes the choices for all calls that `future` itself makes and waits for follow from `seed`: which
/// of several weighted clusters, which endpoint, whether a fraction matches.
///
/// Tasks that it spawns are not part of it.
///
/// # Examples
///
/// ```
/// use mesh_hyper::{Client, testing};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mesh = testing::Mesh::from_yaml("
///     version: mesh/v1
///     services:
///       reviews:
///         routes: [{ to: { v1: 50, v2: 50 } }]
///         versions: { v1: 127.0.0.1:9081, v2: 127.0.0.1:9082 }
/// ")?;
/// let http = Client::new(&mesh);
/// let page = async || http.get("http://reviews/1").await?.text().await;
/// let first = testing::seeded(7, page()).await?;
/// assert_eq!(testing::seeded(7, page()).await?, first);
/// # Ok(())
/// # }
/// ```
pub fn seeded<F: Future>(seed: u64, future: F) -> Seeded<F> {
    Seeded { future, rng: XorShift::new(seed) }
}

pin_project! {
    /// A future whose choices follow from a seed. Made by [`seeded`].
    ///
    /// # Cancel safety
    /// That of the future.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Seeded<F> {
        #[pin]
        future: F,
        rng: XorShift,
    }
}

impl<F: Future> Future for Seeded<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        runtime::with_own_rng(this.rng, || this.future.poll(cx))
    }
}
