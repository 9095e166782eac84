use std::{fmt, io, path::Path, sync::Arc};

use thiserror::Error;

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Origin {
    /// The file, as it was named by the caller or found in the directory.
    pub file: Arc<Path>,
    /// The line, counted from one.
    pub line: usize,
}

impl Origin {
    /// Line `line` of `file`.
    #[must_use]
    pub fn new(file: impl Into<Arc<Path>>, line: usize) -> Self {
        Self { file: file.into(), line }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Why files could not be read as resources: the first problem found.
///
/// Prints as `routes.yaml:17: virtual_hosts[0].routes[2].match: unrecognized field ...`. The short
/// form also knows the column, which follows the line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct FileError {
    file: Arc<Path>,
    line: Option<usize>,
    column: Option<usize>,
    path: String,
    why: Box<Why>,
}

/// What is wrong at the place that a [`FileError`] names.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Why {
    /// The file or directory could not be read.
    #[error("{text}")]
    Io {
        /// The kind of the I/O error.
        kind: io::ErrorKind,
        /// The text of the I/O error.
        text: String,
    },
    /// The text is neither YAML nor JSON, or goes beyond a bound on size or depth.
    #[error("{0}")]
    Syntax(String),
    /// A mapping has a key that its message does not have.
    #[error("unrecognized field `{name}`{}", DidYouMean(.suggestion))]
    UnknownField {
        /// The key as written.
        name: String,
        /// The most similar field of the message.
        suggestion: Option<String>,
    },
    /// An enum has no value of this name.
    #[error("unrecognized value `{name}`{}", DidYouMean(.suggestion))]
    UnknownValue {
        /// The value as written.
        name: String,
        /// The most similar value of the enum.
        suggestion: Option<String>,
    },
    /// A route leads to a version that its service does not have.
    #[error("unknown version `{name}`{}", DidYouMean(.suggestion))]
    UnknownVersion {
        /// The version as written.
        name: String,
        /// The most similar version of the service.
        suggestion: Option<String>,
    },
    /// `@type` names a message that is not known.
    #[error("unknown type `{0}`")]
    UnknownType(String),
    /// A mapping that holds a message of any type does not say which.
    #[error("missing `@type`")]
    MissingType,
    /// A value does not fit its field.
    #[error("expected {expected}, got {found}")]
    Mismatch {
        /// What the field takes.
        expected: String,
        /// What was written.
        found: String,
    },
    /// The document has none of the accepted shapes, or its type is no xDS resource.
    #[error("{0}")]
    NotAResource(String),
    /// Something that must be there is not, such as the name of a resource.
    #[error("`{0}` is missing or empty")]
    MissingName(&'static str),
    /// Two resources of one type have the same name.
    #[error("{type_name} `{name}` is already defined at {first}")]
    Duplicate {
        /// The message name of the type.
        type_name: String,
        /// The name of both resources.
        name: String,
        /// Where the first of them is.
        first: Origin,
    },
    /// Anything else that the message refuses.
    #[error("{0}")]
    Invalid(String),
    /// The message is well-formed, but not something that can be acted on: what a management
    /// server would get as a NACK.
    #[error("{0}")]
    Refused(String),
}

struct DidYouMean<'a>(&'a Option<String>);

impl fmt::Display for DidYouMean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(suggestion) => write!(f, " (did you mean `{suggestion}`?)"),
            None => Ok(()),
        }
    }
}

impl FileError {
    pub(crate) fn new(file: impl Into<Arc<Path>>, line: Option<usize>, why: Why) -> Self {
        Self { file: file.into(), line, column: None, path: String::new(), why: Box::new(why) }
    }

    pub(crate) fn io(file: &Path, error: &io::Error) -> Self {
        Self::new(file, None, Why::Io { kind: error.kind(), text: error.to_string() })
    }

    pub(crate) fn at_path(self, path: String) -> Self {
        Self { path, ..self }
    }

    pub(crate) fn at_column(self, column: usize) -> Self {
        Self { column: Some(column), ..self }
    }

    /// The file or directory with the problem.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line, counted from one; `None` when the file itself is the problem.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// The column, counted from one, where it is known.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.column
    }

    /// The field in the resource, such as `virtual_hosts[0].routes[2].match`; may be empty.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong there.
    #[must_use]
    pub fn why(&self) -> &Why {
        &self.why
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.why)
    }
}
