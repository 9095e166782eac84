//! The messages of `FetchX509SVID`, of the SPIFFE Workload API.
//!
//! <https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_API.md>

use std::collections::HashMap;
use std::fmt;

use zeroize::Zeroize;

/// Asks for everything that the caller may be.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct X509SvidRequest {}

/// All that the caller may be, and whom it may trust. Replaces what was said before.
#[derive(Clone, PartialEq, prost::Message)]
pub struct X509SvidResponse {
    /// The identities, the default one first.
    #[prost(message, repeated, tag = "1")]
    pub svids: Vec<X509Svid>,
    /// Revocation lists (DER).
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub crl: Vec<Vec<u8>>,
    /// The authorities (DER, one after the other) of other trust domains, by their SPIFFE ID.
    #[prost(map = "string, bytes", tag = "3")]
    pub federated_bundles: HashMap<String, Vec<u8>>,
}

/// One identity.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct X509Svid {
    /// Its SPIFFE ID.
    #[prost(string, tag = "1")]
    pub spiffe_id: String,
    /// The certificates (DER, one after the other), the own one first.
    #[prost(bytes = "vec", tag = "2")]
    pub x509_svid: Vec<u8>,
    /// The key of the first (PKCS#8, DER). Secret.
    #[prost(bytes = "vec", tag = "3")]
    pub x509_svid_key: Vec<u8>,
    /// The authorities (DER, one after the other) of its trust domain.
    #[prost(bytes = "vec", tag = "4")]
    pub bundle: Vec<u8>,
    /// What it is for, where there are several.
    #[prost(string, tag = "5")]
    pub hint: String,
}

impl Drop for X509Svid {
    fn drop(&mut self) {
        self.x509_svid_key.zeroize();
    }
}

impl fmt::Debug for X509Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Svid").field("spiffe_id", &self.spiffe_id).finish_non_exhaustive()
    }
}
