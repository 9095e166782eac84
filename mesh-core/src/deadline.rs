//! `grpc-timeout`: how long the caller is willing to wait.
//!
//! Format and limits: gRPC over HTTP/2, "Timeout" = at most 8 digits and a unit.

use std::time::Duration;

use http::HeaderValue;

/// The duration that a `grpc-timeout` value says; `None` if it is not one.
#[must_use]
pub fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount = digits.iter().fold(0u64, |sum, d| sum * 10 + u64::from(d - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(amount * 3_600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// The `grpc-timeout` value for `timeout`.
///
/// Rounded down to three significant digits, at least 1 ms where the timeout is that long: a value
/// that repeats from call to call is one byte on the wire (HPACK), and an upstream that gives up a
/// little early does no harm, since the caller keeps the exact deadline.
#[must_use]
pub fn format(timeout: Duration) -> HeaderValue {
    const HOUR: u128 = 3_600_000_000_000;
    let nanos = timeout.as_nanos().max(1);
    let mut scale = 1;
    while nanos / scale >= 1_000 {
        scale *= 10;
    }
    let rounded = nanos / scale * scale;
    // The coarsest unit that is exact; minutes and hours only where 8 digits of seconds are short.
    let exact = [(1_000_000_000, 'S'), (1_000_000, 'm'), (1_000, 'u'), (1, 'n')];
    let (size, unit) = exact
        .into_iter()
        .find(|(size, _)| rounded.is_multiple_of(*size) && rounded / size < 100_000_000)
        .or_else(|| [(HOUR / 60, 'M')].into_iter().find(|(size, _)| rounded / size < 100_000_000))
        .unwrap_or((HOUR, 'H'));
    let text = format!("{}{unit}", (rounded / size).min(99_999_999));
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("99999999H"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_protocol_says() {
        let ok = [("1S", 1_000), ("25m", 25), ("2M", 120_000), ("1H", 3_600_000), ("5000u", 5)];
        for (value, millis) in ok {
            assert_eq!(parse(value.as_bytes()), Some(Duration::from_millis(millis)), "{value}");
        }
        for bad in ["", "S", "1", "1s", "123456789S", "-1S", "1.5S", " 1S"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn values_written_are_short_and_never_longer() {
        let table = [
            (Duration::from_secs(5), "5S"),
            (Duration::from_millis(4_999), "4990m"),
            (Duration::from_millis(1_500), "1500m"),
            (Duration::from_micros(12_345), "12300u"),
            (Duration::from_nanos(7), "7n"),
            (Duration::ZERO, "1n"),
            (Duration::from_secs(400_000_000), "6666666M"),
        ];
        for (timeout, value) in table {
            let written = format(timeout);
            assert_eq!(written, value);
            let read = parse(written.as_bytes()).unwrap();
            assert!(read <= timeout.max(Duration::from_nanos(1)));
            assert!(read >= timeout.mul_f64(0.989), "{written:?}");
        }
    }
}
