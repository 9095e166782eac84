//! The certificate providers of a mesh, and the secrets that it has been sent, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use mesh_core::identity::{
    Authorities, ClientTls, Clients, Provider as Name, ServerTls, Source, Urgency,
};
use mesh_core::record::Recorder;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{DnsName, IpAddr, Ipv4Addr, ServerName};
use rustls::{ClientConfig, ServerConfig};
use tokio::runtime::Handle;

use super::clock::Clock;
use super::expiry::{Watch, lifetime};
use super::seat::Seat;
use super::system;
use crate::tls::{
    Anonymous, ClientSettings, Credentials, MinimumVersion, PeerCheck, ServerSettings, Side,
    TlsError, client_config, server_config,
};

/// The certificate providers of a mesh, and the secrets of its management servers, by the names that
/// resources refer to them.
pub struct Identities {
    providers: RwLock<BTreeMap<Name, Provider>>,
    system: OnceLock<Arc<Credentials>>,
    crypto: Arc<CryptoProvider>,
    minimum: MinimumVersion,
    clock: Clock,
    /// On what certificates are watched over, and who is told.
    watched: OnceLock<(Handle, Option<Arc<dyn Recorder>>)>,
}

struct Provider {
    credentials: Arc<Credentials>,
    /// Where the source of the credentials can be replaced.
    seat: Arc<Seat>,
    /// Handshakes present what it gives.
    is_presented: AtomicBool,
    /// Lives as long as the provider.
    watch: Option<Watch>,
}

/// Why handshakes fail, or are about to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("certificate provider {provider}: {why}")]
pub struct NotReady {
    /// The certificate provider.
    pub provider: Arc<str>,
    /// What is wrong with what it gives.
    pub why: Arc<str>,
}

/// All that a client needs for one handshake.
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    /// The configuration of rustls.
    pub config: Arc<ClientConfig>,
    /// What rustls is told of the server. It is asked for only if `asked` is set.
    pub name: ServerName<'static>,
    /// The name that the server is asked for (SNI).
    pub asked: Option<Arc<str>>,
    /// Whether the server's certificates are accepted, also later.
    pub check: PeerCheck,
}

impl Identities {
    /// No providers yet; handshakes use `crypto` and speak `minimum` or newer.
    #[must_use]
    pub fn new(crypto: Arc<CryptoProvider>, minimum: MinimumVersion) -> Self {
        Self {
            providers: RwLock::default(),
            system: OnceLock::new(),
            crypto,
            minimum,
            clock: Clock::default(),
            watched: OnceLock::new(),
        }
    }

    /// The same by another clock.
    #[cfg(test)]
    pub(crate) fn by(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Watches over the certificates of all providers on `handle`, and tells `recorder`.
    #[cfg(feature = "ads")]
    pub(crate) fn watch(&self, handle: &Handle, recorder: Option<Arc<dyn Recorder>>) {
        // Only those that build a mesh do this, and once.
        self.watched.set((handle.clone(), recorder)).ok();
        let mut providers = self.providers.write().unwrap_or_else(PoisonError::into_inner);
        for (name, provider) in providers.iter_mut() {
            provider.watch = self.watch_of(name, &provider.seat);
        }
    }

    /// Adds the provider called `name`. In place of another of this name, it is in force at once:
    /// handshakes present what it gives, and open connections whose peers it would not accept are
    /// closed.
    pub fn insert(&self, name: impl Into<Arc<str>>, source: Arc<dyn Source>) {
        self.put(Name::Instance(name.into()), source);
    }

    /// Adds the secret called `name`, in place of another of this name.
    #[cfg(feature = "ads")]
    pub(crate) fn insert_secret(&self, name: &str, source: Arc<dyn Source>) {
        self.put(Name::Secret(name.into()), source);
    }

    /// Forgets the secret called `name`.
    #[cfg(feature = "ads")]
    pub(crate) fn remove_secret(&self, name: &str) {
        let mut providers = self.providers.write().unwrap_or_else(PoisonError::into_inner);
        providers.remove(&Name::Secret(name.into()));
    }

    fn put(&self, name: Name, source: Arc<dyn Source>) {
        let mut providers = self.providers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = providers.get(&name) {
            let seat = known.seat.clone();
            // Whoever hears of it may look for providers.
            drop(providers);
            return seat.replace(&source);
        }
        let seat = Arc::new(Seat::new(source));
        let watch = self.watch_of(&name, &seat);
        let label: Arc<str> = name.to_string().into();
        let credentials = Credentials::new(label, seat.clone(), self.crypto.clone());
        let provider = Provider {
            credentials: Arc::new(credentials),
            seat,
            is_presented: AtomicBool::new(false),
            watch,
        };
        providers.insert(name, provider);
    }

    fn watch_of(&self, name: &Name, seat: &Arc<Seat>) -> Option<Watch> {
        let (handle, recorder) = self.watched.get()?;
        let clock = (self.clock.clone(), handle);
        Some(Watch::start(name.to_string().into(), seat.clone(), recorder.clone(), clock))
    }

    /// Watches over the certificates of `source`, which is none of the providers.
    #[cfg(feature = "ads")]
    pub(crate) fn watch_over(
        &self,
        credentials: &Credentials,
        handle: &Handle,
        recorder: Option<Arc<dyn Recorder>>,
    ) -> Watch {
        let (name, source) = (credentials.name().clone(), credentials.source().clone());
        Watch::start(name, source, recorder, (self.clock.clone(), handle))
    }

    /// Whether handshakes can go on as they do. To be asked by those who send work here or not, such
    /// as readiness probes.
    ///
    /// # Errors
    /// [`NotReady`], before the first handshake fails: when a certificate has a tenth of its time
    /// left, or a minute if that is less, and none has come to replace it; and when a provider whose
    /// certificate is presented in handshakes has none.
    pub fn check_ready(&self) -> Result<(), NotReady> {
        let now = self.clock.now();
        let providers = self.providers.read().unwrap_or_else(PoisonError::into_inner);
        for (name, provider) in providers.iter() {
            let not_ready =
                |why: &str| NotReady { provider: name.to_string().into(), why: why.into() };
            match provider.credentials.source().current() {
                Ok(material) => match lifetime(&material).map(|it| it.urgency(now)) {
                    Some(Urgency::Over) => {
                        return Err(not_ready("its certificate has expired"));
                    }
                    Some(urgency) if urgency >= Urgency::Critical => {
                        let why = "its certificate is about to expire, and none has replaced it";
                        return Err(not_ready(why));
                    }
                    Some(_) | None => {}
                },
                Err(unavailable) if provider.is_presented.load(Ordering::Relaxed) => {
                    return Err(not_ready(&unavailable.why));
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// The names of all certificate providers, without secrets.
    #[must_use]
    pub fn names(&self) -> Vec<Arc<str>> {
        let providers = self.providers.read().unwrap_or_else(PoisonError::into_inner);
        let instance = |name: &Name| match name {
            Name::Instance(name) => Some(name.clone()),
            Name::Secret(_) => None,
        };
        providers.keys().filter_map(instance).collect()
    }

    /// What does the cryptography.
    #[must_use]
    pub fn crypto(&self) -> &Arc<CryptoProvider> {
        &self.crypto
    }

    /// The oldest version of TLS that is spoken.
    #[cfg(feature = "ads")]
    pub(crate) fn minimum(&self) -> MinimumVersion {
        self.minimum
    }

    /// The provider or secret called `name`.
    ///
    /// # Errors
    /// [`TlsError::UnknownProvider`].
    pub fn credentials(&self, name: &Name) -> Result<Arc<Credentials>, TlsError> {
        let providers = self.providers.read().unwrap_or_else(PoisonError::into_inner);
        let found = providers.get(name).map(|provider| provider.credentials.clone());
        found.ok_or_else(|| TlsError::UnknownProvider(name.to_string().into()))
    }

    /// The same, to present what it gives.
    fn presented(&self, name: &Name) -> Result<Arc<Credentials>, TlsError> {
        let providers = self.providers.read().unwrap_or_else(PoisonError::into_inner);
        let found = providers
            .get(name)
            .ok_or_else(|| TlsError::UnknownProvider(name.to_string().into()))?;
        found.is_presented.store(true, Ordering::Relaxed);
        Ok(found.credentials.clone())
    }

    /// What a client needs for a handshake as `tls` says, with an endpoint called `hostname`,
    /// offering `protocols` (ALPN).
    ///
    /// # Errors
    /// When a provider is not known, or there is nothing to present at the moment.
    pub fn client(
        &self,
        tls: &ClientTls,
        hostname: Option<&str>,
        protocols: Vec<Vec<u8>>,
    ) -> Result<ClientHandshake, TlsError> {
        let identity = tls.identity.as_ref().map(|name| self.presented(name)).transpose()?;
        let authorities = match &tls.authorities {
            Authorities::Provider(name) => self.credentials(name)?,
            Authorities::System => self.system(),
        };
        let asked = tls.server_name.of(hostname);
        let mut check = PeerCheck::new(authorities, &tls.accepted, Side::Server);
        if let Some(host) = asked.filter(|_| tls.server_name.must_match) {
            check = check.for_host(host);
        }
        let name = match asked {
            Some(host) => ServerName::DnsName(
                DnsName::try_from(host.to_owned())
                    .map_err(|_| TlsError::ServerName(host.into()))?,
            ),
            // rustls wants a name; addresses are not asked for.
            None => ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0; 4]))),
        };
        let (servers, minimum) = (check.clone(), self.minimum);
        let settings = ClientSettings { identity, servers, protocols, minimum };
        let mut config = client_config(settings, &self.crypto)?;
        config.enable_sni = asked.is_some();
        Ok(ClientHandshake { config: Arc::new(config), name, asked: asked.map(Arc::from), check })
    }

    /// The configuration of a server as `tls` says, which speaks `protocols` (ALPN), and whether a
    /// client's certificates are accepted.
    ///
    /// # Errors
    /// When a provider is not known. One that has nothing to give makes handshakes fail until it
    /// has.
    pub fn server(
        &self,
        tls: &ServerTls,
        protocols: Vec<Vec<u8>>,
    ) -> Result<(Arc<ServerConfig>, Option<PeerCheck>), TlsError> {
        let (rules, anonymous) = match &tls.clients {
            Clients::Optional(rules) => (Some(rules), Anonymous::Accept),
            Clients::Required(rules) => (Some(rules), Anonymous::Refuse),
            Clients::Anonymous => (None, Anonymous::Accept),
        };
        let check = rules.map(|rules| {
            let authorities = self.credentials(&rules.authorities)?;
            Ok(PeerCheck::new(authorities, &rules.accepted, Side::Client))
        });
        let check = check.transpose()?;
        let settings = ServerSettings {
            identity: self.presented(&tls.identity)?,
            clients: check.clone(),
            anonymous,
            protocols,
            minimum: self.minimum,
        };
        Ok((Arc::new(server_config(settings, &self.crypto)?), check))
    }

    /// The operating system's authorities, read at their first use.
    pub(crate) fn system(&self) -> Arc<Credentials> {
        let read = || {
            let source = Arc::new(system::source());
            Arc::new(Credentials::new("system_root_certs", source, self.crypto.clone()))
        };
        self.system.get_or_init(read).clone()
    }
}

impl Default for Identities {
    /// No providers yet; aws-lc-rs does the cryptography, and TLS 1.3 is spoken.
    fn default() -> Self {
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Self::new(crypto, MinimumVersion::default())
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identities").field("providers", &self.names()).finish_non_exhaustive()
    }
}
