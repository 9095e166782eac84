//! One request, put to a filter of a server as the data plane does.

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use mesh_core::filter::{Beginning, Context, Filter, HeaderChanges, Slot, Step};
use mesh_core::metadata::Metadata;
use mesh_core::request::RequestHead;
use mesh_core::rng::XorShift;
use mesh_core::side::{Failure, Reply};
use mesh_core::testing::at;

/// What a filter does with a request.
pub(crate) struct Asked {
    pub(crate) step: Step,
    pub(crate) changes: HeaderChanges,
}

/// What `filter` does with `request` at `wall` seconds since 1970, given the answers to what it asks
/// others.
pub(crate) fn ask(
    filter: &dyn Filter,
    request: &Parts,
    (wall, mut replies): (u64, Vec<Result<Reply, Failure>>),
) -> Asked {
    let head = RequestHead::new(request, "shop:80");
    let (mut slot, mut rng, mut changes) =
        (Slot::default(), XorShift::new(7), HeaderChanges::default());
    let (mut answer, mut body) = (None, None);
    loop {
        let step = filter.poll_request(
            &mut slot,
            &head,
            &mut Context {
                now: at(0),
                wall,
                peer: None,
                connection: None,
                route: None,
                cluster: None,
                metadata: Metadata::default(),
                rng: &mut rng,
                answer: answer.take(),
                body: body.take(),
                changes: &mut changes,
            },
        );
        if let Step::Body { up_to } = step {
            let bytes = Bytes::from_static(BODY);
            body = Some(Beginning { is_whole: up_to > BODY.len(), bytes });
            continue;
        }
        if matches!(step, Step::Ask(_))
            && let Some(reply) = replies.pop()
        {
            answer = Some(reply);
            continue;
        }
        filter.on_response(&mut slot, http::StatusCode::OK, &mut HeaderMap::new());
        return Asked { step, changes };
    }
}

/// What the request has for a body.
const BODY: &[u8] = b"two apples";
