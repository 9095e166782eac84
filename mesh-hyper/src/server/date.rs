//! The `date` of responses, formatted once a second.

use std::cell::RefCell;
use std::time::SystemTime;

use http::HeaderValue;

/// The current date.
pub(super) fn now() -> HeaderValue {
    thread_local! {
        static LAST: RefCell<(u64, HeaderValue)> =
            const { RefCell::new((0, HeaderValue::from_static(""))) };
    }
    let now = crate::runtime::wall();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    LAST.with_borrow_mut(|(second, value)| {
        if *second != since {
            let text = httpdate::fmt_http_date(now);
            *value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
            *second = since;
        }
        value.clone()
    })
}
