//! Connections between real nodes, as `fixtures/dist/record` has recorded them, replayed into the core.
//!
//! In each recording our handshake takes the place of either node and must answer the other byte for byte as the real one
//! did. Then each frame is read by our connection, and the message is sent through another connection of ours: control
//! tuple and payload must be the same terms in the same form. Frames are taken apart here by a reading of the format of its
//! own, so that a mistake of the core does not hide itself.

use beamnode::dist::handshake::*;
use beamnode::dist::{Connection, Control, Cookie, Flags, NodeName, Settings};
use beamnode::etf::{Atoms, RawTerm};
use beamnode::term::{Atom, Term};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::time::Instant;

/// What was said in each direction, the connecting node's first; and how it was cut into reads.
struct Recording {
    name: String,
    reads: Vec<(usize, Vec<u8>)>,
}

impl Recording {
    fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/dist");
        let mut all: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "gz"))
            .map(|path| Self::load(&path))
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        assert!(all.len() >= 12, "recordings are missing");
        all
    }

    fn load(path: &Path) -> Self {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).unwrap();
        flate2::read::GzDecoder::new(file)
            .read_to_end(&mut bytes)
            .unwrap();
        let (mut rest, mut reads) = (bytes.as_slice(), Vec::new());
        while !rest.is_empty() {
            let (direction, length) = (usize::from(rest.get_u8()), rest.get_u32() as usize);
            reads.push((direction, rest[..length].to_vec()));
            rest.advance(length);
        }
        Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            reads,
        }
    }

    /// Everything said in one direction.
    fn stream(&self, direction: usize) -> BytesMut {
        self.reads
            .iter()
            .filter(|(d, _)| *d == direction)
            .flat_map(|(_, bytes)| bytes)
            .copied()
            .collect()
    }
}

fn packet(stream: &mut BytesMut) -> Bytes {
    Deframer::new(LengthPrefix::Two).next(stream).unwrap().unwrap()
}

fn name_in(packet: &[u8], at: usize) -> NodeName {
    let length = usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
    std::str::from_utf8(&packet[at + 2..at + 2 + length])
        .unwrap()
        .parse()
        .unwrap()
}

fn u32_in(packet: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(packet[at..at + 4].try_into().unwrap())
}

fn flags_in(packet: &[u8]) -> Flags {
    Flags::from_bits_retain(u64::from_be_bytes(packet[1..9].try_into().unwrap()))
}

/// Replays the handshake in both roles. Gives what both ends know then, and leaves what follows it in the streams.
fn handshake(recording: &Recording, streams: &mut [BytesMut; 2]) -> [Established; 2] {
    let cookie = Cookie::new("secret").unwrap();
    let at = &recording.name;
    let [there, back] = streams;
    let (send_name, status, challenge) = (packet(there), packet(back), packet(back));
    let mut replies = vec![packet(there)];
    if send_name[0] == b'n' {
        replies.push(packet(there));
    }
    let (reply, ack) = (replies.last().unwrap().clone(), packet(back));

    // As the node that connects. It always begins with the message of version 6.
    let undefined = status.starts_with(b"snamed:");
    let dialed = Dialed {
        name: match send_name[0] {
            b'n' => LocalName::Named(std::str::from_utf8(&send_name[7..]).unwrap().parse().unwrap()),
            _ if undefined => LocalName::Undefined {
                host: String::from_utf8_lossy(&send_name[15..]).into_owned(),
            },
            _ => LocalName::Named(name_in(&send_name, 13)),
        },
        flags: if send_name[0] == b'n' {
            Flags::OFFERED
        } else {
            flags_in(&send_name)
        },
        creation: if send_name[0] == b'n' {
            1
        } else {
            u32_in(&send_name, 9)
        },
        peer: name_in(&challenge, 17),
        cookie: cookie.clone(),
    };
    let (first, state) = start(dialed).unwrap();
    if send_name[0] == b'N' {
        assert_eq!(first, send_name, "{at}: name");
    }
    let StatusReceived::Proceed(state) = state.handle(&status).unwrap() else {
        panic!("{at}: asked back")
    };
    let (proof, state) = state.handle(&challenge, u32_in(&reply, 1)).unwrap();
    assert_eq!(proof, reply, "{at}: reply");
    let initiator = state.handle(&ack).unwrap();

    // As the node connected to.
    let local = Local {
        name: name_in(&challenge, 17),
        // The flags of one that gives a name are changed by that.
        flags: if undefined {
            (flags_in(&challenge) - Flags::NAME_ME) | Flags::PUBLISHED
        } else {
            flags_in(&challenge)
        },
        creation: u32_in(&challenge, 13),
    };
    let number = u32_in(&challenge, 9);
    let (packets, mut state) = match AwaitName::new(local).handle(&send_name).unwrap() {
        AskedName::Connection(asked) => asked.accept(false, cookie, number),
        AskedName::Name(asked) => {
            let name = name_in(&status, 7);
            let creation = u32_in(&status, status.len() - 4);
            asked.name(name, creation, cookie, number)
        }
    };
    assert_eq!(packets[0], status, "{at}: status");
    assert_eq!(packets[1], challenge, "{at}: challenge");
    let mut acceptor = None;
    for packet in replies {
        match state.handle(&packet).unwrap() {
            ReplyReceived::Complemented(next) => state = next,
            ReplyReceived::Verified(verified) => {
                let (proof, established) = verified.finish();
                assert_eq!(proof, ack, "{at}: ack");
                acceptor = Some(established);
                break;
            }
        }
    }
    let acceptor = acceptor.unwrap();
    if send_name[0] == b'N' {
        assert_eq!(initiator.peer.negotiated, acceptor.peer.negotiated, "{at}: flags");
        assert_eq!(
            initiator.local.name, acceptor.peer.name,
            "{at}: name of who connected"
        );
    }
    // What a node that begins with version 5 says of itself comes in the complement.
    let local = Local {
        creation: acceptor.peer.creation,
        ..initiator.local
    };
    let peer = Peer {
        negotiated: acceptor.peer.negotiated,
        ..initiator.peer
    };
    [Established { local, peer }, acceptor]
}

/// A message as it stands on the wire, taken apart without the core.
#[derive(Debug, PartialEq)]
struct Wire {
    control: Term,
    payload: Option<Term>,
    /// Into how many is the sender's choice.
    fragmented: bool,
}

/// Takes frames apart: the header by the text of its specification, fragments by plain concatenation.
#[derive(Default)]
struct Reader {
    cache: BTreeMap<usize, Atom>,
    unfinished: BTreeMap<u64, (Vec<Atom>, Vec<u8>, usize)>,
    /// What was seen in headers and frames.
    seen: BTreeSet<&'static str>,
}

impl Reader {
    fn frame(&mut self, mut frame: &[u8]) -> Option<Wire> {
        if frame.is_empty() {
            self.seen.insert("tick");
            return None;
        }
        assert_eq!(frame.get_u8(), 131);
        match frame.get_u8() {
            68 => {
                let atoms = self.header(&mut frame);
                Some(message(atoms, frame, 1))
            }
            69 => {
                let (sequence, fragment) = (frame.get_u64(), frame.get_u64());
                let atoms = self.header(&mut frame);
                if !self.unfinished.is_empty() {
                    self.seen.insert("interleaved fragments");
                }
                self.seen.insert("fragments");
                assert!(fragment > 1);
                self.unfinished.insert(sequence, (atoms, frame.to_vec(), 1));
                None
            }
            70 => {
                let (sequence, fragment) = (frame.get_u64(), frame.get_u64());
                let (_, bytes, count) = self.unfinished.get_mut(&sequence).unwrap();
                bytes.extend_from_slice(frame);
                *count += 1;
                if fragment > 1 {
                    return None;
                }
                let (atoms, bytes, count) = self.unfinished.remove(&sequence).unwrap();
                Some(message(atoms, &bytes, count))
            }
            kind => panic!("frame {kind}"),
        }
    }

    fn header(&mut self, input: &mut &[u8]) -> Vec<Atom> {
        let count = usize::from(input.get_u8());
        if count == 0 {
            return Vec::new();
        }
        let nibbles: Vec<u8> = (0..count / 2 + 1)
            .flat_map(|_| input.get_u8().to_le_nibbles())
            .collect();
        let long = nibbles[count] & 1 == 1;
        if count == 255 {
            self.seen.insert("255 references");
        }
        let mut atoms = Vec::new();
        for nibble in &nibbles[..count] {
            let slot = usize::from(nibble & 7) * 256 + usize::from(input.get_u8());
            if nibble & 8 != 0 {
                let length = if long {
                    usize::from(input.get_u16())
                } else {
                    usize::from(input.get_u8())
                };
                let text = std::str::from_utf8(&input[..length]).unwrap();
                if self
                    .cache
                    .insert(slot, Atom::new(text).unwrap())
                    .is_some_and(|old| old.as_str() != text)
                {
                    self.seen.insert("overwritten slot");
                }
                if long {
                    self.seen.insert("long atoms");
                }
                input.advance(length);
            }
            atoms.push(self.cache[&slot].clone());
        }
        atoms
    }
}

trait Nibbles {
    fn to_le_nibbles(self) -> [u8; 2];
}

impl Nibbles for u8 {
    fn to_le_nibbles(self) -> [u8; 2] {
        [self & 15, self >> 4]
    }
}

fn message(atoms: Vec<Atom>, bytes: &[u8], fragments: usize) -> Wire {
    let atoms = Atoms::from(atoms);
    let raw = RawTerm::from_parts(Bytes::copy_from_slice(bytes), atoms.clone());
    let end = raw.check().unwrap();
    let payload =
        (end < bytes.len()).then(|| RawTerm::from_parts(Bytes::copy_from_slice(&bytes[end..]), atoms));
    if let Some(payload) = &payload {
        assert_eq!(
            end + payload.check().unwrap(),
            bytes.len(),
            "something follows the payload"
        );
    }
    Wire {
        control: raw.decode().unwrap(),
        payload: payload.map(|payload| payload.decode().unwrap()),
        fragmented: fragments > 1,
    }
}

fn frames(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    // The last may be cut off by the end of the recording.
    while stream.len() >= 4 && stream.len() >= 4 + u32_in(stream, 0) as usize {
        let length = u32_in(stream, 0) as usize;
        frames.push(&stream[4..4 + length]);
        stream.advance(4 + length);
    }
    frames
}

fn operation(message: &Wire) -> u8 {
    let operation = message.control.as_tuple().unwrap().get(0).unwrap();
    u8::try_from(operation.as_integer().unwrap()).unwrap()
}

#[test]
fn recordings_replay() {
    let now = Instant::now();
    let (mut operations, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for recording in Recording::all() {
        let mut streams = [recording.stream(0), recording.stream(1)];
        let ends = handshake(&recording, &mut streams);
        for direction in [0, 1] {
            let at = format!("{} {direction}", recording.name);
            // What the real node sent: by frames, and read by our connection.
            let mut real = Reader::default();
            let sent: Vec<Wire> = frames(&streams[direction])
                .iter()
                .filter_map(|frame| real.frame(frame))
                .collect();
            assert!(!sent.is_empty(), "{at}");
            operations.extend(sent.iter().map(operation));
            seen.append(&mut real.seen);
            let mut receiver = Connection::new(&ends[1 - direction], Settings::default(), now);
            let mut input = streams[direction].clone();
            let mut controls: Vec<Control> = Vec::new();
            while let Some(control) = receiver
                .handle_input(now, &mut input)
                .unwrap_or_else(|e| panic!("{at}: {e}"))
            {
                controls.push(control);
            }
            assert_eq!(controls.len(), sent.len(), "{at}");

            // The same messages sent by us, one by one: fragments of one sender never interleave with others then.
            let mut sender = Connection::new(&ends[direction], Settings::default(), now);
            let mut ours = Reader::default();
            for (control, sent) in controls.into_iter().zip(sent) {
                let text = summary(&control).0;
                sender.send(control);
                let mut bytes = Vec::new();
                while sender.transmit().has_remaining() {
                    let chunk = sender.transmit().chunk().to_vec();
                    sender.handle_written(now, chunk.len());
                    bytes.extend(chunk);
                }
                let written: Vec<Wire> = frames(&bytes)
                    .iter()
                    .filter_map(|frame| ours.frame(frame))
                    .collect();
                assert_eq!(written, [sent], "{at}: {text:.2000}");
            }
        }
    }
    println!("operations {operations:?}, {seen:?}");
    // Missing are 27, which BEAM reads and never writes, and the forms for nodes before OTP 22.
    let all = [
        1, 4, 6, 7, 16, 19, 20, 22, 23, 24, 25, 26, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37,
    ];
    for operation in all {
        assert!(
            operations.contains(&operation),
            "no recording has operation {operation}"
        );
    }
    for what in [
        "fragments",
        "interleaved fragments",
        "long atoms",
        "255 references",
    ] {
        assert!(seen.contains(what), "no recording has {what}");
    }
}

/// What there is to a message, its payload as bytes.
fn summary(control: &Control) -> (String, Option<Bytes>) {
    let payload = control.payload().map(|payload| payload.bytes().clone());
    let small = payload.as_ref().is_none_or(|payload| payload.len() < 1000);
    (
        if small {
            format!("{control:?}")
        } else {
            String::new()
        },
        payload,
    )
}

/// Each stream is read at once, in the pieces it came in, and in small ones of many sizes, with the same result.
#[test]
fn splits_make_no_difference() {
    let now = Instant::now();
    for recording in Recording::all() {
        let mut streams = [recording.stream(0), recording.stream(1)];
        let whole: Vec<usize> = streams.iter().map(BytesMut::len).collect();
        let ends = handshake(&recording, &mut streams);
        for direction in [0, 1] {
            let read = |sizes: &mut dyn Iterator<Item = usize>| {
                let mut receiver = Connection::new(&ends[1 - direction], Settings::default(), now);
                let (mut rest, mut input) = (&streams[direction][..], BytesMut::new());
                let mut controls = Vec::new();
                while !rest.is_empty() {
                    let size = sizes.next().unwrap_or(rest.len()).min(rest.len());
                    let mut place = receiver.read_into(&mut input);
                    let size = size.min(place.remaining_mut());
                    place.put_slice(&rest[..size]);
                    rest.advance(size);
                    while let Some(control) = receiver.handle_input(now, &mut input).unwrap() {
                        controls.push(summary(&control));
                    }
                    assert!(receiver.missing() > 0 || input.is_empty());
                }
                controls
            };
            let mut skip = whole[direction] - streams[direction].len();
            let mut reads = recording
                .reads
                .iter()
                .filter(|(d, _)| *d == direction)
                .filter_map(|(_, bytes)| {
                    let skipped = skip.min(bytes.len());
                    skip -= skipped;
                    (skipped < bytes.len()).then_some(bytes.len() - skipped)
                });
            let at_once = read(&mut std::iter::empty());
            assert!(at_once == read(&mut reads), "{} {direction}", recording.name);
            assert!(
                at_once == read(&mut [1, 1, 2, 3, 1, 5, 8, 4000, 1, 13].into_iter().cycle()),
                "{} {direction}",
                recording.name
            );
        }
    }
}
