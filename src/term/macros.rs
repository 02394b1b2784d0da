//! The [`term!`](crate::term!) macro.

/// A term written much as in Erlang.
///
/// `{…}` is a tuple, `[…]` a list, `#{key => value}` a map, a bare name an atom, a literal what it converts to (text becomes a
/// binary), and any other Rust expression, in parentheses or not, whatever [`Term::from`](crate::term::Term) makes of it. A single variable
/// goes in parentheses, since a bare name is an atom.
///
/// ```
/// use beamnode::term;
/// use beamnode::term::Term;
///
/// let count = 3;
/// let term = term!({ok, [1, (count), {}], #{ name => "a", 1 => [] }});
/// assert_eq!(term.to_string(), "{ok,[1,3,{}],#{name => <<97>>,1 => []}}");
/// ```
#[macro_export]
macro_rules! term {
    // Lists.
    ([]) => { $crate::term::Term::NIL };
    ([$($inside:tt)+]) => {
        $crate::term::Term::List($crate::__term_row!([] [] $($inside)+).into_iter().collect())
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
    // Atoms.
    (true) => { $crate::term::Term::atom("true") };
    (false) => { $crate::term::Term::atom("false") };
    ($atom:ident) => { $crate::term::Term::atom(stringify!($atom)) };
    // All else.
    ($value:expr) => { $crate::term::Term::from($value) };
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
    ([$($done:expr,)*] [$($key:tt)+] [$($now:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__term_value!([$($done,)*] [$($key)+] [$($now)* $next] $($rest)*)
    };
}
