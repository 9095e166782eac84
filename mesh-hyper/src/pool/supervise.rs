//! One connection from its first SYN to its end, on the runtime of the call that asked for it.

use std::future::Future;
use std::sync::{Arc, Weak};

use mesh_core::balance::{Closed, ConnectionId};
use mesh_core::cluster::{Config, Connections, Endpoint, Upstream};

use crate::runtime;
use crate::transport::connect::{self, Dialer};
use crate::transport::connection::{Connection, End, Gauge, Wire};
use crate::transport::signals::Signals;
use crate::transport::{h1, h2, secure};

pub(super) struct Attempt {
    pub(super) id: ConnectionId,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) config: Arc<Config>,
    pub(super) dialer: Dialer,
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
                let closed = Closed {
                    why: why.into(),
                    served: gone || gauge.was_sound(),
                    orderly: gauge.is_orderly(),
                    idle: false,
                };
                self.signals.closed(self.id, &self.endpoint, closed, gone);
            }
            Some(_) => {}
        }
    }
}

impl Attempt {
    /// The attempt, and the connection until its end if it succeeds.
    pub(super) fn run(self) -> impl Future<Output = ()> + Send {
        let Self { id, endpoint, config, dialer, signals } = self;
        // Made before the first poll: a runtime that is gone drops the task without one.
        let fate = Fate { id, endpoint, signals, gauge: None, why: None };
        run(fate, config, dialer)
    }
}

async fn run(mut fate: Fate, config: Arc<Config>, dialer: Dialer) {
    let (endpoint, signals) = (fate.endpoint.clone(), fate.signals.clone());
    let settings = &config.connections;
    let limit = settings.connect_timeout;
    let start = runtime::now();
    let io = match connect::open(&dialer.connector, &endpoint, limit).await {
        Ok(io) => io,
        Err(why) => return fate.why = Some(why),
    };
    // The bound covers TCP, TLS and the protocol's handshake together.
    let left = limit.saturating_sub(runtime::now().saturating_duration_since(start));
    let transport = config.security.transport(&endpoint);
    let established = async {
        let secure::Ready { io, session, forbidden } =
            secure::ready(io, dialer.secure.as_ref(), transport, &endpoint, config.upstream)
                .await?;
        let (wire, driver, gauge, ping) = match config.upstream {
            Upstream::Http1 => {
                let (sender, driver) = h1::handshake(io).await?;
                let gauge = Arc::new(Gauge::new(1));
                let driver = tokio::spawn(h1::drive(driver, gauge.clone()));
                (Wire::H1(sender.into()), driver, gauge, None)
            }
            Upstream::Http2 | _ => {
                let opened = h2::handshake(io, settings).await?;
                let gauge = Arc::new(Gauge::new(opened.limit));
                let own = settings.max_concurrent_streams;
                let driver = h2::Driver::new(opened.wire, own, gauge.clone(), signals.clone());
                (Wire::H2(opened.sender), tokio::spawn(driver), gauge, opened.ping)
            }
        };
        Ok::<_, String>((wire, driver, gauge, ping, session, forbidden))
    };
    let (wire, mut driver, gauge, ping, session, forbidden) =
        match tokio::time::timeout(left, established).await {
            Ok(Ok(established)) => established,
            Ok(Err(why)) => return fate.why = Some(format!("{}: {why}", endpoint.address)),
            Err(_) => {
                let why =
                    format!("{}: no answer to the handshake within {limit:?}", endpoint.address);
                return fate.why = Some(why);
            }
        };
    let connection = Connection::new(
        fate.id,
        endpoint,
        wire,
        gauge.clone(),
        signals.clone(),
        session,
        settings.max_requests,
    );
    let weak = Arc::downgrade(&connection);
    fate.gauge = Some(gauge.clone());
    signals.connected(connection);
    let mut end = std::pin::pin!(async {
        tokio::select! {
            done = &mut driver => done.unwrap_or_else(|_| "its driver was cancelled".into()),
            why = pinged(ping, settings) => {
                driver.abort();
                why
            }
            why = forbidden => {
                driver.abort();
                why
            }
        }
    });
    let why = tokio::select! {
        why = &mut end => why,
        // Then it lives on for the calls it has, and is watched as before.
        () = worn(&weak, &gauge, settings) => end.await,
    };
    fate.why = Some(why);
}

async fn pinged(ping: Option<::h2::PingPong>, settings: &Connections) -> String {
    match (ping, settings.keepalive) {
        (Some(ping), Some(keepalive)) => h2::keepalive(ping, keepalive).await,
        _ => std::future::pending().await,
    }
}

/// Retires the connection when it is idle or old, and resolves when that was asked for.
async fn worn(connection: &Weak<Connection>, gauge: &Gauge, settings: &Connections) {
    let age = async {
        match settings.max_age {
            Some(age) => tokio::time::sleep(age).await,
            None => std::future::pending().await,
        }
    };
    let mut idle = std::pin::pin!(async {
        match settings.idle_timeout {
            Some(timeout) => h2::idle(gauge, timeout).await,
            None => std::future::pending().await,
        }
    });
    tokio::select! {
        () = age => {
            let Some(connection) = connection.upgrade() else { return };
            connection.signals.aged(connection.id);
        }
        () = &mut idle => {
            if let Some(connection) = connection.upgrade() {
                connection.retire("it was idle", End::Idle);
            }
        }
    }
}
