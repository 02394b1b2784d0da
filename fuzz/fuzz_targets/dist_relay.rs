//! Messages of several processes, from one connection to another, read in pieces of any size: every message arrives as it was sent, in
//! its sender's order, through atom caches that overflow and fragments that interleave.

#![no_main]

use arbitrary::Arbitrary;
use beamnode::dist::control::{Send, Target};
use beamnode::dist::handshake::{Established, Local, Peer};
use beamnode::dist::{Connection, Control, Flags, Settings};
use beamnode::etf::RawTerm;
use beamnode::term::{Atom, Pid, Term};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

#[derive(Arbitrary, Debug)]
enum Operation {
    /// So many atoms from that number on, each of that length at least.
    Atoms { sender: u8, first: u16, count: u8, length: u8 },
    /// A binary of so many kilobytes.
    Binary { sender: u8, kilobytes: u8 },
    /// Some of what is ready is written, and some of that read.
    Move { write: u16, read: u16 },
}

#[derive(Arbitrary, Debug)]
struct Input {
    cache: bool,
    fragments: bool,
    operations: Vec<Operation>,
}

fn established(us: &str, them: &str, negotiated: Flags) -> Established {
    let flags = Flags::OFFERED;
    let local = Local { name: us.parse().unwrap(), flags, creation: 4 };
    Established { local, peer: Peer { name: them.parse().unwrap(), creation: 4, flags, negotiated, hidden: false } }
}

struct Pair {
    now: Instant,
    sender: Connection,
    receiver: Connection,
    wire: VecDeque<u8>,
    input: BytesMut,
    sent: BTreeMap<u32, VecDeque<Term>>,
}

impl Pair {
    fn send(&mut self, sender: u8, term: Term) {
        let id = u32::from(sender % 4) + 1;
        let from = Pid::new(Atom::from_static("a@host"), id, 0, 4);
        let to = Target::Pid(Pid::new(Atom::from_static("b@host"), 9, 0, 4));
        let message = RawTerm::new(&term);
        self.sent.entry(id).or_default().push_back(term);
        self.sender.send(Control::Send(Send { from: Some(from), to, priority: false, token: None, message }));
    }

    fn write(&mut self, mut most: usize) {
        while most > 0 && self.sender.transmit().has_remaining() {
            let chunk = self.sender.transmit().chunk();
            let part = chunk.len().min(most);
            self.wire.extend(&chunk[..part]);
            self.sender.handle_written(self.now, part);
            most -= part;
        }
    }

    fn read(&mut self, most: usize) {
        let mut place = self.receiver.read_into(&mut self.input);
        let part = most.min(self.wire.len()).min(place.remaining_mut());
        let bytes: Vec<u8> = self.wire.drain(..part).collect();
        place.put_slice(&bytes);
        while let Some(control) = self.receiver.handle_input(self.now, &mut self.input).unwrap() {
            let Control::Send(Send { from: Some(from), message, .. }) = control else { panic!("{control:?}") };
            let expected = self.sent.get_mut(&from.id()).and_then(VecDeque::pop_front).unwrap();
            assert_eq!(message.decode().unwrap(), expected);
        }
    }
}

fuzz_target!(|input: Input| {
    let mut negotiated = Flags::OFFERED;
    negotiated.set(Flags::DIST_HDR_ATOM_CACHE, input.cache);
    negotiated.set(Flags::FRAGMENTS, input.fragments);
    let now = Instant::now();
    let mut pair = Pair {
        now,
        sender: Connection::new(&established("a@host", "b@host", negotiated), Settings::default(), now),
        receiver: Connection::new(&established("b@host", "a@host", negotiated), Settings::default(), now),
        wire: VecDeque::new(),
        input: BytesMut::new(),
        sent: BTreeMap::new(),
    };
    let mut kilobytes_left = 4_000_usize;
    for operation in input.operations.iter().take(200) {
        match *operation {
            Operation::Atoms { sender, first, count, length } => {
                let text = |number: u16| format!("{number:0>width$}", width = usize::from(length));
                let atoms = (0..u16::from(count) * 2)
                    .map(|i| Term::Atom(Atom::new(&text(first.wrapping_add(i) % 5000)).unwrap()));
                pair.send(sender, Term::from(atoms.collect::<Vec<_>>()));
            }
            Operation::Binary { sender, kilobytes } if kilobytes_left >= usize::from(kilobytes) * 4 => {
                let size = usize::from(kilobytes) * 4 * 1024;
                kilobytes_left -= usize::from(kilobytes) * 4;
                pair.send(sender, Term::from(Bytes::from(vec![kilobytes; size])));
            }
            Operation::Binary { .. } => {}
            Operation::Move { write, read } => {
                pair.write(usize::from(write) * 8);
                pair.read(usize::from(read) * 8);
            }
        }
    }
    while pair.sender.transmit().has_remaining() || !pair.wire.is_empty() {
        pair.write(usize::MAX);
        pair.read(usize::MAX);
    }
    assert!(pair.sent.values().all(VecDeque::is_empty), "something has not arrived");
    assert_eq!((pair.sender.queued_bytes(), pair.receiver.unfinished_bytes()), (0, 0));
});
