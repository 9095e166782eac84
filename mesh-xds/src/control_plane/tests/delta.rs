use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;

use super::kit::{Server, soon, text};
use crate::control_plane::{ControlPlane, Variant, type_url::ENDPOINTS};

#[tokio::test]
async fn a_client_gets_changes_and_removals() {
    let server = Server::start(ControlPlane::new()).await;
    server.set(&[(ENDPOINTS, "a", "1"), (ENDPOINTS, "b", "2")]);
    let mut client = server.delta("one").await;
    let request = || DeltaDiscoveryRequest {
        type_url: ENDPOINTS.to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    let names = ["a", "b", "c"].map(str::to_owned).to_vec();
    client.send(DeltaDiscoveryRequest { resource_names_subscribe: names, ..request() }).await;
    let response = client.receive().await;
    let names: Vec<&str> = response.resources.iter().map(|it| it.name.as_str()).collect();
    assert_eq!((names, response.removed_resources), (vec!["a", "b"], vec!["c".to_owned()]));
    let response_nonce = response.nonce;
    client.send(DeltaDiscoveryRequest { response_nonce, ..request() }).await;

    let revision = server.set(&[(ENDPOINTS, "b", "3")]);
    let mut response = client.receive().await;
    assert_eq!(response.removed_resources, ["a"]);
    assert_eq!(response.resources.len(), 1);
    let resource = response.resources.remove(0);
    assert_eq!((resource.name.as_str(), text(resource.resource.unwrap().value)), ("b", "3".into()));
    let response_nonce = response.nonce;
    client.send(DeltaDiscoveryRequest { response_nonce, ..request() }).await;
    soon(server.control_plane.in_force(&revision)).await.unwrap();
    assert_eq!(server.control_plane.clients()[0].variant, Variant::Delta);
}
