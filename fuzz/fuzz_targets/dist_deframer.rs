//! Handshake packets cut anywhere: the same packets however the stream is cut, and what follows the last one is left alone.

#![no_main]

use arbitrary::Arbitrary;
use beamnode::dist::handshake::{Deframer, LengthPrefix};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    wide: bool,
    /// Packets, whose lengths are right.
    packets: Vec<Vec<u8>>,
    /// What follows, which may begin like a packet.
    rest: Vec<u8>,
    cuts: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let prefix = if input.wide { LengthPrefix::Four } else { LengthPrefix::Two };
    let deframer = Deframer::new(prefix);
    let mut stream: Vec<u8> = input.packets.iter().flat_map(|packet| prefix.frame(packet)).collect();
    stream.extend_from_slice(&input.rest);
    let (mut left, mut read, mut packets) = (stream.as_slice(), BytesMut::new(), Vec::new());
    let mut cuts = input.cuts.iter();
    while !left.is_empty() {
        let size = cuts.next().map_or(left.len(), |cut| usize::from(*cut) + 1).min(left.len());
        read.extend_from_slice(&left[..size]);
        left = &left[size..];
        while packets.len() < input.packets.len() {
            let before = read.len();
            match deframer.next(&mut read) {
                Ok(Some(packet)) => packets.push(packet.to_vec()),
                Ok(None) => {
                    assert_eq!(read.len(), before, "nothing is taken of what is not complete");
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert_eq!(packets, input.packets);
    assert_eq!(read, input.rest);
    let _ = deframer.next(&mut read);
});
