//! One connection from its first SYN to its end, on the runtime of the call that asked for it.

use std::sync::{Arc, Weak};

use mesh_core::balance::{Closed, ConnectionId};
use mesh_core::cluster::{Config, Connections, Endpoint, Upstream};

use super::Signals;
use crate::runtime;
use crate::transport::connect::{self, Connect};
use crate::transport::connection::{Connection, Gauge, Wire};
use crate::transport::{h1, h2};

pub(super) struct Attempt {
    pub(super) id: ConnectionId,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) config: Arc<Config>,
    pub(super) connector: Arc<dyn Connect>,
    pub(super) signals: Arc<Signals>,
}

/// Tells the keeper how it ended, also when the runtime drops the task.
struct Fate {
    id: ConnectionId,
    endpoint: Arc<Endpoint>,
    signals: Arc<Signals>,
    /// Set once it was open.
    gauge: Option<Arc<Gauge>>,
    why: Option<String>,
}

impl Drop for Fate {
    fn drop(&mut self) {
        let gone = self.why.is_none();
        let why = self.why.take().unwrap_or_else(|| "its runtime has shut down".into());
        match &self.gauge {
            None => self.signals.failed(self.id, &self.endpoint, &why, gone),
            Some(gauge) if gauge.spend() => {
                // One that went with its runtime says nothing about the endpoint.
                let closed =
                    Closed { why: why.into(), served: gone || gauge.served(), idle: false };
                self.signals.closed(self.id, &self.endpoint, closed, gone);
            }
            Some(_) => {}
        }
    }
}

pub(super) async fn run(attempt: Attempt) {
    let Attempt { id, endpoint, config, connector, signals } = attempt;
    let mut fate =
        Fate { id, endpoint: endpoint.clone(), signals: signals.clone(), gauge: None, why: None };
    let settings = &config.connections;
    let limit = settings.connect_timeout;
    let start = runtime::now();
    let io = match connect::open(&connector, &endpoint, limit).await {
        Ok(io) => io,
        Err(why) => return fate.why = Some(why),
    };
    // The bound covers TCP and the protocol's handshake together.
    let left = limit.saturating_sub(runtime::now().saturating_duration_since(start));
    let gauge = Arc::new(Gauge::default());
    let established = async {
        match config.upstream {
            Upstream::Http1 => {
                let (sender, driver) = h1::handshake(io).await?;
                gauge.set_limit(1);
                let driver = tokio::spawn(async move {
                    match driver.await {
                        Ok(()) => "the peer closed the connection".to_owned(),
                        Err(error) => format!("the connection broke: {error}"),
                    }
                });
                Ok::<_, String>((Wire::H1(sender.into()), driver, None))
            }
            _ => {
                let opened = h2::handshake(io, settings).await?;
                gauge.set_limit(opened.limit);
                let own = settings.max_concurrent_streams;
                let driver = h2::Driver::new(opened.wire, own, gauge.clone(), signals.clone());
                Ok((Wire::H2(opened.sender), tokio::spawn(driver), opened.ping))
            }
        }
    };
    let (wire, mut driver, ping) = match tokio::time::timeout(left, established).await {
        Ok(Ok(established)) => established,
        Ok(Err(why)) => return fate.why = Some(format!("{}: {why}", endpoint.address)),
        Err(_) => {
            let why = format!("{}: no answer to the handshake within {limit:?}", endpoint.address);
            return fate.why = Some(why);
        }
    };
    let connection =
        Connection::new(id, endpoint, wire, gauge.clone(), signals.clone(), settings.max_requests);
    let weak = Arc::downgrade(&connection);
    fate.gauge = Some(gauge.clone());
    signals.connected(connection);
    let why = tokio::select! {
        done = &mut driver => done.unwrap_or_else(|_| "its driver was cancelled".into()),
        why = pinged(ping, settings) => {
            driver.abort();
            why
        }
        () = aged(&weak, &gauge, settings) => {
            driver.await.unwrap_or_else(|_| "its driver was cancelled".into())
        }
    };
    fate.why = Some(why);
}

async fn pinged(ping: Option<::h2::PingPong>, settings: &Connections) -> String {
    match (ping, settings.keepalive) {
        (Some(ping), Some(keepalive)) => h2::keepalive(ping, keepalive).await,
        _ => std::future::pending().await,
    }
}

/// Retires the connection when it is idle or old, and resolves then.
async fn aged(connection: &Weak<Connection>, gauge: &Gauge, settings: &Connections) {
    let age = async {
        match settings.max_age {
            Some(age) => tokio::time::sleep(age).await,
            None => std::future::pending().await,
        }
    };
    let idle = async {
        match settings.idle_timeout {
            Some(timeout) => h2::idle(gauge, timeout).await,
            None => std::future::pending().await,
        }
    };
    let (why, idle) = tokio::select! {
        () = age => ("it has reached its maximum age", false),
        () = idle => ("it was idle", true),
    };
    if let Some(connection) = connection.upgrade() {
        connection.retire(why, idle);
    }
}
