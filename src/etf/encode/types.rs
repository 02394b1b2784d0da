//! What of Rust is written as which term.

use super::{Encode, Writer};
use crate::etf::raw::RawTerm;
use crate::term::{Atom, Pid, Port, Reference, Term};
use bytes::Bytes;

impl Encode for Term {
    fn encode(&self, writer: &mut Writer) {
        writer.term(self);
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, writer: &mut Writer) {
        (*self).encode(writer);
    }

    fn to_raw(&self) -> RawTerm {
        (*self).to_raw()
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Encode for $type {
            fn encode(&self, writer: &mut Writer) {
                writer.integer((*self).into());
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32);

impl Encode for u64 {
    fn encode(&self, writer: &mut Writer) {
        writer.unsigned(*self);
    }
}

impl Encode for usize {
    fn encode(&self, writer: &mut Writer) {
        writer.unsigned(*self as u64);
    }
}

impl Encode for bool {
    fn encode(&self, writer: &mut Writer) {
        writer.atom(if *self { "true" } else { "false" });
    }
}

impl Encode for f64 {
    fn encode(&self, writer: &mut Writer) {
        writer.float(*self);
    }
}

impl Encode for str {
    /// A binary.
    fn encode(&self, writer: &mut Writer) {
        writer.binary(self.as_bytes());
    }
}

impl Encode for String {
    /// A binary.
    fn encode(&self, writer: &mut Writer) {
        writer.binary(self.as_bytes());
    }
}

impl Encode for Bytes {
    /// A binary.
    fn encode(&self, writer: &mut Writer) {
        writer.binary(self);
    }
}

impl Encode for Atom {
    fn encode(&self, writer: &mut Writer) {
        writer.atom(self);
    }
}

impl Encode for Pid {
    fn encode(&self, writer: &mut Writer) {
        writer.pid(self);
    }
}

impl Encode for Port {
    fn encode(&self, writer: &mut Writer) {
        writer.port(self);
    }
}

impl Encode for Reference {
    fn encode(&self, writer: &mut Writer) {
        writer.reference(self);
    }
}

impl<T: Encode> Encode for [T] {
    /// A list.
    fn encode(&self, writer: &mut Writer) {
        writer.list(u32::try_from(self.len()).unwrap_or(u32::MAX));
        for element in self {
            element.encode(writer);
        }
        writer.nil();
    }
}

impl<T: Encode> Encode for Vec<T> {
    /// A list.
    fn encode(&self, writer: &mut Writer) {
        self.as_slice().encode(writer);
    }
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    /// A list.
    fn encode(&self, writer: &mut Writer) {
        self.as_slice().encode(writer);
    }
}

macro_rules! tuples {
    ($($arity:literal: $($name:ident $index:tt)*;)*) => {$(
        impl<$($name: Encode),*> Encode for ($($name,)*) {
            /// A tuple.
            fn encode(&self, writer: &mut Writer) {
                writer.tuple($arity);
                $(self.$index.encode(writer);)*
            }
        }
    )*};
}

tuples! {
    1: A 0;
    2: A 0 B 1;
    3: A 0 B 1 C 2;
    4: A 0 B 1 C 2 D 3;
    5: A 0 B 1 C 2 D 3 E 4;
    6: A 0 B 1 C 2 D 3 E 4 F 5;
    7: A 0 B 1 C 2 D 3 E 4 F 5 G 6;
    8: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7;
}
