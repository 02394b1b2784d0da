//! Formats and arguments made at random.

use beamnode::term::{Atom, BitString, Float, Fun, List, Map, Pid, Port, Record, Reference, Term, Tuple};

const NAMES: [&str; 20] = [
    "ok",
    "error",
    "a",
    "Aa",
    "if",
    "maybe",
    "else",
    "two words",
    "tag",
    "a_long_tag_of_a_tuple",
    "ß",
    "é",
    "Ωmega",
    "'",
    "\\",
    "",
    "x@y",
    "undefined",
    "\n",
    "9",
];

/// Where the form changes, or rounding carries.
const FLOATS: [f64; 22] = [
    0.0,
    -0.0,
    1.0,
    0.1,
    0.5,
    9.5,
    99.5,
    999.95,
    9999.5,
    9999.0,
    1e4,
    1e5,
    1e15,
    1e16,
    9_007_199_254_740_992.0,
    9_007_199_254_740_991.0,
    5e-324,
    f64::MAX,
    1e22,
    1e23,
    0.099_999_99,
    123_456.789,
];

/// The node that evaluates, which is not distributed.
const NODE: Atom = Atom::from_static("nonode@nohost");

/// A source of random choices (`SplitMix64`).
pub(crate) struct Random(u64);

impl Random {
    /// Choices that follow from the seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn number(&mut self, end: u64) -> u32 {
        u32::try_from(self.below(end)).unwrap()
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    fn character(&mut self) -> char {
        match self.below(12) {
            0..=6 => char::from(u8::try_from(32 + self.below(95)).unwrap()),
            7 => self.pick(&[
                '\n', '\t', '\r', '\u{8}', '\u{b}', '\u{c}', '\u{1b}', '\u{7f}', '\0', '\u{1}', '\u{85}',
            ]),
            8 | 9 => char::from_u32(0xa0 + u32::try_from(self.below(96)).unwrap()).unwrap(),
            10 => self.pick(&[
                'Ω',
                '→',
                '\u{301}',
                '\u{200d}',
                '😀',
                '👩',
                '\u{1f3fd}',
                '\u{fffe}',
                '\u{ffff}',
                'ก',
                '한',
                '\u{1100}',
                '\u{1161}',
                '🇩',
                '🇪',
                '\u{915}',
                '\u{94d}',
            ]),
            _ => loop {
                let code = u32::try_from(self.below(0x11_0000)).unwrap();
                if let Some(c) = char::from_u32(code) {
                    break c;
                }
            },
        }
    }

    fn text(&mut self, most: u64) -> String {
        let length = self.below(most + 1);
        let plain = self.below(3) > 0;
        (0..length)
            .map(|_| {
                if plain {
                    char::from(u8::try_from(97 + self.below(26)).unwrap())
                } else {
                    self.character()
                }
            })
            .collect()
    }

    fn atom(&mut self) -> Term {
        if self.one_in(4) {
            let text = self.text(12);
            return Term::Atom(Atom::new(&text).unwrap());
        }
        Term::Atom(Atom::new(self.pick(&NAMES)).unwrap())
    }

    fn integer(&mut self) -> Term {
        let value = self.next().cast_signed() >> self.below(64);
        match self.below(12) {
            0 => Term::from(i128::from(value) * i128::from(self.next().cast_signed())),
            1 => {
                let bytes: Vec<u8> = (0..self.below(60))
                    .map(|_| self.next().to_le_bytes()[0])
                    .collect();
                Term::integer_from_magnitude(self.one_in(2), &bytes)
            }
            2..=6 => Term::from(u32::try_from(self.below(256)).unwrap()),
            _ => Term::from(value),
        }
    }

    fn float(&mut self) -> Term {
        let value = match self.below(6) {
            0 => f64::from_bits(self.next()),
            1 => f64::from(u32::try_from(self.below(100_000)).unwrap()) / 100.0,
            2 => self.pick(&FLOATS),
            3 => (self.next().cast_signed() >> self.below(60)) as f64,
            _ => {
                (self.next().cast_signed() as f64 / 1e18)
                    * 10f64.powi(i32::try_from(self.below(30)).unwrap() - 15)
            }
        };
        Float::new(value).map_or(Term::from(1.5), Term::Float)
    }

    fn binary(&mut self) -> Term {
        match self.below(4) {
            0 => Term::Binary(
                (0..self.below(30))
                    .map(|_| self.next().to_le_bytes()[0])
                    .collect::<Vec<u8>>()
                    .into(),
            ),
            1 => {
                let text: Vec<u8> = (0..self.below(30))
                    .map(|_| self.pick(&[b'a', b' ', 0xe9, 0xfc, b'\n', 0xc3, 0xa9]))
                    .collect();
                Term::Binary(text.into())
            }
            _ => Term::from(self.text(40)),
        }
    }

    fn bits(&mut self) -> Term {
        let bytes: Vec<u8> = (0..=self.below(20))
            .map(|_| self.next().to_le_bytes()[0])
            .collect();
        let bits = u8::try_from(1 + self.below(7)).unwrap();
        BitString::new(&bytes, bits).map_or(Term::NIL, Term::BitString)
    }

    fn term(&mut self, size: u64) -> Term {
        let scalar = size == 0 || self.one_in(6);
        match if scalar { self.below(9) } else { 9 + self.below(9) } {
            0 | 1 => self.atom(),
            2 | 3 => self.integer(),
            4 => self.float(),
            5 => self.binary(),
            6 => self.bits(),
            7 => Term::List(List::from_chars(&self.text(20))),
            8 => match self.below(9) {
                0 => Term::Pid(Pid::new(NODE, self.number(1000), 0, 0)),
                1 => Term::Port(Port::new(NODE, self.below(1 << 28), 0)),
                2 => {
                    let words = [self.number(1 << 18), self.number(1 << 31), 3];
                    Term::Reference(Reference::new(NODE, &words, 0).unwrap())
                }
                3 => Term::Fun(Fun::export(
                    Atom::from_static("lists"),
                    Atom::from_static("map"),
                    2,
                )),
                4 | 5 => Term::NIL,
                6 => Term::Tuple(Tuple::from_iter([])),
                7 => self.record(0),
                _ => Term::Map(Map::from_iter([])),
            },
            9 => self.record(size),
            10 | 11 => Term::Tuple(self.terms(size)),
            12 => {
                let rest: Vec<Term> = self.terms(size);
                Term::Tuple(std::iter::once(self.atom()).chain(rest).collect())
            }
            13 | 14 => Term::List(self.terms(size)),
            15 => {
                let elements: Vec<Term> = self.terms(size);
                let tail = self.term(size / 2);
                Term::List(List::improper(elements, tail))
            }
            _ => {
                let pairs: Vec<(Term, Term)> = (0..self.below(6))
                    .map(|_| {
                        let size = size / 3;
                        (self.term(size / 2), self.term(size))
                    })
                    .collect();
                Term::Map(pairs.into_iter().collect())
            }
        }
    }

    /// A native record, which only OTP 29 has.
    fn record(&mut self, size: u64) -> Term {
        let name = |random: &mut Self| random.atom().as_atom().unwrap().clone();
        let values: Vec<Term> = if size == 0 { Vec::new() } else { self.terms(size) };
        let fields = values
            .into_iter()
            .enumerate()
            .map(|(index, value)| (Atom::new(&format!("{}{index}", name(self))).unwrap(), value))
            .collect::<Vec<_>>();
        Term::Record(Record::new(name(self), name(self), true, fields))
    }

    fn terms<C: FromIterator<Term>>(&mut self, size: u64) -> C {
        let count = self.below(1 + size.min(12));
        (0..count).map(|_| self.term(size / count.max(1))).collect()
    }

    /// What `~s` may take.
    fn chardata(&mut self, size: u64) -> Term {
        match self.below(5) {
            0 => self.binary(),
            1 if size > 0 => {
                let parts: Vec<Term> = (0..self.below(5))
                    .map(|_| match self.below(3) {
                        0 => Term::from(u32::from(self.character())),
                        _ => self.chardata(size / 2),
                    })
                    .filter(|part| part.as_atom().is_none())
                    .collect();
                if self.one_in(8) {
                    let tail = self.binary();
                    Term::List(List::improper(parts, tail))
                } else {
                    Term::from(parts)
                }
            }
            2 => self.atom(),
            _ => Term::List(List::from_chars(&self.text(30))),
        }
    }

    /// A format, and arguments that mostly suit it.
    pub(crate) fn case(&mut self) -> (Term, Term) {
        let mut format: Vec<Term> = Vec::new();
        let mut arguments = Vec::new();
        let push = |format: &mut Vec<Term>, text: &str| {
            format.extend(text.chars().map(|c| Term::from(u32::from(c))));
        };
        for _ in 0..=self.below(4) {
            let text = if self.one_in(3) {
                self.text(10).replace('~', "")
            } else {
                String::new()
            };
            push(&mut format, &text);
            if self.one_in(40) {
                format.push(self.chardata(2));
            }
            let letter = self.pick(&[
                'w', 'w', 'p', 'p', 'p', 'p', 'W', 'P', 'P', 's', 's', 'e', 'f', 'g', 'b', 'B', 'x', 'X',
                '+', '#', 'c', '~', 'n', 'i',
            ]);
            push(&mut format, "~");
            let number = |random: &mut Self, most: u64| i64::try_from(random.below(most)).unwrap();
            if self.one_in(3) {
                let most = if "pP".contains(letter) { 120 } else { 30 };
                if self.one_in(4) {
                    push(&mut format, "*");
                    let sign = if self.one_in(4) { -1 } else { 1 };
                    arguments.push(Term::from(sign * number(self, most)));
                } else {
                    if self.one_in(4) {
                        push(&mut format, "-");
                    }
                    push(&mut format, &number(self, most).to_string());
                }
            }
            let precise = self.one_in(4);
            let is_based = "bBxX+#".contains(letter);
            if precise {
                push(&mut format, ".");
                if self.one_in(5) {
                    push(&mut format, "*");
                    // The others would keep the node busy for ever.
                    let sign = if "pPsin".contains(letter) && self.one_in(10) {
                        -1
                    } else {
                        1
                    };
                    arguments.push(Term::from(sign * number(self, 40)));
                } else if !self.one_in(8) {
                    let least = if is_based { 2 } else { 0 };
                    push(
                        &mut format,
                        &(least + number(self, if "pP".contains(letter) { 90 } else { 33 })).to_string(),
                    );
                }
            }
            if precise && self.one_in(3) {
                push(&mut format, ".");
                match self.below(4) {
                    0 => {
                        push(&mut format, "*");
                        arguments.push(match self.below(4) {
                            0 => Term::List(List::from_chars(&self.text(3))),
                            _ => Term::from(u32::from(self.character())),
                        });
                    }
                    1 => push(&mut format, &self.character().to_string()),
                    _ => push(&mut format, "0"),
                }
            }
            for _ in 0..self.below(3) {
                match self.below(8) {
                    0 => push(&mut format, "l"),
                    1 => push(&mut format, "k"),
                    2 => {
                        push(&mut format, "K");
                        arguments.push(Term::Atom(
                            Atom::new(self.pick(&["ordered", "reversed", "undefined", "other"])).unwrap(),
                        ));
                    }
                    _ => push(&mut format, "t"),
                }
            }
            push(&mut format, &letter.to_string());
            let size = 1 << self.below(7);
            match letter {
                'w' | 'p' | 'i' => arguments.push(self.term(size)),
                'W' | 'P' => {
                    arguments.push(self.term(size));
                    arguments.push(match self.below(12) {
                        0 => Term::from(-1),
                        1 => Term::from(1_u64 << 40),
                        _ => Term::from(self.below(25)),
                    });
                }
                's' => arguments.push(self.chardata(4)),
                'e' | 'f' | 'g' => arguments.push(self.float()),
                'b' | 'B' | '+' | '#' => arguments.push(self.integer()),
                'x' | 'X' => {
                    arguments.push(self.integer());
                    arguments.push(self.chardata(2));
                }
                'c' => arguments.push(match self.below(4) {
                    0 => self.integer(),
                    _ => Term::from(u32::from(self.character())),
                }),
                _ => {}
            }
        }
        if self.one_in(60) {
            arguments.push(self.atom());
        }
        // Not where an integer could come to be a width, which would be too much for the node.
        let has_star = format.contains(&Term::from(u32::from('*')));
        if !has_star && self.one_in(60) {
            let index = usize::try_from(self.below(arguments.len() as u64 + 1)).unwrap();
            let term = self.term(3);
            arguments.insert(index, term);
        }
        (Term::from(format), Term::from(arguments))
    }
}
