//! Terms from Rust values, and Rust values from terms.

use super::Term;
use super::atom::Atom;
use super::binary::BitString;
use super::block::{Builder, Node};
use super::compound::{Fun, List, Map, Record, Tuple};
use super::identifier::{Pid, Port, Reference};
use super::number::{BigInteger, Float, medium, small, trim};
use bytes::Bytes;

macro_rules! wrap {
    ($($type:ident $source:ty;)*) => {$(
        impl From<$source> for Term {
            fn from(value: $source) -> Self {
                Self::$type(value)
            }
        }

        impl From<&$source> for Term {
            fn from(value: &$source) -> Self {
                Self::$type(value.clone())
            }
        }
    )*};
}

wrap! {
    BigInteger BigInteger;
    Float Float;
    Atom Atom;
    Reference Reference;
    Fun Fun;
    Port Port;
    Pid Pid;
    Tuple Tuple;
    Map Map;
    List List;
    Binary Bytes;
    BitString BitString;
    Record Record;
}

impl From<&Self> for Term {
    fn from(term: &Self) -> Self {
        term.clone()
    }
}

macro_rules! small_integers {
    ($($type:ty),*) => {$(
        impl From<$type> for Term {
            fn from(value: $type) -> Self {
                Self::Integer(i64::from(value))
            }
        }
    )*};
}

small_integers!(i8, i16, i32, i64, u8, u16, u32);

impl From<i128> for Term {
    fn from(value: i128) -> Self {
        Self::integer_from_magnitude(value < 0, &value.unsigned_abs().to_le_bytes())
    }
}

impl From<u128> for Term {
    fn from(value: u128) -> Self {
        Self::integer_from_magnitude(false, &value.to_le_bytes())
    }
}

impl From<u64> for Term {
    fn from(value: u64) -> Self {
        Self::from(u128::from(value))
    }
}

impl From<usize> for Term {
    fn from(value: usize) -> Self {
        Self::from(value as u128)
    }
}

impl From<isize> for Term {
    fn from(value: isize) -> Self {
        Self::from(value as i128)
    }
}

impl Term {
    /// An integer of any size from the bytes of its absolute value, least significant first.
    ///
    /// ```
    /// use beamnode::term::Term;
    ///
    /// assert_eq!(Term::integer_from_magnitude(true, &[0x00, 0x01]), Term::from(-256));
    /// ```
    #[must_use]
    pub fn integer_from_magnitude(negative: bool, magnitude: &[u8]) -> Self {
        let magnitude = trim(magnitude);
        match small(negative, magnitude) {
            Some(value) => Self::Integer(value),
            None => Self::BigInteger(BigInteger::from_canonical(
                negative,
                Bytes::copy_from_slice(magnitude),
            )),
        }
    }
}

impl From<bool> for Term {
    fn from(value: bool) -> Self {
        Self::Atom(Atom::from_bool(value))
    }
}

impl From<f64> for Term {
    /// A finite float as it is. Erlang has no others: as in Elixir's Nx, they become the atoms `nan`, `infinity`
    /// and `neg_infinity`.
    fn from(value: f64) -> Self {
        match Float::new(value) {
            Some(value) => Self::Float(value),
            None if value.is_nan() => Self::atom("nan"),
            None if value > 0.0 => Self::atom("infinity"),
            None => Self::atom("neg_infinity"),
        }
    }
}

impl From<f32> for Term {
    /// As for `f64`.
    fn from(value: f32) -> Self {
        Self::from(f64::from(value))
    }
}

impl From<&str> for Term {
    /// A binary, which is what text is in Elixir and in most of today's Erlang.
    fn from(text: &str) -> Self {
        Self::Binary(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Term {
    /// A binary.
    fn from(text: String) -> Self {
        Self::Binary(Bytes::from(text))
    }
}

impl From<&String> for Term {
    /// A binary.
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl<T: Into<Self>> From<Vec<T>> for Term {
    /// A list. For a binary see [`Bytes`].
    fn from(elements: Vec<T>) -> Self {
        Self::List(elements.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>, const N: usize> From<[T; N]> for Term {
    /// A list.
    fn from(elements: [T; N]) -> Self {
        Self::List(elements.into_iter().map(Into::into).collect())
    }
}

macro_rules! tuples {
    ($($name:ident)*) => {
        impl<$($name: Into<Self>),*> From<($($name,)*)> for Term {
            /// A tuple.
            fn from(elements: ($($name,)*)) -> Self {
                #[expect(non_snake_case, reason = "the type's name serves as the element's")]
                let ($($name,)*) = elements;
                let mut builder = Builder::new();
                let at = builder.at();
                builder.node(Node::Nil);
                let mut arity = 0;
                $(
                    builder.term($name.into());
                    arity += 1;
                )*
                builder.close(at, |span| Node::Tuple { arity, span });
                Self::Tuple(Tuple::from_handle(builder.finish()))
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);

/// The term is not an integer, or one that the type cannot hold.
/// ```
/// use beamnode::term::{NotInRange, Term};
///
/// assert_eq!(u8::try_from(&Term::from(255)), Ok(255));
/// assert_eq!(u8::try_from(&Term::from(256)), Err(NotInRange));
/// assert_eq!(i128::try_from(&Term::from(i128::MIN)), Ok(i128::MIN));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an integer of this type's range")]
pub struct NotInRange;

macro_rules! integers_out {
    ($($type:ty),*) => {$(
        impl TryFrom<&Term> for $type {
            type Error = NotInRange;

            fn try_from(term: &Term) -> Result<Self, NotInRange> {
                match term {
                    Term::Integer(value) => Self::try_from(*value).map_err(|_| NotInRange),
                    Term::BigInteger(value) => Self::try_from(value),
                    _ => Err(NotInRange),
                }
            }
        }

        impl TryFrom<&BigInteger> for $type {
            type Error = NotInRange;

            fn try_from(value: &BigInteger) -> Result<Self, NotInRange> {
                if let Some(value) = medium(value.is_negative(), value.magnitude()) {
                    return Self::try_from(value).map_err(|_| NotInRange);
                }
                let mut bytes = [0; 16];
                let digits = value.magnitude();
                bytes.get_mut(..digits.len()).ok_or(NotInRange)?.copy_from_slice(digits);
                if value.is_negative() {
                    return Err(NotInRange);
                }
                Self::try_from(u128::from_le_bytes(bytes)).map_err(|_| NotInRange)
            }
        }
    )*};
}

integers_out!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize);
