//! Calls, many at a time. None is ever made twice: what fails is counted as failed.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use mesh_tonic::Channel;
use tokio::task::JoinSet;
use tonic::{Request, metadata::MetadataValue};

use crate::{
    counts::Counts,
    greeter::{GreeterClient, HelloRequest},
};

/// Calls under way at a time.
const WIDTH: usize = 16;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// An ordinary one.
    User,
    /// One who asks for version 2 with `x-canary: v2`.
    Tester,
}

/// Makes calls.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    client: GreeterClient<Channel>,
}

impl Load {
    pub(crate) fn new(channel: Channel) -> Self {
        Self { client: GreeterClient::new(channel) }
    }

    /// One call: the name of the backend that answered it.
    pub(crate) async fn call(&mut self, caller: Caller, counts: &mut Counts) -> Option<String> {
        let mut request = Request::new(HelloRequest { name: "mesh".to_owned() });
        if caller == Caller::Tester {
            request.metadata_mut().insert("x-canary", MetadataValue::from_static("v2"));
        }
        match self.client.say_hello(request).await {
            Ok(reply) => {
                let backend = reply.into_inner().backend;
                counts.answered(&backend);
                Some(backend)
            }
            Err(status) => {
                counts.failed(format!("{:?}: {}", status.code(), status.message()));
                None
            }
        }
    }

    /// Makes `number` calls.
    pub(crate) async fn calls(&self, caller: Caller, number: u64) -> Counts {
        let made = AtomicU64::new(0);
        self.workers(caller, move || made.fetch_add(1, Ordering::Relaxed) < number).await
    }

    /// Makes calls for as long as `work` takes.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> (Counts, T) {
        let done = Arc::new(AtomicBool::new(false));
        let seen = done.clone();
        let calls = self.workers(Caller::User, move || !seen.load(Ordering::Relaxed));
        let work = async {
            let result = work.await;
            done.store(true, Ordering::Relaxed);
            result
        };
        tokio::join!(calls, work)
    }

    async fn workers(
        &self,
        caller: Caller,
        go_on: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Counts {
        let go_on = Arc::new(go_on);
        let mut workers = JoinSet::new();
        for _ in 0..WIDTH {
            let (mut load, go_on) = (self.clone(), go_on.clone());
            workers.spawn(async move {
                let mut counts = Counts::default();
                while go_on() {
                    load.call(caller, &mut counts).await;
                }
                counts
            });
        }
        let mut all = Counts::default();
        while let Some(worker) = workers.join_next().await {
            match worker {
                Ok(counts) => all.merge(&counts),
                Err(error) => all.failed(error.to_string()),
            }
        }
        all
    }
}
