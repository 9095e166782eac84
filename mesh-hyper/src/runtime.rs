//! The only file here that reads a clock, makes randomness and starts threads of control.

use std::cell::Cell;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use mesh_core::filter::Awaited;
use mesh_core::rng::XorShift;

/// The current time; follows tokio's paused clock in tests.
#[inline]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The date and time, which certificates go by and which is shown to others.
pub(crate) fn wall() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

/// The same in seconds since 1970; 0 before that, when nothing is valid yet.
pub(crate) fn unix() -> u64 {
    wall().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The time `duration` from now; as good as never if that cannot be told.
#[inline]
pub(crate) fn after(duration: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(86_400 * 365 * 30);
    let now = now();
    now.checked_add(duration.min(NEVER)).unwrap_or(now)
}

/// Sleeps until `at`; at once if it is past.
pub(crate) fn sleep_until(at: Instant) -> tokio::time::Sleep {
    tokio::time::sleep_until(at.into())
}

/// Waits until `what` has happened, and until `latest` at the longest.
pub(crate) async fn happened(mut what: Box<dyn Awaited>, latest: Instant) {
    let happened = poll_fn(|cx| what.poll_happened(cx.waker()));
    // Whoever waits looks again in either case.
    let _ = tokio::time::timeout_at(latest.into(), happened).await;
}

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// Runs `with` with this thread's generator.
#[inline]
pub(crate) fn with_rng<R>(with: impl FnOnce(&mut XorShift) -> R) -> R {
    STATE.with(|state| {
        let mut rng = match state.get() {
            0 => XorShift::new(RandomState::new().hash_one(std::thread::current().id())),
            known => XorShift::from_state(known),
        };
        let result = with(&mut rng);
        state.set(rng.state());
        result
    })
}

/// Lets this thread's generator go on from `seed`.
#[cfg(feature = "testing")]
pub(crate) fn seed(seed: u64) {
    STATE.set(XorShift::new(seed).state());
}

/// Runs `run` with `rng` in the place of this thread's generator.
#[cfg(feature = "testing")]
pub(crate) fn with_own_rng<R>(rng: &mut XorShift, run: impl FnOnce() -> R) -> R {
    /// Puts things back, also when `run` panics.
    struct Swapped<'a>(u64, &'a mut XorShift);
    impl Drop for Swapped<'_> {
        fn drop(&mut self) {
            *self.1 = XorShift::from_state(STATE.replace(self.0));
        }
    }
    let _swapped = Swapped(STATE.replace(rng.state()), rng);
    run()
}

/// The runtime of the caller, if it is in one.
pub(crate) fn current() -> Option<tokio::runtime::Handle> {
    tokio::runtime::Handle::try_current().ok()
}
