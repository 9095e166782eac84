//! Material out of what the SPIFFE Workload API says, checked before anybody gets to see it.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use mesh_core::identity::{
    Identification, Identity, Material, PrivateKey, SpiffeId, Trust, TrustDomain,
};
use rustls::crypto::CryptoProvider;

use super::material;
use crate::proto::workload::{X509Svid, X509SvidResponse};
use crate::tls::{der, leaf, load};

/// Why nothing can be made of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is malformed: as if it had not come.
    Malformed(String),
    /// It says that there is no identity.
    Gone(String),
}

/// The identity with this `hint`, or the first one; trust in the authorities of its own trust
/// domain and of those that it is federated with, each for its own peers; and revocation lists.
pub(super) fn material(
    mut response: X509SvidResponse,
    hint: Option<&str>,
    crypto: &CryptoProvider,
) -> Result<Material, Fault> {
    let svid = response.svids.iter_mut().find(|svid| hint.is_none_or(|hint| svid.hint == hint));
    let svid = svid.ok_or_else(|| match hint {
        Some(hint) => Fault::Gone(format!("the agent gives no identity with the hint {hint:?}")),
        None => Fault::Gone("the agent gives no identity".to_owned()),
    })?;
    let malformed = |part: &str, why: String| Fault::Malformed(format!("{part}: {why}"));
    let (id, identity) = identity(svid, crypto).map_err(|why| malformed("svid", why))?;
    let own = der::certificates(&svid.bundle).map_err(|why| malformed("bundle", why))?;
    let mut domains = BTreeMap::new();
    for (name, bundle) in &response.federated_bundles {
        let of = |why| malformed(&format!("federated bundle {name:?}"), why);
        let domain = domain(name).map_err(of)?;
        domains.insert(domain, der::certificates(bundle).map_err(of)?);
    }
    // Nobody else speaks for the own trust domain.
    domains.insert(id.trust_domain(), own);
    let crls = response.crl.into_iter().map(Arc::from).collect();
    let crls = material::readable(crls).map_err(|why| malformed("crl", why))?;
    Ok(Material { identity: Some(identity), trust: Trust::Domains(domains), crls })
}

fn identity(svid: &mut X509Svid, crypto: &CryptoProvider) -> Result<(SpiffeId, Identity), String> {
    let chain = der::certificates(&svid.x509_svid)?;
    let own = chain.first().ok_or("it has no certificate")?;
    let own = leaf(own).map_err(|refusal| refusal.to_string())?;
    let id = own.spiffe_id(Identification::Spiffe).map_err(|refusal| refusal.to_string())?;
    let id = id.filter(|id| id.as_str() == svid.spiffe_id);
    let id = id.ok_or_else(|| format!("the certificate is not that of {:?}", svid.spiffe_id))?;
    let key = PrivateKey::new(mem::take(&mut svid.x509_svid_key));
    let identity = Identity { chain, key, expires: own.not_after };
    load(&identity, crypto)?;
    Ok((id, identity))
}

/// A trust domain by its SPIFFE ID, or by its name alone.
fn domain(name: &str) -> Result<TrustDomain, String> {
    TrustDomain::parse(name.strip_prefix("spiffe://").unwrap_or(name))
        .map_err(|error| error.to_string())
}
