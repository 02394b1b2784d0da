//! What can be wrong between Rust values and terms, and where in the value.

use crate::etf::DecodeError;
use std::fmt;

/// Why a value and a term do not go together, and where in the value.
///
/// ```
/// use beamnode::etf::{self, SerdeErrorKind};
/// use beamnode::term;
/// use serde::Deserialize;
///
/// #[derive(Debug, Deserialize)]
/// struct Call {
///     args: Vec<Options>,
/// }
///
/// #[derive(Debug, Deserialize)]
/// struct Options {
///     timeout: u32,
/// }
///
/// let term = term!(#{ args => [#{ timeout => 1 }, #{ timeout => infinity }] });
/// let error = etf::from_term::<Call>(&term).unwrap_err();
/// assert_eq!(error.to_string(), "args[1].timeout: expected integer, found atom infinity");
/// assert_eq!(error.path(), "args[1].timeout");
/// assert!(matches!(error.kind(), SerdeErrorKind::Expected { .. }));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SerdeError(Box<Details>);

/// Kept apart, so that what can go wrong costs what goes well no more than a pointer.
#[derive(Clone, Debug, PartialEq)]
struct Details {
    kind: SerdeErrorKind,
    /// From the inside out.
    path: Vec<Segment>,
}

/// What is wrong between a value and a term.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SerdeErrorKind {
    /// The bytes are no term.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The term is compressed, or local to a node: it has to be decoded first.
    #[error("the term is compressed or local")]
    Compressed,
    /// Another term than the value needs.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What the value needs.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A field that the value needs is not there.
    #[error("missing field {0}")]
    MissingField(String),
    /// A variant that the type does not have.
    #[error("unknown variant {found}, expected {expected}")]
    UnknownVariant {
        /// The variants that there are.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Values nest deeper than 128 levels.
    #[error("nested too deep")]
    TooDeep,
    /// A float that is infinite or not a number, which Erlang does not have.
    #[error("{0} is no float in Erlang")]
    NotFinite(f64),
    /// A name of more than 255 characters, which an atom cannot have.
    #[error("a name of more than 255 characters")]
    NameTooLong,
    /// What the type itself objects to.
    #[error("{0}")]
    Custom(String),
}

/// One step into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Field(String),
    Index(usize),
}

impl SerdeError {
    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &SerdeErrorKind {
        &self.0.kind
    }

    /// Where, as in `args[2].timeout`; empty for the value itself.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = String::new();
        for segment in self.0.path.iter().rev() {
            match segment {
                Segment::Field(name) if path.is_empty() => path.push_str(name),
                Segment::Field(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                Segment::Index(index) => {
                    path.push_str(&format!("[{index}]"));
                }
            }
        }
        path
    }

    #[cold]
    #[inline(never)]
    pub(super) fn expected(expected: &str, found: impl fmt::Display) -> Self {
        SerdeErrorKind::Expected {
            expected: expected.to_owned(),
            found: found.to_string(),
        }
        .into()
    }

    /// The same error, one step further out.
    #[cold]
    pub(super) fn within(mut self, segment: impl FnOnce() -> Segment) -> Self {
        self.0.path.push(segment());
        self
    }

    #[cold]
    #[inline(never)]
    pub(super) fn in_field(self, name: &str) -> Self {
        self.within(|| Segment::Field(name.to_owned()))
    }

    #[cold]
    #[inline(never)]
    pub(super) fn at_index(self, index: usize) -> Self {
        self.within(|| Segment::Index(index))
    }
}

impl From<SerdeErrorKind> for SerdeError {
    #[cold]
    #[inline(never)]
    fn from(kind: SerdeErrorKind) -> Self {
        Self(Box::new(Details {
            kind,
            path: Vec::new(),
        }))
    }
}

impl From<DecodeError> for SerdeError {
    #[cold]
    #[inline(never)]
    fn from(error: DecodeError) -> Self {
        SerdeErrorKind::Decode(error).into()
    }
}

impl fmt::Display for SerdeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            write!(f, "{}: ", self.path())?;
        }
        fmt::Display::fmt(&self.0.kind, f)
    }
}

impl std::error::Error for SerdeError {}

impl serde::ser::Error for SerdeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        SerdeErrorKind::Custom(message.to_string()).into()
    }
}

impl serde::de::Error for SerdeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        SerdeErrorKind::Custom(message.to_string()).into()
    }

    fn invalid_type(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::expected(&expected.to_string(), found)
    }

    fn invalid_value(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::expected(&expected.to_string(), found)
    }

    fn invalid_length(found: usize, expected: &dyn serde::de::Expected) -> Self {
        Self::expected(&expected.to_string(), format_args!("{found} elements"))
    }

    fn missing_field(field: &'static str) -> Self {
        SerdeErrorKind::MissingField(field.to_owned()).into()
    }

    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Self {
        SerdeErrorKind::UnknownVariant {
            expected: expected.join(", "),
            found: found.to_owned(),
        }
        .into()
    }
}
