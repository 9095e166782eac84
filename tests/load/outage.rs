//! The control plane goes, comes back with something else, talks nonsense, and comes and goes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mesh_tests::yaml::{LISTENER, cluster, routes};
use mesh_tests::{Backend, Control, EchoClient, Message};
use mesh_tonic::{Channel, Mesh};
use mesh_xds::control_plane::type_url::{CLUSTER, ENDPOINTS, LISTENER as LISTENERS, ROUTES};
use tokio::time::interval;
use tonic::Code;

use crate::traffic::{Epoch, Report, SAY, Traffic, eventually, until_answered_by};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// How long there is no control plane.
    pub(crate) down: Duration,
    /// Calls a second.
    pub(crate) rate: u32,
    /// How often it then comes and goes.
    pub(crate) flaps: u32,
}

/// How long each of its comings and goings lasts.
const FLAP: Duration = Duration::from_millis(100);

/// A call to an unknown name fails by then.
const BOUND: Duration = Duration::from_secs(5);

/// Who answers under each configuration.
fn name(epoch: u32) -> &'static str {
    if epoch.is_multiple_of(2) { "a" } else { "b" }
}

pub(crate) async fn run(size: Size, features: &[&str]) -> Report {
    let (a, b) = (Backend::start("a").await.unwrap(), Backend::start("b").await.unwrap());
    let mut control = Control::start().await.unwrap();
    let resources = |epoch: u32| {
        let route =
            format!(r#"{{ match: {{ prefix: "" }}, route: {{ cluster: {} }} }}"#, name(epoch));
        let clusters = [cluster("a", &[&[&a]]), cluster("b", &[&[&b]])].concat();
        [LISTENER, &routes(&[&route]), &clusters].concat()
    };
    control.push(&resources(0)).unwrap();
    let epoch = Arc::new(Epoch::default());
    let bootstrap = control.bootstrap(features).unwrap();
    let mesh = Mesh::builder().bootstrap(bootstrap).build().unwrap();
    let open = |target: &str| EchoClient::new(Channel::new(&mesh, target).unwrap());
    let mut client = open("xds:///greeter");
    until_answered_by(&mut client, "a").await;
    let traffic = Traffic::start(client.clone(), size.rate, epoch.clone(), name);

    control.stop().await.unwrap();
    let went = Instant::now();
    eventually(&mesh, |graph| graph.resources.iter().all(|it| it.error.is_some())).await;
    // Another name for the same listener, asked for now: it is known.
    until_answered_by(&mut open("xds:greeter"), "a").await;
    let asked = Instant::now();
    let mut request = tonic::Request::new(Message::default());
    request.set_timeout(BOUND);
    let status = open("xds:///stranger").call(SAY, request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    let text = status.message();
    assert!(text.starts_with("xds:///stranger: listener stranger: "), "{text}");
    assert!(text.contains(&control.address().to_string()), "{text}");
    assert!(asked.elapsed() < BOUND);
    tokio::time::sleep(size.down.saturating_sub(went.elapsed())).await;

    epoch.newest.store(1, Ordering::SeqCst);
    control.restart();
    control.push(&resources(1)).unwrap();
    until_answered_by(&mut client, "b").await;
    epoch.oldest.store(1, Ordering::SeqCst);

    for type_url in [LISTENERS, ROUTES, CLUSTER, ENDPOINTS, "type.googleapis.com/no.such.Type"] {
        control.plane().faults().inject(
            type_url,
            "nonsense",
            &[b"\xff\xff nonsense", b"", b"\x0a"],
        );
    }
    epoch.newest.store(2, Ordering::SeqCst);
    control.push(&resources(2)).unwrap();
    until_answered_by(&mut client, "a").await;
    epoch.oldest.store(2, Ordering::SeqCst);

    let mut tick = interval(FLAP);
    for flap in 0..size.flaps {
        tick.tick().await;
        match flap % 4 {
            0 => control.plane().faults().drop_streams(),
            1 => control.stop().await.unwrap(),
            _ => {
                control.restart();
                control.push(&resources(2)).unwrap();
            }
        }
    }
    epoch.newest.store(3, Ordering::SeqCst);
    control.restart();
    control.push(&resources(3)).unwrap();
    until_answered_by(&mut client, "b").await;
    traffic.stop().await
}
