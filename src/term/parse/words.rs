//! What terms are made of when they are read: words, numbers, and what stands between quotes.

use super::{ParseErrorKind, Result2};
use crate::term::print::{begins_atom, continues_atom, is_reserved};
use crate::term::{Atom, Float, Term};
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while_m_n, take_while1};
use nom::character::complete::{anychar, char, none_of, one_of, satisfy};
use nom::combinator::{cut, map_opt, opt, recognize, verify};
use nom::error::{ErrorKind, FromExternalError, ParseError as NomError};
use nom::multi::{fold_many0, many0_count, separated_list1};
use nom::sequence::{delimited, pair, preceded, terminated};
use nom::{Finish, IResult, Parser as _};

/// The text after so many characters of one byte each.
pub(super) fn characters_after(text: &str, count: usize) -> &str {
    text.get(count..).unwrap_or("")
}

/// Skips white space and comments.
pub(super) fn blank(mut text: &str) -> &str {
    loop {
        text = text
            .trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b' || c == '\u{a0}' || c < ' ');
        match text.strip_prefix('%') {
            Some(comment) => text = comment.split_once('\n').map_or("", |(_, rest)| rest),
            None => return text,
        }
    }
}

/// An error of nom's, with what we have to say about it.
#[derive(Debug)]
pub(super) struct Problem<'t> {
    rest: &'t str,
    kind: ParseErrorKind,
}

impl<'t> NomError<&'t str> for Problem<'t> {
    fn from_error_kind(rest: &'t str, _: ErrorKind) -> Self {
        Self {
            rest,
            kind: ParseErrorKind::Term,
        }
    }

    fn append(_: &'t str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl<'t> FromExternalError<&'t str, ParseErrorKind> for Problem<'t> {
    fn from_external_error(rest: &'t str, _: ErrorKind, kind: ParseErrorKind) -> Self {
        Self { rest, kind }
    }
}

pub(super) type Lexed<'t, T> = IResult<&'t str, T, Problem<'t>>;

/// Runs one of nom's parsers.
pub(super) fn run<'t, T>(
    mut parser: impl nom::Parser<&'t str, Output = T, Error = Problem<'t>>,
    text: &'t str,
) -> Result2<'t, (&'t str, T)> {
    parser
        .parse(text)
        .finish()
        .map_err(|problem| (problem.kind, problem.rest))
}

/// A word of the characters that need no quotes.
pub(super) fn word(text: &str) -> Lexed<'_, &str> {
    recognize(pair(satisfy(begins_atom), take_while(continues_atom))).parse(text)
}

/// An atom, in quotes or not.
pub(super) fn atom(text: &str) -> Lexed<'_, Atom> {
    let plain = verify(word, |word: &str| !is_reserved(word));
    alt((map_opt(plain, |word: &str| Atom::new(word).ok()), quoted_atom)).parse(text)
}

pub(super) fn quoted_atom(text: &str) -> Lexed<'_, Atom> {
    let (rest, name) = quoted('\'', text)?;
    match Atom::new(&name) {
        Ok(atom) => Ok((rest, atom)),
        Err(_) => fail(text, ParseErrorKind::AtomTooLong),
    }
}

pub(super) fn fail<T>(rest: &str, kind: ParseErrorKind) -> Lexed<'_, T> {
    Err(nom::Err::Failure(Problem { rest, kind }))
}

/// Text between quotes, escapes resolved.
pub(super) fn quoted(quote: char, text: &str) -> Lexed<'_, String> {
    let content = fold_many0(character(Some(quote)), String::new, |mut all: String, c| {
        all.push(c);
        all
    });
    let (rest, content) = preceded(char(quote), content).parse(text)?;
    match rest.strip_prefix(quote) {
        Some(rest) => Ok((rest, content)),
        None => fail(text, ParseErrorKind::Unclosed(quote)),
    }
}

/// A character or an escape sequence, but not this quote.
pub(super) fn character<'t>(
    quote: Option<char>,
) -> impl nom::Parser<&'t str, Output = char, Error = Problem<'t>> {
    let plain = move |text: &'t str| match quote {
        Some('"') => none_of("\"\\").parse(text),
        Some(_) => none_of("'\\").parse(text),
        None => none_of("\\").parse(text),
    };
    alt((plain, preceded(char('\\'), escape)))
}

/// What follows the backslash.
pub(super) fn escape(text: &str) -> Lexed<'_, char> {
    let code = |digits: &str, base| u32::from_str_radix(digits, base).ok().and_then(char::from_u32);
    let hex = |c: char| c.is_ascii_hexdigit();
    let octal = |c: char| matches!(c, '0'..='7');
    let parsed: Lexed<'_, char> = alt((
        map_opt(delimited(tag("x{"), take_while1(hex), char('}')), move |digits| {
            code(digits, 16)
        }),
        map_opt(preceded(char('x'), take_while_m_n(2, 2, hex)), move |digits| {
            code(digits, 16)
        }),
        map_opt(take_while_m_n(1, 3, octal), move |digits| code(digits, 8)),
        map_opt(preceded(char('^'), anychar), |c| {
            u8::try_from(c)
                .ok()
                .filter(|c| matches!(c, b'@'..=b'_' | b'a'..=b'z'))
                .map(|c| char::from(c & 31))
        }),
        map_opt(none_of("x^"), |c: char| {
            Some(match c {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'v' => '\x0b',
                'b' => '\x08',
                'f' => '\x0c',
                'e' => '\x1b',
                's' => ' ',
                'd' => '\x7f',
                other => other,
            })
        }),
    ))
    .parse(text);
    parsed.or_else(|_| fail(text, ParseErrorKind::Escape))
}

/// One or more texts in double quotes, which are one.
pub(super) fn strings(mut text: &str) -> Result2<'_, (&str, String)> {
    let mut all = String::new();
    loop {
        let (rest, more) = run(|text| quoted('"', text), text)?;
        all.push_str(&more);
        text = rest;
        match blank(rest) {
            next if next.starts_with('"') => text = next,
            _ => return Ok((text, all)),
        }
    }
}

/// An integer in any base or a float, with its sign.
pub(super) fn number(text: &str) -> Lexed<'_, Term> {
    let (rest, signs) = many0_count(terminated(one_of("+-"), |text| Ok((blank(text), ())))).parse(text)?;
    let negative = text
        .get(..text.len() - rest.len())
        .unwrap_or("")
        .matches('-')
        .count()
        % 2
        == 1;
    let (after, whole) = match digits(10, rest) {
        Ok(parsed) => parsed,
        Err(_) if signs > 0 => return fail(rest, ParseErrorKind::Number),
        Err(error) => return Err(error),
    };
    if let Some(after) = after.strip_prefix('#') {
        let Some(base) = whole.parse().ok().filter(|base| (2..=36).contains(base)) else {
            return fail(rest, ParseErrorKind::Number);
        };
        return match digits(base, after) {
            Ok((rest, digits)) => Ok((rest, integer(negative, &digits, base))),
            Err(_) => fail(after, ParseErrorKind::Number),
        };
    }
    let fraction = preceded(char('.'), |text| digits(10, text));
    let exponent = preceded(
        one_of("eE"),
        cut(pair(opt(one_of("+-")), |text| digits(10, text))),
    );
    let Ok((after, (fraction, exponent))) = pair(fraction, opt(exponent)).parse(after) else {
        return Ok((after, integer(negative, &whole, 10)));
    };
    let (sign, power) = exponent.unwrap_or((None, "0".to_owned()));
    let sign = sign.map(String::from).unwrap_or_default();
    let minus = if negative { "-" } else { "" };
    match format!("{minus}{whole}.{fraction}e{sign}{power}")
        .parse()
        .ok()
        .and_then(Float::new)
    {
        Some(value) => Ok((after, Term::Float(value))),
        None => fail(rest, ParseErrorKind::Number),
    }
}

/// Digits of a base, with single underscores between them.
pub(super) fn digits(base: u32, text: &str) -> Lexed<'_, String> {
    let some = take_while1(move |c: char| c.is_digit(base));
    let (rest, groups) = separated_list1(char('_'), some).parse(text)?;
    Ok((rest, groups.concat()))
}

/// The integer with these digits.
pub(super) fn integer(negative: bool, digits: &str, base: u32) -> Term {
    let sign = if negative { "-" } else { "" };
    if let Ok(value) = i64::from_str_radix(&format!("{sign}{digits}"), base) {
        return Term::from(value);
    }
    // Several digits at a time are multiplied into words of 32 bits.
    let at_once = (1..)
        .take_while(|count| u64::from(base).pow(*count) <= u64::from(u32::MAX))
        .last()
        .unwrap_or(1);
    let mut words: Vec<u32> = Vec::new();
    for chunk in digits.as_bytes().chunks(at_once as usize) {
        let chunk = std::str::from_utf8(chunk).unwrap_or("0");
        let mut carry = u64::from_str_radix(chunk, base).unwrap_or(0);
        let factor = u64::from(base).pow(u32::try_from(chunk.len()).unwrap_or(0));
        for word in &mut words {
            carry += u64::from(*word) * factor;
            *word = u32::try_from(carry & u64::from(u32::MAX)).unwrap_or(0);
            carry >>= 32;
        }
        words.extend(u32::try_from(carry).ok().filter(|carry| *carry > 0));
    }
    let magnitude: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    Term::integer_from_magnitude(negative, &magnitude)
}
