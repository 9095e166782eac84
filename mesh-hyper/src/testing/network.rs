//! The addresses of a test's configuration, and what is behind them.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use mesh_core::cluster::Address;
use tokio::sync::mpsc;

use super::feed::Feed;
use super::script::Stand;
use super::serve::{Site, serve};
use crate::transport::connect::{Connect, Connecting, Io};

/// The addresses of a test's configuration, and what is behind them.
#[derive(Debug)]
pub(super) struct Network {
    feed: Feed,
    /// By the name of the cluster, or the address.
    stands: Mutex<BTreeMap<Box<str>, Arc<Stand>>>,
}

impl Network {
    pub(super) fn new(feed: Feed) -> Self {
        Self { feed, stands: Mutex::default() }
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// What is behind `name`.
    pub(super) fn stand(&self, name: &str) -> Arc<Stand> {
        // A map cannot be left half-changed here.
        let mut stands = self.stands.lock().unwrap_or_else(PoisonError::into_inner);
        stands.entry(name.into()).or_default().clone()
    }

    /// What is behind `address`, unless nobody is or somebody there refuses.
    fn site(&self, address: &Address) -> Option<Site> {
        let clusters = self.feed.clusters_at(address);
        if clusters.is_empty() {
            return None;
        }
        let own = self.stand(&address.to_string());
        let stands = clusters.iter().map(|name| self.stand(name));
        let stands: Vec<_> = std::iter::once(own).chain(stands).collect();
        let is_refusing = stands.iter().any(|stand| stand.is_refusing());
        (!is_refusing).then(|| Site::new(address.clone(), &clusters, stands))
    }
}

impl Connect for Network {
    fn connect(&self, address: &Address) -> Connecting {
        let Some(site) = self.site(address) else {
            let refused = io::ErrorKind::ConnectionRefused.into();
            return Box::pin(std::future::ready(Err(refused)));
        };
        let (near, far) = tokio::io::duplex(BUFFER);
        let (end, ends) = mpsc::unbounded_channel();
        site.connected(&end);
        Box::pin(async move {
            tokio::spawn(serve(far, site, ends));
            Ok(Box::new(near) as Box<dyn Io>)
        })
    }
}

/// What may be under way in one direction, in bytes: about what a socket holds.
const BUFFER: usize = 64 * 1024;
