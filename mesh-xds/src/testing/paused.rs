//! The runtime that tests are exact on: one thread, and a clock that stands still.

use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::Instant;

use crate::error::{Error, Kind};

/// The runtime around, if it has one thread and its clock stands still.
pub(super) fn runtime() -> Result<Handle, Error> {
    let refused = |why: &str| {
        let hint = "use #[tokio::test(start_paused = true)]";
        Error::with(Kind::Runtime, format!("{why}: {hint}"), None)
    };
    let handle = Handle::try_current().map_err(|_| refused("there is no runtime around"))?;
    if handle.runtime_flavor() != RuntimeFlavor::CurrentThread {
        return Err(refused("the runtime has several threads"));
    }
    if !is_paused() {
        return Err(refused("the clock of the runtime does not stand still"));
    }
    Ok(handle)
}

/// Whether tokio's clock stands still while the real one goes on.
fn is_paused() -> bool {
    let before = Instant::now();
    let real = std::time::Instant::now();
    while std::time::Instant::now() == real {
        std::hint::spin_loop();
    }
    Instant::now() == before
}

/// Waits until nothing is left to do but to let time pass, for which a millisecond of the test's
/// clock goes by: the clock of a paused runtime moves only when all of its tasks wait.
///
/// # Cancel safety
/// Dropping the future loses nothing.
pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
