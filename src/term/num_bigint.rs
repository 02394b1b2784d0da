//! Integers of any size from and to those of the crate [`num_bigint`], behind the feature `num-bigint`.

use super::number::BigInteger;
use super::{NotInRange, Term};
use num_bigint::{BigInt, BigUint, Sign};

impl From<&BigInt> for Term {
    /// An integer.
    ///
    /// ```
    /// use beamnode::term::Term;
    /// use num_bigint::BigInt;
    ///
    /// let term = Term::from(-BigInt::from(u128::MAX));
    /// assert_eq!(term.to_string(), "-340282366920938463463374607431768211455");
    /// assert_eq!(BigInt::try_from(&term), Ok(-BigInt::from(u128::MAX)));
    /// ```
    fn from(value: &BigInt) -> Self {
        let (sign, magnitude) = value.to_bytes_le();
        Self::integer_from_magnitude(sign == Sign::Minus, &magnitude)
    }
}

impl From<BigInt> for Term {
    /// An integer.
    fn from(value: BigInt) -> Self {
        Self::from(&value)
    }
}

impl From<&BigUint> for Term {
    /// An integer.
    fn from(value: &BigUint) -> Self {
        Self::integer_from_magnitude(false, &value.to_bytes_le())
    }
}

impl From<BigUint> for Term {
    /// An integer.
    fn from(value: BigUint) -> Self {
        Self::from(&value)
    }
}

impl From<&BigInteger> for BigInt {
    fn from(value: &BigInteger) -> Self {
        let sign = if value.is_negative() {
            Sign::Minus
        } else {
            Sign::Plus
        };
        Self::from_bytes_le(sign, value.magnitude())
    }
}

impl TryFrom<&Term> for BigInt {
    type Error = NotInRange;

    /// The integer.
    ///
    /// # Errors
    /// If the term is none.
    fn try_from(term: &Term) -> Result<Self, NotInRange> {
        match term {
            Term::Integer(value) => Ok((*value).into()),
            Term::BigInteger(value) => Ok(value.into()),
            _ => Err(NotInRange),
        }
    }
}

impl TryFrom<&Term> for BigUint {
    type Error = NotInRange;

    /// The integer.
    ///
    /// # Errors
    /// If the term is none, or is below zero.
    fn try_from(term: &Term) -> Result<Self, NotInRange> {
        BigInt::try_from(term)?.to_biguint().ok_or(NotInRange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_go_both_ways() {
        for shift in [0, 1, 7, 8, 31, 32, 62, 63, 64, 65, 127, 128, 2040, 2048, 5000] {
            for near in [-1, 0, 1] {
                for sign in [1, -1] {
                    let value: BigInt = ((BigInt::from(1) << shift) + near) * sign;
                    let term = Term::from(&value);
                    assert_eq!(term.to_string(), value.to_string());
                    assert_eq!(BigInt::try_from(&term), Ok(value.clone()));
                    assert_eq!(BigUint::try_from(&term).ok(), value.to_biguint());
                    assert_eq!(matches!(term, Term::Integer(_)), i64::try_from(&value).is_ok());
                    assert_eq!(crate::etf::decode(crate::etf::encode(&term)), Ok(term));
                }
            }
        }
        assert_eq!(BigInt::try_from(&Term::NIL), Err(NotInRange));
    }
}
