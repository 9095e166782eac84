//! What picking an endpoint costs, by the number of endpoints.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;

use mesh_benches::growth::Growth;
use mesh_benches::shared::Error;
use mesh_core::cluster::{Address, Endpoint, LoadBalancing, Policy};
use mesh_core::lb::{Group, Picker};
use mesh_core::rng::XorShift;

fn main() -> Result<(), Error> {
    let bench = Growth {
        name: "pick",
        subjects: &[
            "round_robin",
            "weighted_round_robin",
            "least_request",
            "random",
            "round_robin.2",
            "weighted_round_robin.2",
            "least_request.2",
            "random.2",
        ],
        sizes: &[10, 100, 1_000, 10_000, 100_000],
        most: 1.5,
        run,
    };
    bench.main()
}

/// `subject` is a policy, and how many localities there are if that is not one.
fn run(subject: &str, size: usize, picks: u32) -> Result<(), Error> {
    let (policy, localities) = subject.split_once('.').unwrap_or((subject, "1"));
    let (policy, weights) = match policy {
        "round_robin" => (Policy::RoundRobin, 1),
        "weighted_round_robin" => (Policy::RoundRobin, 4),
        "least_request" => (Policy::LeastRequest { choices: 2 }, 1),
        "random" => (Policy::Random, 1),
        other => return Err(format!("unknown policy {other}").into()),
    };
    let endpoints = (0..u32::try_from(size)?).map(|number| {
        let address = Address::Socket((Ipv4Addr::from_bits(0x0a00_0000 | number), 80).into());
        Arc::new(Endpoint { weight: 1 + number % weights, ..Endpoint::new(address) })
    });
    let endpoints: Vec<_> = endpoints.collect();
    let groups = endpoints.chunks(size.div_ceil(localities.parse()?));
    let groups = groups.map(|of| Group { weight: 1, endpoints: of.to_vec() }).collect();

    let mut rng = XorShift::new(7);
    let config = LoadBalancing { policy, locality_weighted: true };
    let picker = Picker::new(&config, groups, &mut rng);
    for _ in 0..picks {
        black_box(picker.pick(&mut rng)).ok_or("no pick")?;
    }
    Ok(())
}
