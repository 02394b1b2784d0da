//! The external term format: terms as the bytes that `term_to_binary/1` makes, that nodes send each other, and that files hold.
//!
//! | from bytes | builds | for |
//! |---|---|---|
//! | [`decode()`], [`Decoder`] | a [`Term`](crate::term::Term) | keeping it, whatever it is |
//! | [`TermRef`] | nothing | looking at parts of it, or at all of it once |
//! | [`RawTerm`] | nothing | forwarding it, or decoding it later |
//! | [`Reader`] | nothing | taking what must stand there, part by part |
//! | `from_bytes` (feature `serde`) | a Rust type | knowing what it is |
//!
//! To bytes there are [`encode()`] and [`Encoder`] for terms, [`Encode`] and [`Writer`] for what is no `Term`, and `to_bytes` for what serde knows.
//!
//! No input does harm: nothing here recurses on what comes in or believes a length it claims, and what is wrong is an error with
//! its place.
//!
//! # Reading
//! ```
//! use beamnode::etf::{self, DecodeErrorKind, Decoder, Limits, Type};
//! use beamnode::term;
//!
//! let bytes = etf::encode(&term!({ok, [1, 2]}));
//! assert_eq!(Decoder::new().decode(bytes.clone())?, term!({ok, [1, 2]}));
//! // One term after the other.
//! let two = [&bytes[..], &bytes[..]].concat();
//! let (first, used) = Decoder::new().decode_prefix(two.clone())?;
//! assert_eq!((first, used), (term!({ok, [1, 2]}), bytes.len()));
//! let error = Decoder::new().decode(two).unwrap_err();
//! assert_eq!((error.kind, error.offset), (DecodeErrorKind::TrailingBytes, used));
//! // No more than one wants to hold.
//! let few = Decoder::new().limits(Limits { parts: 2, ..Limits::default() });
//! assert!(matches!(few.decode(bytes).unwrap_err().kind, DecodeErrorKind::Limit(etf::Limit::Parts)));
//! // A fun in the old form begins with a pid.
//! let error = etf::decode(&[131, 117, 0, 0, 0, 0, 106, 106, 106, 106][..]).unwrap_err();
//! assert!(matches!(error.kind, DecodeErrorKind::Expected(Type::Atom | Type::Pid)));
//! # Ok::<(), etf::DecodeError>(())
//! ```
//!
//! # Writing
//! ```
//! use beamnode::etf::{self, Atoms, Encode, Encoder, MinorVersion, Writer};
//! use beamnode::term::{Pid, Port, Reference, Term};
//! use beamnode::term;
//!
//! let term = term!(#{ b => 1, a => 2 });
//! assert_ne!(Encoder::new().encode(&term), Encoder::new().deterministic(true).encode(&term));
//! let text = Term::from("a".repeat(1000));
//! assert!(Encoder::new().compressed(6).encode(&text).len() < 100);
//! assert_eq!(Encoder::new().minor_version(MinorVersion::V1).encode(&term!(ok)), [131, 100, 0, 2, b'o', b'k']);
//!
//! /// What is sent often, and is no term before.
//! struct Down<'a>(&'a Reference, &'a Pid, &'a Port);
//!
//! impl Encode for Down<'_> {
//!     fn encode(&self, writer: &mut Writer) {
//!         writer.tuple(4);
//!         writer.atom("down");
//!         writer.reference(self.0);
//!         writer.list(2);
//!         writer.pid(self.1);
//!         writer.port(self.2);
//!         writer.nil();
//!         writer.map(3);
//!         writer.binary(b"at");
//!         writer.float(1.5);
//!         writer.integer(-1);
//!         writer.unsigned(u64::MAX);
//!         writer.atom("why");
//!         writer.term(&term!({shutdown, 1}));
//!     }
//! }
//!
//! let parts: Term = "[#Ref<a@b.3.2.1>, <a@b.84.0>, #Port<a@b.5>]".parse()?;
//! let parts: Vec<Term> = parts.as_list().ok_or("a list")?.iter().collect();
//! let (Term::Reference(reference), Term::Pid(pid), Term::Port(port)) = (&parts[0], &parts[1], &parts[2]) else { panic!() };
//! let mut writer = Writer::new();
//! Down(reference, pid, port).encode(&mut writer);
//! let down = etf::decode([&[131][..], &writer.into_bytes()].concat())?;
//! assert_eq!(
//!     down.to_string(),
//!     "{down,#Ref<a@b.3.2.1>,[<a@b.84.0>,#Port<a@b.5>],#{<<97,116>> => 1.5,-1 => 18446744073709551615,why => {shutdown,1}}}"
//! );
//! // For a message of the distribution: atoms by number.
//! let mut writer = Writer::with_atoms(&Atoms::NONE);
//! writer.atom("ok");
//! let (bytes, atoms) = writer.into_parts();
//! assert!(bytes == [82, 0] && atoms[0] == "ok");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Looking without building
//! ```
//! use beamnode::etf::{self, AtomRef, BigIntegerRef, Elements, FunRef, PidRef, PortRef, RecordRef, ReferenceRef, TermRef, View, Walk};
//! use beamnode::term::Term;
//!
//! let text = "{<<\"text\">>, 1, 2.5, [a | b], #{k => v}, 18446744073709551616, <<1:1>>, <a@b.84.0>, #Port<a@b.5>, #Ref<a@b.3.2.1>, fun m:f/1, #m:r{x = 1}}";
//! let term: Term = text.parse()?;
//! let bytes = etf::encode(&term);
//! let view = TermRef::parse(&bytes)?;
//! assert_eq!(view.bytes(), &bytes[1..]);
//! assert_eq!(view.to_term()?, term);
//! let walk: Walk<'_> = view.walk();
//! assert_eq!(walk.count(), 18);
//! let View::Tuple(elements) = view.view() else { panic!() };
//! let [binary, integer, float, list, map, big, bits, pid, port, reference, fun, record] = elements.array().ok_or("twelve")?;
//! assert_eq!((binary.as_binary(), binary.as_utf8()), (Some(&b"text"[..]), Some("text")));
//! assert_eq!((integer.as_integer(), float.as_float()), (Some(1), Some(2.5)));
//! let View::List(elements) = list.view() else { panic!() };
//! let elements: Elements<'_> = elements;
//! assert!(elements.improper_tail().is_some_and(|tail| tail.is_atom("b")));
//! assert_eq!(list.elements().count(), 1);
//! let atom: Option<AtomRef<'_>> = map.get("k").and_then(|value| value.as_atom());
//! assert_eq!(atom.map(|atom| atom.to_atom().to_string()), Some("v".to_owned()));
//! assert_eq!(map.pairs().count(), 1);
//! let View::BigInteger(BigIntegerRef { negative, magnitude, .. }) = big.view() else { panic!() };
//! assert_eq!((negative, magnitude), (false, &[0, 0, 0, 0, 0, 0, 0, 0, 1][..]));
//! assert_eq!(bits.view().to_bit_string().map(|bits| bits.bit_len()), Some(1));
//! let (View::Pid(pid), View::Port(port), View::Reference(reference)) = (pid.view(), port.view(), reference.view()) else { panic!() };
//! let (pid, port, reference): (PidRef<'_>, PortRef<'_>, ReferenceRef<'_>) = (pid, port, reference);
//! assert_eq!((pid.id, pid.node.as_str(), pid.to_pid().to_string().as_str()), (84, Some("a@b"), "<a@b.84.0>"));
//! assert_eq!((port.id, port.to_port().to_string().as_str()), (5, "#Port<a@b.5>"));
//! assert_eq!((reference.words().len(), reference.to_reference().words()), (3, &[1, 2, 3][..]));
//! let (View::Fun(fun), View::Record(record)) = (fun.view(), record.view()) else { panic!() };
//! let (_, record): (FunRef<'_>, RecordRef<'_>) = (fun, record);
//! assert!(record.fields().all(|(name, value)| name == "x" && value.as_integer() == Some(1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Forwarding
//! ```
//! use beamnode::etf::{Atoms, RawTerm};
//! use beamnode::term;
//!
//! let came = RawTerm::from_parts(vec![104, 2, 82, 0, 97, 7].into(), Atoms::from(vec![term::Atom::from_static("ok")]));
//! assert_eq!(came.check()?, came.bytes().len());
//! assert_eq!(came.decode()?, term!({ok, 7}));
//! assert_eq!((came.atoms().len(), came.inline().atoms().len()), (1, 0));
//! # Ok::<(), beamnode::etf::DecodeError>(())
//! ```
//!
//! # Part by part
//! ```
//! use beamnode::etf::{self, Atoms, Reader};
//! use beamnode::term::Term;
//! use bytes::Bytes;
//!
//! let term: Term = "{1, 2, a, <a@b.84.0>, #Ref<a@b.3.2.1>, #Port<a@b.5>, [skipped], kept}".parse()?;
//! let bytes = Bytes::from(etf::encode(&term)).slice(1..);
//! let mut reader = Reader::new(&bytes, &Atoms::NONE);
//! assert_eq!(reader.tuple()?, 8);
//! assert_eq!((reader.integer()?, reader.unsigned()?), (1, 2));
//! assert_eq!(reader.atom()?, "a");
//! assert_eq!(reader.pid()?.id(), 84);
//! assert_eq!(reader.reference()?.words(), [1, 2, 3]);
//! assert_eq!(reader.port()?.id(), 5);
//! reader.skip_term()?;
//! assert_eq!(reader.peek(), Some(119));
//! assert_eq!(reader.term()?, Term::atom("kept"));
//! assert!(reader.rest().is_empty() && reader.position() == bytes.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::expect_used
)]

mod compress;
mod decode;
mod encode;
mod error;
mod keys;
mod parse;
mod raw;
mod reader;
mod scan;
#[cfg(feature = "serde")]
mod serde;
pub(crate) mod tag;
mod view;

pub use decode::{Decoder, Limits, decode};
pub use encode::{Encode, Encoder, MinorVersion, Writer, encode};
pub use error::{DecodeError, DecodeErrorKind, Limit, Type};
pub use raw::{Atoms, RawTerm};
pub use reader::Reader;
#[cfg(feature = "serde")]
pub use serde::{
    Absent, Mapping, SerdeError, SerdeErrorKind, Text, from_bytes, from_term, to_bytes, to_term,
};
pub use view::{
    AtomRef, BigIntegerRef, Elements, FunRef, PidRef, PortRef, RecordRef, ReferenceRef, TermRef, View, Walk,
};

#[cfg(test)]
mod tests;
