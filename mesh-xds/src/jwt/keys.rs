//! Keys that signatures are verified with (JWKS, RFC 7517).

use std::fs::File;
use std::io::{self, Read};

use aws_lc_rs::signature::{RsaPublicKeyComponents, UnparsedPublicKey};
use mesh_core::jwt::Failure;
use mesh_core::metadata::{Fields, Value};

use super::algorithm::{Algorithm, Scheme};
use super::json;
use super::token::{Token, decoded};

/// Keys of a set at the most. A token without a key's name is tried with each that fits.
const MAX_KEYS: usize = 64;

/// Bytes of a file at the most; what is longer is no JSON.
const MAX_FILE: u64 = 1 << 20;

/// Keys that signatures are verified with.
#[derive(Debug)]
pub struct Keys(Vec<Key>);

/// Why a set of keys cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// It is no JSON object with a list `keys`, or has a field twice.
    #[error("is no JSON Web Key Set")]
    Json,
    /// There are more than 64.
    #[error("has more than {MAX_KEYS} keys")]
    TooMany,
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    File(io::ErrorKind),
    /// None of them verifies signatures by an algorithm that is accepted.
    #[error("has no key that verifies signatures")]
    NoKeys,
}

#[derive(Debug)]
struct Key {
    name: Option<Box<str>>,
    /// The only algorithm that it is for.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// An uncompressed point on the curve of this name.
    Ec {
        curve: Box<str>,
        point: Vec<u8>,
    },
    Ed25519(Vec<u8>),
}

impl Keys {
    /// The keys in the set `json`. Keys of other kinds and for other uses are left out: of symmetric
    /// ones, the set could make tokens.
    ///
    /// # Errors
    /// [`KeysError`] when nothing can be verified with it.
    pub fn parse(json: &[u8]) -> Result<Self, KeysError> {
        let set = json::object(json).ok_or(KeysError::Json)?;
        let Some(Value::List(all)) = set.find("keys") else { return Err(KeysError::Json) };
        if all.len() > MAX_KEYS {
            return Err(KeysError::TooMany);
        }
        let keys: Vec<Key> = all.iter().filter_map(key).collect();
        if keys.is_empty() { Err(KeysError::NoKeys) } else { Ok(Self(keys)) }
    }

    /// The keys in the file `name`, as it is now.
    ///
    /// # Errors
    /// [`KeysError`] when it cannot be read, or nothing can be verified with it.
    pub fn read(name: &str) -> Result<Self, KeysError> {
        let mut json = Vec::new();
        let read = File::open(name).and_then(|file| file.take(MAX_FILE).read_to_end(&mut json));
        read.map_err(|why| KeysError::File(why.kind()))?;
        Self::parse(&json)
    }

    /// Whether one of the keys has signed `token`.
    pub(super) fn verify(&self, token: &Token<'_>) -> Result<(), Failure> {
        let mut failure = Failure::NoKey;
        for key in self.0.iter().filter(|key| key.is_for(token)) {
            match key.material.verify(token) {
                Some(true) => return Ok(()),
                Some(false) => failure = Failure::Signature,
                None => {}
            }
        }
        Err(failure)
    }
}

impl Key {
    /// Whether names and algorithms, where both sides say any, are the same.
    fn is_for(&self, token: &Token<'_>) -> bool {
        let is_named = match (&self.name, &token.key) {
            (Some(own), Some(other)) => own == other,
            (None, _) | (_, None) => true,
        };
        is_named && self.algorithm.is_none_or(|own| own == token.algorithm)
    }
}

impl Material {
    /// Whether the key has signed `token`; `None` if it is of another kind than the algorithm needs.
    fn verify(&self, token: &Token<'_>) -> Option<bool> {
        let (signed, signature) = (token.signed, &*token.signature);
        match (token.algorithm.scheme(), self) {
            (Scheme::Rsa(parameters), Self::Rsa { modulus, exponent }) => {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                Some(key.verify(parameters, signed, signature).is_ok())
            }
            (Scheme::Ecdsa(own, algorithm), Self::Ec { curve, point }) if **curve == *own => {
                let key = UnparsedPublicKey::new(algorithm, point);
                Some(key.verify(signed, signature).is_ok())
            }
            (Scheme::Ed25519(algorithm), Self::Ed25519(point)) => {
                let key = UnparsedPublicKey::new(algorithm, point);
                Some(key.verify(signed, signature).is_ok())
            }
            (Scheme::Rsa(_) | Scheme::Ecdsa(..) | Scheme::Ed25519(_), _) => None,
        }
    }
}

/// A key of a set, if it verifies signatures.
fn key(value: &Value) -> Option<Key> {
    let Value::Struct(fields) = value else { return None };
    let is_for_signatures = match fields.find("use") {
        None => true,
        Some(Value::String(purpose)) => ["sig", "jwt-svid"].contains(&&**purpose),
        Some(_) => false,
    };
    let may_verify = match fields.find("key_ops") {
        None => true,
        Some(Value::List(all)) => all.contains(&"verify".into()),
        Some(_) => false,
    };
    if !is_for_signatures || !may_verify {
        return None;
    }
    let name = match fields.find("kid") {
        None => None,
        Some(Value::String(name)) => Some(name.clone()),
        Some(_) => return None,
    };
    let algorithm = match fields.find("alg") {
        None => None,
        Some(Value::String(name)) => Some(Algorithm::named(name)?),
        Some(_) => return None,
    };
    Some(Key { name, algorithm, material: material(fields)? })
}

fn material(fields: &Fields) -> Option<Material> {
    let text = |name: &str| match fields.find(name) {
        Some(Value::String(text)) => Some(&**text),
        Some(_) | None => None,
    };
    let number = |name: &str| text(name).and_then(decoded);
    match text("kty")? {
        "RSA" => Some(Material::Rsa { modulus: number("n")?, exponent: number("e")? }),
        "EC" => {
            let curve = text("crv")?;
            let size = match curve {
                "P-256" => 32,
                "P-384" => 48,
                "P-521" => 66,
                _ => return None,
            };
            let (x, y) = (number("x")?, number("y")?);
            let is_whole = x.len() == size && y.len() == size;
            let point = [&[4], &*x, &*y].concat();
            is_whole.then(|| Material::Ec { curve: curve.into(), point })
        }
        "OKP" if text("crv")? == "Ed25519" => Some(Material::Ed25519(number("x")?)),
        _ => None,
    }
}
