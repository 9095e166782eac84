//! Why a token is not good enough.

use http::StatusCode;

/// Why a token is not good enough. The texts are those that Envoy answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// There is none.
    #[error("Jwt is missing")]
    Missing,
    /// It is not valid yet (`nbf`).
    #[error("Jwt not yet valid")]
    NotYetValid,
    /// It is not valid any more (`exp`).
    #[error("Jwt is expired")]
    Expired,
    /// It is not three parts, or too large.
    #[error("Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections")]
    Format,
    /// The first part is no JSON object, or has a field twice.
    #[error("Jwt header is an invalid JSON")]
    Header,
    /// The first part names no algorithm.
    #[error("Jwt header [alg] field is required and must be a string")]
    Algorithm,
    /// The algorithm is none that is accepted: `none` and symmetric ones never are.
    #[error("Jwt header [alg] is not supported")]
    UnsupportedAlgorithm,
    /// The key's name is no string.
    #[error("Jwt header [kid] field is not a string")]
    KeyName,
    /// The token has extensions that must be understood (`crit`, RFC 7515 4.1.11).
    #[error("Jwt header [crit] is not supported")]
    Critical,
    /// The second part is no JSON object, or has a field twice.
    #[error("Jwt payload is an invalid JSON")]
    Payload,
    /// A registered claim is of another type than RFC 7519 says.
    #[error("Jwt payload [{0}] field is of the wrong type")]
    Claim(&'static str),
    /// A claim that is required is not there.
    #[error("Jwt payload [{0}] field is required")]
    NoClaim(&'static str),
    /// It is valid for longer than is allowed (`max_lifetime`).
    #[error("Jwt lifetime is too long")]
    Lifetime,
    /// It is about somebody else (`subjects`), or its SPIFFE id is none.
    #[error("Jwt subject is not allowed")]
    Subject,
    /// Another issuer has made it.
    #[error("Jwt issuer is not configured")]
    Issuer,
    /// It is for others.
    #[error("Audiences in Jwt are not allowed")]
    Audience,
    /// The signature is wrong.
    #[error("Jwt verification fails")]
    Signature,
    /// No key is the one that it names.
    #[error("Jwks doesn't have key to match kid or alg from Jwt")]
    NoKey,
    /// The keys could not be fetched.
    #[error("Jwks remote fetch is failed")]
    Fetch,
    /// The request carries too many, or their claims are too large to be kept.
    #[error("Jwt tokens of the request are too many or too large")]
    TooMuch,
}

impl Failure {
    /// What is answered: 403 for a token that is for others, 401 for all else.
    #[must_use]
    pub fn status(self) -> StatusCode {
        if self == Self::Audience { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED }
    }

    /// The gRPC status: PERMISSION_DENIED (7) or UNAUTHENTICATED (16).
    #[must_use]
    pub fn grpc(self) -> u8 {
        if self == Self::Audience { 7 } else { 16 }
    }

    /// The number by which Envoy knows it (`failed_status_in_metadata`), or that of the nearest.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Missing => 1,
            Self::NotYetValid => 2,
            Self::Expired | Self::Lifetime => 3,
            Self::Format => 4,
            Self::Header | Self::Critical => 6,
            Self::Algorithm => 7,
            Self::UnsupportedAlgorithm => 8,
            Self::KeyName => 9,
            Self::Payload => 11,
            Self::Claim("iss") => 12,
            Self::Claim("sub") | Self::Subject => 13,
            Self::Claim("iat") => 14,
            Self::Claim("nbf") => 15,
            Self::Claim("aud") => 18,
            Self::Claim(_) | Self::NoClaim(_) => 16,
            Self::Issuer => 21,
            Self::Audience => 22,
            Self::Signature => 23,
            Self::TooMuch => 24,
            Self::NoKey => 29,
            Self::Fetch => 37,
        }
    }

    /// Whether the token is not one for the provider that was asked, rather than a bad one.
    #[must_use]
    pub fn is_of_nobody(self) -> bool {
        matches!(self, Self::Missing | Self::Issuer)
    }
}
