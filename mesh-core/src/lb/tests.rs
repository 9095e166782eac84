use std::sync::Arc;

use super::{Group, Picker};
use crate::cluster::{Address, Endpoint, LoadBalancing, Policy};
use crate::rng::{Rng, XorShift};

fn endpoints(weights: &[u32]) -> Vec<Arc<Endpoint>> {
    let make = |(i, w): (usize, &u32)| {
        let address = Address::Socket(([127, 0, 0, 1], u16::try_from(i).unwrap()).into());
        Arc::new(Endpoint { weight: *w, ..Endpoint::new(address) })
    };
    weights.iter().enumerate().map(make).collect()
}

fn picker(policy: Policy, groups: &[(u32, &[u32])]) -> Picker {
    let config = LoadBalancing { policy, locality_weighted: true };
    let group = |(weight, w): &(u32, &[u32])| Group { weight: *weight, endpoints: endpoints(w) };
    Picker::new(&config, groups.iter().map(group).collect(), &mut XorShift::new(3))
}

fn count(picker: &Picker, picks: u32) -> Vec<u32> {
    let mut rng = XorShift::new(11);
    let mut seen = vec![0; picker.endpoints().len()];
    for _ in 0..picks {
        seen[picker.pick(&mut rng).unwrap()] += 1;
    }
    seen
}

#[test]
fn round_robin_takes_each_in_turn() {
    assert_eq!(count(&picker(Policy::RoundRobin, &[(1, &[1; 5])]), 100), [20; 5]);
}

#[test]
fn round_robin_follows_endpoint_weights() {
    let seen = count(&picker(Policy::RoundRobin, &[(1, &[1, 2, 3])]), 600);
    assert_eq!(seen.iter().sum::<u32>(), 600);
    for (seen, want) in seen.iter().zip([100u32, 200, 300]) {
        assert!(seen.abs_diff(want) <= 2, "{seen} {want}");
    }
}

#[test]
fn localities_share_by_weight() {
    let seen = count(&picker(Policy::RoundRobin, &[(1, &[1, 1]), (3, &[1])]), 4_000);
    assert_eq!(seen, [506, 507, 2_987]);
}

#[test]
fn least_request_avoids_the_busy_one() {
    let picker = picker(Policy::LeastRequest { choices: 2 }, &[(1, &[1, 1])]);
    picker.endpoints()[0].state.start();
    // The busy one is taken only when both samples are of it: one call in four.
    assert_eq!(count(&picker, 4_000), [1_033, 2_967]);
}

#[test]
fn random_is_uniform_and_first_is_first() {
    assert_eq!(count(&picker(Policy::Random, &[(1, &[1, 9])]), 1_000), [508, 492]);
    let first = picker(Policy::PickFirst { shuffle: false }, &[(1, &[1]), (9, &[1])]);
    assert_eq!(count(&first, 10), [10, 0]);
}

#[test]
fn without_endpoints_there_is_no_pick() {
    let mut rng = XorShift::new(1);
    assert_eq!(picker(Policy::RoundRobin, &[(1, &[])]).pick(&mut rng), None);
    assert_eq!(picker(Policy::Random, &[]).pick(&mut rng), None);
    assert!(rng.next_u64() != 0);
}
