//! `beamnode term`: terms from bytes to text and back.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use beamnode::etf::{self, DecodeError, Encoder, MinorVersion};
use beamnode::term::Term;

/// Turn terms in the external format into text, and text into terms.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Decode(Decode),
    Encode(Encode),
}

/// Print the term that bytes hold, as `io:format("~w")` does.
#[derive(Debug, clap::Args)]
struct Decode {
    /// The file to read, or `-` for standard input.
    #[arg(default_value = "-")]
    file: String,
    #[command(flatten)]
    form: Form,
    /// Print text as text, as `~p` does.
    #[arg(long, conflicts_with = "json")]
    pretty: bool,
    /// Print JSON, of terms that have an obvious form in it.
    #[arg(long)]
    json: bool,
}

/// Print the bytes of a term that is given as Erlang text, as `term_to_binary` makes them.
#[derive(Debug, clap::Args)]
struct Encode {
    /// The text, or `-` to read it from standard input.
    text: String,
    #[command(flatten)]
    form: Form,
    /// Compress with this level from 0 to 9.
    #[arg(long, num_args = 0..=1, default_missing_value = "6", value_parser = clap::value_parser!(u8).range(0..=9))]
    compressed: Option<u8>,
    /// Sort the pairs of maps, so that equal terms give equal bytes.
    #[arg(long)]
    deterministic: bool,
    /// How floats and atoms are written: 0, 1 as OTP 25 and older, or 2 as OTP 26 and later.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=2))]
    minor_version: u8,
}

/// What the bytes look like.
#[derive(Debug, clap::Args)]
struct Form {
    /// The bytes are in hexadecimal digits.
    #[arg(long, conflicts_with = "base64")]
    hex: bool,
    /// The bytes are in base 64.
    #[arg(long)]
    base64: bool,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let result = match &args.command {
        Command::Decode(args) => decode(args),
        Command::Encode(args) => encode(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::failure(&error),
    }
}

/// Why a command could not do what it should.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}: {1}")]
    File(String, io::Error),
    #[error("standard output: {0}")]
    Output(io::Error),
    #[error("{0}\n{1}")]
    Bytes(DecodeError, String),
    #[error("the text is no term\n{0}")]
    Text(String),
    #[error("not {0}: {1:?} at byte {2}")]
    Form(&'static str, char, usize),
    #[error("not {0}: cut short")]
    Short(&'static str),
    #[error("the text is not UTF-8")]
    NotUtf8,
    #[error("{0} has no form in JSON")]
    Json(String),
}

fn decode(args: &Decode) -> Result<(), Error> {
    let input = read(&args.file)?;
    let bytes = match (args.form.hex, args.form.base64) {
        (true, _) => from_hex(&input)?,
        (_, true) => from_base64(&input)?,
        _ => input,
    };
    let term = etf::decode(bytes.clone()).map_err(|error| {
        let near = show(&bytes, error.offset);
        Error::Bytes(error, near)
    })?;
    let text = match (args.json, args.pretty) {
        (true, _) => json(&term)?,
        (_, true) => format!("{term:#}"),
        _ => term.to_string(),
    };
    write(format!("{text}\n").as_bytes())
}

fn encode(args: &Encode) -> Result<(), Error> {
    let text = match args.text.as_str() {
        "-" => String::from_utf8(read("-")?).map_err(|_| Error::NotUtf8)?,
        text => text.to_owned(),
    };
    let term: Term = text.parse().map_err(|error: beamnode::term::ParseError| {
        Error::Text(format!(
            "{}\n(line {}, column {})",
            error.show(&text),
            error.line,
            error.column
        ))
    })?;
    let version = match args.minor_version {
        0 => MinorVersion::V0,
        1 => MinorVersion::V1,
        _ => MinorVersion::V2,
    };
    let bytes = Encoder::new()
        .minor_version(version)
        .deterministic(args.deterministic)
        .compressed(args.compressed.unwrap_or(0))
        .encode(&term);
    match (args.form.hex, args.form.base64) {
        (true, _) => write(format!("{}\n", to_hex(&bytes)).as_bytes()),
        (_, true) => write(format!("{}\n", to_base64(&bytes)).as_bytes()),
        _ => write(&bytes),
    }
}

/// The bytes of a file, or of standard input.
fn read(file: &str) -> Result<Vec<u8>, Error> {
    if file != "-" {
        return std::fs::read(file).map_err(|error| Error::File(file.to_owned(), error));
    }
    let mut bytes = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut bytes);
    read.map(|_| bytes)
        .map_err(|error| Error::File("standard input".to_owned(), error))
}

fn write(bytes: &[u8]) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // Whoever reads has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Error::Output),
    }
}

/// The tag of compressed terms.
const COMPRESSED: u8 = 80;

/// The bytes around an offset, with a mark below the one there.
fn show(bytes: &[u8], offset: usize) -> String {
    let start = offset.saturating_sub(8);
    if bytes.get(1) == Some(&COMPRESSED) {
        return "(counted in what the compressed term inflates to)".to_owned();
    }
    let near: Vec<String> = bytes
        .iter()
        .skip(start)
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let margin = format!("{start:>8}: ");
    let mark = " ".repeat(margin.len() + 3 * (offset - start));
    format!("{margin}{}\n{mark}^^", near.join(" "))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that hexadecimal digits stand for; white space between them does not count.
fn from_hex(text: &[u8]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut high = None;
    for (offset, byte) in significant(text) {
        let digit = char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok());
        let digit = digit.ok_or(Error::Form("hexadecimal", char::from(byte), offset))?;
        high = match high {
            None => Some(digit),
            Some(high) => {
                bytes.push(high << 4 | digit);
                None
            }
        };
    }
    if high.is_some() {
        Err(Error::Short("hexadecimal"))
    } else {
        Ok(bytes)
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for index in 0..4 {
            let digit = (bits >> (18 - 6 * index)) & 63;
            let digit = BASE64.get(digit as usize).copied().map_or('=', char::from);
            text.push(if index <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

/// The bytes that base 64 stands for, in the usual alphabet or the one for URLs, filled up or not.
fn from_base64(text: &[u8]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for (offset, byte) in significant(text).filter(|(_, byte)| *byte != b'=') {
        let plain = match byte {
            b'-' => b'+',
            b'_' => b'/',
            byte => byte,
        };
        let digit = BASE64
            .iter()
            .position(|digit| *digit == plain)
            .and_then(|digit| u32::try_from(digit).ok());
        bits = bits << 6 | digit.ok_or(Error::Form("base 64", char::from(byte), offset))?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.extend(u8::try_from((bits >> count) & 255));
        }
    }
    if count == 6 {
        Err(Error::Short("base 64"))
    } else {
        Ok(bytes)
    }
}

fn significant(text: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    text.iter()
        .copied()
        .enumerate()
        .filter(|(_, byte)| !byte.is_ascii_whitespace())
}

/// What is still to be written, from the outside in.
enum Open {
    Array(std::vec::IntoIter<Term>, bool),
    Object(std::vec::IntoIter<(Term, Term)>, bool),
}

/// A term as JSON: numbers, text of atoms and of UTF-8 binaries, `true`, `false`, `null` for `nil`, `undefined` and `null`,
/// arrays for lists and tuples, objects for maps and records whose keys are text or integers.
fn json(term: &Term) -> Result<String, Error> {
    let mut out = String::new();
    let mut stack: Vec<Open> = Vec::new();
    let mut next = Some(term.clone());
    loop {
        if let Some(term) = next.take() {
            match term {
                Term::List(list) if list.is_proper() => {
                    out.push('[');
                    stack.push(Open::Array(list.iter().collect::<Vec<_>>().into_iter(), true));
                }
                Term::Tuple(tuple) => {
                    out.push('[');
                    stack.push(Open::Array(tuple.iter().collect::<Vec<_>>().into_iter(), true));
                }
                Term::Map(map) => {
                    out.push('{');
                    stack.push(Open::Object(map.iter().collect::<Vec<_>>().into_iter(), true));
                }
                Term::Record(record) => {
                    let fields = record.iter().map(|(name, value)| (Term::Atom(name), value));
                    out.push('{');
                    stack.push(Open::Object(fields.collect::<Vec<_>>().into_iter(), true));
                }
                scalar => json_scalar(&mut out, &scalar)?,
            }
        }
        match stack.last_mut() {
            None => return Ok(out),
            Some(Open::Array(elements, first)) => match elements.next() {
                Some(element) => {
                    out.push_str(if std::mem::take(first) { "" } else { "," });
                    next = Some(element);
                }
                None => {
                    out.push(']');
                    stack.pop();
                }
            },
            Some(Open::Object(pairs, first)) => match pairs.next() {
                Some((key, value)) => {
                    out.push_str(if std::mem::take(first) { "" } else { "," });
                    match &key {
                        Term::Integer(_) | Term::BigInteger(_) => {
                            let _ = write!(out, "\"{key}\"");
                        }
                        Term::Atom(atom) => json_text(&mut out, atom.as_str()),
                        Term::Binary(_) => json_scalar(&mut out, &key)?,
                        other => return Err(Error::Json(format!("the key {other:#}"))),
                    }
                    out.push(':');
                    next = Some(value);
                }
                None => {
                    out.push('}');
                    stack.pop();
                }
            },
        }
    }
}

fn json_scalar(out: &mut String, term: &Term) -> Result<(), Error> {
    match term {
        Term::Integer(_) | Term::BigInteger(_) | Term::Float(_) => {
            let _ = write!(out, "{term}");
        }
        Term::Atom(atom) => match atom.as_str() {
            word @ ("true" | "false") => out.push_str(word),
            "nil" | "undefined" | "null" => out.push_str("null"),
            text => json_text(out, text),
        },
        Term::Binary(_) if term.as_utf8().is_some() => json_text(out, term.as_utf8().unwrap_or("")),
        other => return Err(Error::Json(format!("{other:#}"))),
    }
    Ok(())
}

fn json_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use beamnode::term;
    use beamnode::term::Atom;

    #[test]
    fn hexadecimal_and_base_64_go_both_ways() {
        for length in 0..10_u8 {
            let bytes: Vec<u8> = (0..length)
                .map(|byte| byte.wrapping_mul(77).wrapping_add(200))
                .collect();
            assert_eq!(from_hex(to_hex(&bytes).as_bytes()).unwrap(), bytes);
            assert_eq!(from_base64(to_base64(&bytes).as_bytes()).unwrap(), bytes);
        }
        assert_eq!(to_base64(b"light work."), "bGlnaHQgd29yay4=");
        assert_eq!(from_hex(b"83 6A\n").unwrap(), [131, 106]);
        assert_eq!(
            from_hex(b"83 6x").unwrap_err().to_string(),
            "not hexadecimal: 'x' at byte 4"
        );
        assert_eq!(
            from_hex(b"836").unwrap_err().to_string(),
            "not hexadecimal: cut short"
        );
        assert_eq!(from_base64(b"bGlnaHQgd29yay4").unwrap(), b"light work.");
        assert_eq!(
            from_base64(b"*").unwrap_err().to_string(),
            "not base 64: '*' at byte 0"
        );
    }

    #[test]
    fn json_is_written_where_it_is_obvious() {
        let term = term!(#{ "name" => ok, list => [1, 2.5, {nil, true}], 3 => "a\"\n" });
        assert_eq!(
            json(&term).unwrap(),
            r#"{"name":"ok","list":[1,2.5,[null,true]],"3":"a\"\n"}"#
        );
        let pid = "{1,<a@b.1.2>}".parse().unwrap();
        assert_eq!(
            json(&pid).unwrap_err().to_string(),
            "<a@b.1.2> has no form in JSON"
        );
        assert!(json(&"#{[] => 1}".parse().unwrap()).is_err());
    }

    #[test]
    fn an_error_in_bytes_shows_the_byte() {
        let bytes = [131, 104, 2, 97, 1, 7];
        let error = etf::decode(bytes.to_vec()).unwrap_err();
        assert_eq!(error.to_string(), "unknown tag 7 at byte 5");
        assert_eq!(
            show(&bytes, error.offset),
            "       0: 83 68 02 61 01 07\n                         ^^"
        );
    }

    #[test]
    fn atoms_are_text_of_their_own() {
        assert_eq!(
            json(&Term::Atom(Atom::from_static("two words"))).unwrap(),
            "\"two words\""
        );
    }
}
