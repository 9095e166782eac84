use std::time::Duration;

use crate::route::Timeouts;

//= A31 § the table of effective timeouts
#[test]
fn the_limit_of_a_grpc_call_is_that_of_a31() {
    let seconds = |seconds: Option<u64>| seconds.map(Duration::from_secs);
    // (deadline, grpc_timeout_header_max, max_stream_duration, listener, effective)
    for (deadline, header_max, stream, listener, expect) in [
        (None, None, None, None, None),
        (None, None, Some(0), None, None),
        (None, None, Some(10), None, Some(10)),
        (None, Some(0), Some(5), None, None),
        (None, Some(10), Some(5), None, Some(10)),
        (Some(20), None, None, None, Some(20)),
        (Some(20), None, Some(0), None, Some(20)),
        (Some(20), None, Some(10), None, Some(10)),
        (Some(20), Some(0), Some(5), None, Some(20)),
        (Some(20), Some(10), Some(5), None, Some(10)),
        (Some(20), Some(30), None, None, Some(20)),
        (None, None, None, Some(1), Some(1)),
        (None, None, None, Some(0), None),
        (None, None, Some(5), Some(1), Some(5)),
        (None, None, Some(0), Some(1), None),
        (None, Some(0), None, Some(1), None),
    ] {
        let timeouts = Timeouts {
            max_stream_duration: seconds(stream),
            grpc_timeout_header_max: seconds(header_max),
            route: seconds(Some(3)),
            ..Timeouts::default()
        };
        let effective = timeouts.grpc_limit(seconds(deadline), seconds(listener));
        assert_eq!(effective, seconds(expect), "{deadline:?} {timeouts:?} {listener:?}");
    }
}

#[test]
fn the_limit_of_an_http_call_is_the_route_timeout() {
    let limit = |route| Timeouts { route, ..Timeouts::default() }.http_limit();
    assert_eq!(limit(Some(Duration::from_secs(3))), Some(Duration::from_secs(3)));
    assert_eq!((limit(Some(Duration::ZERO)), limit(None)), (None, None));
}

#[test]
fn the_offset_is_taken_off_deadlines_after_all_bounds() {
    let seconds = |seconds: Option<u64>| seconds.map(Duration::from_secs);
    // (deadline, grpc_timeout_header_max, offset, max_stream_duration, effective)
    for (deadline, header_max, offset, stream, expect) in [
        (Some(20), Some(0), 2, None, Some(18)),
        (Some(20), Some(10), 2, None, Some(8)),
        (Some(5), Some(10), 2, None, Some(3)),
        (Some(5), Some(0), 5, None, Some(0)),
        (Some(5), Some(0), 6, None, Some(0)),
        (Some(20), Some(4), 5, None, Some(0)),
        (Some(20), Some(0), 2, Some(3), Some(18)),
        // Only with a bound for deadlines, and only off a deadline.
        (Some(20), None, 2, None, Some(20)),
        (Some(20), None, 2, Some(10), Some(10)),
        (None, Some(10), 2, None, Some(10)),
        (None, Some(0), 2, None, None),
    ] {
        let timeouts = Timeouts {
            max_stream_duration: seconds(stream),
            grpc_timeout_header_max: seconds(header_max),
            grpc_timeout_header_offset: seconds(Some(offset)),
            ..Timeouts::default()
        };
        let effective = timeouts.grpc_limit(seconds(deadline), None);
        assert_eq!(effective, seconds(expect), "{deadline:?} {timeouts:?}");
    }
}
