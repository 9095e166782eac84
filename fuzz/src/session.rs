//! An ADS session in the hands of a management server that says anything, at any time.

use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse};
use mesh_core::rng::XorShift;
use mesh_core::testing::at;
use mesh_xds::ads::{Config, Event, Response, Session, Verdict};
use mesh_xds::bootstrap::ServerFeatures;
use mesh_xds::name::{ResourceName, ResourceType};
use prost::Message as _;

/// Bounded, so that an input does not run for long.
const STEPS: usize = 200;

/// The input is a list of steps: a byte that says what happens, and for a response its length and
/// its bytes.
pub(crate) fn session(input: &[u8]) {
    let Some((first, mut rest)) = input.split_first() else { return };
    let mut features = ServerFeatures::default();
    features.delta = first & 1 == 1;
    let mut session = Session::new(Config::new(Default::default(), &features));
    let (mut rng, mut now) = (XorShift::new(7), 0);
    for _ in 0..STEPS {
        let Some((step, after)) = rest.split_first() else { break };
        rest = after;
        let kind = ResourceType::ALL[usize::from(step >> 6)];
        match step & 7 {
            0 => session.subscribe(kind, name(kind, step >> 3)),
            1 => session.unsubscribe(kind, &name(kind, step >> 3)),
            2 if session.poll_connect(at(now)) => session.handle_connected(),
            3 => session.handle_disconnected("gone", at(now), &mut rng),
            4 => {
                now += u64::from(step >> 3);
                session.handle_timeout(at(now));
            }
            _ => {
                let length = rest.first().map_or(0, |length| usize::from(*length));
                let (bytes, after) = rest.split_at(rest.len().min(length + 1));
                rest = after;
                let bytes = bytes.get(1..).unwrap_or_default();
                respond(&mut session, features.delta, bytes, now);
            }
        }
        while session.poll_request(at(now)).is_some() {}
        while let Some(event) = session.poll_event() {
            if let Event::Update(update) = event {
                let verdict = match step & 8 {
                    0 => Verdict::Accept,
                    _ => Verdict::Reject { message: "no".into() },
                };
                session.finish(update.ticket, verdict);
            }
        }
        drop((session.poll_timeout(), session.status()));
    }
}

fn respond(session: &mut Session, delta: bool, bytes: &[u8], now: u64) {
    let response = match delta {
        true => DeltaDiscoveryResponse::decode(bytes).map(Response::Incremental),
        false => DiscoveryResponse::decode(bytes).map(Response::StateOfTheWorld),
    };
    if let Ok(response) = response {
        session.handle_response(response, at(now));
    }
}

fn name(kind: ResourceType, number: u8) -> ResourceName {
    let text = match number & 7 {
        7 => "*".to_owned(),
        number => format!("r{number}"),
    };
    ResourceName::parse(kind, &text).expect("the name is good")
}
