//! Side calls: they are bound as other calls are, and blame as others do.

use std::sync::Arc;
use std::time::Duration;

use h2::server::Builder;
use http::{HeaderMap, Method};
use mesh_core::cluster::Config;
use mesh_core::outlier::{self, Percent};
use mesh_core::side::{Call, Encoding, Failure, Reply};

use super::kit::{Lab, SECOND, echo, eventually, serve};
use crate::side;

async fn ask(lab: &Lab, encoding: Encoding) -> Result<Reply, Failure> {
    let call = Call {
        cluster: "backend".into(),
        authority: Arc::default(),
        path: "/a/B".into(),
        headers: HeaderMap::new(),
        encoding,
        message: "message".into(),
        timeout: SECOND,
    };
    side::answer(lab.context.clone(), Some(lab.cluster.clone()), call).await
}

#[tokio::test(start_paused = true)]
async fn as_many_as_allowed_are_under_way_and_not_one_more() {
    let (lab, acceptor) = Lab::new(|config| config.limits.max_requests = 1);
    serve(acceptor, Builder::new(), |request, respond| async move {
        tokio::time::sleep(SECOND / 2).await;
        echo(request, respond).await;
    });
    let get = || Encoding::Http(Method::GET);
    let (first, second) = tokio::join!(ask(&lab, get()), async {
        eventually!(lab.cluster.requests() == 1);
        ask(&lab, get()).await
    });
    assert_eq!(first.unwrap().message, "message");
    let full = "cluster backend: 1 requests are under way";
    assert_eq!(second.unwrap_err(), Failure::Transport(full.into()));
    assert!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn grpc_waits_however_many_do() {
    let (lab, acceptor) = Lab::new(|config| config.limits.max_pending = 0);
    serve(acceptor, Builder::new(), echo);
    let full = ask(&lab, Encoding::Http(Method::GET)).await.unwrap_err();
    assert_eq!(full, Failure::Transport("cluster backend: 0 calls wait already".into()));
    // There is an answer, if not a gRPC one.
    let failure = ask(&lab, Encoding::Grpc).await.unwrap_err();
    assert_eq!(failure, Failure::Transport("HTTP status 200 OK and no grpc-status".into()));
}

/// Ejects at the first failure of HTTP, and by the shares of gRPC failures.
fn detection(config: &mut Config) {
    let mut settings =
        outlier::Config { max_ejection_percent: Percent::ALL, ..outlier::Config::default() };
    settings.consecutive_5xx.threshold = 1;
    settings.failure_percentage.enforcing = Percent::ALL;
    (settings.failure_percentage.minimum_hosts, settings.failure_percentage.request_volume) =
        (1, 1);
    config.outlier = Some(settings);
    config.panic_threshold = Percent::NONE;
}

#[tokio::test(start_paused = true)]
async fn who_never_answers_is_an_outlier() {
    for (encoding, judged_after) in
        [(Encoding::Http(Method::GET), Duration::ZERO), (Encoding::Grpc, SECOND * 10)]
    {
        for is_begun in [false, true] {
            let (lab, acceptor) = Lab::new(detection);
            serve(acceptor, Builder::new(), move |_, mut respond| async move {
                let _begun =
                    is_begun.then(|| respond.send_response(http::Response::new(()), false));
                std::future::pending().await
            });
            lab.pool().demand();
            eventually!(lab.pool().connected() == 1);
            // The interval at whose end gRPC is judged begins.
            let failure = ask(&lab, encoding.clone()).await.unwrap_err();
            assert_eq!(failure, Failure::Timeout(SECOND));
            tokio::time::sleep(judged_after).await;
            tokio::task::yield_now().await;
            // An answer that has begun is no failure of HTTP.
            let is_outlier = encoding == Encoding::Grpc || !is_begun;
            let is_out = lab.pool().connected() == 0;
            assert_eq!(is_out, is_outlier, "{encoding:?} {is_begun}");
        }
    }
}
