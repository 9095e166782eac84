//! Who somebody is: SPIFFE IDs, what a connection has shown of its peer, and whom to accept.
//!
//! ```text
//! Source ─► Material (chain, key, Trust, CRLs)        read at every handshake
//! certificate ─► Leaf ─► SPIFFE ID ─► Trust of its domain ─► Leaf::check ─► SanMatcher
//!                  └────────────── or a Refusal that says why ──────────────┘
//! ```
//!
//! Values and decisions about them. Certificates are read, chains followed, and handshakes made,
//! elsewhere.
//!
//! <https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md>,
//! <https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md>

mod forwarded;
mod leaf;
mod lifetime;
mod names;
mod peer;
mod pem;
mod provider;
mod refusal;
mod san;
mod source;
mod spiffe_id;
mod template;
mod tls;
mod trust_domain;

pub use forwarded::{ForwardMode, Forwarded, Forwarding, Shown};
pub use leaf::{Identification, KeyUsage, Leaf};
pub use lifetime::{Lifetime, Urgency};
pub use names::SubjectNames;
pub use peer::{Certificate, Peer, Session};
pub use provider::Provider;
pub use refusal::Refusal;
pub use san::{SanKind, SanMatcher};
pub use source::{Feed, Identity, Material, PrivateKey, Source, Trust, Unavailable};
pub use spiffe_id::{SpiffeId, SpiffeIdError};
pub use template::{SpiffeTemplate, SpiffeTemplateError};
pub use tls::{Authorities, ClientRules, ClientTls, Clients, ServerName, ServerTls};
pub use trust_domain::TrustDomain;
