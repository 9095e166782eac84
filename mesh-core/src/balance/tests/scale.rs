//! Ten thousand endpoints.

use std::net::SocketAddr;

use super::*;

fn many(config: &Config, count: u32) -> Arc<Version> {
    let one = |n: u32| Endpoint::new(Address::Socket(SocketAddr::from((n.to_be_bytes(), 80))));
    Arc::new(Version {
        config: Arc::new(config.clone()),
        assignment: Arc::new(Assignment::of((0..count).map(one))),
        note: None,
    })
}

#[test]
fn ten_thousand_endpoints_connect_in_turn() {
    let mut world = World::new(Policy::RoundRobin, &[]);
    world.balance.reconfigure(many(&world.config, 10_000), at_millis(0));
    assert_eq!(world.balance.table.entries.capacity(), 0);
    world.demand();
    let mut connected = 0;
    while let Some(action) = world.balance.poll_action() {
        let Action::Connect { id, .. } = action else { panic!("{action:?}") };
        world.balance.handle_connected(id, at_millis(1));
        connected += 1;
    }
    assert_eq!(connected, 10_000);
    assert_eq!(world.balance.view().groups[0].endpoints.len(), 10_000);
    for count in [9_999, 10_000, 5_000] {
        world.balance.reconfigure(many(&world.config, count), at_millis(2));
    }
    assert_eq!(world.actions().len(), 1 + 1 + 5_000);
}
