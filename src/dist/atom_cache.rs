//! The atom caches of a connection and the header that refers to them.
//!
//! Follows "Distribution Header" of Erlang's *External Term Format*. A header lists the atoms that its message refers to
//! by number (tag 82): each is an entry of a cache of 2,048 slots, and an atom's text is sent only when it takes a slot.
//! There is one cache a direction, empty at first. A header changes the cache in the order of the frames, also if
//! nobody wants the message that comes with it.
//!
//! Nothing here is allocated by what a header claims: a header has at most 255 atoms, the cache at most 2,048.

use crate::etf::Atoms;
use crate::term::Atom;
use std::collections::HashMap;

/// How many atoms a cache holds: eight segments of 256.
const SLOTS: usize = 2048;

/// How many atoms one header can list.
pub(super) const MAX_REFERENCES: usize = 255;

/// The bit of a reference's nibble that says that the text follows.
const NEW_ENTRY: u8 = 0b1000;

/// Why a header cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It ends before it is complete.
    #[error("the header is cut off")]
    CutOff,
    /// It refers to a slot that nothing was put into.
    #[error("the header refers to the empty slot {0} of the atom cache")]
    EmptySlot(usize),
    /// A new entry is not an atom: not UTF-8, or over 255 characters.
    #[error("the header puts something into slot {0} of the atom cache that is no atom")]
    NotAnAtom(usize),
}

/// The cache of the atoms that the peer has sent.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// For each slot one more than the place in `atoms`, or 0. Empty until the first entry.
    places: Vec<u16>,
    atoms: Vec<Atom>,
    /// The last headers, each without the number of its references, and the atoms that it stood for, as long as no slot has
    /// changed: messages of a few kinds follow one another, and share their lists.
    last: [(Vec<u8>, Atoms); KINDS],
    /// Which of them the next one takes the place of.
    oldest: usize,
}

/// How many headers are remembered: a call takes four kinds of messages.
const KINDS: usize = 4;

impl Incoming {
    /// Reads the header that `input` begins with, from the number of its references on. Gives its atoms and what
    /// follows it.
    pub(super) fn read<'a>(&mut self, input: &'a [u8]) -> Result<(Atoms, &'a [u8]), HeaderError> {
        let (&count, input) = input.split_first().ok_or(HeaderError::CutOff)?;
        if count == 0 {
            return Ok((Atoms::default(), input));
        }
        let count = usize::from(count);
        // The flags, and an index for each reference: the whole header if nothing in it is new.
        if let Some((header, rest)) = input.split_at_checked(count / 2 + 1 + count)
            && let Some((_, atoms)) = self.last.iter().find(|(last, _)| header == last)
        {
            return Ok((atoms.clone(), rest));
        }
        let (flags, start) = input.split_at_checked(count / 2 + 1).ok_or(HeaderError::CutOff)?;
        let nibble = |i: usize| {
            flags.get(i / 2).map_or(0, |byte| {
                if i.is_multiple_of(2) {
                    byte & 0xf
                } else {
                    byte >> 4
                }
            })
        };
        let long = nibble(count) & 1 != 0;
        let mut changed = false;
        let mut atoms = Vec::with_capacity(count);
        let mut left = start;
        for i in 0..count {
            let (&index, rest) = left.split_first().ok_or(HeaderError::CutOff)?;
            left = rest;
            let flags = nibble(i);
            let slot = usize::from(flags & 0b111) << 8 | usize::from(index);
            if flags & NEW_ENTRY != 0 {
                let (text, rest) = take_text(left, long).ok_or(HeaderError::CutOff)?;
                left = rest;
                self.put(slot, text)?;
                changed = true;
            }
            // At once, since a later reference of this header may take the slot.
            atoms.push(self.atom(slot).ok_or(HeaderError::EmptySlot(slot))?.clone());
        }
        let atoms = Atoms::from(atoms);
        if changed {
            self.last = <_>::default();
        } else if let Some((header, _)) = input.split_at_checked(input.len() - left.len())
            && let Some((last, of_last)) = self.last.get_mut(self.oldest)
        {
            last.clear();
            last.extend_from_slice(header);
            *of_last = atoms.clone();
            self.oldest = (self.oldest + 1) % KINDS;
        }
        Ok((atoms, left))
    }

    fn atom(&self, slot: usize) -> Option<&Atom> {
        let place = *self.places.get(slot)?;
        self.atoms.get(usize::from(place).checked_sub(1)?)
    }

    fn put(&mut self, slot: usize, text: &[u8]) -> Result<(), HeaderError> {
        let atom = std::str::from_utf8(text)
            .ok()
            .and_then(|text| Atom::new(text).ok());
        let atom = atom.ok_or(HeaderError::NotAnAtom(slot))?;
        if self.places.is_empty() {
            self.places.resize(SLOTS, 0);
        }
        if let Some(place) = self.places.get_mut(slot) {
            match usize::from(*place)
                .checked_sub(1)
                .and_then(|place| self.atoms.get_mut(place))
            {
                Some(entry) => *entry = atom,
                None => {
                    self.atoms.push(atom);
                    // At most as many atoms as slots.
                    *place = u16::try_from(self.atoms.len()).unwrap_or_default();
                }
            }
        }
        Ok(())
    }
}

/// The text of a new entry, after its length.
fn take_text(input: &[u8], long: bool) -> Option<(&[u8], &[u8])> {
    if long {
        let (length, input) = input.split_first_chunk()?;
        input.split_at_checked(usize::from(u16::from_be_bytes(*length)))
    } else {
        let (&length, input) = input.split_first()?;
        input.split_at_checked(usize::from(length))
    }
}

/// The cache of the atoms that were sent to the peer.
///
/// Slots are taken in turn; when all are taken, the oldest entry that the message at hand does not refer to gives way.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    slots: HashMap<Atom, u16, foldhash::fast::RandomState>,
    /// By slot, the atom and the last message that referred to it.
    entries: Vec<(Atom, u32)>,
    /// The slot whose turn it is, once all are taken.
    turn: usize,
    message: u32,
    /// The references of this message, in order.
    references: Vec<Reference>,
    /// Those of the message before.
    before: Vec<Reference>,
}

#[derive(Clone, Copy, Debug)]
struct Reference {
    slot: u16,
    new: bool,
}

/// Among so few references a message's atoms are looked for one by one.
const FEW: usize = 8;

impl Outgoing {
    /// Begins a message whose payload refers to `atoms` by their place in that list, of which there must be no more than 255.
    pub(super) fn begin(&mut self, atoms: &[Atom]) {
        self.message = self.message.wrapping_add(1);
        std::mem::swap(&mut self.references, &mut self.before);
        self.references.clear();
        for atom in atoms.iter().take(MAX_REFERENCES) {
            let reference = self.refer(atom);
            self.references.push(reference);
        }
    }

    /// The number by which the message refers to `atom`; `None` if it can list no more and must hold the atom in full.
    pub(super) fn reference(&mut self, atom: &Atom) -> Option<u8> {
        if let Some(known) = self.known(atom) {
            return u8::try_from(known).ok();
        }
        let next = self.references.len();
        if next == MAX_REFERENCES {
            return None;
        }
        let reference = self.refer(atom);
        self.references.push(reference);
        u8::try_from(next).ok()
    }

    /// The place of an atom among the references that the message has already.
    fn known(&self, atom: &Atom) -> Option<usize> {
        if self.references.len() <= FEW {
            return self
                .references
                .iter()
                .position(|reference| self.is(*reference, atom));
        }
        let slot = *self.slots.get(atom)?;
        self.references
            .iter()
            .position(|reference| reference.slot == slot)
    }

    /// Whether an atom of the message is new to the peer.
    pub(super) fn has_new(&self) -> bool {
        self.references.iter().any(|reference| reference.new)
    }

    /// Writes the header of the message, from the number of its references on.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::try_from(self.references.len()).unwrap_or(u8::MAX));
        if self.references.is_empty() {
            return;
        }
        let new = || self.references.iter().filter(|reference| reference.new);
        let long = new().any(|reference| self.text(*reference).len() > usize::from(u8::MAX));
        let nibble = |reference: &Reference| {
            let segment = u8::try_from(reference.slot >> 8).unwrap_or_default();
            if reference.new {
                segment | NEW_ENTRY
            } else {
                segment
            }
        };
        let mut pairs = self.references.chunks_exact(2);
        for pair in &mut pairs {
            out.push(
                pair.iter()
                    .rev()
                    .fold(0, |byte, reference| byte << 4 | nibble(reference)),
            );
        }
        // The nibble after the last tells how wide the lengths are.
        let last = pairs.remainder().first();
        out.push(last.map_or(u8::from(long), |reference| {
            u8::from(long) << 4 | nibble(reference)
        }));
        for reference in &self.references {
            out.push((reference.slot & 0xff) as u8);
            if reference.new {
                let text = self.text(*reference).as_bytes();
                let [high, low] = u16::try_from(text.len()).unwrap_or_default().to_be_bytes();
                if long {
                    out.push(high);
                }
                out.push(low);
                out.extend_from_slice(text);
            }
        }
    }

    /// Whether the reference is to this atom.
    fn is(&self, reference: Reference, atom: &Atom) -> bool {
        self.entries
            .get(usize::from(reference.slot))
            .is_some_and(|(entry, _)| entry == atom)
    }

    fn text(&self, reference: Reference) -> &str {
        self.entries
            .get(usize::from(reference.slot))
            .map_or("", |(atom, _)| atom.as_str())
    }

    /// The slot of the atom, which takes one if it has none.
    fn refer(&mut self, atom: &Atom) -> Reference {
        let message = self.message;
        // Messages of one kind follow one another: most likely the one before has the same atom in this place.
        let before = self.before.get(self.references.len()).copied();
        let slot = match before.filter(|before| self.is(*before, atom)) {
            Some(before) => Some(before.slot),
            None => self.slots.get(atom).copied(),
        };
        if let Some(slot) = slot {
            if let Some((_, last)) = self.entries.get_mut(usize::from(slot)) {
                *last = message;
            }
            return Reference { slot, new: false };
        }
        let slot = if self.entries.len() < SLOTS {
            self.entries.push((atom.clone(), message));
            self.entries.len() - 1
        } else {
            // At most 255 of 2,048 are spoken for.
            while self
                .entries
                .get(self.turn)
                .is_some_and(|(_, last)| *last == message)
            {
                self.turn = (self.turn + 1) % SLOTS;
            }
            let slot = self.turn;
            self.turn = (self.turn + 1) % SLOTS;
            if let Some(entry) = self.entries.get_mut(slot) {
                let (old, _) = std::mem::replace(entry, (atom.clone(), message));
                self.slots.remove(&old);
            }
            slot
        };
        let slot = u16::try_from(slot).unwrap_or_default();
        self.slots.insert(atom.clone(), slot);
        Reference { slot, new: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(text: &str) -> Atom {
        Atom::new(text).unwrap()
    }

    fn texts(atoms: &Atoms) -> Vec<String> {
        atoms.iter().map(|atom| atom.as_str().to_owned()).collect()
    }

    /// Writes a message's header and reads it.
    fn through(
        out: &mut Outgoing,
        incoming: &mut Incoming,
        payload: &[Atom],
        control: &[Atom],
    ) -> Vec<String> {
        out.begin(payload);
        let numbers: Vec<_> = control.iter().map(|atom| out.reference(atom)).collect();
        let mut header = Vec::new();
        out.write(&mut header);
        header.extend_from_slice(b"rest");
        let (atoms, rest) = incoming.read(&header).unwrap();
        assert_eq!(rest, b"rest");
        for (atom, number) in control.iter().zip(numbers) {
            assert!(number.is_none_or(|number| atoms.get(usize::from(number)) == Some(atom)));
        }
        texts(&atoms)
    }

    /// A header as OTP 25 has sent it.
    #[test]
    fn header_of_a_real_node() {
        let header = b"\x04\x89\xfc\x00\x8f\x0dsrv@127.0.0.1\x05\x00\x96\x03rex\x45\x10features_requesth\x04";
        let mut incoming = Incoming::default();
        let (atoms, rest) = incoming.read(header).unwrap();
        assert_eq!(texts(&atoms), ["srv@127.0.0.1", "", "rex", "features_request"]);
        assert_eq!(rest, b"h\x04");
        // The slots that these have taken.
        let (atoms, _) = incoming.read(b"\x02\x47\x00\x45\x96").unwrap();
        assert_eq!(texts(&atoms), ["features_request", "rex"]);
        for _ in 0..2 {
            let (atoms, rest) = incoming.read(b"\x03\x01\x00\x8f\x05\x05more").unwrap_or_default();
            assert_eq!(
                (texts(&atoms), rest),
                (
                    vec!["srv@127.0.0.1".into(), String::new(), String::new()],
                    &b"more"[..]
                )
            );
        }
    }

    #[test]
    fn known_atoms_are_not_sent_again() {
        let (mut out, mut incoming) = (Outgoing::default(), Incoming::default());
        let (a, b, c) = (atom("alice@host"), atom("b"), atom("c"));
        for _ in 0..3 {
            let all = through(
                &mut out,
                &mut incoming,
                std::slice::from_ref(&b),
                &[a.clone(), b.clone(), c.clone()],
            );
            assert_eq!(all, ["b", "alice@host", "c"]);
        }
        let mut header = Vec::new();
        out.write(&mut header);
        assert_eq!(header.len(), 1 + 2 + 3, "no text");
    }

    #[test]
    fn headers_of_a_few_kinds_share_their_lists_until_a_slot_changes() {
        let mut incoming = Incoming::default();
        incoming.read(b"\x02\x88\x00\x01\x01a\x02\x01b").unwrap();
        let kinds: [&[u8]; 3] = [b"\x01\x00\x01", b"\x01\x00\x02", b"\x02\x00\x00\x01\x02"];
        let first = kinds.map(|header| incoming.read(header).unwrap().0);
        for (header, first) in kinds.iter().zip(&first) {
            assert!(incoming.read(header).unwrap().0.is_same(first));
        }
        incoming.read(b"\x01\x08\x02\x01c").unwrap();
        let then = kinds.map(|header| texts(&incoming.read(header).unwrap().0));
        assert_eq!(then, [vec!["a"], vec!["c"], vec!["a", "c"]]);
    }

    #[test]
    fn over_255_atoms_and_overwritten_entries() {
        let (mut out, mut incoming) = (Outgoing::default(), Incoming::default());
        for round in 0..40 {
            let atoms: Vec<_> = (0..300)
                .map(|i| atom(&format!("a{}", (round * 97 + i * 7) % 5000)))
                .collect();
            let all = through(&mut out, &mut incoming, &atoms[..200], &atoms[200..]);
            assert_eq!(
                all,
                atoms[..MAX_REFERENCES]
                    .iter()
                    .map(|a| a.as_str().to_owned())
                    .collect::<Vec<_>>()
            );
        }
        assert_eq!(out.entries.len(), SLOTS);
        assert_eq!(out.slots.len(), SLOTS);
    }

    #[test]
    fn long_atoms_widen_all_lengths() {
        let (mut out, mut incoming) = (Outgoing::default(), Incoming::default());
        let long = atom(&"\u{20ac}".repeat(255));
        for count in 1..4 {
            let payload: Vec<_> = (0..count).map(|i| atom(&format!("n{count}{i}"))).collect();
            let all = through(&mut out, &mut incoming, &payload, std::slice::from_ref(&long));
            assert_eq!(all.last().map(String::as_str), Some(long.as_str()));
        }
    }

    #[test]
    fn a_slot_may_be_taken_twice_in_one_header() {
        let mut incoming = Incoming::default();
        let (atoms, _) = incoming.read(b"\x03\x88\x00\x07\x01a\x07\x01b\x07").unwrap();
        assert_eq!(texts(&atoms), ["a", "b", "b"]);
    }

    #[test]
    fn bad_headers() {
        let read = |header: &[u8]| Incoming::default().read(header).map(|(atoms, _)| texts(&atoms));
        assert_eq!(read(b""), Err(HeaderError::CutOff));
        assert_eq!(read(b"\x00"), Ok(vec![]));
        assert_eq!(read(b"\x01\x00\x05"), Err(HeaderError::EmptySlot(5)));
        assert_eq!(read(b"\x01\x09\x05\x01\xff"), Err(HeaderError::NotAnAtom(0x105)));
        let whole = b"\x02\x98\x01\x05\x00\x01a\x06\x00\x01b";
        assert_eq!(read(whole), Ok(vec!["a".into(), "b".into()]));
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Err(HeaderError::CutOff), "{end}");
        }
    }
}
