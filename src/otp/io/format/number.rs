//! Numbers: floats by `~e`, `~f` and `~g`, integers in any base.

use super::FormatError;
use super::scan::{Form, Prefix};
use crate::term::Term;

/// Bytes of the largest integer that is converted to digits: 157,826 decimal ones. It takes time that grows with the square.
pub(super) const LARGEST: usize = 64 << 10;

/// A float's text; nothing when the precision is too small for the form.
pub(super) fn float(
    value: f64,
    form: Form,
    precision: Option<i64>,
    limit: usize,
) -> Result<Option<String>, FormatError> {
    let precision = precision.unwrap_or(6);
    let (form, precision) = match form {
        Form::General if precision < 1 => return Ok(None),
        Form::General => general(value.abs(), precision),
        form => (form, precision),
    };
    let least = if matches!(form, Form::Exponent) { 2 } else { 1 };
    if precision < least {
        return Ok(None);
    }
    let Some(precision) = usize::try_from(precision).ok().filter(|it| *it <= limit) else {
        return Err(FormatError::TooLong { limit });
    };
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let number = Decimal::of(value.abs());
    Ok(Some(if matches!(form, Form::Exponent) {
        let (digits, carried) = number.rounded(1, precision - 1);
        let exponent = number.exponent - i32::from(!carried);
        let (first, rest) = digits.split_at_checked(1).unwrap_or_default();
        let first = if carried { "1" } else { first };
        let plus = if exponent < 0 { "" } else { "+" };
        format!("{sign}{first}.{rest}e{plus}{exponent}")
    } else {
        let whole = usize::try_from(number.exponent).unwrap_or(0).max(1);
        let (digits, carried) = number.with_whole_part().rounded(whole, precision);
        let (whole, fraction) = digits.split_at_checked(whole).unwrap_or_default();
        let carried = if carried { "1" } else { "" };
        format!("{sign}{carried}{whole}.{fraction}")
    }))
}

/// Which form `~g` takes, and its precision: the fixed one between 0.1 and 10⁴, if that shows all the digits wanted.
fn general(value: f64, digits: i64) -> (Form, i64) {
    let magnitude = [0.1, 1.0, 1e1, 1e2, 1e3, 1e4]
        .iter()
        .position(|bound| value < *bound);
    let exponent = magnitude
        .and_then(|place| i64::try_from(place).ok())
        .map(|place| place - 2);
    match exponent {
        Some(-1) if digits <= 1 => (Form::Fixed, digits),
        Some(exponent) if exponent >= -1 && digits - 1 > exponent => (Form::Fixed, digits - 1 - exponent),
        _ => (Form::Exponent, digits.max(2)),
    }
}

/// A positive number: 0.DIGITS × 10^exponent, to 21 digits, which is as many as OTP looks at.
struct Decimal {
    digits: Vec<u8>,
    exponent: i32,
}

impl Decimal {
    fn of(value: f64) -> Self {
        let text = format!("{value:.20e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        Self {
            digits: mantissa.bytes().filter(u8::is_ascii_digit).collect(),
            exponent: exponent.parse().unwrap_or(0) + 1,
        }
    }

    /// The number with a digit before the point, zero if need be.
    fn with_whole_part(mut self) -> Self {
        if self.exponent <= 0 {
            let zeros = usize::try_from(1 - self.exponent).unwrap_or(0);
            self.digits.splice(..0, std::iter::repeat_n(b'0', zeros));
            self.exponent = 1;
        }
        self
    }

    /// The first digits of the number, so many before and after the point, rounded half up; and whether a one is to be put before
    /// them.
    fn rounded(&self, whole: usize, fraction: usize) -> (String, bool) {
        let count = whole + fraction;
        let mut carry = self.digits.get(count).is_some_and(|digit| *digit >= b'5');
        let mut digits = self.digits.clone();
        digits.resize(count, b'0');
        for digit in digits.iter_mut().rev() {
            if !carry {
                break;
            }
            carry = *digit == b'9';
            *digit = if carry { b'0' } else { *digit + 1 };
        }
        (digits.into_iter().map(char::from).collect(), carry)
    }
}

/// An integer's text in a base from 2 to 36.
pub(super) fn integer(
    value: &Term,
    prefix: &Prefix,
    base: u32,
    uppercase: bool,
    limit: usize,
) -> Result<String, FormatError> {
    let (negative, magnitude) = match value {
        Term::Integer(value) => (*value < 0, value.unsigned_abs().to_le_bytes().to_vec()),
        Term::BigInteger(value) if value.magnitude().len() > LARGEST => {
            return Err(FormatError::TooLong { limit });
        }
        Term::BigInteger(value) => (value.is_negative(), value.magnitude().to_vec()),
        _ => return Ok(String::new()),
    };
    let mut text = String::new();
    if negative {
        text.push('-');
    }
    match prefix {
        Prefix::None => {}
        Prefix::Base => text.push_str(&format!("{base}#")),
        Prefix::Text(prefix) => text.push_str(prefix),
    }
    let digits = digits(&magnitude, base);
    text.extend(digits.iter().rev().map(|digit| {
        let digit = char::from_digit(*digit, base).unwrap_or('0');
        if uppercase {
            digit.to_ascii_uppercase()
        } else {
            digit
        }
    }));
    Ok(text)
}

/// The digits of a number of which the bytes are given, the least significant first both.
fn digits(magnitude: &[u8], base: u32) -> Vec<u32> {
    // As many digits at a time as fit in 32 bits.
    let at_once = (1..)
        .take_while(|count| base.checked_pow(*count).is_some())
        .last()
        .unwrap_or(1);
    let chunk = u64::from(base.pow(at_once));
    let mut words: Vec<u32> = magnitude
        .chunks(4)
        .map(|bytes| {
            bytes
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u32::from(*byte))
        })
        .collect();
    let mut digits = Vec::new();
    while !words.is_empty() {
        let mut rest = 0;
        for word in words.iter_mut().rev() {
            let value = rest << 32 | u64::from(*word);
            *word = u32::try_from(value / chunk).unwrap_or(0);
            rest = value % chunk;
        }
        for _ in 0..at_once {
            digits.push(u32::try_from(rest % u64::from(base)).unwrap_or(0));
            rest /= u64::from(base);
        }
        while words.last() == Some(&0) {
            words.pop();
        }
    }
    while digits.len() > 1 && digits.last() == Some(&0) {
        digits.pop();
    }
    digits
}
