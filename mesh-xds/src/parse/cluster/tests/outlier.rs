//! `Cluster.outlier_detection`.

use mesh_core::outlier;

use super::*;

/// What becomes of an `OutlierDetection` changed by `change`.
fn detection(change: impl FnOnce(&mut cds::OutlierDetection)) -> outlier::Config {
    let mut message = cds::OutlierDetection::default();
    change(&mut message);
    parsed(|c| c.outlier_detection = Some(message)).outlier.unwrap()
}

#[test]
fn an_empty_message_has_envoys_defaults_and_none_switches_detection_off() {
    assert_eq!(detection(|_| ()), outlier::Config::default());
    assert_eq!(parsed(|_| ()).outlier, None);
}

#[test]
fn all_of_outlier_detection_is_read() {
    let config = detection(|o| {
        o.interval = duration(1);
        o.base_ejection_time = duration(2);
        o.max_ejection_time = duration(3);
        o.max_ejection_time_jitter = duration(4);
        o.max_ejection_percent = u32v(5);
        o.consecutive_5xx = u32v(6);
        o.enforcing_consecutive_5xx = u32v(7);
        o.consecutive_gateway_failure = u32v(8);
        o.enforcing_consecutive_gateway_failure = u32v(9);
        o.consecutive_local_origin_failure = u32v(10);
        o.enforcing_consecutive_local_origin_failure = u32v(11);
        o.success_rate_minimum_hosts = u32v(12);
        o.success_rate_request_volume = u32v(13);
        o.success_rate_stdev_factor = u32v(14);
        o.enforcing_success_rate = u32v(15);
        o.enforcing_local_origin_success_rate = u32v(16);
        o.failure_percentage_threshold = u32v(17);
        o.failure_percentage_minimum_hosts = u32v(18);
        o.failure_percentage_request_volume = u32v(19);
        o.enforcing_failure_percentage = u32v(20);
        o.enforcing_failure_percentage_local_origin = u32v(21);
        o.split_external_local_origin_errors = true;
        o.always_eject_one_host = Some(protobuf::BoolValue { value: true });
    });
    let percent = |value| outlier::Percent::new(value).unwrap();
    let row =
        |threshold, enforcing| outlier::Consecutive { threshold, enforcing: percent(enforcing) };
    let expect = outlier::Config {
        interval: Duration::from_secs(1),
        base_ejection_time: Duration::from_secs(2),
        max_ejection_time: Duration::from_secs(3),
        max_ejection_time_jitter: Duration::from_secs(4),
        max_ejection_percent: percent(5),
        always_eject_one: true,
        consecutive_5xx: row(6, 7),
        consecutive_gateway_failure: row(8, 9),
        consecutive_local_origin_failure: row(10, 11),
        split_local_origin: true,
        success_rate: outlier::SuccessRate {
            minimum_hosts: 12,
            request_volume: 13,
            stdev_factor: 14,
            enforcing: percent(15),
            enforcing_local_origin: percent(16),
        },
        failure_percentage: outlier::FailurePercentage {
            threshold: percent(17),
            minimum_hosts: 18,
            request_volume: 19,
            enforcing: percent(20),
            enforcing_local_origin: percent(21),
        },
    };
    assert_eq!(config, expect);
}

#[test]
fn when_to_panic_is_read_in_whole_percent() {
    let message = |value| cds::cluster::CommonLbConfig {
        healthy_panic_threshold: Some(Percent { value }),
        ..Default::default()
    };
    let found = |value| parsed(|c| c.common_lb_config = Some(message(value))).panic_threshold;
    for (value, percent) in [(0.0, 0), (0.4, 0), (0.5, 1), (33.3, 33), (99.5, 100), (100.0, 100)] {
        assert_eq!(found(value), outlier::Percent::new(percent).unwrap(), "{value}");
    }
    assert_eq!(parsed(|_| ()).panic_threshold, outlier::Percent::HALF);
    for value in [-0.1, 100.1, f64::NAN] {
        let why = path(|c| c.common_lb_config = Some(message(value)));
        assert_eq!(why, "common_lb_config.healthy_panic_threshold");
    }
}

#[test]
fn broken_outlier_detection_is_rejected() {
    type Change = fn(&mut cds::OutlierDetection);
    let cases: [(&str, Change); 16] = [
        ("interval", |o| o.interval = duration(-1)),
        ("interval", |o| o.interval = duration(0)),
        ("base_ejection_time", |o| o.base_ejection_time = duration(-1)),
        ("base_ejection_time", |o| o.base_ejection_time = duration(0)),
        ("max_ejection_time", |o| o.max_ejection_time = duration(-1)),
        ("max_ejection_time", |o| o.max_ejection_time = duration(0)),
        ("max_ejection_time_jitter", |o| o.max_ejection_time_jitter = duration(-1)),
        ("max_ejection_percent", |o| o.max_ejection_percent = u32v(101)),
        ("enforcing_consecutive_5xx", |o| o.enforcing_consecutive_5xx = u32v(101)),
        ("enforcing_consecutive_gateway_failure", |o| {
            o.enforcing_consecutive_gateway_failure = u32v(101);
        }),
        ("enforcing_consecutive_local_origin_failure", |o| {
            o.enforcing_consecutive_local_origin_failure = u32v(101);
        }),
        ("enforcing_success_rate", |o| o.enforcing_success_rate = u32v(101)),
        ("enforcing_local_origin_success_rate", |o| {
            o.enforcing_local_origin_success_rate = u32v(101);
        }),
        ("failure_percentage_threshold", |o| o.failure_percentage_threshold = u32v(101)),
        ("enforcing_failure_percentage", |o| o.enforcing_failure_percentage = u32v(101)),
        ("enforcing_failure_percentage_local_origin", |o| {
            o.enforcing_failure_percentage_local_origin = u32v(101);
        }),
    ];
    for (name, change) in cases {
        let mut message = cds::OutlierDetection::default();
        change(&mut message);
        let found = path(|c| c.outlier_detection = Some(message));
        assert_eq!(found, format!("outlier_detection.{name}"));
    }
}
