//! Faults, whatever is configured and however requests come and go.

use http::{HeaderMap, Method, StatusCode, Uri};
use mesh_core::fault::{Abort, AbortKind, Active, Denominator, Fault, Percentage};
use mesh_core::request::RequestHead;
use mesh_core::rng::XorShift;
use proptest::prelude::*;

fn denominators() -> impl Strategy<Value = (Denominator, u32)> {
    prop_oneof![
        Just((Denominator::Hundred, 100)),
        Just((Denominator::TenThousand, 10_000)),
        Just((Denominator::Million, 1_000_000)),
    ]
}

/// How many of 2 000 requests are aborted that ask for `asked` of the denominator.
fn aborted(percentage: Percentage, asked: Option<u32>, seed: u64) -> u32 {
    let abort = Abort { kind: AbortKind::Header, percentage, body: "".into() };
    let mut fault = Fault::default();
    fault.abort = Some(abort);
    let (method, uri) = (Method::GET, Uri::from_static("/"));
    let mut headers = HeaderMap::new();
    headers.insert("x-envoy-fault-abort-request", StatusCode::NOT_FOUND.as_u16().into());
    if let Some(asked) = asked {
        headers.insert("x-envoy-fault-abort-request-percentage", asked.into());
    }
    let head = RequestHead::from_pieces(&method, &uri, &headers, "a");
    let mut rng = XorShift::new(seed);
    (0..300).map(|_| u32::from(fault.abort(&head, &mut rng).is_some())).sum()
}

proptest! {
    #[test]
    fn there_are_never_more_than_allowed_and_none_is_lost(
        most in 0..5_u32,
        steps in prop::collection::vec(any::<bool>(), 0..200),
    ) {
        let (active, mut count) = (Active::default(), 0);
        for enters in steps {
            if enters {
                prop_assert_eq!(active.enter(Some(most)), count < most);
                count = (count + 1).min(most);
            } else if count > 0 {
                active.leave();
                count -= 1;
            }
            prop_assert_eq!(active.count(), count);
        }
    }

    #[test]
    fn requests_lower_their_share_and_never_raise_it(
        (denominator, whole) in denominators(),
        numerator in 0..2_000_000_u32,
        asked in any::<u32>(),
        seed in any::<u64>(),
    ) {
        let percentage = Percentage { numerator, denominator };
        let (all, own) = (aborted(percentage, None, seed), aborted(percentage, Some(asked), seed));
        prop_assert!(own <= all);
        prop_assert!(asked < numerator || own == all);
        prop_assert!(asked > 0 || own == 0);
        prop_assert!(numerator < whole || all == 300);
    }
}
