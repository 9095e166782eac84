//! Token buckets, whatever the times and however much is asked of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mesh_core::limit::{Fill, TokenBucket};
use mesh_core::testing::at;
use proptest::prelude::*;

fn fills() -> impl Strategy<Value = Fill> {
    (0..50_u32, 1..50_u32, 50..5_000_u64).prop_map(|(max_tokens, tokens_per_fill, millis)| Fill {
        max_tokens,
        tokens_per_fill,
        interval: Duration::from_millis(millis),
    })
}

/// Microseconds that pass, and the tokens that are then asked for.
fn requests() -> impl Strategy<Value = Vec<(u64, u32)>> {
    prop::collection::vec((0..2_000_000_u64, 0..8_u32), 1..80)
}

proptest! {
    #[test]
    fn no_time_brings_more_than_the_bucket_and_its_rate(fill in fills(), requests in requests()) {
        let bucket = TokenBucket::new(fill);
        let (mut now, mut taken) = (at(1), Vec::new());
        for (micros, tokens) in requests {
            now += Duration::from_micros(micros);
            if bucket.take(tokens, now).is_ok() {
                taken.push((now, f64::from(tokens)));
            }
        }
        for (from, (start, _)) in taken.iter().enumerate() {
            let mut sum = 0.0;
            for (time, tokens) in taken.get(from..).unwrap() {
                sum += tokens;
                let passed = time.duration_since(*start).as_secs_f64();
                let most = f64::from(fill.max_tokens) + passed * fill.rate();
                prop_assert!(sum <= most + 1e-3, "{sum} of {most}");
            }
        }
    }

    #[test]
    fn it_gives_what_a_bucket_filled_step_by_step_gives(fill in fills(), requests in requests()) {
        let bucket = TokenBucket::new(fill);
        let most = f64::from(fill.max_tokens);
        let (mut now, mut level) = (at(1), most);
        for (micros, tokens) in requests {
            let passed = Duration::from_micros(micros);
            now += passed;
            level = (level + passed.as_secs_f64() * fill.rate()).min(most);
            let wanted = f64::from(tokens);
            // Too close to say what rounding makes of it.
            if (level - wanted).abs() < 1e-3 {
                return Ok(());
            }
            let remaining = f64::from(bucket.remaining(now));
            prop_assert!(remaining <= level + 1e-3 && remaining > level - 1.0 - 1e-3);
            prop_assert_eq!(bucket.take(tokens, now).is_ok(), level >= wanted);
            if level >= wanted {
                level -= wanted;
            }
        }
    }

    #[test]
    fn whoever_waits_as_told_gets_what_was_asked_for(
        fill in fills(),
        first in 0..50_u32,
        tokens in 1..50_u32,
    ) {
        let bucket = TokenBucket::new(fill);
        let _ = bucket.take(first, at(1));
        if let Err(shortage) = bucket.take(tokens, at(1)) {
            match at(1).checked_add(shortage.wait) {
                Some(then) => prop_assert!(bucket.take(tokens, then + Duration::from_micros(1)).is_ok()),
                None => prop_assert!(tokens > fill.max_tokens),
            }
        }
    }

    #[test]
    fn time_that_runs_backwards_brings_nothing(fill in fills(), back in 0..10_u64) {
        let bucket = TokenBucket::new(fill);
        prop_assert!(bucket.take(fill.max_tokens, at(100)).is_ok());
        prop_assert_eq!(bucket.remaining(at(100 - back)), 0);
        prop_assert!(bucket.take(1, at(100 - back)).is_err());
    }
}

#[test]
fn threads_together_get_no_more_than_one() {
    let fill = Fill { max_tokens: 1_000, tokens_per_fill: 1, interval: Duration::from_secs(1) };
    let (bucket, taken) = (Arc::new(TokenBucket::new(fill)), Arc::new(AtomicU64::new(0)));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    let is_taken = bucket.take(1, at(7)).is_ok();
                    taken.fetch_add(u64::from(is_taken), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(taken.load(Ordering::Relaxed), 1_000);
}
