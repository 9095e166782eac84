use std::time::Duration;

use http::{Request, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use mesh_core::outlier::{Config, FailurePercentage, Percent};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::*;
use crate::error::{BoxError, Error, Kind};
use crate::layer::contract::{self, Play, Strict};
use crate::layer::frames::{Part, message, status, streams};

const SECOND: Duration = Duration::from_secs(1);

fn request(content_type: &str) -> Request<String> {
    let mut request = Request::new(String::new());
    request.headers_mut().insert("content-type", content_type.parse().unwrap());
    request
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_is_refused_for_a_while() {
    let outliers = Outliers::consecutive(3);
    let (a, b) = (outliers.endpoint("a"), outliers.endpoint("b"));
    let strict = Strict::new([Play::status(500), Play::broken(), Play::status(503)]);
    let service = a.layer(strict.clone());
    for _ in 0..3 {
        let _ = service.clone().oneshot(request("text/plain")).await;
    }
    assert!(a.is_ejected() && outliers.endpoint("a").is_ejected() && !b.is_ejected());
    let refused = service.clone().oneshot(request("text/plain")).await.unwrap();
    assert_eq!(
        (refused.status(), refused.body().size_hint().exact()),
        (StatusCode::SERVICE_UNAVAILABLE, Some(0))
    );
    let refused = service.clone().oneshot(request("application/grpc")).await.unwrap();
    assert_eq!(refused.headers()["grpc-status"], "14");
    assert_eq!(strict.seen().len(), 3);
    tokio::time::sleep(SECOND * 29).await;
    assert!(a.is_ejected());
    tokio::time::sleep(SECOND * 11).await;
    assert!(!a.is_ejected());
}

#[tokio::test(start_paused = true)]
async fn one_endpoint_of_few_is_refused_and_no_more_than_half() {
    let outliers = Outliers::consecutive(1);
    let layers: Vec<_> = ["a", "b", "c"].map(|name| outliers.endpoint(name)).into();
    for layer in &layers {
        let broken = layer.layer(Strict::new([Play::status(500)]));
        broken.oneshot(Request::new(String::new())).await.unwrap();
    }
    let ejected: Vec<_> = layers.iter().map(OutlierLayer::is_ejected).collect();
    assert_eq!(ejected, [true, false, false]);
}

/// Whether an endpoint whose calls end so is ejected by the sweep, beside one whose calls end well.
async fn is_ejected_after(
    head: Option<&'static str>,
    parts: fn() -> Vec<Part>,
    read: bool,
) -> bool {
    let shares = FailurePercentage {
        enforcing: Percent::ALL,
        minimum_hosts: 2,
        request_volume: 10,
        ..FailurePercentage::default()
    };
    let config = Config {
        failure_percentage: shares,
        max_ejection_percent: Percent::ALL,
        ..Config::default()
    };
    let outliers = Outliers::new(config);
    let (a, b) = (outliers.endpoint("a"), outliers.endpoint("b"));
    for _ in 0..10 {
        for (layer, head, parts) in [(&a, head, parts), (&b, Some("0"), Vec::new as fn() -> _)] {
            let answer = service_fn(move |_: Request<String>| async move {
                let mut response = streams(parts());
                response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
                if let Some(code) = head {
                    response.headers_mut().insert("grpc-status", code.parse().unwrap());
                }
                Ok::<_, BoxError>(response)
            });
            let response = layer.layer(answer).oneshot(request("application/grpc")).await.unwrap();
            if read {
                drop(response.into_body().collect().await);
            }
        }
    }
    assert!(!a.is_ejected());
    tokio::time::sleep(SECOND * 10).await;
    assert!(!b.is_ejected());
    a.is_ejected()
}

#[tokio::test(start_paused = true)]
async fn grpc_is_judged_by_its_status_at_the_sweep_wherever_that_is() {
    assert!(is_ejected_after(Some("5"), Vec::new, false).await);
    assert!(!is_ejected_after(Some("0"), Vec::new, false).await);
    assert!(is_ejected_after(None, || vec![message(), status("14")], true).await);
    assert!(is_ejected_after(None, || vec![message(), status("5")], true).await);
    assert!(!is_ejected_after(None, || vec![message(), status("0")], true).await);
    assert!(is_ejected_after(None, || vec![message()], true).await);
    assert!(is_ejected_after(None, || vec![message(), Err("broken".into())], true).await);
    assert!(!is_ejected_after(None, || vec![message(), status("14")], false).await);
}

#[tokio::test(start_paused = true)]
async fn refusals_can_be_errors_and_responses_anything() {
    let outliers = Outliers::consecutive(2);
    let statuses = outliers.endpoint("a").or_error();
    for _ in 0..2 {
        let broken = statuses.layer(Strict::new([Play::status(500)]));
        broken.oneshot(Request::new(String::new())).await.unwrap();
    }
    let service = statuses.layer(Strict::new([Play::status(500)]));
    let error: BoxError = service.oneshot(Request::new(String::new())).await.unwrap_err();
    assert_eq!(error.downcast_ref::<Error>().map(Error::kind), Some(Kind::NoEndpoint));

    let errors = Outliers::consecutive(2).endpoint("a").or_error().errors();
    let halves = tower::service_fn(|n: u32| async move {
        if n.is_multiple_of(2) { Ok(n / 2) } else { Err(BoxError::from("odd")) }
    });
    let service = errors.layer(halves);
    for n in [1, 2, 1] {
        let _ = service.clone().oneshot(n).await;
        assert!(!errors.is_ejected());
    }
    assert!(service.clone().oneshot(3).await.is_err() && errors.is_ejected());
    assert!(service.oneshot(2).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn endpoints_leave_with_their_layers_and_services() {
    let outliers = Outliers::consecutive(1);
    let service = outliers.endpoint("a").layer(Strict::new([Play::status(500)]));
    drop(outliers.endpoint("b"));
    assert_eq!(format!("{outliers:?}"), r#"["a"]"#);
    service.oneshot(Request::new(String::new())).await.unwrap();
    assert_eq!(format!("{outliers:?}"), "[]");
    assert!(!outliers.endpoint("a").is_ejected());

    // Those that are gone are not among those of whom half may be ejected.
    let (gone, stays) = (outliers.endpoint("gone"), outliers.endpoint("stays"));
    let fail = async |layer: &OutlierLayer| {
        let service = layer.layer(Strict::new([Play::status(500)]));
        service.oneshot(Request::new(String::new())).await.unwrap();
    };
    fail(&gone).await;
    assert!(gone.is_ejected());
    drop(gone);
    fail(&stays).await;
    assert!(stays.is_ejected());
}

#[tokio::test(start_paused = true)]
async fn services_are_called_ready_and_dropped_requests_are_gone() {
    let outliers = Outliers::consecutive(1);
    contract::check(|strict| outliers.endpoint("a").layer(strict)).await;
    assert!(!outliers.endpoint("a").is_ejected());
}

#[tokio::test(start_paused = true)]
async fn what_a_limit_of_our_own_refuses_says_nothing_of_an_endpoint() {
    let layer = Outliers::consecutive(3).endpoint("a").or_error();
    let full = tower::service_fn(|_: Request<String>| async {
        let error = Error::new(Kind::Overloaded, "as many are under way as may");
        Err::<http::Response<String>, BoxError>(error.into())
    });
    for _ in 0..3 {
        assert!(layer.layer(full).oneshot(request("text/plain")).await.is_err());
    }
    assert!(!layer.is_ejected());
}
