use mesh_tests::{Backend, Control};

use crate::{client, count, counts};
use mesh_tests::yaml::{LISTENER, cluster, routes};

const TO_A: &str = r#"{ match: { prefix: "" }, route: { cluster: a } }"#;

#[tokio::test]
async fn calls_reach_the_routed_cluster() {
    for features in [&[][..], &["delta"]] {
        let (a, control) = (Backend::start("a").await.unwrap(), Control::start().await.unwrap());
        control.push(&[LISTENER, &routes(&[TO_A]), &cluster("a", &[&[&a]])].concat()).unwrap();
        let (_mesh, mut client) = client(&control, features);
        assert_eq!(count(&mut client, 20).await, counts(&[("a", 20)]));
        assert_eq!(a.calls(), 20);
    }
}

#[tokio::test]
async fn a_push_moves_calls_to_another_cluster_without_a_failure() {
    for features in [&[][..], &["delta"]] {
        let (a, b) = (Backend::start("a").await.unwrap(), Backend::start("b").await.unwrap());
        let control = Control::start().await.unwrap();
        let both = [cluster("a", &[&[&a]]), cluster("b", &[&[&b]])].concat();
        control.push(&[LISTENER, &routes(&[TO_A]), &both].concat()).unwrap();
        let (_mesh, mut client) = client(&control, features);
        assert_eq!(count(&mut client, 5).await, counts(&[("a", 5)]));
        let to_b = TO_A.replace("cluster: a", "cluster: b");
        let pushed = control.push(&[LISTENER, &routes(&[&to_b]), &both].concat()).unwrap();
        control.plane().in_force(&pushed).await.unwrap();
        // The routes are accepted before the new cluster's endpoints are there; until then calls
        // go where they went.
        let seen = loop {
            let seen = count(&mut client, 1).await;
            if seen != counts(&[("a", 1)]) {
                break seen;
            }
        };
        assert_eq!(seen, counts(&[("b", 1)]));
        assert_eq!(count(&mut client, 10).await, counts(&[("b", 10)]));
    }
}

#[tokio::test]
async fn a_refused_route_keeps_the_old_one() {
    let (a, control) = (Backend::start("a").await.unwrap(), Control::start().await.unwrap());
    let good = [LISTENER, &routes(&[TO_A]), &cluster("a", &[&[&a]])].concat();
    control.push(&good).unwrap();
    let (mesh, mut client) = client(&control, &[]);
    assert_eq!(count(&mut client, 5).await, counts(&[("a", 5)]));
    let bad = r#"{ match: { safe_regex: { regex: "(" } }, route: { cluster: a } }"#;
    let pushed =
        control.push(&[LISTENER, &routes(&[bad]), &cluster("a", &[&[&a]])].concat()).unwrap();
    let rejection = control.plane().in_force(&pushed).await.unwrap_err();
    let text = rejection.to_string();
    assert!(text.contains("virtual_hosts[0].routes[0].match.safe_regex"), "{text}");
    assert_eq!(count(&mut client, 5).await, counts(&[("a", 5)]));
    let status = mesh.status().await.to_string();
    assert!(status.contains("RouteConfiguration greeter-routes: Nacked"), "{status}");
    assert!(status.contains("virtual_hosts[0].routes[0].match.safe_regex"), "{status}");
}

#[tokio::test]
async fn priorities_are_used_in_order() {
    let (a, b) = (Backend::start("a").await.unwrap(), Backend::start("b").await.unwrap());
    let control = Control::start().await.unwrap();
    let yaml = [LISTENER, &routes(&[TO_A]), &cluster("a", &[&[&a], &[&b]])].concat();
    control.push(&yaml).unwrap();
    let (_mesh, mut client) = client(&control, &[]);
    assert_eq!(count(&mut client, 10).await, counts(&[("a", 10)]));
    let yaml = [LISTENER, &routes(&[TO_A]), &cluster("a", &[&[], &[&b]])].concat();
    let pushed = control.push(&yaml).unwrap();
    control.plane().in_force(&pushed).await.unwrap();
    assert_eq!(b.calls(), 0);
}

#[tokio::test]
async fn without_endpoints_calls_fail_and_say_why() {
    let control = Control::start().await.unwrap();
    control.push(&[LISTENER, &routes(&[TO_A]), &cluster("a", &[&[]])].concat()).unwrap();
    let (_mesh, mut client) = client(&control, &[]);
    let expect = "Unavailable: cluster a: it has no usable endpoint";
    assert_eq!(count(&mut client, 2).await, counts(&[(expect, 2)]));
}
