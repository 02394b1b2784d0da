//! Atoms: names of at most 255 characters.
//!
//! There is no atom table. An [`Atom`] holds its own text (inline up to 23 bytes, shared beyond), so nothing that a
//! peer sends can fill a table that is never emptied.

use smol_str::SmolStr;
use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

/// The most characters an atom can have.
pub const MAX_ATOM_CHARACTERS: usize = 255;

/// An Erlang atom: immutable text of at most 255 characters, cheap to clone.
///
/// Atoms order by code point, which is the order of their UTF-8 bytes and the one Erlang uses.
///
/// ```
/// use beamnode::term::Atom;
///
/// let ok = Atom::new("ok")?;
/// assert_eq!(ok, "ok");
/// assert_eq!(Atom::new("two words")?.to_string(), "'two words'");
/// assert!(Atom::new(&"x".repeat(256)).is_err());
/// assert_eq!(ok.as_str(), "ok");
/// assert_eq!(Atom::from_bool(true).as_bool(), Some(true));
/// assert_eq!(ok.as_bool(), None);
/// # Ok::<(), beamnode::term::AtomTooLong>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atom(SmolStr);

/// The text is longer than the 255 characters an atom can have.
/// ```
/// use beamnode::term::{Atom, AtomTooLong, MAX_ATOM_CHARACTERS};
///
/// assert!(Atom::new(&"→".repeat(MAX_ATOM_CHARACTERS)).is_ok());
/// assert_eq!(Atom::new(&"→".repeat(MAX_ATOM_CHARACTERS + 1)), Err(AtomTooLong));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an atom has at most {MAX_ATOM_CHARACTERS} characters")]
pub struct AtomTooLong;

impl Atom {
    /// The atom with this text.
    ///
    /// # Errors
    /// [`AtomTooLong`] if `text` has more than 255 characters.
    pub fn new(text: &str) -> Result<Self, AtomTooLong> {
        if is_short_enough(text) {
            Ok(Self(SmolStr::new(text)))
        } else {
            Err(AtomTooLong)
        }
    }

    /// An atom known when the program is written; usable in constants.
    ///
    /// # Panics
    /// If `text` is longer than 255 bytes; in a constant this is a compile error.
    ///
    /// ```
    /// use beamnode::term::Atom;
    ///
    /// const OK: Atom = Atom::from_static("ok");
    /// assert_eq!(OK.as_str(), "ok");
    /// ```
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        assert!(
            text.len() <= MAX_ATOM_CHARACTERS,
            "the atom is longer than 255 bytes"
        );
        Self(SmolStr::new_static(text))
    }

    /// The text, which the caller has seen to be short enough.
    pub(crate) fn from_checked(text: &str) -> Self {
        debug_assert!(is_short_enough(text));
        Self(SmolStr::new(text))
    }

    /// The atom's text, without the quotes that printing may put around it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The atom `true` or `false`.
    #[must_use]
    pub const fn from_bool(value: bool) -> Self {
        if value {
            Self::from_static("true")
        } else {
            Self::from_static("false")
        }
    }

    /// What `true` and `false` say, nothing for any other atom.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
}

/// Whether the text has at most 255 characters.
pub(crate) fn is_short_enough(text: &str) -> bool {
    text.len() <= MAX_ATOM_CHARACTERS
        || (text.len() <= 4 * MAX_ATOM_CHARACTERS && text.chars().count() <= MAX_ATOM_CHARACTERS)
}

impl Deref for Atom {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Atom {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Atom {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Atom {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Atom {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl TryFrom<&str> for Atom {
    type Error = AtomTooLong;

    fn try_from(text: &str) -> Result<Self, AtomTooLong> {
        Self::new(text)
    }
}

impl From<bool> for Atom {
    fn from(value: bool) -> Self {
        Self::from_bool(value)
    }
}

impl fmt::Debug for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
