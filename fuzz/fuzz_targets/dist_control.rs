//! Control tuples: what is read is written, for a peer that has everything, as something that reads as the same.

#![no_main]

use arbitrary::Arbitrary;
use beamnode::dist::handshake::{Established, Local, Peer};
use beamnode::dist::{Connection, Control, Flags, Settings};
use bytes::{Buf, BytesMut};
use libfuzzer_sys::fuzz_target;
use std::time::Instant;

/// A field of a control tuple; mostly what such tuples hold.
#[derive(Arbitrary, Debug)]
enum Field {
    Number(u8),
    Large(u64),
    Name(u8),
    Empty,
    /// Of the peer, of ours, of somebody else.
    Pid { node: u8, id: u16, creation: u8 },
    Reference { node: u8, words: u8, creation: u8 },
    Function,
    Options(u8),
    Token,
    Bytes(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
struct Input {
    operation: u8,
    fields: Vec<Field>,
    payload: Option<Vec<u8>>,
}

fn atom(out: &mut Vec<u8>, text: &[u8]) {
    out.extend([119, text.len() as u8]);
    out.extend_from_slice(text);
}

fn write(out: &mut Vec<u8>, field: &Field) {
    let node = |node: u8| [&b"a@host"[..], b"b@host", b"c@host"][usize::from(node % 3)];
    match field {
        Field::Number(number) => out.extend([97, *number]),
        Field::Large(number) => {
            out.extend([110, 8, 0]);
            out.extend(number.to_le_bytes());
        }
        Field::Name(name) => atom(out, &[b'a' + name % 26]),
        Field::Empty => atom(out, b""),
        Field::Pid { node: n, id, creation } => {
            out.push(88);
            atom(out, node(*n));
            out.extend(u32::from(*id).to_be_bytes());
            out.extend([0, 0, 0, 0, 0, 0, 0, *creation % 8]);
        }
        Field::Reference { node: n, words, creation } => {
            let words = words % 7;
            out.extend([90, 0, words]);
            atom(out, node(*n));
            out.extend([0, 0, 0, *creation % 8]);
            out.extend((0..words).flat_map(|word| [0, 0, 0, word]));
        }
        Field::Function => {
            out.extend([104, 3]);
            atom(out, b"lists");
            atom(out, b"seq");
            out.extend([97, 2]);
        }
        Field::Options(count) => {
            let count = count % 3;
            if count > 0 {
                out.extend([108, 0, 0, 0, count]);
                (0..count).for_each(|i| atom(out, if i == 0 { b"link" } else { b"monitor" }));
            }
            out.push(106);
        }
        Field::Token => out.extend(b"h\x05a\x01a\x02a\x03a\x04a\x05"),
        Field::Bytes(bytes) => out.extend_from_slice(bytes),
    }
}

fn connection(us: &str, them: &str) -> Connection {
    let flags = Flags::OFFERED - Flags::DIST_HDR_ATOM_CACHE;
    let local = Local { name: us.parse().unwrap(), flags, creation: 4 };
    let peer = Peer { name: them.parse().unwrap(), creation: 4, flags, negotiated: flags, hidden: false };
    Connection::new(&Established { local, peer }, Settings::default(), Instant::now())
}

fn read(bytes: &[u8]) -> Option<Control> {
    connection("b@host", "a@host").handle_input(Instant::now(), &mut BytesMut::from(bytes)).ok().flatten()
}

fuzz_target!(|input: Input| {
    let mut frame = vec![131, 68, 0, 104, (input.fields.len() as u8).wrapping_add(1), 97, input.operation % 40];
    input.fields.iter().for_each(|field| write(&mut frame, field));
    frame.extend_from_slice(input.payload.as_deref().unwrap_or_default());
    let length = u32::try_from(frame.len()).unwrap();
    let Some(first) = read(&[&length.to_be_bytes()[..], &frame].concat()) else { return };
    if first.check(Flags::OFFERED).is_err() || first.payload().is_some_and(|payload| payload.check().is_err()) {
        return;
    }
    let mut sender = connection("a@host", "b@host");
    sender.send(first.clone());
    let mut bytes = Vec::new();
    while sender.transmit().has_remaining() {
        let chunk = sender.transmit().chunk();
        let part = chunk.len();
        bytes.extend_from_slice(chunk);
        sender.handle_written(Instant::now(), part);
    }
    let again = read(&bytes).expect("what we write can be read");
    let decoded = |control: &Control| control.payload().map(|payload| payload.decode().ok());
    assert_eq!(std::mem::discriminant(&first), std::mem::discriminant(&again));
    assert_eq!(decoded(&first), decoded(&again));
});
