//! Terms out of bytes: every choice is a byte, and there are few things to choose from, so that equal and nearly equal terms meet.

use beamnode::term::{Atom, BitString, Float, Fun, List, Pid, Port, Reference, Term};

/// The bytes that decide.
#[derive(Debug)]
pub(crate) struct Pieces<'a>(&'a [u8]);

impl<'a> Pieces<'a> {
    /// With all bytes still to be used.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte; zero once they are used up.
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    fn pick<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        from[usize::from(self.byte()) % N]
    }

    fn text(&mut self) -> String {
        let len = self.below(6);
        (0..len)
            .map(|_| match self.below(4) {
                0 => self.pick([
                    'a', '\'', '"', '\\', '\n', '\x1b', '\x7f', 'é', '→', '🙂', '\u{e000}',
                ]),
                1 => char::from(self.byte()),
                _ => self.pick(['a', 'b', 'Z', '_', '@', '1', ' ', '.']),
            })
            .collect()
    }

    fn atom(&mut self) -> Atom {
        match self.below(3) {
            0 => Atom::new(&self.text()).unwrap_or(Atom::from_static("a")),
            _ => Atom::from_static(self.pick(["a", "b", "ok", "", "true", "A", "aa", "é", "maybe", "fun"])),
        }
    }

    fn node(&mut self) -> Atom {
        Atom::from_static(self.pick(["a@b", "b@b", "nonode@nohost"]))
    }

    fn number(&mut self) -> Term {
        match self.below(6) {
            0 | 1 => Term::from(i64::from(self.byte()) - 128),
            2 => {
                let edge = 1_i128 << self.pick([7, 8, 31, 32, 52, 53, 54, 62, 63, 64, 100, 126]);
                let value = edge + i128::from(self.below(5)) - 2;
                Term::from(if self.below(2) == 0 { value } else { -value })
            }
            3 => {
                let power = 2_f64.powi(self.pick([0, 7, 31, 52, 53, 54, 63, 64, 100, 1023, -1, -1074]));
                Term::from(if self.below(2) == 0 { power } else { -power })
            }
            4 => Term::from(f64::from(self.below(8)) / 2.0 - 1.0),
            _ => {
                let bits = std::array::from_fn(|_| self.byte());
                Float::new(f64::from_bits(u64::from_le_bytes(bits))).map_or(Term::from(-0.0), Term::Float)
            }
        }
    }

    /// A term that its text tells in full, of so many parts at most.
    pub(crate) fn term(&mut self, budget: u8) -> Term {
        let count = self.below(4).min(budget);
        let each = budget / count.max(1);
        let parts = |pieces: &mut Self, count: u8| -> Vec<Term> {
            (0..count).map(|_| pieces.term(each.saturating_sub(1))).collect()
        };
        match self.below(if budget < 2 { 8 } else { 14 }) {
            0 | 1 => self.number(),
            2 => Term::Atom(self.atom()),
            3 => Term::from(self.text()),
            4 => {
                let bytes: Vec<u8> = (0..=self.below(3)).map(|_| self.byte()).collect();
                let bits = self.below(9);
                BitString::new(&bytes, bits).map_or_else(|| Term::Binary(bytes.into()), Term::BitString)
            }
            5 => {
                let bytes: Vec<u8> = (0..self.below(5)).map(|_| self.byte()).collect();
                Term::List(List::from_bytes(bytes))
            }
            6 => Term::NIL,
            // Its text does not tell the creation, which is read as 0.
            7 => match self.below(4) {
                0 => Term::Pid(Pid::new(self.node(), self.byte().into(), self.below(2).into(), 0)),
                1 => Term::Port(Port::new(self.node(), self.byte().into(), 0)),
                2 => {
                    let words = [self.byte().into(), self.byte().into(), 7];
                    Reference::new(self.node(), &words, 0).map_or(Term::NIL, Term::Reference)
                }
                _ => Term::Fun(Fun::export(self.atom(), self.atom(), self.byte())),
            },
            8 | 9 => Term::Tuple(parts(self, count).into_iter().collect()),
            10 => Term::from(parts(self, count)),
            11 => {
                let elements = parts(self, count.max(1));
                let tail = self.term(each);
                Term::List(List::improper(elements, tail))
            }
            _ => {
                let keys = parts(self, count);
                let values = parts(self, count);
                Term::Map(keys.into_iter().zip(values).collect())
            }
        }
    }
}
