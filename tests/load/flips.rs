//! Routes go from one cluster to another and back; each time the new one's endpoints are late, and
//! the old one is deleted.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_core::record::{Event, Outcome, Recorder};
use mesh_tests::yaml::{LISTENER, cluster, routes};
use mesh_tests::{Backend, Control, EchoClient};
use mesh_tonic::{Channel, Mesh};
use mesh_xds::control_plane::type_url::ENDPOINTS;

use crate::chat::Chat;
use crate::traffic::{Epoch, Report, Traffic, eventually, is_complete};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) flips: u32,
    /// Calls a second.
    pub(crate) rate: u32,
    /// How late endpoints are.
    pub(crate) delay: Duration,
    /// Open across each flip.
    pub(crate) streams: usize,
}

/// Calls by the cluster that their configuration named, and their end where it is not success.
#[derive(Default)]
struct Tally(Mutex<BTreeMap<String, u64>>);

impl Recorder for Tally {
    fn record(&self, event: &Event<'_>) {
        if let Event::Call { cluster: Some(cluster), outcome, .. } = event {
            let key = match *outcome == (Outcome::Response { http: 200, grpc: Some(0) }) {
                true => (*cluster).to_owned(),
                false => format!("{cluster}: {outcome:?}"),
            };
            *self.0.lock().unwrap().entry(key).or_default() += 1;
        }
    }
}

/// Cluster and backend have the same name; there are two, which take turns.
fn name(flip: u32) -> &'static str {
    if flip.is_multiple_of(2) { "a" } else { "b" }
}

pub(crate) async fn run(size: Size, features: &[&str]) -> Report {
    let (a, b) = (Backend::start("a").await.unwrap(), Backend::start("b").await.unwrap());
    let control = Control::start().await.unwrap();
    let resources = |flip: u32| {
        let backend = if flip.is_multiple_of(2) { &a } else { &b };
        let route =
            format!(r#"{{ match: {{ prefix: "" }}, route: {{ cluster: {} }} }}"#, name(flip));
        [LISTENER, &routes(&[&route]), &cluster(name(flip), &[&[backend]])].concat()
    };
    control.push(&resources(0)).unwrap();
    let (tally, epoch) = (Arc::new(Tally::default()), Arc::new(Epoch::default()));
    let bootstrap = control.bootstrap(features).unwrap();
    let mesh = Mesh::builder().bootstrap(bootstrap).recorder(tally.clone()).build().unwrap();
    let channel = Channel::new(&mesh, "xds:///greeter").unwrap();
    let client = EchoClient::new(channel);
    let traffic = Traffic::start(client.clone(), size.rate, epoch.clone(), name);

    for flip in 1..=size.flips {
        let (old, new) = (name(flip - 1), name(flip));
        let chats = Chat::open_all(&client, size.streams).await;
        control.plane().faults().hold(ENDPOINTS);
        let revision = control.push(&resources(flip)).unwrap();
        eventually(&mesh, |graph| {
            graph.roots.iter().all(|root| root.waiting.iter().any(|name| name.as_str() == new))
        })
        .await;
        let chats = Chat::ask_all(chats, old).await;
        tokio::time::sleep(size.delay).await;
        epoch.newest.store(flip, Ordering::SeqCst);
        control.plane().faults().release(ENDPOINTS);
        control.plane().in_force(&revision).await.unwrap();
        eventually(&mesh, is_complete).await;
        epoch.oldest.store(flip, Ordering::SeqCst);
        // Streams stay where they began, although their cluster is gone.
        for chat in Chat::ask_all(chats, old).await {
            chat.end().await;
        }
    }

    let report = traffic.stop().await;
    let expect = [("a".to_owned(), a.calls()), ("b".to_owned(), b.calls())];
    assert_eq!(*tally.0.lock().unwrap(), BTreeMap::from(expect));
    report
}
