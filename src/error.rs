//! The crate's one error type.

use core::fmt;
use std::sync::Arc;

/// What kind of thing was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value outside the range in which it means something.
    Value,
    /// Text or JSON or YAML that does not parse.
    Syntax,
    /// A policy that contradicts itself or names what does not exist.
    Policy,
    /// Telemetry that cannot be what it is said to be.
    Telemetry,
    /// A source that answered with an error of its own.
    Source,
    /// A saved state of another version, of another design, or that no run can have left.
    State,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ErrorKind::Value => "value",
            ErrorKind::Syntax => "syntax",
            ErrorKind::Policy => "policy",
            ErrorKind::Telemetry => "telemetry",
            ErrorKind::Source => "source",
            ErrorKind::State => "state",
        })
    }
}

/// What was wrong, where, and with which value.
///
/// One type serves the whole crate, so that errors compose; [`kind`](Error::kind) tells them apart.
///
/// ```
/// use serinus::{ErrorKind, telemetry::Counts};
/// let error = Counts::new(7, 5).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Value);
/// assert_eq!(error.to_string(), "counts: 7 bad of 5");
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}{}{message}", path.as_deref().unwrap_or(""), if path.is_some() { ": " } else { "" })]
pub struct Error {
    kind: ErrorKind,
    path: Option<String>,
    message: String,
    #[source]
    source: Option<Arc<dyn std::error::Error + Send + Sync + 'static>>,
}

impl Error {
    /// A new error without a place.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, path: None, message: message.into(), source: None }
    }

    /// A value that is out of range.
    pub(crate) fn value(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Value, message)
    }

    /// Telemetry that contradicts itself.
    pub(crate) fn telemetry(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Telemetry, message)
    }

    /// Says where; a place already given becomes the inner part of the new one.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Error {
        let outer = path.into();
        self.path = Some(match self.path {
            None => outer,
            Some(inner) => format!("{outer}: {inner}"),
        });
        self
    }

    /// Keeps the error of another library that caused this one.
    #[cfg(any(feature = "json", feature = "yaml"))]
    pub(crate) fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.source = Some(Arc::new(source));
        self
    }

    /// What kind of thing was wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Where: a path inside a policy (`metrics[2].margin`), a file, a series.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// What was wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Two errors are equal if they say the same of the same place.
impl PartialEq for Error {
    fn eq(&self, other: &Error) -> bool {
        self.kind == other.kind && self.path == other.path && self.message == other.message
    }
}

/// All that is wrong with a policy, each problem with its path.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyErrors(Vec<Error>);

impl PolicyErrors {
    /// `None` where there is nothing to complain of.
    pub(crate) fn from_list(errors: Vec<Error>) -> Option<PolicyErrors> {
        if errors.is_empty() { None } else { Some(PolicyErrors(errors)) }
    }

    /// The problems, in the order of the policy.
    #[must_use]
    pub fn errors(&self) -> &[Error] {
        &self.0
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyErrors {}
