//! Why a token has no effect.

/// Why a token has no effect. Says nothing of what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// It is not a token, or has what a token may not have.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// The key is not an Ed25519 key in PEM.
    #[error("the key is not an Ed25519 public key in PEM")]
    Key,
    /// The cryptography in use has no Ed25519.
    #[error("the cryptography in use cannot verify Ed25519")]
    Cryptography,
    /// It is signed by somebody else, or was changed.
    #[error("the signature is not of the key that is configured")]
    Signature,
    /// A claim is missing or has another form.
    #[error("the claim {0} is missing or not as it must be")]
    Claim(&'static str),
    /// It is for another scope.
    #[error("the token is for another scope")]
    Scope,
    /// It is good for longer than a day.
    #[error("the token is good for more than 24 hours")]
    TooLong,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// The rules in it are wrong.
    #[error("the rules are wrong: {0}")]
    Rules(String),
}
