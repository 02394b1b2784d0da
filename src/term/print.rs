//! The text of terms: what `io:format` prints.
//!
//! `Display` follows `~w`: the plain standard syntax, text as numbers, characters above 255 in atoms escaped. The alternate form
//! follows `~tp` on an endless line: lists and binaries that look like text print as text.

use super::Term;
use super::atom::Atom;
use super::binary::mask;
use super::number::decimal;
use super::walk::{Cursor, Item, PidRef};
use std::fmt::{self, Write as _};

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pretty = f.alternate();
        print(f, Cursor::new(self), pretty)
    }
}

macro_rules! through_term {
    ($($type:ident)*) => {$(
        impl fmt::Display for super::$type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&Term::$type(self.clone()), f)
            }
        }

        impl fmt::Debug for super::$type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&Term::$type(self.clone()), f)
            }
        }
    )*};
}

through_term!(Tuple Map List Fun Record);

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        atom(f, self, f.alternate())
    }
}

/// What is still to be printed.
enum Frame {
    /// So many terms, with commas between, and then this.
    Terms {
        left: u32,
        first: bool,
        close: &'static str,
    },
    /// So many elements, and then the tail.
    List { left: u32, first: bool },
    /// So many names of fields, and then this many values.
    Names { left: u32, fields: u32 },
    /// So many keys and values.
    Map { left: u32, first: bool },
}

fn print(f: &mut fmt::Formatter<'_>, mut cursor: Cursor<'_>, pretty: bool) -> fmt::Result {
    let mut frames = vec![Frame::Terms {
        left: 1,
        first: true,
        close: "",
    }];
    loop {
        let comma = |f: &mut fmt::Formatter<'_>, first: &mut bool| {
            if std::mem::take(first) {
                Ok(())
            } else {
                f.write_str(",")
            }
        };
        match frames.last_mut() {
            None => return Ok(()),
            Some(Frame::Terms { left: 0, close, .. }) => {
                f.write_str(close)?;
                frames.pop();
                continue;
            }
            Some(Frame::Terms { left, first, .. }) => {
                comma(f, first)?;
                *left -= 1;
            }
            Some(Frame::Names { left: 0, fields }) => {
                let left = *fields;
                frames.pop();
                frames.push(Frame::Terms {
                    left,
                    first: true,
                    close: "}",
                });
                continue;
            }
            Some(Frame::Names { left, .. }) => {
                *left -= 1;
                cursor.next();
                continue;
            }
            Some(Frame::Map { left: 0, .. }) => {
                f.write_str("}")?;
                frames.pop();
                continue;
            }
            Some(Frame::Map { left, first }) => {
                if *left % 2 == 0 {
                    comma(f, first)?;
                } else {
                    f.write_str(" => ")?;
                }
                *left -= 1;
            }
            Some(Frame::List { left: 0, first }) => {
                let mut first = *first;
                match cursor.next() {
                    None | Some(Item::Nil) => {
                        f.write_str("]")?;
                        frames.pop();
                    }
                    Some(Item::List(left)) => {
                        frames.pop();
                        frames.push(Frame::List { left, first });
                    }
                    Some(Item::Bytes(bytes)) => {
                        for byte in bytes {
                            comma(f, &mut first)?;
                            write!(f, "{byte}")?;
                        }
                        f.write_str("]")?;
                        frames.pop();
                    }
                    Some(tail) => {
                        f.write_str("|")?;
                        frames.pop();
                        frames.push(Frame::Terms {
                            left: 0,
                            first: true,
                            close: "]",
                        });
                        item(f, &mut frames, tail, pretty)?;
                    }
                }
                continue;
            }
            Some(Frame::List { left, first }) => {
                comma(f, first)?;
                *left -= 1;
            }
        }
        if let Some(next) = cursor.next() {
            item(f, &mut frames, next, pretty)?;
        }
    }
}

fn item(f: &mut fmt::Formatter<'_>, frames: &mut Vec<Frame>, item: Item<'_>, pretty: bool) -> fmt::Result {
    match item {
        Item::Integer(value) => write!(f, "{value}"),
        Item::BigInteger { negative, magnitude } => {
            if negative {
                f.write_str("-")?;
            }
            f.write_str(&decimal(magnitude))
        }
        Item::Float(value) => float(f, value),
        Item::Atom(text) => atom(f, text, pretty),
        Item::Nil => f.write_str("[]"),
        Item::Bytes(bytes) => {
            f.write_str("[")?;
            for (index, byte) in bytes.iter().enumerate() {
                if index > 0 {
                    f.write_str(",")?;
                }
                write!(f, "{byte}")?;
            }
            f.write_str("]")
        }
        Item::Binary(bytes) => bit_string(f, bytes, 8),
        Item::BitString { bytes, bits } => bit_string(f, bytes, bits),
        Item::Pid(pid) => print_pid(f, &pid, pretty),
        Item::Port { node, id, .. } => {
            f.write_str("#Port<")?;
            atom(f, node, pretty)?;
            write!(f, ".{id}>")
        }
        Item::Reference {
            node, words, count, ..
        } => {
            f.write_str("#Ref<")?;
            atom(f, node, pretty)?;
            for word in words.iter().take(count.into()).rev() {
                write!(f, ".{word}")?;
            }
            f.write_str(">")
        }
        Item::Export {
            module,
            function,
            arity,
        } => {
            f.write_str("fun ")?;
            atom(f, module, pretty)?;
            f.write_str(":")?;
            atom(f, function, pretty)?;
            write!(f, "/{arity}")
        }
        Item::Fun(fun) => {
            f.write_str("#Fun<")?;
            atom(f, fun.module, pretty)?;
            write!(
                f,
                ".{}.{}>",
                fun.new.map_or(fun.old_index, |(_, index, _)| index),
                fun.old_uniq
            )
        }
        Item::Tuple(left) => {
            frames.push(Frame::Terms {
                left,
                first: true,
                close: "}",
            });
            f.write_str("{")
        }
        Item::Map(pairs) => {
            frames.push(Frame::Map {
                left: pairs * 2,
                first: true,
            });
            f.write_str("#{")
        }
        Item::List(left) => {
            frames.push(Frame::List { left, first: true });
            f.write_str("[")
        }
        Item::Record {
            module, name, fields, ..
        } => {
            frames.push(Frame::Names { left: fields, fields });
            f.write_str("#")?;
            atom(f, module, pretty)?;
            f.write_str(":")?;
            atom(f, name, pretty)?;
            f.write_str("{")
        }
    }
}

fn print_pid(f: &mut fmt::Formatter<'_>, pid: &PidRef<'_>, pretty: bool) -> fmt::Result {
    f.write_str("<")?;
    atom(f, pid.node, pretty)?;
    write!(f, ".{}.{}>", pid.id, pid.serial)
}

/// The bytes one by one, the last with its size if it is cut short.
fn bit_string(f: &mut fmt::Formatter<'_>, bytes: &[u8], bits: u8) -> fmt::Result {
    f.write_str("<<")?;
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        if index + 1 == bytes.len() && bits < 8 {
            write!(f, "{}:{bits}", (byte & mask(bits)) >> (8 - bits))?;
        } else {
            write!(f, "{byte}")?;
        }
    }
    f.write_str(">>")
}

/// The shortest digits that read back as the same float, in scientific form where that is shorter.
fn float(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    let scientific = format!("{value:e}");
    let plain = format!("{value:?}");
    let _ = scientific;
    f.write_str(&plain)
}

/// Words that are no atoms unless quoted.
const RESERVED: [&str; 29] = [
    "after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor", "case", "catch", "cond",
    "div", "else", "end", "fun", "if", "let", "maybe", "not", "of", "or", "orelse", "receive", "rem", "try",
    "when", "xor",
];

fn is_plain(text: &str) -> bool {
    let lower = |c: char| matches!(c, 'a'..='z' | 'ß'..='ö' | 'ø'..='ÿ');
    let upper = |c: char| matches!(c, 'A'..='Z' | 'À'..='Ö' | 'Ø'..='Þ');
    let mut chars = text.chars();
    chars.next().is_some_and(lower)
        && chars.all(|c| lower(c) || upper(c) || matches!(c, '0'..='9' | '_' | '@'))
        && !RESERVED.contains(&text)
}

/// An atom, in quotes if it needs them.
pub(super) fn atom(f: &mut fmt::Formatter<'_>, text: &str, unicode: bool) -> fmt::Result {
    if is_plain(text) {
        return f.write_str(text);
    }
    f.write_str("'")?;
    quoted(f, text, '\'', unicode)?;
    f.write_str("'")
}

/// Text between quotes.
fn quoted(f: &mut fmt::Formatter<'_>, text: &str, quote: char, unicode: bool) -> fmt::Result {
    for c in text.chars() {
        match c {
            '\\' => f.write_str("\\\\")?,
            c if c == quote => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\r' => f.write_str("\\r")?,
            '\x0b' => f.write_str("\\v")?,
            '\x08' => f.write_str("\\b")?,
            '\x0c' => f.write_str("\\f")?,
            '\x1b' => f.write_str("\\e")?,
            '\x7f' => f.write_str("\\d")?,
            '\0'..='\x1f' | '\u{80}'..='\u{9f}' => write!(f, "\\{:03o}", u32::from(c))?,
            c if !unicode && c > '\u{ff}' => write!(f, "\\x{{{:X}}}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    Ok(())
}
