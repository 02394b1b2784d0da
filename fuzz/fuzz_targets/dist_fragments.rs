//! The fragments of several messages, left out, doubled and put in another order: what arrives is what was sent, or the connection ends.

#![no_main]

use arbitrary::Arbitrary;
use beamnode::dist::handshake::{Established, Local, Peer};
use beamnode::dist::{Connection, Control, Flags, Settings};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use std::time::Instant;

#[derive(Arbitrary, Debug)]
struct Input {
    /// Of each message, the lengths of its parts.
    messages: Vec<Vec<u8>>,
    /// Which message's next part comes; or any part at all.
    order: Vec<(u8, Option<u8>)>,
    limit: u16,
}

/// A message to a name: the control tuple, then a binary that holds its number all over.
fn body(number: u8, length: usize) -> Vec<u8> {
    let mut body = b"h\x04a\x06Xw\x06a@host\0\0\0\x01\0\0\0\0\0\0\0\x04w\0w\x01xm".to_vec();
    body.extend(u32::try_from(length).unwrap().to_be_bytes());
    body.resize(body.len() + length, number);
    body
}

/// The frames of message `number`, cut at these lengths.
fn frames(number: u8, parts: &[u8]) -> Vec<Vec<u8>> {
    let rest: usize = parts.iter().map(|part| usize::from(*part)).sum();
    let body = body(number, rest);
    let (mut left, count) = (body.as_slice(), parts.len() as u64 + 1);
    let mut frames = Vec::new();
    for i in 0..count {
        let length = match i {
            0 => body.len() - rest,
            _ => usize::from(parts[i as usize - 1]),
        };
        let (part, after) = left.split_at(length);
        left = after;
        let mut frame = vec![131, if i == 0 { 69 } else { 70 }];
        frame.extend((u64::from(number) + 1).to_be_bytes());
        frame.extend((count - i).to_be_bytes());
        if i == 0 {
            frame.push(0);
        }
        frame.extend_from_slice(part);
        frames.push([&u32::try_from(frame.len()).unwrap().to_be_bytes()[..], &frame].concat());
    }
    frames
}

fuzz_target!(|input: Input| {
    let messages: Vec<_> = (0..=255).zip(&input.messages).map(|(number, parts)| frames(number, parts)).collect();
    if messages.is_empty() {
        return;
    }
    let now = Instant::now();
    let local = Local { name: "b@host".parse().unwrap(), flags: Flags::OFFERED, creation: 4 };
    let peer =
        Peer { name: "a@host".parse().unwrap(), creation: 4, flags: Flags::OFFERED, negotiated: Flags::OFFERED, hidden: false };
    let limit = usize::from(input.limit) + 600;
    let settings = Settings { unfinished_limit: limit, ..Settings::default() };
    let mut connection = Connection::new(&Established { local, peer }, settings, now);
    let mut next = vec![0; messages.len()];
    let mut stream = BytesMut::new();
    for (message, part) in &input.order {
        let number = usize::from(*message) % messages.len();
        let frames = &messages[number];
        let part = part.map_or(next[number], usize::from) % frames.len();
        next[number] = part + 1;
        stream.extend_from_slice(&frames[part]);
        loop {
            match connection.handle_input(now, &mut stream) {
                Ok(Some(Control::Send(send))) => {
                    let parts = &input.messages[usize::from(send.message.bytes().last().copied().unwrap_or_default())..];
                    let term = send.message.decode().unwrap();
                    let binary = term.as_binary().unwrap();
                    if let Some(number) = binary.first() {
                        assert!(binary.iter().all(|byte| byte == number), "parts of two messages in one");
                        let length: usize = parts[0].iter().map(|part| usize::from(*part)).sum();
                        assert_eq!(binary.len(), length);
                    }
                }
                Ok(Some(other)) => panic!("{other:?}"),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert!(connection.unfinished_bytes() <= limit);
    }
});
