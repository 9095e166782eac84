//! What is left of a connection once the application has taken its stream over, after an upgrade.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use super::leash::Holder;
use super::lifetime::{Lifetime, Verdict};

/// Waits until the application has let go of the stream, or may not have it any longer: then it says
/// why. The connection counts as one until then, and is waited for when the server drains.
pub(super) async fn hold(holder: &Holder, mut lifetime: Lifetime) -> Option<Arc<str>> {
    let over = poll_fn(|cx| {
        // Whether anything is asked does not show here: the stream is never idle.
        let verdict = lifetime.poll(cx, 0, || true);
        if let Some(why) = lifetime.barred() {
            return Poll::Ready(why.clone());
        }
        match verdict {
            Verdict::Close => Poll::Ready(NOT_ENDED.into()),
            Verdict::GoOn | Verdict::Leave | Verdict::Drain => Poll::Pending,
        }
    });
    tokio::select! {
        biased;
        why = over => Some(why),
        () = holder.gone() => None,
    }
}

const NOT_ENDED: &str = "it was upgraded, and has not ended within the grace";
