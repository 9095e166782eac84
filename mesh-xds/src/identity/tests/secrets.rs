//! Secrets of an agent by SDS: accepted, refused, taken away.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{DataSource, TypedExtensionConfig, data_source};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use envoy_types::pb::envoy::service::discovery::v3 as pb;
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_server::{
    SecretDiscoveryService, SecretDiscoveryServiceServer,
};
use envoy_types::pb::google::protobuf::Any;
use mesh_core::identity::{Source, Trust};
use mesh_core::record::Recorder;
use prost::{Message, Name};
use tls::secret::Type;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_stream::wrappers::{UnboundedReceiverStream, WatchStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::kit::{Notes, presents};
use crate::bootstrap;
use crate::identity::{AgentSettings, DevCa, Fed, Issued};
use crate::testing::InMemory;

/// What the agent has: by the name of a secret the version and the resource, or nothing at all.
type Said = Option<BTreeMap<String, (String, Any)>>;

/// An agent that serves secrets, and writes down what it is asked.
#[derive(Clone)]
struct Agent {
    said: watch::Sender<Said>,
    asked: Arc<Mutex<Vec<String>>>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl SecretDiscoveryService for Agent {
    type DeltaSecretsStream = Answers<pb::DeltaDiscoveryResponse>;
    type StreamSecretsStream = Answers<pb::DiscoveryResponse>;

    async fn delta_secrets(
        &self,
        _: Request<Streaming<pb::DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaSecretsStream>, Status> {
        Err(Status::unimplemented("only StreamSecrets"))
    }

    async fn fetch_secrets(
        &self,
        _: Request<pb::DiscoveryRequest>,
    ) -> Result<Response<pb::DiscoveryResponse>, Status> {
        Err(Status::unimplemented("only StreamSecrets"))
    }

    async fn stream_secrets(
        &self,
        request: Request<Streaming<pb::DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamSecretsStream>, Status> {
        let mut requests = request.into_inner();
        let first = requests.message().await?.unwrap();
        let [name] = &first.resource_names[..] else { panic!("{first:?}") };
        assert_eq!((&*first.type_url, &*first.node.unwrap().id), (super::super::sds::SECRET, "me"));
        let (name, asked) = (name.clone(), self.asked.clone());
        let log = name.clone();
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                let error = request.error_detail.map(|status| status.message);
                let (version, nonce) = (request.version_info, request.response_nonce);
                let line = format!("{log} {version:?} {nonce} {}", error.unwrap_or_default());
                asked.lock().unwrap().push(line);
            }
        });
        let mut last = String::new();
        let answers = WatchStream::new(self.said.subscribe()).filter_map(move |said| {
            let Some(said) = said else {
                return Some(Err(Status::permission_denied("no identity issued")));
            };
            let (version, resource) = said.get(&name)?;
            (std::mem::replace(&mut last, version.clone()) != *version).then(|| {
                let (version_info, nonce) = (version.clone(), format!("n{version}"));
                let resources = vec![resource.clone()];
                Ok(pb::DiscoveryResponse { version_info, nonce, resources, ..Default::default() })
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

impl Agent {
    /// Says `secret` under `name`, and waits until the other side has done what it does.
    async fn say(&self, name: &str, version: &str, secret: Type) {
        let secret = tls::Secret { name: name.into(), r#type: Some(secret) };
        let type_url = format!("type.googleapis.com/{}", tls::Secret::full_name());
        let any = Any { type_url, value: secret.encode_to_vec() };
        self.say_any(name, version, any).await;
    }

    async fn say_any(&self, name: &str, version: &str, any: Any) {
        self.said.send_modify(|said| {
            said.get_or_insert_default().insert(name.into(), (version.into(), any));
        });
        tokio::time::sleep(Duration::from_secs(40)).await;
    }

    fn last(&self) -> String {
        self.asked.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

fn world() -> (Agent, Fed, Arc<Notes>) {
    let network = Arc::new(InMemory::default());
    let agent = Agent { said: watch::Sender::new(Some(BTreeMap::new())), asked: Arc::default() };
    let incoming = UnboundedReceiverStream::new(network.listen());
    let service = SecretDiscoveryServiceServer::new(agent.clone());
    tokio::spawn(
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming),
    );
    let notes = Arc::new(Notes::default());
    let settings = AgentSettings {
        name: "default".into(),
        agent: bootstrap::Sds::default(),
        crypto: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
        recorder: Some(notes.clone() as Arc<dyn Recorder>),
    };
    let node = bootstrap::Node { id: "me".into(), ..bootstrap::Node::default() };
    let source = settings.reached_by(network.edges(), &node, &Handle::current());
    (agent, source, notes)
}

fn text(text: &str) -> Option<DataSource> {
    let specifier = Some(data_source::Specifier::InlineString(text.into()));
    Some(DataSource { specifier, ..DataSource::default() })
}

fn pair(issued: &Issued) -> tls::TlsCertificate {
    tls::TlsCertificate {
        certificate_chain: text(issued.chain_pem()),
        private_key: text(&issued.key_pem()),
        ..Default::default()
    }
}

fn roots(ca: &DevCa) -> tls::CertificateValidationContext {
    tls::CertificateValidationContext { trusted_ca: text(ca.root_pem()), ..Default::default() }
}

fn issue(ca: &DevCa) -> Issued {
    ca.issue(&ca.workload("/w")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn secrets_are_in_force_once_all_have_come_and_are_accepted() {
    let ca = DevCa::new("td").unwrap();
    let (own, next) = (issue(&ca), issue(&ca));
    let (agent, source, notes) = world();
    agent.say("default", "1", Type::TlsCertificate(pair(&own))).await;
    assert_eq!(agent.last(), r#"default "1" n1 "#);
    let why = source.current().unwrap_err().to_string();
    assert_eq!(why, "the agent has not sent its secrets yet");
    agent.say("ROOTCA", "1", Type::ValidationContext(roots(&ca))).await;
    assert_eq!(agent.last(), r#"ROOTCA "1" n1 "#);
    assert!(presents(&source.current(), &own));
    let trust = Trust::Authorities(vec![ca.root_der().clone()]);
    assert_eq!(source.current().unwrap().trust, trust);
    agent.say("default", "2", Type::TlsCertificate(pair(&next))).await;
    assert!(presents(&source.current(), &next));
    assert_eq!(notes.lines(), ["default: renewed", "default: renewed"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_leaves_the_last_good_secret_and_quotes_no_key() {
    let ca = DevCa::new("td").unwrap();
    let (own, next) = (issue(&ca), issue(&ca));
    let (agent, source, notes) = world();
    agent.say("default", "1", Type::TlsCertificate(pair(&own))).await;
    agent.say("ROOTCA", "1", Type::ValidationContext(roots(&ca))).await;
    let file = DataSource {
        specifier: Some(data_source::Specifier::Filename("/etc/key".into())),
        ..DataSource::default()
    };
    let key = next.key_pem();
    let cases = [
        (
            Type::TlsCertificate(tls::TlsCertificate { private_key: text(&key), ..pair(&own) }),
            "tls_certificate: the private key is not that of the certificate",
        ),
        (
            Type::TlsCertificate(tls::TlsCertificate { private_key: text("x"), ..pair(&own) }),
            "tls_certificate: it has no private key in PEM",
        ),
        (
            Type::TlsCertificate(tls::TlsCertificate { private_key: Some(file), ..pair(&own) }),
            "tls_certificate.private_key: is not inline",
        ),
        (
            Type::TlsCertificate(tls::TlsCertificate { pkcs12: text(&key), ..pair(&own) }),
            "tls_certificate.pkcs12: is not supported",
        ),
        (Type::ValidationContext(roots(&ca)), "it is a validation_context, not a tls_certificate"),
        (
            Type::GenericSecret(tls::GenericSecret { secret: text(&key), ..Default::default() }),
            "it is neither a tls_certificate nor a validation_context",
        ),
    ];
    for (at, (secret, why)) in cases.into_iter().enumerate() {
        let version = (at + 2).to_string();
        agent.say("default", &version, secret).await;
        assert_eq!(agent.last(), format!("default \"1\" n{version} secret default: {why}"));
        assert!(presents(&source.current(), &own), "{why}");
    }
    let any = Any { type_url: "x/envoy.Other".into(), value: key.clone().into_bytes() };
    agent.say_any("default", "90", any).await;
    let refused = "default \"1\" n90 secret default: x/envoy.Other is not Secret";
    assert_eq!(agent.last(), refused);
    let narrowed = tls::CertificateValidationContext {
        verify_certificate_hash: vec!["aa".into()],
        ..roots(&ca)
    };
    agent.say("ROOTCA", "91", Type::ValidationContext(narrowed)).await;
    let why = "validation_context.verify_certificate_hash: is not supported in a secret";
    assert_eq!(agent.last(), format!("ROOTCA \"1\" n91 secret ROOTCA: {why}"));
    agent.say("default", "92", Type::TlsCertificate(pair(&next))).await;
    assert!(presents(&source.current(), &next));
    let body: String = key.lines().nth(1).unwrap().chars().take(20).collect();
    let everything = [notes.lines().join("\n"), agent.asked.lock().unwrap().join("\n")].concat();
    assert!(!everything.contains(&body));
}

#[tokio::test(start_paused = true)]
async fn a_denial_withdraws_and_half_of_it_does_not_come_back() {
    let ca = DevCa::new("td").unwrap();
    let own = issue(&ca);
    let (agent, source, notes) = world();
    agent.say("default", "1", Type::TlsCertificate(pair(&own))).await;
    agent.say("ROOTCA", "1", Type::ValidationContext(roots(&ca))).await;
    agent.said.send_replace(None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let denied = "the agent says PermissionDenied: no identity issued";
    assert_eq!(source.current().unwrap_err().to_string(), denied);
    assert!(notes.lines().contains(&format!("default: withdrawn: {denied}")));
    agent.say("ROOTCA", "2", Type::ValidationContext(roots(&ca))).await;
    assert!(source.current().is_err());
    agent.say("default", "2", Type::TlsCertificate(pair(&own))).await;
    assert!(presents(&source.current(), &own));
}

#[tokio::test(start_paused = true)]
async fn bundles_by_trust_domain_are_kept_apart() {
    let (ca, other) = (DevCa::new("td").unwrap(), DevCa::new("other").unwrap());
    let (agent, source, _) = world();
    let domain = |ca: &DevCa| tls::spiffe_cert_validator_config::TrustDomain {
        name: ca.trust_domain().to_string(),
        trust_bundle: text(ca.root_pem()),
        ..Default::default()
    };
    let trust_domains = vec![domain(&ca), domain(&other)];
    let config = tls::SpiffeCertValidatorConfig { trust_domains, ..Default::default() };
    let name = tls::SpiffeCertValidatorConfig::full_name();
    let any =
        Any { type_url: format!("type.googleapis.com/{name}"), value: config.encode_to_vec() };
    let custom_validator_config =
        Some(TypedExtensionConfig { name: "spiffe".into(), typed_config: Some(any) });
    let context =
        tls::CertificateValidationContext { custom_validator_config, ..Default::default() };
    agent.say("default", "1", Type::TlsCertificate(pair(&issue(&ca)))).await;
    agent.say("ROOTCA", "1", Type::ValidationContext(context)).await;
    assert_eq!(source.current().unwrap().trust, ca.trust(&[&other]));
}
