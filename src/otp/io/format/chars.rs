//! Characters: text out of terms, how long it is, and text in quotes.

use super::FormatError;
use crate::term::{List, ListElements, Term};
use unicode_segmentation::UnicodeSegmentation;

/// What text may be made of.
#[derive(Clone, Copy)]
enum Kind {
    /// Bytes, and binaries of them.
    Latin1,
    /// Code points, and binaries of UTF-8; binaries that are none are latin1.
    Unicode,
    /// Code points, and binaries of UTF-8.
    Data,
    /// Code points, other than U+FFFE and U+FFFF, without binaries.
    List,
}

/// The text of an argument of `~s`.
///
/// Gives `wrong` for what is none.
pub(in crate::otp::io) fn latin1(term: &Term, wrong: FormatError) -> Result<String, FormatError> {
    flatten(term, Kind::Latin1, wrong)
}

/// The text of an argument of `~ts`.
///
/// Gives `wrong` for what is none, other than integers that are no characters.
pub(super) fn unicode(term: &Term, wrong: FormatError) -> Result<String, FormatError> {
    flatten(term, Kind::Unicode, wrong)
}

/// `unicode:characters_to_binary/1`.
pub(in crate::otp::io) fn data(term: &Term) -> Result<String, FormatError> {
    flatten(term, Kind::Data, FormatError::NotText)
}

/// The text of a list for which `io_lib:deep_char_list/1` holds.
pub(super) fn deep_list(term: &Term) -> Option<String> {
    match term {
        Term::List(_) => flatten(term, Kind::List, FormatError::NotText).ok(),
        _ => None,
    }
}

fn flatten(term: &Term, kind: Kind, wrong: FormatError) -> Result<String, FormatError> {
    let mut text = String::new();
    let mut open: Vec<ListElements> = Vec::new();
    let mut next = Some(term.clone());
    loop {
        match next.take() {
            Some(Term::List(list)) => match (list.as_bytes(), kind) {
                (Some(bytes), _) => text.extend(bytes.iter().map(|byte| char::from(*byte))),
                (None, _) => open.push(list.into_iter()),
            },
            Some(Term::Integer(code)) if !open.is_empty() => {
                let code = u32::try_from(code).map_err(|_| wrong)?;
                match (char::from_u32(code), kind) {
                    (Some('\0'..='\u{ff}'), Kind::Latin1) => {}
                    (_, Kind::Latin1) => return Err(wrong),
                    (Some('\u{fffe}' | '\u{ffff}') | None, Kind::List) => return Err(wrong),
                    (None, _) => return Err(FormatError::NotText),
                    (Some(_), _) => {}
                }
                text.extend(char::from_u32(code));
            }
            Some(Term::BigInteger(code)) if !open.is_empty() && !code.is_negative() => {
                return Err(match kind {
                    Kind::Latin1 | Kind::List => wrong,
                    Kind::Unicode | Kind::Data => FormatError::NotText,
                });
            }
            Some(Term::Binary(bytes)) => match (std::str::from_utf8(&bytes), kind) {
                (_, Kind::List) | (Err(_), Kind::Data) => return Err(wrong),
                (Ok(valid), Kind::Unicode | Kind::Data) => text.push_str(valid),
                (_, Kind::Latin1) | (Err(_), Kind::Unicode) => {
                    text.extend(bytes.iter().map(|byte| char::from(*byte)));
                }
            },
            Some(_) => return Err(wrong),
            None => {}
        }
        loop {
            let Some(elements) = open.last_mut() else {
                return Ok(text);
            };
            next = elements.next();
            if next.is_some() {
                break;
            }
            // What an improper list ends in counts if it is a binary.
            match open.pop().map(ListElements::rest) {
                Some(Term::List(_)) | None => {}
                Some(tail @ Term::Binary(_)) => {
                    next = Some(tail);
                    break;
                }
                Some(_) => return Err(wrong),
            }
        }
    }
}

/// How long a text is for a field: in characters if all are latin1, else in grapheme clusters.
pub(super) fn length(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else if text.chars().all(|c| c <= '\u{ff}') {
        text.chars().count()
    } else {
        graphemes(text)
    }
}

/// `string:length/1`.
pub(super) fn graphemes(text: &str) -> usize {
    text.graphemes(true).count()
}

/// The first characters of a text, or grapheme clusters where it may be any Unicode.
pub(super) fn truncate(text: &str, count: usize, unicode: bool) -> &str {
    let end = match unicode {
        true => text.grapheme_indices(true).nth(count).map(|(end, _)| end),
        false => text.char_indices().nth(count).map(|(end, _)| end),
    };
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Appends an atom, in quotes if it needs them; beyond latin1 escaped unless `unicode`.
pub(super) fn atom(out: &mut String, atom: &crate::term::Atom, unicode: bool) {
    use std::fmt::Write as _;
    if unicode && atom.chars().any(|c| c > '\u{ff}') {
        quoted(out, atom.chars(), '\'');
    } else {
        let written = write!(out, "{atom}");
        debug_assert!(written.is_ok(), "a string takes everything");
    }
}

/// Appends text in quotes, with everything escaped that does not show.
pub(super) fn quoted(out: &mut String, text: impl Iterator<Item = char>, quote: char) {
    out.push(quote);
    for character in text {
        let short = match character {
            '\\' => '\\',
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            '\u{0b}' => 'v',
            '\u{08}' => 'b',
            '\u{0c}' => 'f',
            '\u{1b}' => 'e',
            '\u{7f}' => 'd',
            c if c == quote => c,
            '\0'..='\u{1f}' | '\u{80}'..='\u{9f}' => {
                let code = u32::from(character);
                out.push('\\');
                for shift in [6, 3, 0] {
                    out.extend(char::from_digit(code >> shift & 7, 8));
                }
                continue;
            }
            c => {
                out.push(c);
                continue;
            }
        };
        out.push('\\');
        out.push(short);
    }
    out.push(quote);
}

/// Whether a list, all of it, is text that `~p` prints as such.
pub(super) fn printable_list(list: &List, is_printable: impl Fn(char) -> bool) -> Option<String> {
    if let Some(bytes) = list.as_bytes() {
        let text = bytes.iter().map(|byte| char::from(*byte));
        return text.clone().all(is_printable).then(|| text.collect());
    }
    let mut elements = list.iter();
    let mut text = String::new();
    for element in elements.by_ref() {
        let code = u32::try_from(element.as_integer()?).ok()?;
        text.push(char::from_u32(code).filter(|c| is_printable(*c))?);
    }
    match elements.rest() {
        Term::List(rest) if rest.is_nil() => Some(text),
        _ => None,
    }
}

/// `io_lib:printable_latin1_list/1`, for one character.
pub(super) const fn is_printable_latin1(character: char) -> bool {
    matches!(character, ' '..='~' | '\u{a0}'..='\u{ff}' | '\u{08}'..='\u{0d}' | '\u{1b}')
}

/// `io_lib:printable_unicode_list/1`, for one character.
pub(super) const fn is_printable_unicode(character: char) -> bool {
    is_printable_latin1(character) || (character > '\u{ff}' && !matches!(character, '\u{fffe}' | '\u{ffff}'))
}
