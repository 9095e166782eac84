//! Why a mesh cannot be built or asked.

use std::error::Error as StdError;
use std::fmt;

/// A mesh that cannot be built, or a question it cannot answer.
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The bootstrap is missing or malformed.
    Bootstrap,
    /// A target's name is malformed or names an unknown authority.
    Target,
    /// A file of resources is missing or malformed.
    File,
    /// The control thread cannot be started.
    Thread,
    /// The test kit is used outside of a runtime that it can be exact on.
    Runtime,
}

impl Error {
    #[cfg(feature = "mesh")]
    pub(crate) fn with(
        kind: Kind,
        message: impl Into<String>,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { kind, message: message.into(), source }
    }

    #[cfg(feature = "mesh")]
    pub(crate) fn thread(source: std::io::Error) -> Self {
        Self::with(Kind::Thread, "the control thread cannot be started", Some(source.into()))
    }

    #[cfg(feature = "ads")]
    pub(crate) fn bootstrap(source: crate::bootstrap::BootstrapError) -> Self {
        Self::with(Kind::Bootstrap, source.to_string(), Some(source.into()))
    }

    #[cfg(all(feature = "ads", feature = "file"))]
    pub(crate) fn file(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::with(Kind::File, source.to_string(), Some(source.into()))
    }

    #[cfg(feature = "ads")]
    pub(crate) fn target(target: &str, source: crate::bootstrap::TargetError) -> Self {
        Self::with(Kind::Target, format!("target {target}: {source}"), Some(source.into()))
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, message, source } = self;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("message", message)
            .field("source", source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
