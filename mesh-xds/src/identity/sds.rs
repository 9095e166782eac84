//! The certificate provider `sds`: secrets of an agent, as Istio's serves them to Envoy.

use std::sync::{Arc, Mutex, PoisonError};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_client::SecretDiscoveryServiceClient as Client;
use envoy_types::pb::google::rpc;
use mesh_core::identity::{Feed, Identity, Material, PrivateKey, Trust};
use rustls::crypto::CryptoProvider;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::transport::Channel;

use super::agent::{self, AgentSettings, Conversation, Ended, MAX_MESSAGE};
use super::fed::Fed;
use super::renewals::Renewals;
use super::secret::{self, Secret};
use crate::bootstrap;
use crate::edges::Edges;

pub(super) const SECRET: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

impl AgentSettings<bootstrap::Sds> {
    /// Gives an identity and authorities that an agent, which need not be there yet, serves as
    /// secrets. It is asked on `handle` until the source is dropped. `node` is who asks: Istio's
    /// agent insists on knowing.
    ///
    /// Both are needed, where both are asked for, before there is anything to use. Of each the last
    /// good one stays in force while the agent is gone or sends something else.
    #[must_use]
    pub fn start(self, node: &bootstrap::Node, handle: &Handle) -> Fed {
        self.reached_by(Edges::default(), node, handle)
    }

    pub(crate) fn reached_by(self, edges: Edges, node: &bootstrap::Node, handle: &Handle) -> Fed {
        let Self { name, agent, crypto, recorder } = self;
        let feed = Arc::new(Feed::empty("the agent has not sent its secrets yet"));
        let renewals = Renewals::new(name, feed.clone(), recorder);
        let secrets = Secrets {
            certificate: agent.certificate,
            authorities: agent.validation_context,
            node: node.to_proto(&[]),
            crypto,
            parts: Mutex::default(),
        };
        let task = handle.spawn(agent::keep(secrets, agent.socket, edges, renewals));
        Fed::new(feed, task.abort_handle())
    }
}

/// The secrets that are asked for, and those that have come.
struct Secrets {
    certificate: Option<String>,
    authorities: Option<String>,
    node: Node,
    crypto: Arc<CryptoProvider>,
    parts: Mutex<Parts>,
}

#[derive(Default)]
struct Parts {
    identity: Option<Identity>,
    authorities: Option<(Trust, Vec<Arc<[u8]>>)>,
}

impl Conversation for Secrets {
    /// One stream for each secret, as Envoy does it: agents may take no other.
    async fn hold(&mut self, channel: Channel, renewals: &Renewals) -> Ended {
        let client = Client::new(channel).max_decoding_message_size(MAX_MESSAGE);
        let ended = tokio::select! {
            ended = self.follow(self.certificate.as_deref(), client.clone(), renewals) => ended,
            ended = self.follow(self.authorities.as_deref(), client.clone(), renewals) => ended,
        };
        if ended.is_denial() {
            // Half of what is denied must not come back with the other half.
            *self.parts.lock().unwrap_or_else(PoisonError::into_inner) = Parts::default();
        }
        ended
    }
}

impl Secrets {
    /// Follows one secret: accepts what can be used, and says why not where it cannot.
    async fn follow(
        &self,
        name: Option<&str>,
        mut client: Client<Channel>,
        renewals: &Renewals,
    ) -> Ended {
        let Some(name) = name else { return std::future::pending().await };
        // One answer is under way at a time, and one request before the first.
        let (requests, receiver) = mpsc::channel(2);
        let mut accepted = String::new();
        let first = DiscoveryRequest { node: Some(self.node.clone()), ..request(name, "") };
        if requests.send(first).await.is_err() {
            return Ended::because("the stream cannot be opened");
        }
        let mut was_useful = false;
        let mut answers = match client.stream_secrets(ReceiverStream::new(receiver)).await {
            Ok(answers) => answers.into_inner(),
            Err(status) => return Ended::with(&status),
        };
        loop {
            let response = match answers.message().await {
                Ok(Some(response)) => response,
                Ok(None) => return Ended::because("the agent ended a stream").useful(was_useful),
                Err(status) => return Ended::with(&status).useful(was_useful),
            };
            let (version, nonce) = (response.version_info.clone(), response.nonce.clone());
            let refused = match self.take(name, response, renewals) {
                Ok(()) => {
                    (accepted, was_useful) = (version, true);
                    None
                }
                Err(why) => {
                    let why = format!("secret {name}: {why}");
                    renewals.fail(&why);
                    Some(why)
                }
            };
            let error_detail = refused.map(|message| rpc::Status {
                code: i32::from(Code::InvalidArgument),
                message,
                ..rpc::Status::default()
            });
            let answer = DiscoveryRequest {
                response_nonce: nonce,
                error_detail,
                ..request(name, &accepted)
            };
            // A stream that is over says so when it is read.
            requests.send(answer).await.ok();
        }
    }

    /// Puts the secret called `name` in force, if the response has it and it can be used.
    fn take(
        &self,
        name: &str,
        response: DiscoveryResponse,
        renewals: &Renewals,
    ) -> Result<(), String> {
        let mut resources = response.resources;
        let (Some(resource), None) = (resources.pop(), resources.pop()) else {
            return Err("the response has not exactly one resource".to_owned());
        };
        let secret = secret::read(resource, name, &self.crypto)?;
        let is_certificate = self.certificate.as_deref() == Some(name);
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        match (secret, is_certificate) {
            (Secret::Identity(identity), true) => parts.identity = Some(identity),
            (Secret::Authorities(trust, crls), false) => parts.authorities = Some((trust, crls)),
            (Secret::Identity(_), false) => {
                return Err("it is a tls_certificate, not a validation_context".to_owned());
            }
            (Secret::Authorities(..), true) => {
                return Err("it is a validation_context, not a tls_certificate".to_owned());
            }
        }
        if let Some(material) = self.whole(&parts) {
            renewals.publish(material);
        }
        Ok(())
    }

    /// All that is asked for, once all of it has come.
    fn whole(&self, parts: &Parts) -> Option<Material> {
        let identity = match (&self.certificate, &parts.identity) {
            (None, _) => None,
            (Some(_), identity) => Some(copy(identity.as_ref()?)),
        };
        let (trust, crls) = match (&self.authorities, &parts.authorities) {
            (None, _) => (Trust::Unknown, Vec::new()),
            (Some(_), authorities) => authorities.clone()?,
        };
        Some(Material { identity, trust, crls })
    }
}

fn copy(identity: &Identity) -> Identity {
    Identity {
        chain: identity.chain.clone(),
        key: PrivateKey::new(identity.key.secret_der().to_vec()),
        expires: identity.expires,
    }
}

fn request(name: &str, version: &str) -> DiscoveryRequest {
    DiscoveryRequest {
        version_info: version.to_owned(),
        resource_names: vec![name.to_owned()],
        type_url: SECRET.to_owned(),
        ..DiscoveryRequest::default()
    }
}
