//! `~w` and `~W`: a term on one line, text as numbers, down to a depth.

use super::scan::Order;
use super::{FormatError, Out, Style, chars};
use crate::term::{Atom, ListElements, Map, Record, Term};

/// Appends a term. Below `depth` stands `...`; a negative depth is none.
pub(super) fn write(out: &mut Out, term: &Term, depth: i64, style: Style<'_>) -> Result<(), FormatError> {
    let mut open: Vec<Open> = Vec::new();
    let mut next = Some((term.clone(), depth));
    loop {
        if let Some((term, depth)) = next.take() {
            open.extend(begin(out, term, depth, style)?);
        }
        match open.last_mut() {
            None => return Ok(()),
            Some(last) => next = last.next(out, style)?,
        }
        if next.is_none() {
            open.pop();
        }
    }
}

/// A compound of which a part has been written.
enum Open {
    List {
        rest: ListElements,
        depth: i64,
        first: bool,
    },
    /// A list of which what it ends in has been written.
    Ended,
    Tuple {
        rest: std::vec::IntoIter<Term>,
        depth: i64,
        first: bool,
    },
    Map {
        rest: std::vec::IntoIter<(Term, Term)>,
        /// The value of the pair whose key has been written.
        value: Option<Term>,
        depth: i64,
        /// That of keys and values.
        inner: i64,
        first: bool,
    },
    Record {
        rest: std::vec::IntoIter<(Atom, Term)>,
        depth: i64,
        first: bool,
    },
}

/// Writes a term, or the beginning of it.
fn begin(out: &mut Out, term: Term, depth: i64, style: Style<'_>) -> Result<Option<Open>, FormatError> {
    let first = true;
    match term {
        _ if depth == 0 => out.push("...")?,
        Term::List(list) if list.is_nil() => out.push("[]")?,
        Term::List(_) if depth == 1 => out.push("[...]")?,
        Term::List(list) => {
            out.push("[")?;
            let rest = list.into_iter();
            return Ok(Some(Open::List { rest, depth, first }));
        }
        Term::Tuple(tuple) if tuple.is_empty() => out.push("{}")?,
        Term::Tuple(_) if depth == 1 => out.push("{...}")?,
        Term::Tuple(tuple) => {
            out.push("{")?;
            let rest = tuple.iter().collect::<Vec<_>>().into_iter();
            return Ok(Some(Open::Tuple { rest, depth, first }));
        }
        // As OTP has it, without the dots.
        Term::Map(_) if depth == 1 => out.push("#{}")?,
        Term::Map(map) => {
            let pairs = pairs(&map, style.order)?;
            out.push("#{")?;
            if pairs.is_empty() {
                out.push("}")?;
                return Ok(None);
            }
            return Ok(Some(Open::Map {
                rest: pairs.into_iter(),
                value: None,
                depth: depth - 1,
                inner: depth - 1,
                first,
            }));
        }
        Term::Record(record) => {
            out.push(&record_name(&record, style)?)?;
            out.push("{")?;
            let rest = record.iter().collect::<Vec<_>>().into_iter();
            return Ok(Some(Open::Record { rest, depth, first }));
        }
        Term::Binary(bytes) => out.push(&bit_string(&bytes, 8, depth, out.limit)?)?,
        Term::BitString(bits) => {
            out.push(&bit_string(bits.bytes(), bits.last_bits(), depth, out.limit)?)?;
        }
        term => {
            let mut text = String::new();
            style.scalar(&mut text, &term)?;
            out.push(&text)?;
        }
    }
    Ok(None)
}

impl Open {
    /// Writes what comes before the next part, and gives that with its depth; or writes the end.
    fn next(&mut self, out: &mut Out, style: Style<'_>) -> Result<Option<(Term, i64)>, FormatError> {
        match self {
            Self::Ended => out.push("]")?,
            Self::List { rest, depth, first } => {
                let is_first = std::mem::take(first);
                let next = rest.next();
                match next {
                    Some(_) if is_first => {}
                    Some(_) if *depth == 1 => {
                        out.push("|...]")?;
                        return Ok(None);
                    }
                    Some(_) => out.push(",")?,
                    None => return self.tail(out),
                }
                *depth -= 1;
                return Ok(next.map(|element| (element, *depth)));
            }
            Self::Tuple { rest, depth, first } => {
                if let Some(element) = rest.next() {
                    if !std::mem::take(first) {
                        if *depth == 1 {
                            out.push(",...}")?;
                            return Ok(None);
                        }
                        out.push(",")?;
                    }
                    *depth -= 1;
                    return Ok(Some((element, *depth)));
                }
                out.push("}")?;
            }
            Self::Map {
                rest,
                value,
                depth,
                inner,
                first,
            } => {
                if let Some(value) = value.take() {
                    out.push(" => ")?;
                    return Ok(Some((value, *inner)));
                }
                if !std::mem::take(first) {
                    // Also when there is no more, as OTP has it.
                    if *depth == 1 {
                        out.push(",...}")?;
                        return Ok(None);
                    }
                    *depth -= 1;
                    if rest.len() > 0 {
                        out.push(",")?;
                    }
                }
                if let Some((key, its)) = rest.next() {
                    *value = Some(its);
                    return Ok(Some((key, *inner)));
                }
                out.push("}")?;
            }
            Self::Record { rest, depth, first } => {
                if let Some((name, value)) = rest.next() {
                    if !std::mem::take(first) {
                        out.push(",")?;
                    }
                    if *depth == 1 {
                        out.push("...}")?;
                        return Ok(None);
                    }
                    let mut text = String::new();
                    chars::atom(&mut text, &name, style.unicode);
                    out.push(&text)?;
                    out.push(" = ")?;
                    *depth -= 1;
                    return Ok(Some((value, *depth)));
                }
                out.push("}")?;
            }
        }
        Ok(None)
    }

    /// Writes what follows the elements of a list.
    fn tail(&mut self, out: &mut Out) -> Result<Option<(Term, i64)>, FormatError> {
        let Self::List { rest, depth, .. } = std::mem::replace(self, Self::Ended) else {
            return Ok(None);
        };
        match rest.rest() {
            Term::List(_) => out.push("]")?,
            _ if depth == 1 => out.push("|...]")?,
            tail => {
                out.push("|")?;
                return Ok(Some((tail, depth - 1)));
            }
        }
        Ok(None)
    }
}

/// The pairs of a map in the order wanted.
pub(super) fn pairs(map: &Map, order: Order) -> Result<Vec<(Term, Term)>, FormatError> {
    let mut pairs: Vec<_> = map.iter().collect();
    match order {
        Order::Own => {}
        Order::Ordered => pairs.sort_by(|(a, _), (b, _)| a.cmp(b)),
        Order::Reversed => pairs.sort_by(|(a, _), (b, _)| b.cmp(a)),
        Order::Unknown => return Err(FormatError::Argument { sequence: 'K' }),
    }
    Ok(pairs)
}

/// `#module:name`.
pub(super) fn record_name(record: &Record, style: Style<'_>) -> Result<String, FormatError> {
    let mut text = String::from("#");
    style.scalar(&mut text, &Term::Atom(record.module()))?;
    text.push(':');
    style.scalar(&mut text, &Term::Atom(record.name()))?;
    Ok(text)
}

/// The bytes of a bit string as numbers, the last with its size if it has not eight bits.
pub(super) fn bit_string(
    bytes: &[u8],
    last_bits: u8,
    mut depth: i64,
    limit: usize,
) -> Result<String, FormatError> {
    use std::fmt::Write as _;
    let shown = usize::try_from(depth).unwrap_or(usize::MAX).min(bytes.len());
    if shown > limit / 2 {
        return Err(FormatError::TooLong { limit });
    }
    let mut text = String::from("<<");
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        if depth == 1 {
            text.push_str("...");
            break;
        }
        depth -= 1;
        let is_cut = index + 1 == bytes.len() && last_bits < 8;
        let written = match is_cut {
            true => write!(text, "{}:{last_bits}", byte >> (8 - last_bits)),
            false => write!(text, "{byte}"),
        };
        debug_assert!(written.is_ok(), "a string takes everything");
    }
    text.push_str(">>");
    Ok(text)
}
