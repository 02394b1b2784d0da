//! The [`term!`](crate::term!) macro.

use super::{BitString, Term};
use bytes::Bytes;

/// A term written much as in Erlang.
///
/// `{…}` is a tuple, `[…]` a list, `[… | tail]` one that ends in something else, `#{key => value}` a map, `<<…>>` a binary or bit string, a bare
/// name an atom, a literal what it converts to (text becomes a binary), and any other Rust expression, in parentheses or not, whatever
/// [`Term::from`](crate::term::Term) makes of it. A single variable goes in parentheses, since a bare name is an atom, and so does an expression
/// with `|` outside of parentheses, or in a binary.
///
/// ```
/// use beamnode::term;
/// use beamnode::term::Term;
///
/// let count = 3;
/// let term = term!({ok, [1, (count), {}], #{ name => "a", 1 => [] }});
/// assert_eq!(term.to_string(), "{ok,[1,3,{}],#{name => <<97>>,1 => []}}");
///
/// let rest = term!([3, 4]);
/// assert_eq!(term!([1, 2 | (rest)]).to_string(), "[1,2,3,4]");
/// assert_eq!(term!([{a, 1} | b]).to_string(), "[{a,1}|b]");
/// // Integers are of eight bits where nothing else is said, and the largest bits come first.
/// assert_eq!(term!({<<"ab", 1, (count)>>, <<1:4, 2:12>>, <<5:3>>, <<>>}).to_string(), "{<<97,98,1,3>>,<<16,2>>,<<5:3>>,<<>>}");
/// ```
#[macro_export]
macro_rules! term {
    // Lists.
    ([]) => { $crate::term::Term::NIL };
    ([$($inside:tt)+]) => {
        $crate::term::Term::List($crate::__term_list!([] [] $($inside)+))
    };
    // Tuples.
    ({}) => { $crate::term::Term::Tuple(::core::iter::empty().collect()) };
    ({$($inside:tt)+}) => {
        $crate::term::Term::Tuple($crate::__term_row!([] [] $($inside)+).into_iter().collect())
    };
    // Maps.
    (#{}) => { $crate::term::Term::Map(::core::iter::empty().collect()) };
    (#{$($inside:tt)+}) => {
        $crate::term::Term::Map($crate::__term_pairs!([] [] $($inside)+).into_iter().collect())
    };
    // Binaries.
    (<<>>) => { $crate::term::Term::from($crate::term::Segments::default()) };
    (<< $($value:tt $(: $size:tt)?),+ >>) => {{
        let mut segments = $crate::term::Segments::default();
        $($crate::__term_segment!(segments $value $($size)?);)+
        $crate::term::Term::from(segments)
    }};
    // Atoms.
    (true) => { $crate::term::Term::atom("true") };
    (false) => { $crate::term::Term::atom("false") };
    ($atom:ident) => { $crate::term::Term::atom(stringify!($atom)) };
    // All else.
    ($value:expr) => { $crate::term::Term::from($value) };
}

/// The elements of a list and its tail: `[terms so far] [tokens of this one] what is left`.
#[doc(hidden)]
#[macro_export]
macro_rules! __term_list {
    ([$($done:expr,)*] []) => { [$($done,)*].into_iter().collect::<$crate::term::List>() };
    ([$($done:expr,)*] [$($now:tt)+]) => {
        [$($done,)* $crate::term!($($now)+),].into_iter().collect::<$crate::term::List>()
    };
    ([$($done:expr,)*] [$($now:tt)+] | $($tail:tt)+) => {
        $crate::term::List::improper([$($done,)* $crate::term!($($now)+),], $crate::term!($($tail)+))
    };
    ([$($done:expr,)*] [$($now:tt)+] , $($rest:tt)*) => {
        $crate::__term_list!([$($done,)* $crate::term!($($now)+),] [] $($rest)*)
    };
    ([$($done:expr,)*] [] << $($value:tt $(: $size:tt)?),+ >> $($rest:tt)*) => {
        $crate::__term_list!([$($done,)*] [($crate::term!(<< $($value $(: $size)?),+ >>))] $($rest)*)
    };
    ([$($done:expr,)*] [$($now:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__term_list!([$($done,)*] [$($now)* $next] $($rest)*)
    };
}

/// Splits at commas: `[terms so far] [tokens of this one] what is left`.
#[doc(hidden)]
#[macro_export]
macro_rules! __term_row {
    ([$($done:expr,)*] []) => { [$($done,)*] };
    ([$($done:expr,)*] [$($now:tt)+]) => { [$($done,)* $crate::term!($($now)+),] };
    ([$($done:expr,)*] [$($now:tt)+] , $($rest:tt)*) => {
        $crate::__term_row!([$($done,)* $crate::term!($($now)+),] [] $($rest)*)
    };
    ([$($done:expr,)*] [] << $($value:tt $(: $size:tt)?),+ >> $($rest:tt)*) => {
        $crate::__term_row!([$($done,)*] [($crate::term!(<< $($value $(: $size)?),+ >>))] $($rest)*)
    };
    ([$($done:expr,)*] [$($now:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__term_row!([$($done,)*] [$($now)* $next] $($rest)*)
    };
}

/// Splits at arrows and commas.
#[doc(hidden)]
#[macro_export]
macro_rules! __term_pairs {
    ([$($done:expr,)*] []) => { [$($done,)*] };
    ([$($done:expr,)*] [$($key:tt)+] => $($rest:tt)+) => {
        $crate::__term_value!([$($done,)*] [$($key)+] [] $($rest)+)
    };
    ([$($done:expr,)*] [] << $($value:tt $(: $size:tt)?),+ >> $($rest:tt)*) => {
        $crate::__term_pairs!([$($done,)*] [($crate::term!(<< $($value $(: $size)?),+ >>))] $($rest)*)
    };
    ([$($done:expr,)*] [$($now:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__term_pairs!([$($done,)*] [$($now)* $next] $($rest)*)
    };
}

/// The value of a pair.
#[doc(hidden)]
#[macro_export]
macro_rules! __term_value {
    ([$($done:expr,)*] [$($key:tt)+] [$($now:tt)+]) => {
        [$($done,)* ($crate::term!($($key)+), $crate::term!($($now)+)),]
    };
    ([$($done:expr,)*] [$($key:tt)+] [$($now:tt)+] , $($rest:tt)*) => {
        $crate::__term_pairs!([$($done,)* ($crate::term!($($key)+), $crate::term!($($now)+)),] [] $($rest)*)
    };
    ([$($done:expr,)*] [$($key:tt)+] [] << $($value:tt $(: $size:tt)?),+ >> $($rest:tt)*) => {
        $crate::__term_value!([$($done,)*] [$($key)+] [($crate::term!(<< $($value $(: $size)?),+ >>))] $($rest)*)
    };
    ([$($done:expr,)*] [$($key:tt)+] [$($now:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__term_value!([$($done,)*] [$($key)+] [$($now)* $next] $($rest)*)
    };
}

/// A segment of a binary, with its size in bits or without.
#[doc(hidden)]
#[macro_export]
macro_rules! __term_segment {
    ($segments:ident $value:tt) => {
        $crate::term::Segment::write(&$value, &mut $segments)
    };
    ($segments:ident $value:tt $size:tt) => {
        $segments.extend([(i128::from($value), u32::from($size as u16))])
    };
}

/// The segments of a binary in [`term!`](crate::term!).
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Segments {
    bytes: Vec<u8>,
    /// How many bits of the last byte are used, 0 for all.
    used: u8,
}

impl Extend<(i128, u32)> for Segments {
    /// Integers, and in how many bits.
    fn extend<I: IntoIterator<Item = (i128, u32)>>(&mut self, integers: I) {
        for (value, size) in integers {
            for bit in (0..size).rev() {
                if self.used == 0 {
                    self.bytes.push(0);
                }
                let set = value >> bit.min(127) & 1 == 1;
                if let Some(last) = self.bytes.last_mut().filter(|_| set) {
                    *last |= 0x80 >> self.used;
                }
                self.used = (self.used + 1) % 8;
            }
        }
    }
}

impl From<Segments> for Term {
    fn from(segments: Segments) -> Self {
        match BitString::new(&segments.bytes, segments.used) {
            Some(bits) => Self::BitString(bits),
            None => Self::Binary(segments.bytes.into()),
        }
    }
}

/// What can stand in a binary in [`term!`](crate::term!) without a size.
#[doc(hidden)]
pub trait Segment {
    /// Appends it.
    fn write(&self, segments: &mut Segments);
}

macro_rules! segments {
    ($($integer:ty)* ; $($bytes:ty)*) => {
        $(impl Segment for $integer {
            fn write(&self, segments: &mut Segments) {
                segments.extend([(i128::from(*self), 8)]);
            }
        })*
        $(impl Segment for $bytes {
            fn write(&self, segments: &mut Segments) {
                let bytes: &[u8] = self.as_ref();
                segments.extend(bytes.iter().map(|byte| (i128::from(*byte), 8)));
            }
        })*
    };
}

segments!(u8 u16 u32 u64 i8 i16 i32 i64; &str String &[u8] Vec<u8> Bytes);
