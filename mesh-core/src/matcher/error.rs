/// Why a matcher cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An empty prefix, suffix or substring would match everything (gRFC A63).
    #[error("{what} must not be empty")]
    Empty {
        /// `prefix`, `suffix` or `contains`.
        what: &'static str,
    },
    /// The pattern is not a regular expression, or compiles to too large a program.
    #[error("invalid regex: {why}")]
    Regex {
        /// What is wrong, in one line.
        why: String,
    },
    /// Neither a header field name nor a known pseudo header.
    #[error("invalid header name")]
    HeaderName,
    /// A path-separated prefix is not empty, does not end in `/` and has neither `?` nor `#`
    /// (Envoy's `path_separated_prefix`).
    #[error("invalid path-separated prefix")]
    SeparatedPrefix,
    /// A substitution refers to a group that its pattern does not have, or has a stray `\`.
    #[error("invalid substitution")]
    Substitution,
    /// A range of addresses asks for more bits than an address has.
    #[error("invalid prefix length")]
    PrefixLength,
    /// A path template is not written as one is.
    #[error("the path template {0}")]
    Template(&'static str),
}
