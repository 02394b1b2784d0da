//! `io_lib:format/2`: text made of a format and arguments, character for character what OTP 29 makes of them.
//!
//! This is the page "io:fwrite/1,2,3" of stdlib's reference manual and, where that is silent, what the modules `io_lib`,
//! `io_lib_format` and `io_lib_pretty` are seen to do. Other nodes ask it of a group leader: what `io:format` prints on another
//! node is formatted there.
//!
//! Nothing here recurses on a term, and no output grows beyond [`Formatter::limit`].
//!
//! # What differs
//! * **Identifiers of other nodes** carry the node's name (`<alice@host.84.0>`), see [`Pid`](crate::term::Pid); a BEAM prints the number
//!   that the node has in its own atom table, which tells nobody anything. Those of [`Formatter::node`] print as
//!   a node prints its own, `<0.84.0>`.
//! * **`~K` with a fun**: nobody here can call it, so it is an error.
//! * **`io_lib:format/3`** with `chars_limit` is not served.
//! * Text with what is no Unicode character (`~tc` of a surrogate) is an error here; `io_lib:format/2` gives a list that no device
//!   prints.
//!
//! # Between the releases
//! OTP 29 is followed. The older ones differ in little, as `fixtures/io` shows:
//! * up to 25 there are no modifiers `k` and `K`, and `maybe` and `else` print without quotes; 23 writes floats of 2⁵³ and more in
//!   full where that is shorter, and `-0.0` without its sign;
//! * up to 27, `~tp` prints a binary that is no UTF-8 as text if it is printable latin1; 29 does so only if its first
//!   characters, up to one that is not printable, are no UTF-8. In a field, `~tw` counts the code points of text that is latin1
//!   throughout, 29 always grapheme clusters, and these by the rules of a newer Unicode;
//! * native records exist from 29 on.

pub(super) mod chars;
mod field;
mod layout;
mod number;
mod scan;
mod shape;
#[cfg(test)]
mod tests;
mod write;

use crate::term::{Atom, Term};
use scan::{Control, Order, Piece, Sequence};

/// Which characters count as text when `~p` decides whether a list or binary is one, as `io:printable_range/0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PrintableRange {
    /// Those of latin1: the default of `erl`.
    #[default]
    Latin1,
    /// All of Unicode: `erl +pc unicode`.
    Unicode,
}

/// Why a format and its arguments give no text. To all of these OTP says `badarg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The format is no text, or has a control sequence that does not exist or does not end.
    #[error("the format is not one of io_lib:format/2")]
    Format,
    /// There are more or fewer arguments than the format takes, or they are no list.
    #[error("the number of arguments is not what the format takes")]
    Arguments,
    /// An argument is not of the kind that its control sequence takes, or the field, precision or padding suits neither.
    #[error("an argument or the field does not suit ~{sequence}")]
    Argument {
        /// The character that ends the control sequence.
        sequence: char,
    },
    /// The result would have what is no Unicode character.
    #[error("the result is no text: it has something that is no Unicode character")]
    NotText,
    /// The result would be longer than the limit, or an integer is too large to be converted in reasonable time.
    #[error("the result is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
}

/// The most that [`Formatter`] makes, in bytes of UTF-8, unless told otherwise: 16 MiB.
pub const DEFAULT_LIMIT: usize = 16 << 20;

/// Makes text of terms, as the node does that it stands for.
///
/// ```
/// use beamnode::otp::io::Formatter;
/// use beamnode::term;
///
/// let formatter = Formatter::new();
/// let text = formatter.format("~-6s|~6.2f|~p~n", &[term!(ab), term!(1.5), term!({ok, [1, 2]})])?;
/// assert_eq!(text, "ab    |  1.50|{ok,[1,2]}\n");
/// # Ok::<(), beamnode::otp::io::FormatError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Formatter {
    node: Option<(Atom, u32)>,
    range: PrintableRange,
    limit: usize,
}

impl Default for Formatter {
    fn default() -> Self {
        Self::new()
    }
}

impl Formatter {
    /// One that stands for no node, takes latin1 for printable, and has the default limit.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            node: None,
            range: PrintableRange::Latin1,
            limit: DEFAULT_LIMIT,
        }
    }

    /// Prints pids, ports and references of this node and creation as the node itself does: `<0.84.0>`.
    #[must_use]
    pub fn node(mut self, name: Atom, creation: u32) -> Self {
        self.node = Some((name, creation));
        self
    }

    /// What counts as text.
    #[must_use]
    pub const fn printable(mut self, range: PrintableRange) -> Self {
        self.range = range;
        self
    }

    /// The most bytes of UTF-8 that the result, or any part of it on the way, may have.
    #[must_use]
    pub const fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// `io_lib:format(Format, Arguments)` for a format that stands in the program.
    ///
    /// # Errors
    /// [`FormatError`]: where OTP says `badarg`, and when the result would be too long.
    pub fn format(&self, format: &str, arguments: &[Term]) -> Result<String, FormatError> {
        let units = format.chars().map(scan::Unit::Char).collect();
        self.build(scan::scan(units, arguments.to_vec())?)
    }

    /// `io_lib:format(Format, Arguments)` for a format that somebody sent: a string, a binary or an atom, and a list.
    ///
    /// A binary is read as latin1, as OTP does.
    ///
    /// # Errors
    /// As for [`format`](Self::format).
    pub fn format_terms(&self, format: &Term, arguments: &Term) -> Result<String, FormatError> {
        let units = scan::units(format)?;
        let arguments = match arguments {
            Term::List(list) if list.is_proper() => list.iter().collect(),
            _ => return Err(FormatError::Arguments),
        };
        self.build(scan::scan(units, arguments)?)
    }

    /// `io_lib:write(Term)`: what `~w` prints.
    ///
    /// # Errors
    /// When the text would be too long.
    pub fn write(&self, term: &Term) -> Result<String, FormatError> {
        let mut out = Out::new(self.limit);
        write::write(&mut out, term, -1, self.style(false, Order::Own))?;
        Ok(out.text)
    }

    /// `io_lib:print(Term, Column, LineLength, Depth)`: what `~p` prints; a negative depth is none.
    ///
    /// # Errors
    /// When the text would be too long.
    pub fn print(&self, term: &Term, column: i64, line: i64, depth: i64) -> Result<String, FormatError> {
        let mut out = Out::new(self.limit);
        let style = self.style(false, Order::Own);
        layout::print(&mut out, term, column, line, depth, style, true)?;
        Ok(out.text)
    }

    const fn style(&self, unicode: bool, order: Order) -> Style<'_> {
        Style {
            formatter: self,
            unicode,
            order,
        }
    }

    fn build(&self, pieces: Vec<Piece>) -> Result<String, FormatError> {
        let mut out = Out::new(self.limit);
        for piece in pieces {
            match piece {
                Piece::Char(character) => out.character(character)?,
                Piece::Text(text) => {
                    // One element of the format, whatever it holds.
                    let column = out.column + 1;
                    out.push(&text)?;
                    out.column = column;
                }
                Piece::Sequence(sequence) => self.sequence(&mut out, &sequence)?,
            }
        }
        Ok(out.text)
    }

    fn sequence(&self, out: &mut Out, sequence: &Sequence) -> Result<(), FormatError> {
        let wrong = FormatError::Argument {
            sequence: sequence.letter,
        };
        let field = &sequence.field;
        let style = self.style(sequence.unicode, sequence.order);
        match &sequence.control {
            Control::Write { term, depth } => {
                if field.is_free() {
                    return write::write(out, term, *depth, style);
                }
                let mut text = Out::new(self.limit);
                write::write(&mut text, term, *depth, style)?;
                let length = if sequence.unicode {
                    chars::graphemes
                } else {
                    chars::length
                };
                field.term(out, &text.text, length(&text.text), wrong)
            }
            Control::Print { .. } if field.left => Err(wrong),
            Control::Print { term, depth } => {
                let line = field.width.unwrap_or(80);
                let column = field.precision.unwrap_or(out.column + 1);
                layout::print(out, term, column, line, *depth, style, sequence.strings)
            }
            Control::Text(term) => {
                let text = match term {
                    Term::Atom(atom) if sequence.unicode || atom.chars().all(|c| c <= '\u{ff}') => {
                        atom.as_str().to_owned()
                    }
                    term if sequence.unicode => chars::unicode(term, wrong)?,
                    term => chars::latin1(term, wrong)?,
                };
                field.text(out, &text, sequence.unicode, wrong)
            }
            Control::Character(character) => field.character(out, *character, wrong),
            Control::Newlines => match field.width {
                None => out.character('\n'),
                Some(_) if field.left => Err(wrong),
                Some(count) => out.repeat('\n', count),
            },
            Control::Float { value, form } => {
                let text = number::float(*value, *form, field.precision, self.limit)?.ok_or(wrong)?;
                let length = chars::length(&text);
                field.with_precision(field.width).term(out, &text, length, wrong)
            }
            Control::Integer {
                value,
                prefix,
                uppercase,
            } => {
                let base = u32::try_from(field.precision.unwrap_or(10)).unwrap_or(0);
                if !(2..=36).contains(&base) {
                    return Err(wrong);
                }
                let text = number::integer(value, prefix, base, *uppercase, self.limit)?;
                let length = chars::length(&text);
                field.with_precision(None).term(out, &text, length, wrong)
            }
            Control::Ignore => Ok(()),
        }
    }
}

/// Text under construction, with the column that the next character comes into, counted from 0.
struct Out {
    text: String,
    column: i64,
    limit: usize,
}

impl Out {
    const fn new(limit: usize) -> Self {
        Self {
            text: String::new(),
            column: 0,
            limit,
        }
    }

    /// Makes sure that so many more bytes are within the limit.
    const fn reserve(&self, bytes: usize) -> Result<(), FormatError> {
        if bytes > self.limit.saturating_sub(self.text.len()) {
            return Err(FormatError::TooLong { limit: self.limit });
        }
        Ok(())
    }

    fn character(&mut self, character: char) -> Result<(), FormatError> {
        self.reserve(character.len_utf8())?;
        self.text.push(character);
        self.column = match character {
            '\n' => 0,
            '\t' => (self.column + 8) / 8 * 8,
            _ => self.column + 1,
        };
        Ok(())
    }

    fn push(&mut self, text: &str) -> Result<(), FormatError> {
        text.chars().try_for_each(|character| self.character(character))
    }

    fn repeat(&mut self, character: char, count: i64) -> Result<(), FormatError> {
        let count = usize::try_from(count).unwrap_or(0);
        self.reserve(count)?;
        (0..count).try_for_each(|_| self.character(character))
    }
}

/// What a control sequence says of the terms it prints.
#[derive(Clone, Copy)]
struct Style<'a> {
    formatter: &'a Formatter,
    /// Whether characters beyond latin1 stay as they are.
    unicode: bool,
    order: Order,
}

impl Style<'_> {
    /// Whether it is this node, in this incarnation, that is stood for.
    fn is_own(self, node: &Atom, creation: u32) -> bool {
        let own = &self.formatter.node;
        own.as_ref()
            .is_some_and(|own| own.0 == *node && own.1 == creation)
    }

    /// Appends the text of a term that has no parts.
    fn scalar(self, out: &mut String, term: &Term) -> Result<(), FormatError> {
        use std::fmt::Write as _;
        let written = match term {
            Term::Atom(atom) => {
                chars::atom(out, atom, self.unicode);
                Ok(())
            }
            Term::BigInteger(integer) if integer.magnitude().len() > number::LARGEST => {
                let limit = self.formatter.limit;
                return Err(FormatError::TooLong { limit });
            }
            Term::Pid(pid) if self.is_own(pid.node(), pid.creation()) => write!(out, "{}", pid.local()),
            Term::Port(port) if self.is_own(port.node(), port.creation()) => write!(out, "{}", port.local()),
            Term::Reference(reference) if self.is_own(reference.node(), reference.creation()) => {
                write!(out, "{}", reference.local())
            }
            term => write!(out, "{term}"),
        };
        debug_assert!(written.is_ok(), "a string takes everything");
        Ok(())
    }
}
