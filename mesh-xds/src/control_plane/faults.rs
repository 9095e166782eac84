use envoy_types::pb::google::protobuf::Any;
use tokio::sync::watch;

use super::{plane::State, stream::Injection};

/// Ways to be a bad server, for tests of clients.
#[derive(Debug)]
pub struct Faults<'a> {
    state: &'a watch::Sender<State>,
}

impl<'a> Faults<'a> {
    pub(crate) fn new(state: &'a watch::Sender<State>) -> Self {
        Self { state }
    }

    /// Sends nothing of this type until [`Self::release`].
    pub fn hold(&self, type_url: &str) {
        self.state.send_modify(|state| {
            state.held.insert(type_url.to_owned());
        });
    }

    /// Sends what [`Self::hold`] held back.
    pub fn release(&self, type_url: &str) {
        self.state.send_modify(|state| {
            state.held.remove(type_url);
        });
    }

    /// Sends a response with these bytes as resources to all streams there are now, asked for or
    /// not.
    ///
    /// What clients have is not taken to be changed by it. At most 64 wait for a slow stream.
    pub fn inject(&self, type_url: &str, version: &str, resources: &[&[u8]]) {
        let any = |bytes: &&[u8]| Any { type_url: type_url.to_owned(), value: bytes.to_vec() };
        self.state.send_modify(|state| {
            let number = state.injections.back().map_or(0, |last| last.number) + 1;
            let injection = Injection {
                streams: state.streams,
                number,
                type_url: type_url.to_owned(),
                version: version.to_owned(),
                resources: resources.iter().map(any).collect(),
            };
            if state.injections.len() >= MAX_INJECTIONS {
                state.injections.pop_front();
            }
            state.injections.push_back(injection.into());
        });
    }

    /// Ends all streams there are now with `UNAVAILABLE`. Clients may come back.
    pub fn drop_streams(&self) {
        self.state.send_modify(|state| state.dropped = state.streams);
    }
}

const MAX_INJECTIONS: usize = 64;
