use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::{envoy::config::core::v3, google::protobuf::value::Kind};
use thiserror::Error;

/// Who a client says it is: what groups are chosen by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// `Node.id`.
    pub id: String,
    /// `Node.cluster`.
    pub cluster: String,
    /// `Node.user_agent_name`, such as `envoy` or `gRPC C-core`.
    pub user_agent_name: String,
    /// The entries of `Node.metadata` that are text.
    pub metadata: BTreeMap<String, String>,
}

impl From<v3::Node> for Node {
    fn from(node: v3::Node) -> Self {
        let fields = node.metadata.unwrap_or_default().fields.into_iter();
        let texts = fields.filter_map(|(key, value)| {
            if let Some(Kind::StringValue(text)) = value.kind { Some((key, text)) } else { None }
        });
        Self {
            id: node.id,
            cluster: node.cluster,
            user_agent_name: node.user_agent_name,
            metadata: texts.collect(),
        }
    }
}

/// A connected client: one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client {
    /// Tells streams apart; later streams have higher numbers.
    pub stream: u64,
    /// Who the client says it is.
    pub node: Node,
    /// The group it is served.
    pub group: String,
    /// The variant of the protocol it speaks.
    pub variant: Variant,
    /// The latest [`Revision`](super::Revision) that was looked at for this client.
    pub revision: u64,
    /// What it subscribes to, by type URL.
    pub subscriptions: BTreeMap<String, Subscription>,
}

/// The two variants of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// State of the world.
    Sotw,
    /// Incremental.
    Delta,
}

/// What a client wants and has of one type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscription {
    /// Whether it wants all resources.
    pub wildcard: bool,
    /// The names it asked for.
    pub names: BTreeSet<String>,
    /// The version of the last response.
    pub sent: Option<String>,
    /// The client's answer to the last response.
    pub answer: Option<Answer>,
    /// The version that the client accepted last.
    pub acked: Option<String>,
    /// Whether there is something that the client was not sent yet.
    pub is_due: bool,
}

/// What a client says to a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It accepted.
    Ack,
    /// It refused, and keeps what it had.
    Nack {
        /// The version it refused.
        version: String,
        /// Its reason.
        message: String,
    },
}

impl Client {
    /// Whether the client has all of `revision` and accepted it.
    #[must_use]
    pub fn is_in_force(&self, revision: u64) -> bool {
        self.revision >= revision && self.subscriptions.values().all(Subscription::is_in_force)
    }

    /// The first refusal that stands.
    pub(crate) fn rejection(&self, revision: u64) -> Option<Rejection> {
        let current = self.subscriptions.iter().filter(|_| self.revision >= revision);
        current.filter(|(_, it)| !it.is_due).find_map(|(type_url, it)| match &it.answer {
            Some(Answer::Nack { version, message }) => Some(Rejection {
                node: self.node.id.clone(),
                type_url: type_url.clone(),
                version: version.clone(),
                message: message.clone(),
            }),
            Some(Answer::Ack) | None => None,
        })
    }
}

impl Subscription {
    /// Whether the client has all that it subscribes to and accepted it.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        !self.is_due && (self.sent.is_none() || self.answer == Some(Answer::Ack))
    }
}

/// A client refused what it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{node} rejected version {version} of {type_url}: {message}")]
#[non_exhaustive]
pub struct Rejection {
    /// The id of the client's node.
    pub node: String,
    /// The type of the resources.
    pub type_url: String,
    /// The version that was refused.
    pub version: String,
    /// The client's reason.
    pub message: String,
}
