//! Cryptography that says whose certificates it has verified: a client does not tell otherwise.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

use crate::serial;

/// One algorithm, and what to do with the first signature of each certificate.
struct Tap {
    inner: &'static dyn SignatureVerificationAlgorithm,
    seen: Arc<Seen>,
}

struct Seen {
    serials: Mutex<BTreeSet<String>>,
    tell: Box<dyn Fn(&str) + Send + Sync>,
}

/// The usual cryptography. `tell` hears the serial of each certificate when it is verified first.
pub(crate) fn cryptography(tell: impl Fn(&str) + Send + Sync + 'static) -> Arc<CryptoProvider> {
    let seen = Arc::new(Seen { serials: Mutex::default(), tell: Box::new(tell) });
    let mut provider = aws_lc_rs::default_provider();
    let inner = provider.signature_verification_algorithms;
    let tapped = |all: &[&'static dyn SignatureVerificationAlgorithm]| {
        let all = all.iter().map(|inner| tap(*inner, &seen));
        // They are for the life of the process in rustls.
        &*Vec::leak(all.collect())
    };
    let mapping = inner.mapping.iter().map(|(scheme, all)| (*scheme, tapped(all)));
    provider.signature_verification_algorithms =
        WebPkiSupportedAlgorithms { all: tapped(inner.all), mapping: Vec::leak(mapping.collect()) };
    Arc::new(provider)
}

fn tap(
    inner: &'static dyn SignatureVerificationAlgorithm,
    seen: &Arc<Seen>,
) -> &'static dyn SignatureVerificationAlgorithm {
    Box::leak(Box::new(Tap { inner, seen: seen.clone() }))
}

impl SignatureVerificationAlgorithm for Tap {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        self.inner.verify_signature(public_key, message, signature)?;
        if let Some(serial) = serial::of_signed(message)
            && self.seen.serials.lock().unwrap().insert(serial.clone())
        {
            (self.seen.tell)(&serial);
        }
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.signature_alg_id()
    }
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}
