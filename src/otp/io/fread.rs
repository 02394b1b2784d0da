//! `io_lib:fread/3`: input taken apart by a format, as `io:fread` asks of a group leader.
//!
//! The page "io:fread/3" of stdlib's reference manual and, where that is silent, what OTP is seen to do. The end of a line counts as
//! white space, and a format may go on over several lines; what is left of the last line is read again.

use crate::term::{Atom, Float, Term};

/// A format under way over lines of input.
pub(super) struct Fread {
    format: Vec<char>,
    /// How far the format is done.
    at: usize,
    /// Characters that it took.
    taken: usize,
    results: Vec<Term>,
    /// Whether there was any line.
    begun: bool,
}

/// What a line led to.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Another line is wanted.
    More,
    /// Done, with the result, and what is to be read again.
    Done(Term, String),
}

/// One control sequence.
struct Sequence {
    suppress: bool,
    width: Option<usize>,
    unicode: bool,
    letter: char,
}

/// Why a line does not fit: `{fread, Why}`.
type Why = &'static str;

impl Fread {
    pub(super) fn new(format: &str) -> Self {
        Self {
            format: format.chars().collect(),
            at: 0,
            taken: 0,
            results: Vec::new(),
            begun: false,
        }
    }

    /// The next line, with its end if it has one; nothing at the end of the input.
    pub(super) fn step(&mut self, line: Option<&str>) -> Step {
        let Some(line) = line else {
            let result = if self.begun {
                error("input")
            } else {
                Term::atom("eof")
            };
            return Step::Done(result, String::new());
        };
        self.begun = true;
        // A carriage return ends a line, too.
        let (content, rest) = line.split_at(line.find(['\r', '\n']).unwrap_or(line.len()));
        let ending = if rest.starts_with("\r\n") {
            2
        } else {
            rest.len().min(1)
        };
        let (ending, more) = rest.split_at(ending);
        let characters: Vec<char> = content.chars().collect();
        let mut unread = characters.as_slice();
        match self.read(&mut unread) {
            Ok(true) if unread.is_empty() => Step::Done(self.result(), more.to_owned()),
            Ok(true) => {
                let unread: String = unread.iter().collect();
                Step::Done(self.result(), unread + ending + more)
            }
            Ok(false) if more.is_empty() => {
                self.taken += ending.len();
                Step::More
            }
            Ok(false) => {
                self.taken += ending.len();
                self.step(Some(more))
            }
            Err(why) => Step::Done(error(why), more.to_owned()),
        }
    }

    fn result(&mut self) -> Term {
        Term::from((Term::atom("ok"), Term::from(std::mem::take(&mut self.results))))
    }

    /// Goes on with the format over the rest of a line; `false` when the line ends before the format does.
    fn read(&mut self, line: &mut &[char]) -> Result<bool, Why> {
        while let Some(&directive) = self.format.get(self.at) {
            if is_blank(directive) {
                self.skip_blank(line);
                self.at += 1;
            } else if directive == '~' {
                let (sequence, after) = sequence(self.format.get(self.at + 1..).unwrap_or_default())?;
                let after = self.at + 1 + after;
                if sequence.letter == 'l' {
                    let taken = Term::from(self.taken);
                    self.keep(&sequence, taken);
                } else if line.is_empty() {
                    return Ok(false);
                } else {
                    self.field(&sequence, line)?;
                }
                self.at = after;
            } else {
                match line.first() {
                    None => return Ok(false),
                    Some(&found) if found == directive => self.advance(line, 1),
                    Some(_) => return Err("input"),
                }
                self.at += 1;
            }
        }
        Ok(true)
    }

    fn advance(&mut self, line: &mut &[char], count: usize) {
        *line = line.get(count..).unwrap_or_default();
        self.taken += count;
    }

    fn skip_blank(&mut self, line: &mut &[char]) {
        let blank = line.iter().take_while(|&&c| is_blank(c)).count();
        self.advance(line, blank);
    }

    fn keep(&mut self, sequence: &Sequence, value: Term) {
        if !sequence.suppress {
            self.results.push(value);
        }
    }

    /// Reads what one sequence stands for.
    fn field(&mut self, sequence: &Sequence, line: &mut &[char]) -> Result<(), Why> {
        let why = match sequence.letter {
            'd' => "integer",
            'u' => "unsigned",
            '#' => "based",
            'f' => "float",
            's' | 'a' => "string",
            'c' => "character",
            '-' => {
                let sign = match line.first() {
                    Some('-') => -1,
                    _ => 1,
                };
                let count = usize::from(matches!(line.first(), Some('-' | '+')));
                self.advance(line, count);
                self.keep(sequence, Term::from(sign));
                return Ok(());
            }
            '~' if line.first() == Some(&'~') => {
                self.advance(line, 1);
                return Ok(());
            }
            _ => return Err("format"),
        };
        if sequence.letter == 'c' {
            let count = sequence.width.unwrap_or(1);
            let field = line.get(..count).ok_or(why)?;
            let text = text(field, sequence.unicode).ok_or(why)?;
            self.advance(line, count);
            self.keep(sequence, chars(&text));
            return Ok(());
        }
        // The width of ~u is the base of its digits.
        let width = sequence.width.filter(|_| sequence.letter != 'u');
        if let Some(width) = width {
            let field = line.get(..width).ok_or(why)?;
            let blank = field.iter().take_while(|&&c| is_blank(c)).count();
            let (value, read) = value(sequence, field.get(blank..).unwrap_or_default(), true)?;
            if blank + read < width {
                return Err(why);
            }
            self.advance(line, width);
            self.keep(sequence, value);
        } else {
            self.skip_blank(line);
            let (value, read) = value(sequence, line, false)?;
            self.advance(line, read);
            self.keep(sequence, value);
        }
        Ok(())
    }
}

/// Reads a control sequence after its `~`, and how long it is.
fn sequence(format: &[char]) -> Result<(Sequence, usize), Why> {
    let mut at = 0;
    let suppress = format.first() == Some(&'*');
    at += usize::from(suppress);
    let digits: String = format
        .iter()
        .skip(at)
        .take_while(|c| c.is_ascii_digit())
        .collect();
    at += digits.len();
    let width = match digits.as_str() {
        "" => None,
        digits => Some(digits.parse().map_err(|_| "format")?),
    };
    let unicode = format.get(at) == Some(&'t');
    at += usize::from(unicode);
    let &letter = format.get(at).ok_or("format")?;
    if unicode && !matches!(letter, 'c' | 's' | 'a') {
        return Err("format");
    }
    if letter == 'u' && width.is_some_and(|base: usize| !(2..=36).contains(&base)) {
        return Err("format");
    }
    let sequence = Sequence {
        suppress,
        width,
        unicode,
        letter,
    };
    Ok((sequence, at + 1))
}

/// The value at the front of a text, and how many characters it takes.
fn value(sequence: &Sequence, line: &[char], whole: bool) -> Result<(Term, usize), Why> {
    let sign = usize::from(matches!(line.first(), Some('-' | '+')));
    let negative = line.first() == Some(&'-');
    match sequence.letter {
        'd' => {
            let digits = digits(line.get(sign..).unwrap_or_default(), 10);
            let value = integer(&digits, 10, negative).ok_or("integer")?;
            Ok((value, sign + digits.len()))
        }
        'u' => {
            let base = sequence
                .width
                .map_or(10, |base| u32::try_from(base).unwrap_or(10));
            let digits = digits(line, base);
            Ok((integer(&digits, base, false).ok_or("unsigned")?, digits.len()))
        }
        '#' => {
            let base_digits = digits(line.get(sign..).unwrap_or_default(), 10);
            let base = base_digits.parse().ok().filter(|base| (2..=36).contains(base));
            let hash = sign + base_digits.len();
            let (Some(base), Some('#')) = (base, line.get(hash)) else {
                return Err("based");
            };
            let digits = digits(line.get(hash + 1..).unwrap_or_default(), base);
            let value = integer(&digits, base, negative).ok_or("based")?;
            Ok((value, hash + 1 + digits.len()))
        }
        'f' => float(line).ok_or("float"),
        _ => {
            let fits = |&&c: &&char| (whole || !is_blank(c)) && (sequence.unicode || c <= '\u{ff}');
            let word: String = line.iter().take_while(fits).collect();
            let count = word.chars().count();
            if count == 0 && !line.is_empty() && !line.first().is_some_and(|&c| is_blank(c)) {
                return Err("string");
            }
            let value = if sequence.letter == 'a' {
                Term::from(Atom::new(&word).map_err(|_| "string")?)
            } else {
                chars(&word)
            };
            Ok((value, count))
        }
    }
}

/// Decimal digits, and letters that are digits of the base.
fn digits(line: &[char], base: u32) -> String {
    let is_digit = |&&c: &&char| c.is_ascii_digit() || (c.is_ascii_alphanumeric() && c.is_digit(base));
    line.iter().take_while(is_digit).collect()
}

fn integer(digits: &str, base: u32, negative: bool) -> Option<Term> {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    format!("{sign}{base}#{digits}").parse().ok()
}

/// `[sign] digits . digits [e [sign] digits]`.
fn float(line: &[char]) -> Option<(Term, usize)> {
    let count = |from: usize| {
        let digits = line.iter().skip(from).take_while(|c| c.is_ascii_digit());
        digits.count()
    };
    let mut end = usize::from(matches!(line.first(), Some('-' | '+')));
    let whole = count(end);
    end += whole;
    if whole == 0 || line.get(end) != Some(&'.') {
        return None;
    }
    end += 1;
    let fraction = count(end);
    if fraction == 0 {
        return None;
    }
    end += fraction;
    if matches!(line.get(end), Some('e' | 'E')) {
        end += 1 + usize::from(matches!(line.get(end + 1), Some('-' | '+')));
        let exponent = count(end);
        if exponent == 0 {
            return None;
        }
        end += exponent;
    }
    let text: String = line.get(..end)?.iter().collect();
    let value: f64 = text.parse().ok()?;
    Some((Term::from(Float::new(value)?), end))
}

/// The characters, if they may be what they are.
fn text(field: &[char], unicode: bool) -> Option<String> {
    let fits = unicode || field.iter().all(|&c| c <= '\u{ff}');
    fits.then(|| field.iter().collect())
}

fn chars(text: &str) -> Term {
    Term::List(crate::term::List::from_chars(text))
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn error(why: Why) -> Term {
    let reason = Term::from((Term::atom("fread"), Term::atom(why)));
    Term::from((Term::atom("error"), reason))
}
