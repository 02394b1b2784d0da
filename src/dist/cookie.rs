//! The shared secret of a cluster, and the digests that prove a node has it.
//!
//! Follows "Distribution Handshake" of Erlang's *Distribution Protocol*: a digest is the MD5 of the cookie's bytes
//! followed by the challenge in decimal. Reading and making the cookie *file* needs a file system and is done above;
//! what such a file may hold is decided here.

use std::convert::Infallible;
use std::fmt;
use subtle::ConstantTimeEq;

/// The secret that two nodes must share to connect. Never printed.
///
/// ```
/// use beamnode::dist::Cookie;
///
/// let cookie = Cookie::new("secret")?;
/// assert!(cookie.verify(17, &cookie.digest(17)));
/// assert!(!cookie.verify(17, &cookie.digest(18)));
/// # Ok::<(), beamnode::dist::CookieError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie {
    /// The text in Latin-1, as it enters the digest.
    bytes: Vec<u8>,
}

/// What a node proves its cookie with.
pub type Digest = [u8; 16];

/// Why something is no cookie.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CookieError {
    /// Nothing is left after cutting the blanks at the end.
    #[error("the cookie is empty")]
    Empty,
    /// A cookie is an atom.
    #[error("a cookie of {0} characters: it may have at most 255")]
    TooLong(usize),
    /// Outside of Latin-1, which is what is hashed.
    #[error("the cookie has a character outside of Latin-1 at position {0}")]
    NotLatin1(usize),
    /// A cookie file may hold printable ASCII only.
    #[error("the cookie file has a character that is not printable ASCII at position {0}")]
    NotPrintable(usize),
}

/// How many letters a [generated](Cookie::generate) cookie has.
const GENERATED_LENGTH: usize = 20;

/// A cookie is one already.
impl From<Infallible> for CookieError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl TryFrom<&str> for Cookie {
    type Error = CookieError;

    fn try_from(text: &str) -> Result<Self, CookieError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Cookie {
    type Error = CookieError;

    fn try_from(text: String) -> Result<Self, CookieError> {
        Self::new(&text)
    }
}

impl Cookie {
    /// A cookie given by the user, as with `-setcookie`: an atom whose characters are all in Latin-1.
    pub fn new(text: &str) -> Result<Self, CookieError> {
        let length = text.chars().count();
        match length {
            0 => return Err(CookieError::Empty),
            1..=255 => {}
            _ => return Err(CookieError::TooLong(length)),
        }
        let latin1 = |(position, c)| u8::try_from(c).map_err(|_| CookieError::NotLatin1(position));
        Ok(Self {
            bytes: text.chars().enumerate().map(latin1).collect::<Result<_, _>>()?,
        })
    }

    /// The cookie that stands in a cookie file with this content: printable ASCII; blanks and line ends after it are
    /// cut off.
    pub fn from_file_content(content: &[u8]) -> Result<Self, CookieError> {
        let end = content
            .iter()
            .rposition(|b| !matches!(b, b'\n' | b'\r' | b' '))
            .map_or(0, |last| last + 1);
        let (cookie, _) = content.split_at_checked(end).unwrap_or_default();
        if cookie.is_empty() {
            return Err(CookieError::Empty);
        }
        if let Some(position) = cookie.iter().position(|b| !matches!(b, 0x20..=0x7e)) {
            return Err(CookieError::NotPrintable(position));
        }
        if cookie.len() > 255 {
            return Err(CookieError::TooLong(cookie.len()));
        }
        Ok(Self {
            bytes: cookie.to_vec(),
        })
    }

    /// A new cookie of 20 letters A–Z, as `erl` makes one when there is none. `random` must be a secret source; it is
    /// asked for a number below its argument.
    pub fn generate(mut random: impl FnMut(u8) -> u8) -> Self {
        Self {
            bytes: (0..GENERATED_LENGTH).map(|_| b'A' + random(26) % 26).collect(),
        }
    }

    /// The bytes to write into a cookie file.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The proof of having this cookie that answers `challenge`.
    pub fn digest(&self, challenge: u32) -> Digest {
        let mut context = md5::Context::new();
        context.consume(&self.bytes);
        context.consume(challenge.to_string());
        context.finalize().into()
    }

    /// Whether `digest` proves that the other end has this cookie, in time that does not tell how much of it is right.
    pub fn verify(&self, challenge: u32, digest: &Digest) -> bool {
        self.digest(challenge).ct_eq(digest).into()
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `erlang:md5(["secret", integer_to_list(C)])` of OTP 25.
    #[test]
    fn digests_are_those_of_erlang() {
        let cookie = Cookie::new("secret").unwrap();
        let hex = |d: Digest| d.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(cookie.digest(0)), "175ec77a7f63082590987d0d8b051aff");
        assert_eq!(hex(cookie.digest(u32::MAX)), "5dfd181e69aa587cc812eb333e6536b6");
        let latin1 = Cookie::new("bl\u{e5}b\u{e6}r").unwrap();
        assert_eq!(hex(latin1.digest(42)), "97a0d8f45efcf948c3e6ab4704f14644");
    }

    #[test]
    fn a_file_holds_printable_ascii_and_blanks_after_it() {
        let cookie = |content: &[u8]| Cookie::from_file_content(content).map(|c| c.as_bytes().to_vec());
        assert_eq!(cookie(b"ABC"), Ok(b"ABC".to_vec()));
        assert_eq!(cookie(b"A C \r\n\n"), Ok(b"A C".to_vec()));
        assert_eq!(cookie(b""), Err(CookieError::Empty));
        assert_eq!(cookie(b" \n"), Err(CookieError::Empty));
        assert_eq!(cookie(b"A\nB"), Err(CookieError::NotPrintable(1)));
        assert_eq!(cookie(&[b'x'; 256]), Err(CookieError::TooLong(256)));
    }

    #[test]
    fn given_cookies_are_latin1_atoms() {
        assert_eq!(Cookie::new("\u{e9}").unwrap().as_bytes(), [0xe9]);
        assert_eq!(Cookie::new("a\u{20ac}"), Err(CookieError::NotLatin1(1)));
        assert_eq!(Cookie::new(""), Err(CookieError::Empty));
    }

    #[test]
    fn generated_cookies_are_letters() {
        let mut n = 0;
        let cookie = Cookie::generate(|below| {
            n += 7;
            n % below
        });
        assert_eq!(cookie.as_bytes().len(), 20);
        assert!(cookie.as_bytes().iter().all(u8::is_ascii_uppercase));
    }

    #[test]
    fn never_printed() {
        assert_eq!(format!("{:?}", Cookie::new("secret").unwrap()), "Cookie(…)");
    }
}
