//! Routes, policies and the application see one path.

use std::future::ready;

use http::{Response, StatusCode};
use mesh_core::request::{EscapedSlashes, Paths};
use mesh_core::route::Action;

use super::kit::{App, Kit, ask, get, grpc, routes};
use crate::server::settings::Settings;

/// Serves what is below `/open`, and says the path that it was asked for.
fn serving(paths: Paths) -> Kit {
    let app = App::new(|request| {
        let text = request.uri().path_and_query().unwrap().to_string();
        ready(Response::new(crate::full(text)))
    });
    let kit = Kit::unconfigured(app, Settings::default());
    kit.publish(1, routes(&[("/open", Action::NonForwarding)], &[]).rewriting(paths));
    kit
}

#[tokio::test]
async fn normal_paths_decide() {
    let kit = serving(Paths { normalize: true, merge_slashes: true, ..Paths::default() });
    let (sender, _) = kit.h2().await;
    let seen = ask(&sender, get("/%6fpen//a/../b?x=/../y")).await.unwrap();
    assert_eq!((seen.status, &seen.body[..]), (StatusCode::OK, &b"/open/b?x=/../y"[..]));
    let seen = ask(&sender, get("/open/..;/shut")).await.unwrap();
    assert_eq!(seen.status, StatusCode::NOT_FOUND);
    let seen = ask(&sender, get("/open%00")).await.unwrap();
    assert_eq!(
        (seen.status, &seen.body[..]),
        (StatusCode::BAD_REQUEST, &b"the path is malformed"[..])
    );
}

#[tokio::test]
async fn escaped_slashes_are_what_the_connection_manager_says() {
    let with =
        |escaped_slashes| serving(Paths { escaped_slashes, normalize: true, ..Paths::default() });
    let (keep, _) = with(EscapedSlashes::Keep).h2().await;
    assert_eq!(&ask(&keep, get("/open%2fa")).await.unwrap().body[..], b"/open%2fa");
    let (reject, _) = with(EscapedSlashes::Reject).h2().await;
    assert_eq!(ask(&reject, get("/open%2fa")).await.unwrap().status, StatusCode::BAD_REQUEST);
    let (redirect, _) = with(EscapedSlashes::Redirect).h2().await;
    let seen = ask(&redirect, get("/open%2fa%5c..?x")).await.unwrap();
    assert_eq!(seen.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(seen.headers["location"], "/open/?x");
    assert_eq!(ask(&redirect, grpc("/open%2fA")).await.unwrap().trailers_only(), "13");
    let (unescape, _) = with(EscapedSlashes::Unescape).h2().await;
    assert_eq!(&ask(&unescape, get("/open%2fa")).await.unwrap().body[..], b"/open/a");
}
