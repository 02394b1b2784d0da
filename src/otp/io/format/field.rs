//! Fields: what is printed, brought to a width.

use super::{FormatError, Out, chars};

/// What is to stand in a field: `~F.P.Pad`.
#[derive(Clone)]
pub(super) struct Field {
    pub(super) width: Option<i64>,
    /// Whether the text stands at the left end.
    pub(super) left: bool,
    pub(super) precision: Option<i64>,
    pub(super) pad: Pad,
}

/// What fills a field.
#[derive(Clone)]
pub(super) enum Pad {
    Char(char),
    /// As many copies of a text as characters are missing.
    Text(String),
    /// Something that is no text: an error where anything is to be filled.
    None,
}

impl Field {
    pub(super) const fn is_free(&self) -> bool {
        self.width.is_none() && self.precision.is_none()
    }

    pub(super) fn with_precision(&self, precision: Option<i64>) -> Self {
        Self {
            precision,
            ..self.clone()
        }
    }

    /// A term or number of that length: cut ones are no use, so one that is too long is stars.
    pub(super) fn term(
        &self,
        out: &mut Out,
        text: &str,
        length: usize,
        wrong: FormatError,
    ) -> Result<(), FormatError> {
        self.check(wrong)?;
        let Some(width) = self.width.or(self.precision) else {
            return out.push(text);
        };
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        let room = self.precision.unwrap_or(width).min(width);
        if length <= room {
            return self.fill(out, width - length, |out| out.push(text));
        }
        self.fill(out, width - room, |out| out.repeat('*', room))
    }

    /// Text: cut to the precision, or to the width where there is none.
    pub(super) fn text(
        &self,
        out: &mut Out,
        text: &str,
        unicode: bool,
        wrong: FormatError,
    ) -> Result<(), FormatError> {
        self.check(wrong)?;
        let (width, precision, left) = match (self.width, self.precision) {
            (None, None) => return out.push(text),
            (Some(width), None) => (width, width, self.left),
            (None, Some(precision)) => (precision, precision, true),
            (Some(width), Some(precision)) if width < precision => return Err(wrong),
            (Some(width), Some(precision)) => (width, precision, self.left),
        };
        let length = i64::try_from(chars::length(text)).unwrap_or(i64::MAX);
        let field = Self { left, ..self.clone() };
        if length > precision {
            let text = chars::truncate(text, usize::try_from(precision).unwrap_or(0), unicode);
            return field.fill(out, width - precision, |out| out.push(text));
        }
        // Up to the precision the filling is to the right in any case, unless the two are one.
        let inner = if width == precision { 0 } else { precision - length };
        field.fill(out, width - length - inner, |out| {
            out.push(text)?;
            self.padding(out, inner)
        })
    }

    /// A character as often as the precision says, or else the width.
    pub(super) fn character(
        &self,
        out: &mut Out,
        character: Option<char>,
        wrong: FormatError,
    ) -> Result<(), FormatError> {
        self.check(wrong)?;
        let repeat = |out: &mut Out, count| match character {
            Some(character) => out.repeat(character, count),
            None if count == 0 => Ok(()),
            None => Err(FormatError::NotText),
        };
        match (self.width, self.precision) {
            (None, None) => repeat(out, 1),
            (Some(count), None) | (None, Some(count)) => repeat(out, count),
            (Some(width), Some(count)) if width < count => Err(wrong),
            (Some(width), Some(count)) => self.fill(out, width - count, |out| repeat(out, count)),
        }
    }

    /// Nothing can be cut to a negative length: OTP gives `badarg`, or tries for ever.
    fn check(&self, wrong: FormatError) -> Result<(), FormatError> {
        if self.precision.is_some_and(|precision| precision < 0) {
            return Err(wrong);
        }
        Ok(())
    }

    /// What `content` prints, and padding beside it.
    fn fill(
        &self,
        out: &mut Out,
        padding: i64,
        content: impl FnOnce(&mut Out) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        if self.left {
            content(out)?;
            self.padding(out, padding)
        } else {
            self.padding(out, padding)?;
            content(out)
        }
    }

    fn padding(&self, out: &mut Out, count: i64) -> Result<(), FormatError> {
        match &self.pad {
            _ if count <= 0 => Ok(()),
            Pad::Char(character) => out.repeat(*character, count),
            Pad::Text(text) if text.is_empty() => Ok(()),
            Pad::Text(text) => (0..count).try_for_each(|_| out.push(text)),
            Pad::None => Err(FormatError::NotText),
        }
    }
}
