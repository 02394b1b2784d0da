//! Random frames to a connection: headers and atom cache, fragments in any order, control messages, in all kinds of framing.
//!
//! However the stream is cut, the same comes of it; what comes can be sent on and arrives as it was; and no more is held than
//! has come.

#![no_main]

use arbitrary::Arbitrary;
use beamnode::dist::handshake::{Established, Local, Peer};
use beamnode::dist::{Connection, Control, Flags, Settings};
use bytes::{Buf, BytesMut};
use libfuzzer_sys::fuzz_target;
use std::time::Instant;

#[derive(Arbitrary, Debug)]
enum Part {
    /// A frame with a header whose atoms and message are given.
    Headed {
        count: u8,
        header: Vec<u8>,
        message: Vec<u8>,
    },
    First {
        sequence: u8,
        fragment: u8,
        count: u8,
        header: Vec<u8>,
        message: Vec<u8>,
    },
    Further {
        sequence: u8,
        fragment: u8,
        part: Vec<u8>,
    },
    PassThrough {
        control: Vec<u8>,
        payload: Vec<u8>,
    },
    Frame(Vec<u8>),
    Raw(Vec<u8>),
    Tick,
}

#[derive(Arbitrary, Debug)]
struct Input {
    cache: bool,
    fragments: bool,
    parts: Vec<Part>,
    cuts: Vec<u8>,
}

fn frame(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.extend(u32::try_from(length).unwrap().to_be_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

fn stream(parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::new();
    let wide = |number: u8| u64::from(number).to_be_bytes();
    for part in parts {
        match part {
            Part::Headed {
                count,
                header,
                message,
            } => frame(&mut out, &[&[131, 68, *count], header, message]),
            Part::First {
                sequence,
                fragment,
                count,
                header,
                message,
            } => {
                frame(
                    &mut out,
                    &[
                        &[131, 69],
                        &wide(*sequence),
                        &wide(*fragment),
                        &[*count],
                        header,
                        message,
                    ],
                );
            }
            Part::Further {
                sequence,
                fragment,
                part,
            } => {
                frame(&mut out, &[&[131, 70], &wide(*sequence), &wide(*fragment), part]);
            }
            Part::PassThrough { control, payload } => {
                frame(&mut out, &[&[112, 131], control, &[131], payload])
            }
            Part::Frame(bytes) => frame(&mut out, &[bytes]),
            Part::Raw(bytes) => out.extend_from_slice(bytes),
            Part::Tick => frame(&mut out, &[]),
        }
    }
    out
}

fn established(us: &str, them: &str, negotiated: Flags) -> Established {
    let flags = Flags::OFFERED;
    let local = Local {
        name: us.parse().unwrap(),
        flags,
        creation: 4,
    };
    Established {
        local,
        peer: Peer {
            name: them.parse().unwrap(),
            creation: 4,
            flags,
            negotiated,
            hidden: false,
        },
    }
}

/// All messages up to the first error, and whether there was one.
fn read(negotiated: Flags, bytes: &[u8], cuts: &[u8]) -> (Vec<Control>, bool) {
    let now = Instant::now();
    let mut connection = Connection::new(
        &established("b@host", "a@host", negotiated),
        Settings::default(),
        now,
    );
    let (mut rest, mut input, mut out) = (bytes, BytesMut::new(), Vec::new());
    let mut cuts = cuts.iter();
    while !rest.is_empty() {
        let size = cuts
            .next()
            .map_or(rest.len(), |cut| usize::from(*cut) + 1)
            .min(rest.len());
        input.extend_from_slice(&rest[..size]);
        rest = &rest[size..];
        loop {
            match connection.handle_input(now, &mut input) {
                Ok(Some(control)) => out.push(control),
                Ok(None) => break,
                Err(_) => return (out, true),
            }
        }
        assert!(connection.unfinished_bytes() <= bytes.len() * 1024);
    }
    (out, false)
}

fuzz_target!(|input: Input| {
    let mut negotiated = Flags::OFFERED;
    negotiated.set(Flags::DIST_HDR_ATOM_CACHE, input.cache);
    negotiated.set(Flags::FRAGMENTS, input.fragments);
    let bytes = stream(&input.parts);
    let (whole, failed) = read(negotiated, &bytes, &[]);
    let (cut, cut_failed) = read(negotiated, &bytes, &input.cuts);
    assert_eq!((format!("{whole:?}"), failed), (format!("{cut:?}"), cut_failed));

    // Sent on to another node, by what can be sent at all.
    let now = Instant::now();
    let mut sender = Connection::new(
        &established("a@host", "b@host", negotiated),
        Settings::default(),
        now,
    );
    for control in whole {
        // What is no term cannot be written anew, which peers without the atom cache need.
        let sound = control.payload().is_none_or(|payload| payload.check().is_ok());
        if control.check(negotiated).is_err() || !sound {
            continue;
        }
        sender.send(control);
        while sender.transmit().has_remaining() {
            let size = sender.transmit().chunk().len();
            sender.handle_written(now, size);
        }
    }
    assert_eq!(sender.queued_bytes(), 0);
});
