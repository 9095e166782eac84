//! Side calls of the filters of a server.

use std::sync::Arc;

use mesh_core::side::{Answer, Call, SideCalls};
use mesh_core::snapshot::Routes;

use crate::context::Context;
use crate::side;

/// Sends side calls to the clusters that the filters of `routes` name.
pub(super) struct Side<'a> {
    pub(super) context: &'a Arc<Context>,
    pub(super) routes: &'a Routes,
}

impl SideCalls for Side<'_> {
    fn unary(&self, call: Call) -> Answer {
        let cluster = self.routes.cluster(&call.cluster).ok().cloned();
        side::answer(self.context.clone(), cluster, call)
    }
}
