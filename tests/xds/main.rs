//! Targets through a real control plane: discovery, routing, and what happens when either changes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod routing;

use std::collections::BTreeMap;

use mesh_tests::{Control, EchoClient, Message};
use mesh_tonic::{Channel, Mesh};

const SAY: &str = "/test.Echo/Say";

/// A mesh fed by `control`, and a client of `xds:///greeter`.
fn client(control: &Control, features: &[&str]) -> (Mesh, EchoClient<Channel>) {
    let bootstrap = control.bootstrap(features).unwrap();
    let mesh = Mesh::builder().bootstrap(bootstrap).build().unwrap();
    let channel = Channel::new(&mesh, "xds:///greeter").unwrap();
    (mesh, EchoClient::new(channel))
}

/// How often each backend answered `calls` calls.
async fn count(client: &mut EchoClient<Channel>, calls: u32) -> BTreeMap<String, u32> {
    let mut seen = BTreeMap::new();
    for _ in 0..calls {
        let answer = client.call(SAY, Message::default()).await;
        let text = match answer {
            Ok(answer) => answer.into_inner().text,
            Err(status) => format!("{:?}: {}", status.code(), status.message()),
        };
        *seen.entry(text).or_default() += 1;
    }
    seen
}

fn counts(expect: &[(&str, u32)]) -> BTreeMap<String, u32> {
    expect.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
}
