//! Erlang's text of terms, read back.
//!
//! Words, numbers and what stands between quotes are read by nom; how they nest is kept on a stack of our own, so text may be nested to
//! any depth. Read is what Erlang's own parser takes for a term ("Data Types" in the reference manual), with comments and a full stop
//! at the end if there is one, and besides what printing makes of pids, ports and references: `<alice@host.84.0>`,
//! `#Port<alice@host.5>`, `#Ref<alice@host.3.2.1>`. Their creation is not printed, so it is read as 0; those of the
//! printing node itself (`<0.84.0>`) become those of the node that the [`Parser`] is told, `nonode@nohost` if of none. Funs that
//! are no exports cannot be read.

use super::compound::{Fun, List, Map, Record, Tuple};
use super::identifier::{Pid, Port, Reference};
use super::print::{begins_atom, is_reserved};
use super::{Atom, Term};
use nom::Parser as _;
use nom::branch::alt;
use nom::character::complete::{char, digit1};
use nom::combinator::{map, map_opt, value};
use nom::multi::separated_list1;
use nom::sequence::{preceded, terminated};
use std::fmt;
use std::str::FromStr;

mod bits;
mod words;

use bits::binary;
use words::{atom, blank, character, characters_after, number, quoted_atom, run, strings, word};

/// Why text is no term, and where.
///
/// ```
/// use beamnode::term::Term;
///
/// let text = "{ok, [1, 2}";
/// let error = text.parse::<Term>().unwrap_err();
/// assert_eq!(error.to_string(), "line 1, column 11: expected `,`, `|` or `]`");
/// assert_eq!(error.show(text), "{ok, [1, 2}\n          ^ expected `,`, `|` or `]`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// Where, as an offset in bytes.
    pub offset: usize,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

/// What is wrong with text that is no term.
/// ```
/// use beamnode::term::{ParseErrorKind, Term};
///
/// let error = "{when}".parse::<Term>().unwrap_err();
/// assert_eq!((error.kind, error.offset), (ParseErrorKind::Reserved, 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseErrorKind {
    /// Something else stands where a term should.
    #[error("expected a term")]
    Term,
    /// Something else than what can follow.
    #[error("expected {0}")]
    Expected(&'static str),
    /// An atom or text that is not ended.
    #[error("unclosed {0}")]
    Unclosed(char),
    /// Not an escape sequence, or one for no character.
    #[error("not an escape sequence")]
    Escape,
    /// A word with a meaning of its own, which is an atom only in quotes.
    #[error("a reserved word, to be quoted as an atom")]
    Reserved,
    /// An atom of more than 255 characters.
    #[error("an atom of more than 255 characters")]
    AtomTooLong,
    /// A number with digits that its base does not have, or out of the range of what it is a part of.
    #[error("not a number that can stand here")]
    Number,
    /// A fun that is no export: its code cannot be known from its text.
    #[error("only funs of the form `fun module:function/arity` can be read")]
    Fun,
    /// A segment of a binary that cannot be read.
    #[error("not a segment of a binary")]
    Segment,
    /// A record with the same field twice.
    #[error("the same field twice")]
    DuplicateField,
    /// More after the term.
    #[error("expected the end")]
    End,
}

impl ParseError {
    /// The line of the text, or as much of it as is near, with a mark below where it is wrong.
    #[must_use]
    pub fn show(&self, text: &str) -> String {
        const BEFORE: usize = 60;
        const AFTER: usize = 40;
        let line = text.lines().nth(self.line - 1).unwrap_or("");
        let start = (self.column - 1).saturating_sub(BEFORE);
        let mark = self.column - 1 - start;
        let near: String = line.chars().skip(start).take(mark + AFTER).collect();
        format!("{near}\n{}^ {}", " ".repeat(mark), self.kind)
    }

    fn new(kind: ParseErrorKind, text: &str, rest: &str) -> Self {
        let offset = text.len() - rest.len();
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Self {
            kind,
            offset,
            line,
            column,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.kind)
    }
}

impl std::error::Error for ParseError {}

/// Reads terms from text.
///
/// ```
/// use beamnode::term::{Atom, Parser, Term};
///
/// let parser = Parser::new().local_node(Atom::from_static("me@here"), 7);
/// let pid = parser.parse("<0.84.0>")?;
/// assert_eq!(pid.to_string(), "<me@here.84.0>");
/// # Ok::<(), beamnode::term::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Parser {
    node: Atom,
    creation: u32,
}

impl Default for Parser {
    fn default() -> Self {
        Self {
            node: Atom::from_static("nonode@nohost"),
            creation: 0,
        }
    }
}

impl Parser {
    /// A parser that knows no node.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whose `<0.84.0>` is.
    #[must_use]
    pub fn local_node(self, node: Atom, creation: u32) -> Self {
        Self { node, creation }
    }

    /// Reads text that is one term, with a full stop or without.
    ///
    /// # Errors
    /// If it is not one.
    pub fn parse(&self, text: &str) -> Result<Term, ParseError> {
        let mut reading = Reading {
            parser: self,
            frames: Vec::new(),
        };
        reading
            .text(text)
            .map_err(|(kind, rest)| ParseError::new(kind, text, rest))
    }
}

/// Erlang's text of a term, see [`Parser`].
///
/// ```
/// use beamnode::term;
/// use beamnode::term::Term;
///
/// let term: Term = "{ok, #{16#ff => \"hi\", 'a b' => <<\"x\", 3:4>>}, [$a | 1.5e3]}.".parse()?;
/// assert_eq!(term.to_string(), "{ok,#{255 => [104,105],'a b' => <<120,3:4>>},[97|1.5e3]}");
/// # Ok::<(), term::ParseError>(())
/// ```
impl FromStr for Term {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Parser::new().parse(text)
    }
}

/// What is wrong, and what is left of the text there.
type Failure<'t> = (ParseErrorKind, &'t str);
type Result2<'t, T> = Result<T, Failure<'t>>;

/// A compound whose parts are being read.
enum Frame {
    Tuple(Vec<Term>),
    List(Vec<Term>),
    /// The tail of a list with these elements.
    Tail(Vec<Term>),
    /// The pairs so far, and the key whose value is next.
    Map(Vec<(Term, Term)>, Option<Term>),
    /// Module, name, the fields so far and the one whose value is next.
    Record(Atom, Atom, Vec<(Atom, Term)>, Atom),
}

struct Reading<'p> {
    parser: &'p Parser,
    frames: Vec<Frame>,
}

impl Reading<'_> {
    fn text<'t>(&mut self, text: &'t str) -> Result2<'t, Term> {
        let mut rest = blank(text);
        loop {
            // A term, or what opens one.
            let (after, opened) = self.open(rest)?;
            rest = blank(after);
            let Some(mut term) = opened else { continue };
            // It may be the last of its compound, and that of another.
            loop {
                let Some(frame) = self.frames.pop() else {
                    return end(rest).map(|()| term);
                };
                let (after, closed) = self.close(frame, term, rest)?;
                rest = blank(after);
                match closed {
                    Some(compound) => term = compound,
                    None => break,
                }
            }
        }
    }

    /// Reads a term that is no compound or an empty one, or begins a compound.
    fn open<'t>(&mut self, text: &'t str) -> Result2<'t, (&'t str, Option<Term>)> {
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some('{'), _) => {
                let rest = blank(characters_after(text, 1));
                if let Some(after) = rest.strip_prefix('}') {
                    return Ok((after, Some(Term::Tuple(Tuple::from_iter([])))));
                }
                self.frames.push(Frame::Tuple(Vec::new()));
                Ok((rest, None))
            }
            (Some('['), _) => {
                let rest = blank(characters_after(text, 1));
                if let Some(after) = rest.strip_prefix(']') {
                    return Ok((after, Some(Term::NIL)));
                }
                self.frames.push(Frame::List(Vec::new()));
                Ok((rest, None))
            }
            (Some('#'), Some('{')) => {
                let rest = blank(characters_after(text, 2));
                if let Some(after) = rest.strip_prefix('}') {
                    return Ok((after, Some(Term::Map(Map::from_iter([])))));
                }
                self.frames.push(Frame::Map(Vec::new(), None));
                Ok((rest, None))
            }
            (Some('#'), _) => {
                if let Some(rest) = text.strip_prefix("#Port<") {
                    return self.identifier(rest, Kind::Port);
                }
                if let Some(rest) = text.strip_prefix("#Ref<") {
                    return self.identifier(rest, Kind::Reference);
                }
                if text.starts_with("#Fun<") {
                    return Err((ParseErrorKind::Fun, text));
                }
                self.open_record(text)
            }
            (Some('<'), Some('<')) => {
                let (rest, term) = binary(text)?;
                Ok((rest, Some(term)))
            }
            (Some('<'), _) => self.identifier(characters_after(text, 1), Kind::Pid),
            (Some('"'), _) => {
                let (rest, text) = strings(text)?;
                Ok((rest, Some(Term::List(List::from_chars(&text)))))
            }
            (Some('$'), _) => {
                let (rest, character) = run(preceded(char('$'), character(None)), text)?;
                Ok((rest, Some(Term::from(u32::from(character)))))
            }
            (Some('-' | '+' | '0'..='9'), _) => {
                let (rest, number) = run(number, text)?;
                Ok((rest, Some(number)))
            }
            (Some('\''), _) => {
                let (rest, atom) = run(quoted_atom, text)?;
                Ok((rest, Some(Term::Atom(atom))))
            }
            (Some(c), _) if begins_atom(c) => {
                let (rest, word) = run(word, text)?;
                if word == "fun" {
                    return export(text, blank(rest));
                }
                // Not reserved before OTP 27, which prints them bare.
                if is_reserved(word) && !matches!(word, "maybe" | "else") {
                    return Err((ParseErrorKind::Reserved, text));
                }
                let atom = Atom::new(word).map_err(|_| (ParseErrorKind::AtomTooLong, text))?;
                Ok((rest, Some(Term::Atom(atom))))
            }
            _ => Err((ParseErrorKind::Term, text)),
        }
    }

    /// Puts a term into its compound, and gives the compound if that was the last of it.
    fn close<'t>(&mut self, frame: Frame, term: Term, rest: &'t str) -> Result2<'t, (&'t str, Option<Term>)> {
        let next = rest.chars().next();
        let after = characters_after(rest, 1);
        match (frame, next) {
            (Frame::Tuple(mut elements), Some(',' | '}')) => {
                elements.push(term);
                if next == Some('}') {
                    return Ok((after, Some(Term::Tuple(elements.into_iter().collect()))));
                }
                self.frames.push(Frame::Tuple(elements));
            }
            (Frame::Tuple(_), _) => return Err((ParseErrorKind::Expected("`,` or `}`"), rest)),
            (Frame::List(mut elements), Some(',' | ']' | '|')) => {
                elements.push(term);
                match next {
                    Some(']') => return Ok((after, Some(Term::List(elements.into_iter().collect())))),
                    Some('|') => self.frames.push(Frame::Tail(elements)),
                    _ => self.frames.push(Frame::List(elements)),
                }
            }
            (Frame::List(_), _) => return Err((ParseErrorKind::Expected("`,`, `|` or `]`"), rest)),
            (Frame::Tail(elements), Some(']')) => {
                return Ok((after, Some(Term::List(List::improper(elements, term)))));
            }
            (Frame::Tail(_), _) => return Err((ParseErrorKind::Expected("`]`"), rest)),
            (Frame::Map(pairs, None), _) => {
                let after = rest
                    .strip_prefix("=>")
                    .ok_or((ParseErrorKind::Expected("`=>`"), rest))?;
                self.frames.push(Frame::Map(pairs, Some(term)));
                return Ok((after, None));
            }
            (Frame::Map(mut pairs, Some(key)), Some(',' | '}')) => {
                pairs.push((key, term));
                if next == Some('}') {
                    return Ok((after, Some(Term::Map(pairs.into_iter().collect()))));
                }
                self.frames.push(Frame::Map(pairs, None));
            }
            (Frame::Map(..), _) => return Err((ParseErrorKind::Expected("`,` or `}`"), rest)),
            (Frame::Record(module, name, mut fields, field), Some(',' | '}')) => {
                fields.push((field, term));
                if next == Some('}') {
                    return Ok((
                        after,
                        Some(Term::Record(Record::new(module, name, false, fields))),
                    ));
                }
                let (after, field) = field_name(blank(after))?;
                if fields.iter().any(|(other, _)| *other == field) {
                    return Err((ParseErrorKind::DuplicateField, rest));
                }
                self.frames.push(Frame::Record(module, name, fields, field));
                return Ok((after, None));
            }
            (Frame::Record(..), _) => return Err((ParseErrorKind::Expected("`,` or `}`"), rest)),
        }
        Ok((after, None))
    }

    /// Begins a native record: `#module:name{field = Value, …}`. Whether it is exported is not printed.
    fn open_record<'t>(&mut self, text: &'t str) -> Result2<'t, (&'t str, Option<Term>)> {
        let head = preceded(
            char('#'),
            (terminated(atom, char(':')), terminated(atom, char('{'))),
        );
        let (rest, (module, name)) = run(head, text).map_err(|_| (ParseErrorKind::Term, text))?;
        let rest = blank(rest);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((after, Some(Term::Record(Record::new(module, name, false, [])))));
        }
        let (after, field) = field_name(rest)?;
        self.frames.push(Frame::Record(module, name, Vec::new(), field));
        Ok((after, None))
    }

    /// Reads what follows the `<` of an identifier.
    fn identifier<'t>(&self, text: &'t str, kind: Kind) -> Result2<'t, (&'t str, Option<Term>)> {
        let parts = (
            alt((value(None, char('0')), map(atom, Some))),
            preceded(
                char('.'),
                separated_list1(char('.'), map_opt(digit1, |digits: &str| digits.parse().ok())),
            ),
            char('>'),
        );
        let expected = ParseErrorKind::Expected(match kind {
            Kind::Pid => "a pid, `<node.id.serial>`",
            Kind::Port => "a port, `#Port<node.id>`",
            Kind::Reference => "a reference, `#Ref<node.word.…>`",
        });
        let mut parts = parts;
        let (rest, (node, numbers, _)) = run(|text| parts.parse(text), text).map_err(|_| (expected, text))?;
        let numbers: Vec<u64> = numbers;
        let (node, creation) = match node {
            Some(node) => (node, 0),
            None => (self.parser.node.clone(), self.parser.creation),
        };
        let words: Option<Vec<u32>> = numbers.iter().map(|number| u32::try_from(*number).ok()).collect();
        let term = match (kind, numbers.as_slice(), words.as_deref()) {
            (Kind::Pid, _, Some(&[id, serial])) => Some(Term::Pid(Pid::new(node, id, serial, creation))),
            (Kind::Port, &[id], _) => Some(Term::Port(Port::new(node, id, creation))),
            (Kind::Reference, _, Some(words)) => {
                let words: Vec<u32> = words.iter().rev().copied().collect();
                Reference::new(node, &words, creation).ok().map(Term::Reference)
            }
            _ => None,
        };
        term.map(|term| (rest, Some(term)))
            .ok_or((ParseErrorKind::Number, text))
    }
}

/// What stands in angle brackets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pid,
    Port,
    Reference,
}

/// Nothing more, but for a full stop.
fn end(rest: &str) -> Result2<'_, ()> {
    let after = rest.strip_prefix('.').map_or(rest, blank);
    if after.is_empty() {
        Ok(())
    } else {
        Err((ParseErrorKind::End, after))
    }
}

/// What follows the word `fun`.
fn export<'t>(text: &'t str, rest: &'t str) -> Result2<'t, (&'t str, Option<Term>)> {
    // Printed by a BEAM without quotes, so any word can be a name here.
    let name = |text| alt((quoted_atom, map_opt(word, |word: &str| Atom::new(word).ok()))).parse(text);
    let arity = map_opt(digit1, |digits: &str| digits.parse().ok());
    let parts = (name, preceded(char(':'), name), preceded(char('/'), arity));
    match run(parts, rest) {
        Ok((rest, (module, function, arity))) => {
            Ok((rest, Some(Term::Fun(Fun::export(module, function, arity)))))
        }
        Err(_) => Err((ParseErrorKind::Fun, text)),
    }
}

/// The name of a field and its equals sign.
fn field_name(text: &str) -> Result2<'_, (&str, Atom)> {
    let (rest, name) = run(atom, text).map_err(|_| (ParseErrorKind::Expected("a field"), text))?;
    let rest = blank(rest);
    let after = rest
        .strip_prefix('=')
        .ok_or((ParseErrorKind::Expected("`=`"), rest))?;
    Ok((after, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        for text in [
            "0",
            "-1",
            "123456789012345678901234567890",
            "-123456789012345678901234567890",
            "1.0",
            "-0.0",
            "1.2345e-4",
            "ok",
            "'two words'",
            "'\\'\\n\\000\\x{3BB}'",
            "[]",
            "[1,2|3]",
            "{}",
            "{a,[b,{}],#{}}",
            "#{1 => a,[] => {}}",
            "<<>>",
            "<<1,2,5:3>>",
            "fun lists:map/2",
            "<a@b.1.2>",
            "<'a@b.c'.1.2>",
            "#Port<a@b.5>",
            "#Ref<a@b.3.2.1>",
            "#m:r{f = 1,'g h' = {}}",
            "#m:r{}",
        ] {
            let term: Term = text.parse().unwrap();
            assert_eq!(term.to_string(), text);
        }
    }

    #[test]
    fn all_of_erlangs_syntax_is_read() {
        for (text, printed) in [
            (" % a comment\n [ 1 , 2 ] . % the end", "[1,2]"),
            ("16#ff", "255"),
            ("36#Zz", "1295"),
            ("-16#1_0000_0000_0000_0000", "-18446744073709551616"),
            ("1_000_000", "1000000"),
            ("- 1", "-1"),
            ("1.5E+3", "1.5e3"),
            ("$a", "97"),
            ("$\\n", "10"),
            ("$\\x{1F600}", "128512"),
            ("$\\^a", "1"),
            ("$\\\\", "92"),
            ("$ ", "32"),
            ("\"a\\tb\" \"c\"", "[97,9,98,99]"),
            ("\"\"", "[]"),
            ("\"λ\"", "[955]"),
            ("<<\"abc\">>", "<<97,98,99>>"),
            ("<<\"é\"/utf8, 1:4>>", "<<195,169,1:4>>"),
            ("<<\"λ\">>", "<<187>>"),
            ("<<1:16, 1:16/little, -1:12>>", "<<0,1,1,0,255,15:4>>"),
            ("<<1:3, 1:3, 1:3>>", "<<36,1:1>>"),
            ("<<1.0/float>>", "<<63,240,0,0,0,0,0,0>>"),
            ("<<256, $a>>", "<<0,97>>"),
            ("#{ a=>1, 'b c' => #{} , a => 2}", "#{a => 2,'b c' => #{}}"),
            ("'\\x41\\101\\s\\d'", "'AA \\d'"),
            ("fun 'a b':c/0", "fun 'a b':c/0"),
            ("<0.1.2>", "<nonode@nohost.1.2>"),
            ("[a|[b|[c]]]", "[a,b,c]"),
        ] {
            let term: Term = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(term.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn errors_say_what_is_wrong_and_where() {
        use ParseErrorKind as Kind;
        for (text, kind, offset) in [
            ("", Kind::Term, 0),
            ("  ", Kind::Term, 2),
            ("{", Kind::Term, 1),
            ("{1", Kind::Expected("`,` or `}`"), 2),
            ("{1,}", Kind::Term, 3),
            ("[1|2,3]", Kind::Expected("`]`"), 4),
            ("#{a}", Kind::Expected("`=>`"), 3),
            ("#{a=>1", Kind::Expected("`,` or `}`"), 6),
            ("'abc", Kind::Unclosed('\''), 0),
            ("{\"abc}", Kind::Unclosed('"'), 1),
            ("\"\\x{110000}\"", Kind::Escape, 2),
            ("{case}", Kind::Reserved, 1),
            ("1 2", Kind::End, 2),
            ("1.e", Kind::End, 2),
            ("17#g", Kind::End, 4),
            ("2#3", Kind::Number, 2),
            ("99#1", Kind::Number, 0),
            ("1.0e999", Kind::Number, 0),
            ("#Fun<a.1.2>", Kind::Fun, 0),
            ("fun () -> ok end", Kind::Fun, 0),
            ("<1.2>", Kind::Expected("a pid, `<node.id.serial>`"), 1),
            ("<a.1>", Kind::Number, 1),
            ("<<a>>", Kind::Segment, 2),
            ("<<1:99999999999>>", Kind::Segment, 2),
            ("<<1", Kind::Expected("`,` or `>>`"), 3),
            ("#m:r{a = 1, a = 2}", Kind::DuplicateField, 10),
            ("Var", Kind::Term, 0),
        ] {
            match text.parse::<Term>() {
                Err(error) => assert_eq!((error.kind, error.offset), (kind, offset), "{text}"),
                Ok(term) => assert_eq!((text, kind), ("17#g", Kind::End), "read as {term}"),
            }
        }
        let error = "{ok,\n  é, }".parse::<Term>().unwrap_err();
        assert_eq!((error.line, error.column), (2, 6));
    }

    #[test]
    fn nesting_is_no_danger() {
        const DEPTH: usize = 100_000;
        let text = format!("{}{}", "[{".repeat(DEPTH), "}]".repeat(DEPTH));
        let term: Term = text.parse().unwrap();
        assert_eq!(term.to_string(), text);
    }
}
