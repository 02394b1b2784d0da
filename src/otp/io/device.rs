//! What a node's processes print on and read from: the two halves of a terminal, or of whatever stands in for one.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::request::Encoding;
use crate::term::Term;

/// How many bytes are read at a time.
const GULP: usize = 8 << 10;

/// The device that a node's processes print on; [`Output::default`] is the standard output.
///
/// Clones are the same device, which the first node that starts with it takes.
#[derive(Clone)]
pub struct Output(Arc<Mutex<Option<Screen>>>);

/// The device that a node's processes read from; [`Input::default`] is the standard input, of which nothing is read until a process
/// asks.
///
/// Clones are the same device, which the first node that starts with it takes.
#[derive(Clone)]
pub struct Input(Arc<Mutex<Option<Box<dyn Read + Send>>>>);

/// The columns and rows of a device.
type Geometry = fn() -> Option<(u16, u16)>;

struct Screen {
    device: Box<dyn Write + Send>,
    geometry: Geometry,
}

impl Output {
    /// A device of one's own. It may block: only those who print wait for it.
    pub fn new(device: impl Write + Send + 'static) -> Self {
        Self::of(device, || None)
    }

    fn of(device: impl Write + Send + 'static, geometry: Geometry) -> Self {
        let device = Box::new(device);
        Self(Arc::new(Mutex::new(Some(Screen { device, geometry }))))
    }

    /// The device as a node uses it.
    pub(super) fn open(&self) -> Device {
        let screen = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        Device {
            screen,
            encoding: Encoding::Unicode,
            is_binary: false,
        }
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::of(std::io::stdout(), || {
            let (columns, rows) = terminal_size::terminal_size_of(std::io::stdout())?;
            Some((columns.0, rows.0))
        })
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Output")
    }
}

impl Input {
    /// A device of one's own. It may block: only those who read wait for it.
    pub fn new(device: impl Read + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(device)))))
    }

    pub(super) fn open(&self) -> Keyboard {
        let device = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        Keyboard {
            device,
            unread: Vec::new(),
        }
    }
}

impl Default for Input {
    fn default() -> Self {
        Self::new(std::io::stdin())
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Input")
    }
}

/// The printing half, and the options that both have.
pub(super) struct Device {
    /// Nothing when another node has taken it.
    screen: Option<Screen>,
    /// That of the bytes, either way.
    pub(super) encoding: Encoding,
    /// Whether what is read is given as binaries.
    pub(super) is_binary: bool,
}

impl Device {
    pub(super) fn write(&mut self, text: &str) -> Result<Term, Term> {
        let Some(Screen { device, .. }) = &mut self.screen else {
            return Ok(Term::atom("ok"));
        };
        let written = match self.encoding {
            Encoding::Unicode => device.write_all(text.as_bytes()),
            Encoding::Latin1 => device.write_all(&escaped(text)),
        };
        match written.and_then(|()| device.flush()) {
            Ok(()) => Ok(Term::atom("ok")),
            Err(_) => Err(Term::atom("terminated")),
        }
    }

    /// Columns and rows, where there is such a thing.
    pub(super) fn geometry(&self) -> Option<(u16, u16)> {
        (self.screen.as_ref()?.geometry)()
    }
}

/// Text in latin1, where what is beyond is escaped.
fn escaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend_from_slice(format!("\\x{{{:X}}}", u32::from(character)).as_bytes()),
        }
    }
    bytes
}

/// The reading half.
pub(super) struct Keyboard {
    /// Nothing when another node has taken it.
    device: Option<Box<dyn Read + Send>>,
    unread: Vec<u8>,
}

/// Why nothing could be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The bytes are not text of the device's encoding.
    NotText,
    /// The device failed.
    Failed,
}

impl Keyboard {
    /// The next line, with its end if it has one. Nothing at the end of the input.
    pub(super) fn line(&mut self, encoding: Encoding) -> Result<Option<String>, ReadError> {
        let mut searched = 0;
        loop {
            let end = self.unread.iter().skip(searched).position(|&byte| byte == b'\n');
            if let Some(end) = end {
                return self.take(searched + end + 1, encoding).map(Some);
            }
            searched = self.unread.len();
            if !self.more()? {
                return self.rest(encoding);
            }
        }
    }

    /// The next so many characters, or those that there are up to the end of the input. Nothing if that is none.
    pub(super) fn characters(
        &mut self,
        count: usize,
        encoding: Encoding,
    ) -> Result<Option<String>, ReadError> {
        loop {
            if let Some(length) = length_of(&self.unread, count, encoding) {
                return self.take(length, encoding).map(Some);
            }
            if !self.more()? {
                return self.rest(encoding);
            }
        }
    }

    /// Puts text back, to be read again.
    pub(super) fn put_back(&mut self, text: &str, encoding: Encoding) {
        let bytes = match encoding {
            Encoding::Unicode => text.as_bytes().to_vec(),
            Encoding::Latin1 => escaped(text),
        };
        self.unread.splice(..0, bytes);
    }

    fn rest(&mut self, encoding: Encoding) -> Result<Option<String>, ReadError> {
        match self.unread.len() {
            0 => Ok(None),
            all => self.take(all, encoding).map(Some),
        }
    }

    fn take(&mut self, length: usize, encoding: Encoding) -> Result<String, ReadError> {
        let bytes: Vec<u8> = self.unread.drain(..length).collect();
        match encoding {
            Encoding::Unicode => String::from_utf8(bytes).map_err(|_| ReadError::NotText),
            Encoding::Latin1 => Ok(bytes.into_iter().map(char::from).collect()),
        }
    }

    /// Reads once; `false` at the end.
    fn more(&mut self) -> Result<bool, ReadError> {
        let Some(device) = &mut self.device else {
            return Ok(false);
        };
        let start = self.unread.len();
        self.unread.resize(start + GULP, 0);
        let read = loop {
            match device.read(self.unread.get_mut(start..).unwrap_or_default()) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.unread
            .truncate(start + read.as_ref().map_or(0, |&read| read));
        read.map(|read| read > 0).map_err(|_| ReadError::Failed)
    }
}

/// How many bytes so many characters take; nothing when there are fewer.
fn length_of(bytes: &[u8], count: usize, encoding: Encoding) -> Option<usize> {
    if encoding == Encoding::Latin1 {
        return (bytes.len() >= count).then_some(count);
    }
    // A character ends where the next begins, or where its first byte says.
    let mut length = 0;
    for _ in 0..count {
        length += match bytes.get(length)? {
            0..0x80 => 1,
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0.. => 4,
            _ => 1,
        };
    }
    (bytes.len() >= length).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes one at a time.
    struct Slow(&'static [u8]);

    impl Read for Slow {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.len().min(1);
            to[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn keyboard(bytes: &'static [u8]) -> Keyboard {
        Input::new(Slow(bytes)).open()
    }

    #[test]
    fn lines_and_characters_come_as_they_are_asked_for() {
        let mut keyboard = keyboard("grüße\n→→\nend".as_bytes());
        let unicode = Encoding::Unicode;
        assert_eq!(keyboard.characters(3, unicode).unwrap().as_deref(), Some("grü"));
        assert_eq!(keyboard.line(unicode).unwrap().as_deref(), Some("ße\n"));
        assert_eq!(keyboard.characters(1, unicode).unwrap().as_deref(), Some("→"));
        keyboard.put_back("→", unicode);
        assert_eq!(keyboard.line(unicode).unwrap().as_deref(), Some("→→\n"));
        assert_eq!(keyboard.characters(9, unicode).unwrap().as_deref(), Some("end"));
        assert_eq!(keyboard.line(unicode).unwrap(), None);
        assert_eq!(keyboard.characters(1, unicode).unwrap(), None);
    }

    #[test]
    fn what_is_no_text_costs_its_line() {
        let mut keyboard = keyboard(b"a\xff\nb\n");
        assert!(matches!(
            keyboard.line(Encoding::Unicode),
            Err(ReadError::NotText)
        ));
        assert_eq!(keyboard.line(Encoding::Unicode).unwrap().as_deref(), Some("b\n"));
        let mut keyboard = self::keyboard(b"a\xff\n");
        assert_eq!(
            keyboard.line(Encoding::Latin1).unwrap().as_deref(),
            Some("a\u{ff}\n")
        );
    }
}
