//! Random terms that exercise every corner of the format, from a seed.

use beamnode::term::{Atom, BitString, Float, Fun, List, Pid, Port, Record, Reference, Term};
use bytes::Bytes;

/// A small generator of random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `end - 1`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let index = self.below(from.len() as u64) as usize;
        from[index].clone()
    }
}

/// What a release can take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    pub(crate) release: u32,
}

impl Profile {
    /// Any term, of about this many parts at most.
    pub(crate) fn term(self, random: &mut Random, budget: u64) -> Term {
        if budget < 2 || random.one_in(3) {
            return self.leaf(random);
        }
        let count = match random.below(10) {
            0 => 0,
            1 => random.below(40).min(budget),
            _ => random.below(6).min(budget),
        };
        let budget = budget / count.max(1);
        match random.below(if self.release >= 29 { 10 } else { 9 }) {
            0..3 => Term::Tuple((0..count).map(|_| self.term(random, budget)).collect()),
            3..5 => Term::List((0..count).map(|_| self.term(random, budget)).collect()),
            5 => {
                let tail = self.term(random, budget);
                let elements: Vec<_> = (0..count.max(1)).map(|_| self.term(random, budget)).collect();
                Term::List(List::improper(elements, tail))
            }
            6..8 => Term::Map(
                (0..count)
                    .map(|_| (self.key(random, budget), self.term(random, budget)))
                    .collect(),
            ),
            8 => self.fun(random, budget),
            _ => {
                let mut fields: Vec<(Atom, Term)> = Vec::new();
                for _ in 0..count {
                    let name = atom(random);
                    if fields.iter().all(|(other, _)| *other != name) {
                        fields.push((name, self.term(random, budget)));
                    }
                }
                Term::Record(Record::new(atom(random), atom(random), random.one_in(2), fields))
            }
        }
    }

    /// A key: often a number, so that equal ones of different type meet.
    fn key(self, random: &mut Random, budget: u64) -> Term {
        match random.below(4) {
            0 => self.number(random),
            1 => Term::Atom(atom(random)),
            2 => self.leaf(random),
            _ => self.term(random, budget.min(4)),
        }
    }

    fn leaf(self, random: &mut Random) -> Term {
        match random.below(12) {
            0..3 => self.number(random),
            3..5 => Term::Atom(atom(random)),
            5 => Term::NIL,
            6 => {
                let len = length(random);
                Term::List((0..len).map(|_| Term::from(character(random))).collect())
            }
            7 => {
                let len = length(random);
                Term::List(List::from_bytes(
                    (0..len).map(|_| byte(random)).collect::<Vec<_>>(),
                ))
            }
            8 => {
                let len = length(random);
                Term::Binary((0..len).map(|_| byte(random)).collect::<Vec<_>>().into())
            }
            9 => {
                let len = random.below(20) + 1;
                let bytes: Vec<u8> = (0..len).map(|_| byte(random)).collect();
                let bits = random.below(7) as u8 + 1;
                BitString::new(&bytes, bits).map_or(Term::NIL, Term::BitString)
            }
            10 => self.identifier(random),
            _ => Term::Binary(
                (0..random.below(30))
                    .map(|_| character(random))
                    .filter_map(char::from_u32)
                    .collect::<String>()
                    .into(),
            ),
        }
    }

    fn number(self, random: &mut Random) -> Term {
        match random.below(8) {
            0 => Term::from(random.below(4) as i64 - 1),
            1 => Term::from(random.below(4) as f64 - 1.0 + if self.release < 27 { 0.0 } else { -0.0 }),
            2 => Term::from((random.next() as i64) >> random.below(64)),
            3 => {
                // Around the places where forms and types change.
                let edge = 1_i128 << random.pick(&[7, 8, 27, 28, 31, 32, 53, 59, 60, 63, 64, 65, 100]);
                let value = edge + i128::from(random.below(5) as i64 - 2);
                Term::from(if random.one_in(2) { value } else { -value })
            }
            4 => {
                let len = random.pick(&[9, 9, 16, 17, 254, 255, 256, 257, 300]);
                let bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
                Term::integer_from_magnitude(random.one_in(2), &bytes)
            }
            5 => self.float(f64::from_bits(random.next())),
            6 => {
                // Whole floats about as large as integers beside them.
                let power = random.below(200) as i32 - 60;
                let value = (2_f64.powi(power) + random.below(3) as f64) * (random.below(9) as f64 - 4.0);
                self.float(value)
            }
            _ => self
                .float(random.below(100_000) as f64 / random.pick(&[1.0, 10.0, 100.0, 1e5, 3.0, 1e-5, 1e20])),
        }
    }

    fn float(self, value: f64) -> Term {
        // Before OTP 27 a negative zero was not told from a positive one.
        let value = if self.release < 27 && value == 0.0 {
            0.0
        } else {
            value
        };
        Float::new(value).map_or(Term::from(1.5), Term::Float)
    }

    fn identifier(self, random: &mut Random) -> Term {
        let node = node(random);
        let creation = random.pick(&[1, 4, 1_700_000_000, u32::MAX]);
        match random.below(4) {
            0 => {
                let id = random.below(1 << 15) as u32;
                let serial = random.below(1 << 13) as u32;
                Term::Pid(Pid::new(node, id, serial, creation))
            }
            1 => {
                if self.release < 25 {
                    return old_port(&node, random.below(1 << 28) as u32, creation);
                }
                let id = random.next() >> random.pick(&[0, 36, 60]);
                Term::Port(Port::new(node, id, creation))
            }
            2 => {
                // Real ones have three words, aliases of OTP 26 and later five.
                let count = if self.release < 26 {
                    3
                } else {
                    random.pick(&[3, 3, 5, 5, 1, 2, 4])
                };
                let words: Vec<u32> = (0..count)
                    .map(|index| {
                        if index == 0 {
                            random.below(1 << 18) as u32
                        } else {
                            random.next() as u32
                        }
                    })
                    .collect();
                Reference::new(node, &words, creation).map_or(Term::NIL, Term::Reference)
            }
            _ => Term::Fun(Fun::export(
                plain_atom(random),
                plain_atom(random),
                random.below(256) as u8,
            )),
        }
    }

    /// A fun of one of a few modules that no node has loaded; all that names it follows from its number.
    fn fun(self, random: &mut Random, budget: u64) -> Term {
        let number = random.below(6) as u8;
        let free: Vec<Term> = (0..random.below(3))
            .map(|_| self.term(random, budget / 3))
            .collect();
        let mut bytes = vec![131, 112, 0, 0, 0, 0, number];
        bytes.extend_from_slice(&[number; 16]);
        bytes.extend_from_slice(&u32::from(number).to_be_bytes());
        bytes.extend_from_slice(&(free.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&[119, 2, b'm', b'a' + number / 3, 97, number, 98, 1, 2, 3, number]);
        let pid = Pid::new(node(random), 0, 0, 4);
        bytes.extend_from_slice(&beamnode::etf::encode(&Term::Pid(pid))[1..]);
        for term in &free {
            bytes.extend_from_slice(&beamnode::etf::encode(term)[1..]);
        }
        beamnode::etf::decode(bytes).unwrap()
    }
}

/// A port in the only form that OTP 23 takes.
fn old_port(node: &Atom, id: u32, creation: u32) -> Term {
    let mut bytes = vec![131, 89, 119, node.len() as u8];
    bytes.extend_from_slice(node.as_str().as_bytes());
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(&creation.to_be_bytes());
    beamnode::etf::decode(bytes).unwrap()
}

fn length(random: &mut Random) -> u64 {
    match random.below(200) {
        0 => random.pick(&[65_534, 65_535, 65_536, 65_537]),
        1..4 => random.below(400),
        _ => random.below(12),
    }
}

fn byte(random: &mut Random) -> u8 {
    match random.below(4) {
        0 => random.next() as u8,
        1 => random.pick(b"\n\t\"\\'\x1b\x7f\x08 ~"),
        _ => b'a' + random.below(26) as u8,
    }
}

fn character(random: &mut Random) -> u32 {
    match random.below(6) {
        0 => random.below(0x11_0000) as u32,
        1 => random.below(0x400) as u32,
        _ => byte(random).into(),
    }
}

/// The name of one of a few nodes, which prints without quotes.
fn node(random: &mut Random) -> Atom {
    random.pick(&[
        Atom::from_static("node1@host"),
        Atom::from_static("node2@host"),
        Atom::from_static("anode@host"),
        Atom::from_static("znode@host"),
    ])
}

fn plain_atom(random: &mut Random) -> Atom {
    random.pick(&[
        Atom::from_static("lists"),
        Atom::from_static("Map me"),
        Atom::from_static("a"),
        Atom::from_static("b"),
        Atom::from_static(""),
    ])
}

pub(crate) fn atom(random: &mut Random) -> Atom {
    const KNOWN: [&str; 16] = [
        "a", "b", "c", "ok", "error", "nil", "true", "fun", "maybe", "", "A b", "a@b", "aa", "éa", "λ", "'",
    ];
    match random.below(8) {
        0..5 => Atom::from_static(random.pick(&KNOWN)),
        5 => {
            // At and beyond the lengths where the tag changes, in bytes and in characters.
            let len = random.pick(&[127, 128, 254, 255]);
            let of = random.pick(&['x', 'é', '→', '🙂']);
            Atom::new(&of.to_string().repeat(len)).unwrap()
        }
        _ => {
            let len = random.below(8);
            let text: String = (0..len)
                .filter_map(|_| char::from_u32(character(random)))
                .collect();
            Atom::new(&text).unwrap()
        }
    }
}

/// Whether a term has text that depends on the node that prints it.
pub(crate) fn bytes(value: Vec<u8>) -> Term {
    Term::Binary(Bytes::from(value))
}
