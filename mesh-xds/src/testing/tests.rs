use std::net::SocketAddr;
use std::time::Duration;

use mesh_core::cluster::Address;
use tokio::time::Instant;

use super::*;
use crate::control_plane::type_url;
use crate::{Kind, Mesh, RootHandle};

const SHOP: &str = "
version: mesh/v1
services:
  shop:
    versions: { v1: [127.0.0.1:1, 127.0.0.1:2], v2: [unix:/shop, '[::1]:3'] }
    routes: [{ to: v1 }]
  news: { versions: { v1: dns:news.example:80 } }
";

/// A listener for nobody.
const BROKEN: &str = "
\"@type\": type.googleapis.com/envoy.config.listener.v3.Listener
name: shop
";

fn is_ready(root: &RootHandle) -> bool {
    root.cell.load_full().is_some_and(|root| root.snapshot().is_some())
}

#[tokio::test(start_paused = true)]
async fn clusters_have_the_addresses_that_are_written_and_made_up_ones_for_names() {
    let (mesh, document) = Document::open(SHOP, Mesh::builder()).unwrap();
    let socket = |text: &str| Address::Socket(text.parse::<SocketAddr>().unwrap());
    let cluster = |name: &str, addresses| Cluster { name: name.into(), addresses };
    let expect = [
        cluster("news/v1", vec![socket("[2001:db8::1]:80")]),
        cluster("shop/v1", vec![socket("127.0.0.1:1"), socket("127.0.0.1:2")]),
        cluster("shop/v2", vec![Address::Unix("/shop".into()), socket("[::1]:3")]),
    ];
    assert_eq!(document.clusters(), expect);
    let news = mesh.root("xds:///news").unwrap();
    settle().await;
    let root = news.cell.load_full().unwrap();
    let root = format!("{:?}", root.snapshot().unwrap());
    assert!(root.contains("news/v1"), "{root}");
}

#[tokio::test(start_paused = true)]
async fn a_bad_push_leaves_the_one_before_in_force() {
    let (mesh, document) = Document::open(SHOP, Mesh::builder()).unwrap();
    let shop = mesh.root("xds:///shop").unwrap();
    let error = document.push(&SHOP.replace("to: v1", "to: v3")).await.unwrap_err();
    assert!(matches!(error, PushError::File(_)), "{error}");
    assert!(error.to_string().starts_with("mesh.yaml:6:20: services.shop.routes[0].to"), "{error}");
    assert!(is_ready(&shop));
    let status = mesh.status().await.to_string();
    assert!(status.contains("set 1") && status.contains("refused"), "{status}");
    document.push("version: mesh/v1").await.unwrap();
    assert!(!is_ready(&shop) && document.clusters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn both_variants_of_the_protocol_bring_a_push_into_force() {
    for features in [&[][..], &["delta"]] {
        let control = ControlPlane::start().unwrap();
        let bootstrap = control.bootstrap(features).unwrap();
        let mesh = control.mesh(Mesh::builder().bootstrap(bootstrap)).unwrap();
        let shop = mesh.root("xds:///shop").unwrap();
        control.push(SHOP).await.unwrap();
        assert!(is_ready(&shop), "{features:?}");
        assert_eq!(control.server().clients().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_push_that_a_mesh_refuses_says_why() {
    let control = ControlPlane::start().unwrap();
    let mesh = control.mesh(Mesh::builder()).unwrap();
    let shop = mesh.root("xds:///shop").unwrap();
    control.push(SHOP).await.unwrap();
    let PushError::Rejected(rejection) = control.push(BROKEN).await.unwrap_err() else {
        panic!("it is not refused as a resource");
    };
    assert_eq!((&*rejection.type_url, &*rejection.node), (type_url::LISTENER, "test"));
    assert!(rejection.message.starts_with("shop: address"), "{rejection}");
    assert!(is_ready(&shop));
    control.push(SHOP).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn faults_and_outages_are_at_the_tests_command() {
    let control = ControlPlane::start().unwrap();
    control.push(SHOP).await.unwrap();
    control.server().faults().hold(type_url::CLUSTER);
    let mesh = control.mesh(Mesh::builder()).unwrap();
    let shop = mesh.root("xds:///shop").unwrap();
    settle().await;
    assert!(!is_ready(&shop));
    control.server().faults().release(type_url::CLUSTER);
    settle().await;
    assert!(is_ready(&shop));

    control.stop().await;
    let news = mesh.root("xds:///news").unwrap();
    settle().await;
    assert!(is_ready(&shop) && !is_ready(&news));
    control.restart();
    let start = Instant::now();
    while !is_ready(&news) {
        settle().await;
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn a_runtime_that_tests_cannot_be_exact_on_is_refused() {
    let why = || Document::open(SHOP, Mesh::builder()).map(drop).unwrap_err();
    let expect = "there is no runtime around: use #[tokio::test(start_paused = true)]";
    assert_eq!((why().kind(), &*why().to_string()), (Kind::Runtime, expect));
    let running = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = running.block_on(async { why() }).to_string();
    assert!(error.starts_with("the clock of the runtime does not stand still: "), "{error}");
    let many = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let error = many.block_on(async { why() }).to_string();
    assert!(error.starts_with("the runtime has several threads: "), "{error}");
}
