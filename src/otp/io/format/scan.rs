//! Formats taken apart: plain characters, and control sequences with the arguments they take.

use super::field::{Field, Pad};
use super::{FormatError, chars};
use crate::term::{Atom, BigInteger, Term};

/// Fields, precisions and the like beyond this are all alike: nothing so long is ever printed.
const FAR: i64 = 1 << 40;

/// An element of a format.
#[derive(Clone)]
pub(super) enum Unit {
    Char(char),
    /// A format that is a list may have elements that are text themselves.
    Other(Term),
}

/// The elements of a format.
pub(super) fn units(format: &Term) -> Result<Vec<Unit>, FormatError> {
    match format {
        Term::Atom(atom) => Ok(atom.chars().map(Unit::Char).collect()),
        Term::Binary(bytes) => Ok(bytes.iter().map(|byte| Unit::Char(char::from(*byte))).collect()),
        Term::List(list) if list.is_proper() => list.iter().map(unit).collect(),
        _ => Err(FormatError::Format),
    }
}

fn unit(element: Term) -> Result<Unit, FormatError> {
    match element {
        Term::Integer(code) => character(code).map(Unit::Char),
        Term::List(_) | Term::Binary(_) => Ok(Unit::Other(element)),
        _ => Err(FormatError::Format),
    }
}

fn character(code: i64) -> Result<char, FormatError> {
    let code = u32::try_from(code).ok();
    code.and_then(char::from_u32).ok_or(FormatError::NotText)
}

/// A part of a format with its arguments.
pub(super) enum Piece {
    Char(char),
    /// One element of the format that is text itself.
    Text(String),
    Sequence(Sequence),
}

/// A control sequence.
pub(super) struct Sequence {
    /// The character that ends it.
    pub(super) letter: char,
    pub(super) control: Control,
    pub(super) field: Field,
    /// `t`: the argument or the result is Unicode, not latin1.
    pub(super) unicode: bool,
    /// Without `l`: `~p` looks for text.
    pub(super) strings: bool,
    pub(super) order: Order,
}

/// What a control sequence does, with its arguments.
pub(super) enum Control {
    /// `~w ~W`
    Write { term: Term, depth: i64 },
    /// `~p ~P`
    Print { term: Term, depth: i64 },
    /// `~s`
    Text(Term),
    /// `~c ~~`
    /// Nothing for what is no character.
    Character(Option<char>),
    /// `~n`
    Newlines,
    /// `~e ~f ~g`
    Float { value: f64, form: Form },
    /// `~b ~B ~x ~X ~+ ~#`
    Integer {
        value: Term,
        prefix: Prefix,
        uppercase: bool,
    },
    /// `~i`
    Ignore,
}

/// How a float is printed.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// `1.00000e+0`
    Exponent,
    /// `1.000000`
    Fixed,
    /// Whichever suits.
    General,
}

/// What stands between an integer's sign and its digits.
pub(super) enum Prefix {
    None,
    /// The base, as in `16#ff`.
    Base,
    Text(String),
}

/// The order in which the pairs of a map are printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// That in which the sender's node had them.
    Own,
    /// By keys.
    Ordered,
    /// By keys, the greatest first.
    Reversed,
    /// None that could be known here: an error if there is a map.
    Unknown,
}

/// Takes a format apart, and gives each control sequence its arguments.
pub(super) fn scan(format: Vec<Unit>, arguments: Vec<Term>) -> Result<Vec<Piece>, FormatError> {
    let mut scanner = Scanner {
        format: format.into_iter().peekable(),
        arguments: arguments.into_iter(),
    };
    let mut pieces = Vec::new();
    while let Some(unit) = scanner.format.next() {
        pieces.push(match unit {
            Unit::Char('~') => Piece::Sequence(scanner.sequence()?),
            Unit::Char(character) => Piece::Char(character),
            Unit::Other(term) => Piece::Text(chars::data(&term)?),
        });
    }
    match scanner.arguments.next() {
        None => Ok(pieces),
        Some(_) => Err(FormatError::Arguments),
    }
}

struct Scanner {
    format: std::iter::Peekable<std::vec::IntoIter<Unit>>,
    arguments: std::vec::IntoIter<Term>,
}

impl Scanner {
    fn argument(&mut self) -> Result<Term, FormatError> {
        self.arguments.next().ok_or(FormatError::Arguments)
    }

    /// Takes the next character if it is this one.
    fn take(&mut self, wanted: char) -> bool {
        let found = matches!(self.format.peek(), Some(Unit::Char(found)) if *found == wanted);
        if found {
            self.format.next();
        }
        found
    }

    /// `F.P.PadModC`, of which all but the last may be missing.
    fn sequence(&mut self) -> Result<Sequence, FormatError> {
        let minus = self.take('-');
        let width = match self.value()? {
            None if minus => return Err(FormatError::Format),
            width => width.map(|width| if minus { -width } else { width }),
        };
        let precision = if self.take('.') { self.value()? } else { None };
        let field = Field {
            width: width.map(i64::abs),
            left: width.is_some_and(|width| width < 0),
            precision,
            pad: self.pad()?,
        };
        let (mut unicode, mut strings, mut order) = (false, true, Order::Own);
        let letter = loop {
            match self.format.next() {
                Some(Unit::Char('t')) => unicode = true,
                Some(Unit::Char('l')) => strings = false,
                Some(Unit::Char('k')) => order = Order::Ordered,
                Some(Unit::Char('K')) => order = order_of(&self.argument()?),
                Some(Unit::Char(letter)) => break letter,
                Some(Unit::Other(_)) | None => return Err(FormatError::Format),
            }
        };
        Ok(Sequence {
            letter,
            control: self.control(letter, unicode)?,
            field,
            unicode,
            strings,
            order,
        })
    }

    /// A number, or `*` for one among the arguments.
    fn value(&mut self) -> Result<Option<i64>, FormatError> {
        // As OTP has it, a star whose argument is no integer is not a value, nor anything else.
        if self.take('*') {
            return match self.argument()? {
                Term::Integer(value) => Ok(Some(value.clamp(-FAR, FAR))),
                Term::BigInteger(value) if value.is_negative() => Ok(Some(-FAR)),
                Term::BigInteger(_) => Ok(Some(FAR)),
                _ => Err(FormatError::Format),
            };
        }
        let mut value: Option<i64> = None;
        while let Some(Unit::Char(digit @ '0'..='9')) = self.format.peek() {
            let digit = i64::from(u32::from(*digit) - u32::from('0'));
            value = Some((value.unwrap_or(0) * 10 + digit).min(FAR));
            self.format.next();
        }
        Ok(value)
    }

    fn pad(&mut self) -> Result<Pad, FormatError> {
        if !self.take('.') {
            return Ok(Pad::Char(' '));
        }
        match self.format.next() {
            // Where there is no argument for it, the star itself is the padding.
            Some(Unit::Char('*')) => Ok(match self.arguments.next() {
                Some(Term::Integer(code)) => character(code).map_or(Pad::None, Pad::Char),
                Some(text) => chars::data(&text).map_or(Pad::None, Pad::Text),
                None => Pad::Char('*'),
            }),
            Some(Unit::Char(character)) => Ok(Pad::Char(character)),
            Some(Unit::Other(text)) => Ok(chars::data(&text).map_or(Pad::None, Pad::Text)),
            None => Err(FormatError::Format),
        }
    }

    fn control(&mut self, letter: char, unicode: bool) -> Result<Control, FormatError> {
        let wrong = FormatError::Argument { sequence: letter };
        let float = |value: Term, form| match value {
            Term::Float(value) => Ok(Control::Float {
                value: value.value(),
                form,
            }),
            _ => Err(wrong),
        };
        let integer = |value: Term, prefix, uppercase| match value {
            Term::Integer(_) | Term::BigInteger(_) => Ok(Control::Integer {
                value,
                prefix,
                uppercase,
            }),
            _ => Err(wrong),
        };
        match letter {
            'w' => Ok(Control::Write {
                term: self.argument()?,
                depth: -1,
            }),
            'p' => Ok(Control::Print {
                term: self.argument()?,
                depth: -1,
            }),
            'W' => Ok(Control::Write {
                term: self.argument()?,
                depth: depth(&self.argument()?).ok_or(wrong)?,
            }),
            'P' => Ok(Control::Print {
                term: self.argument()?,
                depth: depth(&self.argument()?).ok_or(wrong)?,
            }),
            's' => Ok(Control::Text(self.argument()?)),
            'e' => float(self.argument()?, Form::Exponent),
            'f' => float(self.argument()?, Form::Fixed),
            'g' => float(self.argument()?, Form::General),
            'b' => integer(self.argument()?, Prefix::None, false),
            'B' => integer(self.argument()?, Prefix::None, true),
            'x' | 'X' => {
                let value = self.argument()?;
                let prefix = match self.argument()? {
                    Term::Atom(atom) => atom.as_str().to_owned(),
                    text => chars::deep_list(&text).ok_or(wrong)?,
                };
                integer(value, Prefix::Text(prefix), letter == 'X')
            }
            '+' => integer(self.argument()?, Prefix::Base, false),
            '#' => integer(self.argument()?, Prefix::Base, true),
            'c' => match self.argument()? {
                Term::Integer(code) if unicode => Ok(Control::Character(character(code).ok())),
                Term::BigInteger(_) if unicode => Ok(Control::Character(None)),
                Term::Integer(code) => Ok(Control::Character(Some(char::from(code.to_le_bytes()[0])))),
                Term::BigInteger(code) => Ok(Control::Character(Some(low_byte(&code)))),
                _ => Err(wrong),
            },
            '~' => Ok(Control::Character(Some('~'))),
            'n' => Ok(Control::Newlines),
            'i' => self.argument().map(|_| Control::Ignore),
            _ => Err(FormatError::Format),
        }
    }
}

/// The last eight bits of an integer in two's complement.
fn low_byte(integer: &BigInteger) -> char {
    let byte = integer.magnitude().first().copied().unwrap_or(0);
    char::from(if integer.is_negative() {
        byte.wrapping_neg()
    } else {
        byte
    })
}

/// How deep to print; any negative number is no limit.
fn depth(term: &Term) -> Option<i64> {
    match term {
        Term::Integer(depth) => Some((*depth).max(-1)),
        Term::BigInteger(depth) if depth.is_negative() => Some(-1),
        Term::BigInteger(_) => Some(i64::MAX),
        _ => None,
    }
}

fn order_of(argument: &Term) -> Order {
    match argument.as_atom().map(Atom::as_str) {
        Some("undefined") => Order::Own,
        Some("ordered") => Order::Ordered,
        Some("reversed") => Order::Reversed,
        _ => Order::Unknown,
    }
}
