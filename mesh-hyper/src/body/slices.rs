//! Response bodies that are made to come slowly.

use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Frame;
use tokio::time::Sleep;

use crate::runtime;

/// Lets so many bytes of a body go on in a second: a slice at once, and then one every sixteenth of a
/// second, as Envoy does. Trailers come after all of it.
///
/// Holds at most the one frame that it is cutting up, so whoever sends the body is held back by the
/// usual flow control.
#[derive(Debug)]
pub(crate) struct Slices {
    bytes_per_second: NonZeroU64,
    held: Bytes,
    /// When the next slice may go on.
    next: Instant,
    sleep: Pin<Box<Sleep>>,
}

/// Slices in a second.
const SLICES: u64 = 16;

/// How late a slice may be without putting off the next one.
const LATE: Duration = Duration::from_millis(5);

impl Slices {
    /// The slices of `bytes_per_second`, if there is one.
    pub(crate) fn new(bytes_per_second: Option<NonZeroU64>) -> Option<Box<Self>> {
        let bytes_per_second = bytes_per_second?;
        let next = runtime::now();
        let sleep = Box::pin(runtime::sleep_until(next));
        Some(Box::new(Self { bytes_per_second, held: Bytes::new(), next, sleep }))
    }

    /// Bytes that have come and not gone on yet.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// The next frame of what `inner` gives.
    pub(crate) fn poll<E>(
        &mut self,
        cx: &mut Context<'_>,
        inner: impl FnOnce(&mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, E>>>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        if self.held.is_empty() {
            match ready!(inner(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.held = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        // An empty frame goes on as it is.
        if !self.held.is_empty() {
            ready!(self.sleep.as_mut().poll(cx));
        }
        let slice = self.bytes_per_second.get().div_ceil(SLICES);
        let slice = usize::try_from(slice).unwrap_or(usize::MAX).min(self.held.len());
        let slice = self.held.split_to(slice);
        self.used(slice.len());
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    /// Puts the next slice off for as long as `bytes` take.
    fn used(&mut self, bytes: usize) {
        let nanos = u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(1_000_000_000)
            / u128::from(self.bytes_per_second.get());
        let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        // Timers are late by up to a millisecond, which must not add up; what comes after a pause is
        // put off from then on.
        let now = runtime::now();
        let from = self.next.max(now.checked_sub(LATE).unwrap_or(now));
        self.next = from.checked_add(time).unwrap_or(from);
        self.sleep.as_mut().reset(self.next.into());
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http::HeaderMap;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_takes_the_time_that_its_bytes_take() {
        let mut slices = Slices::new(NonZeroU64::new(16_000)).unwrap();
        let mut frames =
            vec![Frame::trailers(HeaderMap::new()), Frame::data(Bytes::from(vec![7; 4_500]))];
        let (began, mut seen) = (runtime::now(), Vec::new());
        loop {
            let frame = poll_fn(|cx| {
                slices
                    .poll(cx, |_| Poll::Ready(frames.pop().map(Ok::<_, std::convert::Infallible>)))
            });
            let Some(Ok(frame)) = frame.await else { break };
            let passed = (runtime::now() - began).as_millis();
            seen.push((frame.data_ref().map(Bytes::len), passed));
        }
        // Sixteen slices of 1 000 bytes in a second; timers count whole milliseconds.
        let sizes: Vec<_> = seen.iter().map(|(size, _)| *size).collect();
        let thousand = Some(1_000);
        assert_eq!(sizes, [thousand, thousand, thousand, thousand, Some(500), None]);
        let times: Vec<_> = seen.iter().map(|(_, passed)| *passed).collect();
        for (passed, expect) in times.iter().zip([0, 63, 125, 188, 250, 250]) {
            assert!(passed.abs_diff(expect) <= 1, "{times:?}");
        }
        assert_eq!(slices.held(), 0);
    }
}
