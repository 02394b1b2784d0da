//! The text of terms: what `io:format` of OTP 27 and later prints.
//!
//! `Display` follows `~w`: the standard syntax, text as numbers, characters of atoms beyond latin1 escaped. The alternate form
//! follows `~0p`, which is `~p` on a line that never ends: lists and binaries that look like latin1 text print as text.
//!
//! Where we differ on purpose:
//! * pids, ports and references carry their node's name, see [`Pid`](super::Pid);
//! * the names in a fun are quoted as atoms are everywhere else. A BEAM leaves reserved words bare there and prints the
//!   bytes of UTF-8 one by one, and neither can be read back;
//! * the pairs of a map come in the order the map has them, which a BEAM may change.

use super::Term;
use super::atom::Atom;
use super::binary::mask;
use super::number::decimal;
use super::walk::{Cursor, Item};
use std::fmt::{self, Write as _};

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pretty = f.alternate();
        Printer {
            out: f,
            pretty,
            frames: Vec::new(),
        }
        .print(Cursor::new(self))
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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

through_term!(Tuple Map List Fun Record BitString Float);

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        atom(f, self)
    }
}

/// What is still to be printed, from the outside in.
enum Frame {
    /// So many terms with commas between them, and then what closes them.
    Terms {
        left: u32,
        first: bool,
        close: &'static str,
    },
    /// So many elements, and then the tail.
    List { left: u32, first: bool },
    /// So many keys and values.
    Map { left: u32, first: bool },
    /// The values of as many fields, whose names these are.
    Fields {
        names: std::vec::IntoIter<String>,
        first: bool,
    },
}

struct Printer<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    pretty: bool,
    frames: Vec<Frame>,
}

impl Printer<'_, '_> {
    fn print(&mut self, mut cursor: Cursor<'_>) -> fmt::Result {
        self.frames.push(Frame::Terms {
            left: 1,
            first: true,
            close: "",
        });
        while let Some(frame) = self.frames.last_mut() {
            match frame {
                Frame::Terms { left: 0, close, .. } => {
                    self.out.write_str(close)?;
                    self.frames.pop();
                    continue;
                }
                Frame::Map { left: 0, .. } => {
                    self.out.write_str("}")?;
                    self.frames.pop();
                    continue;
                }
                Frame::List { left: 0, .. } => {
                    self.tail(&mut cursor)?;
                    continue;
                }
                Frame::Terms { left, first, .. } | Frame::List { left, first } => {
                    comma(self.out, first)?;
                    *left -= 1;
                }
                Frame::Map { left, first } => {
                    if *left % 2 == 0 {
                        comma(self.out, first)?;
                    } else {
                        self.out.write_str(" => ")?;
                    }
                    *left -= 1;
                }
                Frame::Fields { names, first } => match names.next() {
                    Some(name) => {
                        comma(self.out, first)?;
                        atom(self.out, &name)?;
                        self.out.write_str(" = ")?;
                    }
                    None => {
                        self.out.write_str("}")?;
                        self.frames.pop();
                        continue;
                    }
                },
            }
            if let Some(item) = cursor.next() {
                self.item(item, &mut cursor)?;
            }
        }
        Ok(())
    }

    /// Prints what follows the elements of the innermost list.
    fn tail(&mut self, cursor: &mut Cursor<'_>) -> fmt::Result {
        self.frames.pop();
        match cursor.next() {
            None | Some(Item::Nil) => self.out.write_str("]"),
            Some(Item::List(left)) => {
                self.frames.push(Frame::List { left, first: false });
                Ok(())
            }
            Some(Item::Bytes(bytes)) => {
                for byte in bytes {
                    write!(self.out, ",{byte}")?;
                }
                self.out.write_str("]")
            }
            Some(tail) => {
                self.out.write_str("|")?;
                self.frames.push(Frame::Terms {
                    left: 0,
                    first: true,
                    close: "]",
                });
                self.item(tail, cursor)
            }
        }
    }

    /// Prints a part; of a compound what comes before its children.
    fn item(&mut self, item: Item<'_>, cursor: &mut Cursor<'_>) -> fmt::Result {
        let out = &mut *self.out;
        match item {
            Item::Integer(value) => write!(out, "{value}"),
            Item::BigInteger { negative, magnitude } => {
                write!(out, "{}{}", if negative { "-" } else { "" }, decimal(magnitude))
            }
            Item::Float(value) => float(out, value),
            Item::Atom(text) => atom(out, text),
            Item::Nil => out.write_str("[]"),
            Item::Bytes(bytes) if self.pretty && is_printable(bytes) => text(out, bytes),
            Item::Bytes(bytes) => {
                out.write_str("[")?;
                numbers(out, bytes)?;
                out.write_str("]")
            }
            Item::Binary(bytes) if self.pretty && !bytes.is_empty() && is_printable(bytes) => {
                out.write_str("<<")?;
                text(out, bytes)?;
                out.write_str(">>")
            }
            Item::Binary(bytes) => {
                out.write_str("<<")?;
                numbers(out, bytes)?;
                out.write_str(">>")
            }
            Item::BitString { bytes, bits } => {
                out.write_str("<<")?;
                if let Some((last, whole)) = bytes.split_last() {
                    numbers(out, whole)?;
                    let comma = if whole.is_empty() { "" } else { "," };
                    write!(out, "{comma}{}:{bits}", (last & mask(bits)) >> (8 - bits.min(8)))?;
                }
                out.write_str(">>")
            }
            Item::Pid(pid) => {
                out.write_str("<")?;
                atom(out, pid.node)?;
                write!(out, ".{}.{}>", pid.id, pid.serial)
            }
            Item::Port { node, id, .. } => {
                out.write_str("#Port<")?;
                atom(out, node)?;
                write!(out, ".{id}>")
            }
            Item::Reference {
                node, words, count, ..
            } => {
                out.write_str("#Ref<")?;
                atom(out, node)?;
                for word in words.iter().take(count.into()).rev() {
                    write!(out, ".{word}")?;
                }
                out.write_str(">")
            }
            Item::Export {
                module,
                function,
                arity,
            } => {
                out.write_str("fun ")?;
                atom(out, module)?;
                out.write_str(":")?;
                atom(out, function)?;
                write!(out, "/{arity}")
            }
            Item::Fun(fun) => {
                for _ in 0..fun.free {
                    cursor.skip();
                }
                out.write_str("#Fun<")?;
                atom(out, fun.module)?;
                write!(out, ".{}.{}>", fun.old_index, fun.old_uniq)
            }
            Item::Tuple(left) => {
                self.frames.push(Frame::Terms {
                    left,
                    first: true,
                    close: "}",
                });
                out.write_str("{")
            }
            Item::Map(pairs) => {
                self.frames.push(Frame::Map {
                    left: pairs.saturating_mul(2),
                    first: true,
                });
                out.write_str("#{")
            }
            Item::List(left) => {
                if self.pretty
                    && let Some(bytes) = cursor.bytes_ahead(left)
                    && is_printable(&bytes)
                {
                    cursor.skip_list(left);
                    return text(out, &bytes);
                }
                self.frames.push(Frame::List { left, first: true });
                out.write_str("[")
            }
            Item::Record {
                module, name, fields, ..
            } => {
                out.write_str("#")?;
                atom(out, module)?;
                out.write_str(":")?;
                atom(out, name)?;
                let mut names = Vec::new();
                for _ in 0..fields {
                    if let Some(Item::Atom(name)) = cursor.next() {
                        names.push(name.to_owned());
                    }
                }
                self.frames.push(Frame::Fields {
                    names: names.into_iter(),
                    first: true,
                });
                out.write_str("{")
            }
        }
    }
}

/// A comma, except before the first.
fn comma(out: &mut fmt::Formatter<'_>, first: &mut bool) -> fmt::Result {
    if std::mem::take(first) {
        Ok(())
    } else {
        out.write_str(",")
    }
}

/// Bytes as numbers.
fn numbers(out: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let mut first = true;
    bytes.iter().try_for_each(|byte| {
        comma(out, &mut first)?;
        write!(out, "{byte}")
    })
}

/// Whether bytes look like text in latin1, as `io_lib:printable_latin1_list/1` has it.
pub(super) fn is_printable(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| matches!(byte, b' '..=b'~' | 160..=255 | 8..=13 | 27))
}

/// Latin1 text in double quotes.
fn text(out: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    out.write_str("\"")?;
    bytes
        .iter()
        .try_for_each(|byte| character(out, char::from(*byte), '"'))?;
    out.write_str("\"")
}

/// The shortest digits that read back as the same float: in scientific form from 2⁵³ on, and where that is shorter.
///
/// As `float_to_list(Float, [short])`.
fn float(out: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    const WHOLE_BEYOND: f64 = 9_007_199_254_740_992.0;
    if value.is_sign_negative() {
        out.write_str("-")?;
    }
    let value = value.abs();
    let scientific = shortest(value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    // What writing the exponent costs, against the zeros that it saves.
    let power: i32 = exponent.parse().unwrap_or(0);
    let digits = i32::try_from(mantissa.len()).unwrap_or(0).max(2) - 1;
    let cost = i32::try_from(exponent.len()).unwrap_or(0) + if mantissa.len() == 1 { 3 } else { 2 };
    let plain = if power < -1 {
        1 - power <= cost
    } else if power >= digits - 1 {
        power + 3 - digits <= cost
    } else {
        true
    };
    if !plain || value >= WHOLE_BEYOND {
        let point = if mantissa.len() == 1 { ".0" } else { "" };
        return write!(out, "{mantissa}{point}e{exponent}");
    }
    // The digits with the point moved to where it belongs, and zeros where there are none.
    let digits = || mantissa.chars().filter(|c| *c != '.');
    let zeros = |count: i32| std::iter::repeat_n('0', usize::try_from(count).unwrap_or(0));
    if power < 0 {
        out.write_str("0.")?;
        return zeros(-1 - power)
            .chain(digits())
            .try_for_each(|c| out.write_char(c));
    }
    let whole = usize::try_from(power).unwrap_or(0) + 1;
    digits()
        .chain(zeros(power))
        .take(whole)
        .try_for_each(|c| out.write_char(c))?;
    out.write_str(".")?;
    match digits().nth(whole) {
        None => out.write_str("0"),
        Some(_) => digits().skip(whole).try_for_each(|c| out.write_char(c)),
    }
}

/// The shortest digits that read back as this positive float, in scientific form.
///
/// Where two such are equally close to it, that with the even last digit, as in the algorithm (Ryū) that a BEAM uses; Rust takes
/// the greater.
fn shortest(value: f64) -> String {
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = mantissa.len().max(2) - 1;
    let odd = mantissa.bytes().last().is_some_and(|digit| digit % 2 == 1);
    // Only a float of 16 digits or more can lie in the middle: one digit more, a five, then gives it exactly.
    if digits < 16 || !odd || !format!("{value:.digits$e}").contains("5e") {
        return text;
    }
    let exact = format!("{value:.800e}");
    let after = exact
        .split('e')
        .next()
        .unwrap_or("")
        .get(digits + 2..)
        .unwrap_or("");
    let mut even = mantissa.to_owned();
    if let Some(digit) = even.pop().filter(|_| after.bytes().all(|c| c == b'0')) {
        even.push(char::from(u8::try_from(digit).unwrap_or(b'1') - 1));
        let even = format!("{even}e{exponent}");
        if even.parse() == Ok(value) {
            return even;
        }
    }
    text
}

/// Words that are no atoms unless quoted.
const RESERVED: [&str; 29] = [
    "after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor", "case", "catch", "cond",
    "div", "else", "end", "fun", "if", "let", "maybe", "not", "of", "or", "orelse", "receive", "rem", "try",
    "when", "xor",
];

/// Whether a character can begin an atom without quotes.
pub(super) const fn begins_atom(c: char) -> bool {
    matches!(c, 'a'..='z' | 'ß'..='ö' | 'ø'..='ÿ')
}

/// Whether a character can stand in an atom, or a variable, without quotes.
pub(super) const fn continues_atom(c: char) -> bool {
    begins_atom(c) || matches!(c, 'A'..='Z' | 'À'..='Ö' | 'Ø'..='Þ' | '0'..='9' | '_' | '@')
}

/// Whether a word has a meaning of its own in Erlang.
pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

/// An atom, in quotes if it needs them.
fn atom(out: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mut characters = text.chars();
    if characters.next().is_some_and(begins_atom) && characters.all(continues_atom) && !is_reserved(text) {
        return out.write_str(text);
    }
    out.write_str("'")?;
    text.chars().try_for_each(|c| character(out, c, '\''))?;
    out.write_str("'")
}

/// A character between quotes.
fn character(out: &mut fmt::Formatter<'_>, c: char, quote: char) -> fmt::Result {
    let escaped = match c {
        '\\' => '\\',
        '\n' => 'n',
        '\t' => 't',
        '\r' => 'r',
        '\x0b' => 'v',
        '\x08' => 'b',
        '\x0c' => 'f',
        '\x1b' => 'e',
        '\x7f' => 'd',
        '\0'..='\x1f' | '\u{80}'..='\u{9f}' => return write!(out, "\\{:03o}", u32::from(c)),
        '\u{100}'.. => return write!(out, "\\x{{{:X}}}", u32::from(c)),
        c if c == quote => c,
        c => return out.write_char(c),
    };
    out.write_char('\\')?;
    out.write_char(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_words_are_sorted() {
        assert!(RESERVED.is_sorted());
    }

    /// Printed by OTP 29 with `~w`.
    #[test]
    fn floats_print_as_a_beam_prints_them() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-0.0, "-0.0"),
            (100.0, "100.0"),
            (1e3, "1.0e3"),
            (1.1e6, "1.1e6"),
            (12_345_678.9, "12345678.9"),
            (4_503_599_627_370_498.0, "4503599627370498.0"),
            (9_007_199_254_740_992.0, "9.007199254740992e15"),
            (123_456_789_012_345_680.0, "1.2345678901234568e17"),
            (1e22, "1.0e22"),
            (0.001, "0.001"),
            (0.0001, "0.0001"),
            (0.00012345, "1.2345e-4"),
            (1e-5, "1.0e-5"),
            (5e-324, "5.0e-324"),
            (2_f64.powi(-25), "2.9802322387695312e-8"),
            (1_810.479_211_773_243_8, "1810.4792117732438"),
            (0.012, "0.012"),
            (123.456, "123.456"),
            (f64::MAX, "1.7976931348623157e308"),
        ] {
            assert_eq!(Term::from(value).to_string(), text);
        }
    }
}
