//! Serde for terms themselves.
//!
//! Our own serializer and deserializer know these types by the name of the newtype that they present themselves as, and pass
//! them through exactly. For formats that people read (`is_human_readable`) atoms are text, and other terms what
//! comes closest: numbers, text, sequences and maps; pids and the like are the text that they print as.

use super::{ATOM, TERM};
use crate::etf;
use crate::term::{Atom, BigInteger, BitString, Fun, List, Map, Pid, Port, Record, Reference, Term, Tuple};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use std::fmt;

impl Serialize for Atom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(ATOM, self.as_str())
    }
}

impl<'de> Deserialize<'de> for Atom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Atoms;

        impl<'de> Visitor<'de> for Atoms {
            type Value = Atom;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("atom")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Atom, E> {
                Atom::new(text).map_err(E::custom)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Atom, D::Error> {
                inner.deserialize_str(self)
            }
        }

        deserializer.deserialize_newtype_struct(ATOM, Atoms)
    }
}

/// Bytes that are a term.
struct Encoded<'a>(&'a [u8]);

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Serialize for Term {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return readable(self, serializer, super::MAX_DEPTH);
        }
        let mut writer = etf::Writer::new();
        writer.term(self);
        serializer.serialize_newtype_struct(TERM, &Encoded(&writer.into_bytes()))
    }
}

/// A term for a format that people read.
struct Readable<'a>(&'a Term, u32);

impl Serialize for Readable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        readable(self.0, serializer, self.1)
    }
}

fn readable<S: Serializer>(term: &Term, serializer: S, depth: u32) -> Result<S::Ok, S::Error> {
    use serde::ser::Error as _;
    let Some(depth) = depth.checked_sub(1) else {
        return Err(S::Error::custom("nested too deep"));
    };
    let row = |serializer: S, elements: &mut dyn Iterator<Item = Term>| {
        let mut row = serializer.serialize_seq(None)?;
        for element in elements {
            row.serialize_element(&Readable(&element, depth))?;
        }
        row.end()
    };
    match term {
        Term::Integer(value) => serializer.serialize_i64(*value),
        Term::BigInteger(_) => {
            if let Ok(value) = u64::try_from(term) {
                serializer.serialize_u64(value)
            } else if let Ok(value) = i128::try_from(term) {
                serializer.serialize_i128(value)
            } else if let Ok(value) = u128::try_from(term) {
                serializer.serialize_u128(value)
            } else {
                serializer.collect_str(term)
            }
        }
        Term::Float(value) => serializer.serialize_f64(value.value()),
        Term::Atom(atom) => match atom.as_str() {
            "true" => serializer.serialize_bool(true),
            "false" => serializer.serialize_bool(false),
            "nil" | "undefined" | "null" => serializer.serialize_unit(),
            text => serializer.serialize_str(text),
        },
        Term::Binary(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.serialize_bytes(bytes),
        },
        Term::List(list) if list.is_proper() => row(serializer, &mut list.iter()),
        Term::Tuple(tuple) => row(serializer, &mut tuple.iter()),
        Term::Map(map) => {
            let mut pairs = serializer.serialize_map(Some(map.len()))?;
            for (key, value) in map {
                pairs.serialize_entry(&Readable(&key, depth), &Readable(&value, depth))?;
            }
            pairs.end()
        }
        Term::Record(record) => {
            let mut pairs = serializer.serialize_map(Some(record.len()))?;
            for (name, value) in record.iter() {
                pairs.serialize_entry(name.as_str(), &Readable(&value, depth))?;
            }
            pairs.end()
        }
        _ => serializer.collect_str(term),
    }
}

impl<'de> Deserialize<'de> for Term {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(Terms);
        }
        deserializer.deserialize_newtype_struct(TERM, Terms)
    }
}

/// Makes a term of whatever comes.
struct Terms;

impl<'de> Visitor<'de> for Terms {
    type Value = Term;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a term")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Term, D::Error> {
        inner.deserialize_bytes(Exact)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Term, E> {
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Term, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Term, E> {
        Ok(value.into())
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Term, E> {
        Ok(value.into())
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Term, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Term, E> {
        Ok(value.into())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Term, E> {
        Ok(text.into())
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Term, E> {
        Ok(bytes::Bytes::copy_from_slice(bytes).into())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Term, E> {
        Ok(Term::atom("nil"))
    }

    fn visit_none<E: de::Error>(self) -> Result<Term, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Term, D::Error> {
        Term::deserialize(inner)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut elements: A) -> Result<Term, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = elements.next_element::<Term>()? {
            all.push(element);
        }
        Ok(all.into())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut pairs: A) -> Result<Term, A::Error> {
        let mut all = Vec::new();
        while let Some(pair) = pairs.next_entry::<Term, Term>()? {
            all.push(pair);
        }
        Ok(Term::Map(all.into_iter().collect()))
    }
}

/// Makes a term of its bytes.
struct Exact;

impl Visitor<'_> for Exact {
    type Value = Term;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an encoded term")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Term, E> {
        let raw = etf::RawTerm::from_parts(bytes::Bytes::copy_from_slice(bytes), etf::Atoms::NONE);
        let bytes = raw.bytes().strip_prefix(&[etf::tag::VERSION]);
        match bytes {
            Some(_) => etf::decode(raw.bytes().clone()).map_err(E::custom),
            None => raw.decode().map_err(E::custom),
        }
    }
}

macro_rules! through_term {
    ($($type:ident $name:literal;)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Term::$type(self.clone()).serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match Term::deserialize(deserializer)? {
                    Term::$type(value) => Ok(value),
                    other => Err(de::Error::custom(format_args!(
                        "expected {}, found {}", $name, super::source::describe(&other)
                    ))),
                }
            }
        }
    )*};
}

through_term! {
    BigInteger "an integer of more than 64 bits";
    Reference "reference";
    Fun "fun";
    Port "port";
    Pid "pid";
    Tuple "tuple";
    Map "map";
    List "list";
    BitString "bit string";
    Record "native record";
}
