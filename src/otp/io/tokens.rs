//! `erl_scan:tokens/3,4`: the tokens of Erlang's text up to a full stop, as `io:read` asks of a group leader.
//!
//! The pages "erl_scan" and "io:read/2" of stdlib's reference manual. The tokens go back to whoever asked, who makes a term of them.

use super::fread::Step;
use crate::term::{Atom, Term};

/// Text under way to a full stop.
pub(super) struct Tokens {
    text: String,
    start: Place,
}

/// Where a token begins.
#[derive(Clone, Copy)]
struct Place {
    line: i64,
    /// Left out of the tokens unless the caller counts columns.
    column: Option<i64>,
}

impl Place {
    fn read(term: &Term) -> Option<Self> {
        if let Term::Integer(line) = term {
            let (line, column) = (*line, None);
            return Some(Self { line, column });
        }
        match term.as_tuple()?.array::<2>()? {
            [Term::Integer(line), Term::Integer(column)] => Some(Self {
                line,
                column: Some(column),
            }),
            _ => None,
        }
    }

    fn term(self) -> Term {
        match self.column {
            None => Term::from(self.line),
            Some(column) => Term::from((self.line, column)),
        }
    }

    fn after(mut self, text: &str) -> Self {
        for c in text.chars() {
            if c == '\n' {
                self.line += 1;
                self.column = self.column.map(|_| 1);
            } else {
                self.column = self.column.map(|column| column + 1);
            }
        }
        self
    }
}

/// What stands at the front of a text.
enum Lexeme {
    /// White space or a comment of that many bytes.
    Blank(usize),
    /// A token of that many bytes, and what it is.
    Token(usize, Token),
    /// The full stop, with the white space after it.
    Dot(usize),
    /// It may go on in the next line.
    Unfinished,
    /// Of that many bytes, and what it should have been.
    Illegal(usize, &'static str),
}

enum Token {
    /// `{Kind, Place}`.
    Bare(String),
    /// `{Kind, Place, Value}`.
    Value(&'static str, Term),
}

/// Longer ones first.
const SYMBOLS: [&str; 45] = [
    "<:=", "<:-", "=:=", "=/=", "...", "<<", ">>", "<-", "<=", "->", "=>", ":=", "++", "--", "==", "/=",
    "=<", ">=", "||", "::", "..", "&&", "?=", "(", ")", "[", "]", "{", "}", ",", ";", ":", "|", "#", "+",
    "-", "*", "/", "=", "<", ">", "?", "!", "@", "\\",
];

impl Tokens {
    /// With the arguments that stand after the function in the request: where the text begins, and options.
    pub(super) fn new(arguments: &[Term]) -> Option<Self> {
        let start = match arguments.first() {
            None => Place {
                line: 1,
                column: None,
            },
            Some(place) => Place::read(place)?,
        };
        Some(Self {
            text: String::new(),
            start,
        })
    }

    /// The next line; nothing at the end of the input.
    pub(super) fn step(&mut self, line: Option<&str>) -> Step {
        self.text.push_str(line.unwrap_or_default());
        let (mut tokens, mut place, mut rest) = (Vec::new(), self.start, self.text.as_str());
        loop {
            let (length, token) = match lexeme(rest, line.is_none()) {
                Lexeme::Blank(length) => (length, None),
                Lexeme::Token(length, token) => (length, Some(token)),
                Lexeme::Dot(length) => {
                    tokens.push(Term::from((Term::atom("dot"), place.term())));
                    let (dot, rest) = rest.split_at(length);
                    return done(tokens, place.after(dot), rest);
                }
                Lexeme::Unfinished if line.is_some() => return Step::More,
                Lexeme::Unfinished if rest.is_empty() && tokens.is_empty() => {
                    return Step::Done(Term::from((Term::atom("eof"), place.term())), String::new());
                }
                Lexeme::Unfinished if rest.is_empty() => return done(tokens, place, rest),
                Lexeme::Unfinished => return illegal("character", place, rest, rest.len()),
                Lexeme::Illegal(length, what) => return illegal(what, place, rest, length),
            };
            match token {
                None => {}
                Some(Token::Bare(word)) => {
                    let word = Atom::new(&word).unwrap_or(Atom::from_static("error"));
                    tokens.push(Term::from((word, place.term())));
                }
                Some(Token::Value(kind, value)) => {
                    tokens.push(Term::from((Term::atom(kind), place.term(), value)));
                }
            }
            let (read, after) = rest.split_at(length);
            (place, rest) = (place.after(read), after);
        }
    }
}

fn illegal(what: &'static str, place: Place, text: &str, length: usize) -> Step {
    let info = (
        place.term(),
        Term::atom("erl_scan"),
        (Term::atom("illegal"), Term::atom(what)),
    );
    let (read, rest) = text.split_at(length);
    let end = place.after(read).term();
    let result = Term::from((Term::atom("error"), Term::from(info), end));
    Step::Done(result, rest.to_owned())
}

fn done(tokens: Vec<Term>, end: Place, rest: &str) -> Step {
    let result = Term::from((Term::atom("ok"), Term::from(tokens), end.term()));
    Step::Done(result, rest.to_owned())
}

/// What stands at the front of the text, which is all there is if it `ends`.
fn lexeme(text: &str, ends: bool) -> Lexeme {
    let Some(first) = text.chars().next() else {
        return Lexeme::Unfinished;
    };
    let length = |fits: fn(char) -> bool| text.find(|c| !fits(c)).unwrap_or(text.len());
    match first {
        c if c.is_whitespace() => Lexeme::Blank(length(char::is_whitespace)),
        '%' => Lexeme::Blank(length(|c| c != '\n')),
        '.' => match text[1..].chars().next() {
            None if ends => Lexeme::Dot(1),
            None => Lexeme::Unfinished,
            Some('%') => Lexeme::Dot(1),
            Some(c) if c.is_whitespace() => Lexeme::Dot(1 + c.len_utf8()),
            Some(_) => symbol(text).unwrap_or_else(|| Lexeme::Token(1, Token::Bare(".".into()))),
        },
        '"' | '\'' => quoted(text, first),
        '$' => character(text),
        '0'..='9' => number(text),
        c if c.is_alphabetic() || c == '_' => {
            let length = length(|c| c.is_alphanumeric() || c == '_' || c == '@');
            let word = &text[..length];
            if c.is_uppercase() || c == '_' {
                return match Atom::new(word) {
                    Ok(name) => Lexeme::Token(length, Token::Value("var", Term::from(name))),
                    Err(_) => Lexeme::Illegal(length, "var"),
                };
            }
            match (word.parse::<Term>(), Atom::new(word)) {
                // Words with a meaning since OTP 27, which the text of terms may have without quotes.
                (Ok(_), Ok(_)) if matches!(word, "maybe" | "else") => {
                    Lexeme::Token(length, Token::Bare(word.to_owned()))
                }
                (Ok(atom), _) => Lexeme::Token(length, Token::Value("atom", atom)),
                // It has a meaning of its own.
                (Err(_), Ok(_)) => Lexeme::Token(length, Token::Bare(word.to_owned())),
                (Err(_), Err(_)) => Lexeme::Illegal(length, "atom"),
            }
        }
        _ => symbol(text).unwrap_or(Lexeme::Illegal(first.len_utf8(), "character")),
    }
}

fn symbol(text: &str) -> Option<Lexeme> {
    let symbol = SYMBOLS.iter().find(|symbol| text.starts_with(**symbol))?;
    Some(Lexeme::Token(symbol.len(), Token::Bare((*symbol).to_owned())))
}

fn quoted(text: &str, quote: char) -> Lexeme {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|&(_, c)| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let Some((end, _)) = end else {
        return Lexeme::Unfinished;
    };
    let (length, kind) = (end + 1, if quote == '"' { "string" } else { "atom" });
    match text[..length].parse() {
        Ok(value) => Lexeme::Token(length, Token::Value(kind, value)),
        Err(_) => Lexeme::Illegal(length, kind),
    }
}

fn character(text: &str) -> Lexeme {
    let mut rest = text.char_indices().skip(1);
    let Some((start, first)) = rest.next() else {
        return Lexeme::Unfinished;
    };
    let mut end = start + first.len_utf8();
    if first == '\\' {
        let Some((_, escape)) = rest.next() else {
            return Lexeme::Unfinished;
        };
        end += escape.len_utf8();
        let more = &text[end..];
        end += match escape {
            '^' => more.chars().next().map_or(0, char::len_utf8),
            'x' if more.starts_with('{') => more.find('}').map_or(0, |end| end + 1),
            'x' => more.chars().take(2).take_while(char::is_ascii_hexdigit).count(),
            '0'..='7' => more.chars().take(2).take_while(|c| c.is_digit(8)).count(),
            _ => 0,
        };
    }
    match text[..end].parse() {
        Ok(value) => Lexeme::Token(end, Token::Value("char", value)),
        Err(_) => Lexeme::Illegal(end, "char"),
    }
}

fn number(text: &str) -> Lexeme {
    let digits = |from: usize, fits: fn(char) -> bool| {
        let rest = &text[from..];
        from + rest.find(|c| !fits(c)).unwrap_or(rest.len())
    };
    let decimal = |c: char| c.is_ascii_digit() || c == '_';
    let (mut end, mut kind) = (digits(0, decimal), "integer");
    let next = |at: usize, fits: fn(char) -> bool| text[at..].chars().next().is_some_and(fits);
    if text[end..].starts_with('#') && next(end + 1, |c| c.is_ascii_alphanumeric()) {
        end = digits(end + 1, |c| c.is_ascii_alphanumeric() || c == '_');
    } else if text[end..].starts_with('.') && next(end + 1, |c| c.is_ascii_digit()) {
        (end, kind) = (digits(end + 1, decimal), "float");
        if next(end, |c| matches!(c, 'e' | 'E')) {
            let sign = usize::from(next(end + 1, |c| matches!(c, '-' | '+')));
            end = digits(end + 1 + sign, decimal);
        }
    }
    match text[..end].parse() {
        Ok(value) => Lexeme::Token(end, Token::Value(kind, value)),
        Err(_) => Lexeme::Illegal(end, kind),
    }
}
