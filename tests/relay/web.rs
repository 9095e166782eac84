//! The relay for HTTP: any path.

use axum::Router;
use http::{HeaderMap, StatusCode};
use mesh_hyper::{Client, Mesh};

use crate::{Running, Ties, next, wait};

pub(crate) fn service(mesh: &Mesh, ties: Ties) -> Router {
    let client = Client::new(mesh);
    Router::new()
        .fallback(async move |headers: HeaderMap| relay(client.clone(), ties, headers).await)
}

async fn relay(client: Client, ties: Ties, headers: HeaderMap) -> (StatusCode, String) {
    let _running = Running::new();
    wait(&headers).await;
    let call = async move {
        let answer = client.get(format!("http://{}/", next(&headers))).await?;
        let status = answer.status();
        Ok((status, answer.text().await?))
    };
    let came: Result<_, mesh_hyper::Error> = ties.tie(call).await;
    came.unwrap_or_else(|error| (error.status(), error.to_string()))
}
