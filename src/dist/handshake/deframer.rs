//! Cuts handshake packets from a stream, and puts their length in front.
//!
//! The length is of two bytes over plain TCP and of four over TLS. No more is taken from the input than the packet: after
//! the last one, what follows belongs to the connection.

use super::HandshakeError;
use bytes::{Buf, Bytes, BytesMut};

/// How long the length in front of a handshake packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LengthPrefix {
    /// Two bytes: plain TCP.
    Two,
    /// Four bytes: TLS.
    Four,
}

impl LengthPrefix {
    /// The packet with its length in front.
    pub fn frame(self, packet: &[u8]) -> Vec<u8> {
        let length = packet.len().to_be_bytes();
        let (_, length) = length.split_at(length.len() - self.width());
        [length, packet].concat()
    }

    fn width(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

/// The longest packet that is taken: far above any that a node sends, and what two bytes of length allow.
const MAX_PACKET: usize = 0xffff;

/// Cuts handshake packets from what was read.
#[derive(Clone, Copy, Debug)]
pub struct Deframer {
    prefix: LengthPrefix,
}

impl Deframer {
    /// One for packets with this length in front.
    pub fn new(prefix: LengthPrefix) -> Self {
        Self { prefix }
    }

    /// Takes the next packet from the front of `input`; `None` if it is not there in full yet, and nothing is
    /// taken.
    pub fn next(&self, input: &mut BytesMut) -> Result<Option<Bytes>, HandshakeError> {
        let Some((length, rest)) = input.split_at_checked(self.prefix.width()) else {
            return Ok(None);
        };
        let length = length
            .iter()
            .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        if length > MAX_PACKET {
            return Err(HandshakeError::TooLong(length));
        }
        if rest.len() < length {
            return Ok(None);
        }
        input.advance(self.prefix.width());
        Ok(Some(input.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_anywhere() {
        for prefix in [LengthPrefix::Two, LengthPrefix::Four] {
            let stream = [
                prefix.frame(b"sok"),
                prefix.frame(b""),
                prefix.frame(b"Nx"),
                vec![0, 0, 0, 0],
            ]
            .concat();
            for split in 0..stream.len() {
                let deframer = Deframer::new(prefix);
                let (mut input, mut packets) = (BytesMut::new(), Vec::new());
                for part in [&stream[..split], &stream[split..]] {
                    input.extend_from_slice(part);
                    while packets.len() < 3
                        && let Some(packet) = deframer.next(&mut input).unwrap()
                    {
                        packets.push(packet);
                    }
                }
                assert_eq!(packets, [b"sok".as_slice(), b"", b"Nx"]);
                assert_eq!(input.as_ref(), [0, 0, 0, 0], "what follows is left alone");
            }
        }
    }

    #[test]
    fn a_claimed_length_is_not_waited_for() {
        let mut input = BytesMut::from(b"\x7f\xff\xff\xff".as_slice());
        assert_eq!(
            Deframer::new(LengthPrefix::Four).next(&mut input),
            Err(HandshakeError::TooLong(0x7fff_ffff))
        );
    }
}
