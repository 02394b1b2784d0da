//! Two connections, each the other's peer: order, fragments, kinds of frames, ticks. What real nodes say is in `tests/replay.rs`.

use super::control::{GroupLeader, Link, MonitorPExit, Monitored, Send, Target};
use super::handshake::{Established, Local, Peer};
use super::*;
use crate::etf::{Atoms, RawTerm};
use crate::term;
use crate::term::{Atom, Pid, Reference, Term};
use bytes::{Buf, Bytes, BytesMut};
use std::time::{Duration, Instant};

const A: &str = "a@host";
const B: &str = "b@host";

fn established(local: &str, peer: &str, negotiated: Flags) -> Established {
    let flags = Flags::OFFERED;
    Established {
        local: Local {
            name: local.parse().unwrap(),
            flags,
            creation: 4,
        },
        peer: Peer {
            name: peer.parse().unwrap(),
            creation: 4,
            flags,
            negotiated,
            hidden: false,
        },
    }
}

/// A sender and a receiver.
struct Pair {
    now: Instant,
    a: Connection,
    b: Connection,
    input: BytesMut,
}

impl Pair {
    fn new(negotiated: Flags) -> Self {
        let now = Instant::now();
        let a = Connection::new(&established(A, B, negotiated), Settings::default(), now);
        let b = Connection::new(&established(B, A, negotiated), Settings::default(), now);
        Self {
            now,
            a,
            b,
            input: BytesMut::new(),
        }
    }

    /// Carries `count` bytes over, and gives what has come out.
    fn carry(&mut self, mut count: usize) -> Vec<Control> {
        while count > 0 && self.a.transmit().has_remaining() {
            let part = count.min(self.a.transmit().chunk().len());
            self.input.extend_from_slice(&self.a.transmit().chunk()[..part]);
            self.a.handle_written(self.now, part);
            count -= part;
        }
        let mut out = Vec::new();
        while let Some(control) = self.b.handle_input(self.now, &mut self.input).unwrap() {
            out.push(control);
        }
        out
    }

    fn carry_all(&mut self) -> Vec<Control> {
        self.carry(usize::MAX)
    }
}

fn pid(node: &str, id: u32) -> Pid {
    Pid::new(Atom::new(node).unwrap(), id, 0, 4)
}

fn message(from: u32, message: &Term) -> Control {
    let to = Target::Pid(pid(B, 1));
    Control::Send(Send {
        from: Some(pid(A, from)),
        to,
        priority: false,
        token: None,
        message: RawTerm::new(message),
    })
}

fn large(from: u32, number: i64, size: usize) -> Control {
    message(
        from,
        &term!({(i64::from(from)), (number), (Bytes::from(vec![b'x'; size]))}),
    )
}

fn small(from: u32, number: i64) -> Control {
    large(from, number, 1)
}

/// Who sent it, and which number it has.
fn number(control: &Control) -> (i64, i64) {
    let term = control.payload().unwrap().decode().unwrap();
    let [from, number, _] = term.as_tuple().unwrap().array().unwrap();
    (from.as_integer().unwrap(), number.as_integer().unwrap())
}

/// Every combination of flags that changes how frames are made.
fn kinds() -> [Flags; 4] {
    [
        Flags::OFFERED,
        Flags::OFFERED - Flags::DIST_HDR_ATOM_CACHE,
        Flags::OFFERED - Flags::FRAGMENTS,
        Flags::OFFERED - Flags::FRAGMENTS - Flags::DIST_HDR_ATOM_CACHE,
    ]
}

/// What two messages of a row have in common is not made or read twice: so each differs from the one before in one thing.
#[test]
fn a_message_like_the_one_before_but_for_one_thing() {
    let send = |from: Option<u32>, to: Target, priority, token: Option<i64>, message: Term| {
        Control::Send(Send {
            from: from.map(|from| pid(A, from)),
            to,
            priority,
            token: token.map(|token| control::Token::new(RawTerm::new(&Term::from(token)))),
            message: RawTerm::new(&message),
        })
    };
    let to = |id| Target::Pid(pid(B, id));
    let alias = || Target::Alias(Reference::new(Atom::new(B).unwrap(), &[1, 2, 3], 4).unwrap());
    let all = [
        send(Some(1), to(1), false, None, term!({ a, 1 })),
        send(Some(1), to(1), false, None, term!({ a, 2 })),
        send(Some(1), to(1), false, None, term!({ a, 3 })),
        send(Some(1), to(1), false, None, term!({ b, 3 })),
        send(Some(1), to(1), false, None, term!({ b, 3, c })),
        send(Some(1), to(1), false, None, term!("text")),
        send(Some(1), to(1), false, None, term!("and more of it")),
        send(Some(2), to(1), false, None, term!("and more of it")),
        send(Some(2), to(2), false, None, term!("and more of it")),
        send(Some(2), to(2), false, Some(7), term!("and more of it")),
        send(Some(2), to(2), false, None, term!("and more of it")),
        send(None, to(2), false, None, term!("and more of it")),
        send(Some(2), to(2), false, None, term!("and more of it")),
        // Not of the receiving node: that is for the node to see.
        send(
            Some(2),
            Target::Pid(pid("c@host", 2)),
            false,
            None,
            term!("and more of it"),
        ),
        send(
            Some(2),
            Target::Name(Atom::from_static("b")),
            false,
            None,
            term!(1),
        ),
        send(Some(2), alias(), false, None, term!(1)),
        send(Some(2), alias(), true, None, term!(1)),
        send(
            Some(2),
            to(2),
            false,
            None,
            Term::from(Bytes::from(vec![b'x'; 100_000])),
        ),
        send(Some(2), to(2), false, None, term!(1)),
    ];
    for negotiated in kinds() {
        let mut pair = Pair::new(negotiated);
        // The second time, no atom is new.
        for _ in 0..2 {
            let mut came = Vec::new();
            for control in &all {
                pair.a.send(control.clone());
                came.extend(pair.carry_all());
            }
            let shown = |control: &Control| match control {
                Control::Send(send) => format!(
                    "{:?} {:?} {} {:?} {}",
                    send.from,
                    send.to,
                    send.priority,
                    send.token.as_ref().map(|token| token.as_term().decode()),
                    send.message.decode().unwrap()
                ),
                other => panic!("{other:?}"),
            };
            let (came, sent): (Vec<_>, Vec<_>) =
                (came.iter().map(shown).collect(), all.iter().map(shown).collect());
            assert_eq!(came, sent, "{negotiated}");
        }
    }
}

#[test]
fn whatever_the_kind_of_frame_the_message_is_the_same() {
    for negotiated in kinds() {
        let mut pair = Pair::new(negotiated);
        let atoms: Vec<Term> = (0..400)
            .map(|i| Term::from(Atom::new(&format!("atom{i}")).unwrap()))
            .collect();
        for size in [0, 1, 4095, 4096, 65_000, 65_536, 200_000] {
            for _ in 0..2 {
                let term = term!({hello, (atoms.clone()), (Bytes::from(vec![1; size]))});
                pair.a.send(message(7, &term));
                let out = pair.carry_all();
                assert_eq!(out.len(), 1, "{negotiated} {size}");
                assert_eq!(out[0].payload().unwrap().decode(), Ok(term));
                assert_eq!(out[0].sender(), Some(&pid(A, 7)));
            }
        }
        assert_eq!(pair.a.queued_bytes(), 0);
        assert_eq!(pair.b.unfinished_bytes(), 0);
    }
}

#[test]
fn a_large_message_does_not_hold_up_those_of_others() {
    let mut pair = Pair::new(Flags::OFFERED);
    pair.a.send(large(1, 1, 10_000_000));
    let before = pair.carry(500_000);
    assert!(before.is_empty());
    pair.a.send(small(2, 1));
    let out = pair.carry(400_000);
    assert_eq!(out.iter().map(number).collect::<Vec<_>>(), [(2, 1)]);
    assert!(pair.a.queued_bytes() > 9_000_000);
    assert_eq!(pair.carry_all().iter().map(number).collect::<Vec<_>>(), [(1, 1)]);
}

#[test]
fn what_one_process_sends_keeps_its_order_whatever_the_sizes() {
    let mut pair = Pair::new(Flags::OFFERED);
    let mut out = Vec::new();
    for i in 0..20 {
        for from in 1..4 {
            let size = if (i + i64::from(from)) % 3 == 0 {
                300_000
            } else {
                10
            };
            pair.a.send(large(from, i, size));
        }
        out.extend(pair.carry(100_000));
    }
    out.extend(pair.carry_all());
    assert_eq!(out.len(), 60);
    for from in 1..4 {
        let of_one: Vec<_> = out
            .iter()
            .map(number)
            .filter(|(f, _)| *f == from)
            .map(|(_, n)| n)
            .collect();
        assert_eq!(of_one, (0..20).collect::<Vec<_>>());
    }
    // Had they been sent one after the other, all would have come in the order of sending.
    let order: Vec<_> = out.iter().map(number).collect();
    assert!(
        !order.is_sorted_by_key(|(from, n)| (*n, *from)),
        "nothing overtook anything"
    );
    assert_eq!((pair.a.queued_bytes(), pair.b.unfinished_bytes()), (0, 0));
}

#[test]
fn signals_without_sender_on_the_wire_keep_their_order_too() {
    let mut pair = Pair::new(Flags::OFFERED);
    pair.a.send(large(1, 1, 1_000_000));
    let down = MonitorPExit {
        process: Some(pid(A, 1)),
        from: Monitored::Name(Atom::from_static("name")),
        to: pid(B, 1),
        reference: Reference::new(Atom::from_static(B), &[1, 2, 3], 4).unwrap(),
        reason: RawTerm::new(&term!(normal)),
    };
    pair.a.send(Control::MonitorPExit(down));
    let leader = pid(A, 9);
    pair.a.send(Control::GroupLeader(GroupLeader {
        from: Some(pid(A, 1)),
        leader,
        to: pid(B, 1),
    }));
    pair.a.send(Control::Link(Link {
        from: pid(A, 2),
        to: pid(B, 1),
    }));
    let out = pair.carry_all();
    assert!(matches!(out[0], Control::Link(_)), "{:?}", out[0]);
    assert!(matches!(out[1], Control::Send(_)), "{:?}", out[1]);
    assert!(matches!(out[2], Control::MonitorPExit(_)), "{:?}", out[2]);
    assert!(matches!(out[3], Control::GroupLeader(_)), "{:?}", out[3]);
}

#[test]
fn atoms_of_a_forwarded_message_are_mapped_anew() {
    let mut pair = Pair::new(Flags::OFFERED);
    let mut next = Pair::new(Flags::OFFERED);
    next.a.send(message(1, &term!([other, atoms, first])));
    next.carry_all();
    for _ in 0..2 {
        let term = term!({some, atoms, [here]});
        pair.a.send(message(1, &term));
        let control = pair.carry_all().remove(0);
        next.a.send(control);
        let control = next.carry_all().remove(0);
        assert_eq!(control.payload().unwrap().decode(), Ok(term));
    }
}

fn error(connection: &mut Connection, frame: &[u8]) -> ConnectionError {
    let mut input = BytesMut::from(&u32::try_from(frame.len()).unwrap().to_be_bytes()[..]);
    input.extend_from_slice(frame);
    connection.handle_input(Instant::now(), &mut input).unwrap_err()
}

#[test]
fn frames_of_another_kind_end_the_connection() {
    let pass_through = b"\x70\x83\x68\x03\x61\x01";
    let headed = b"\x83\x44\x00\x68\x03\x61\x01";
    let first = b"\x83\x45\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\x00\x68";
    let wrong = |kind: Flags, frame: &[u8]| error(&mut Pair::new(kind).b, frame);
    let [all, _, no_fragments, neither] = kinds();
    assert_eq!(
        wrong(all, pass_through),
        ConnectionError::WrongKind(vec![0x70, 0x83])
    );
    assert_eq!(
        wrong(neither, headed),
        ConnectionError::WrongKind(vec![0x83, 0x44])
    );
    assert_eq!(
        wrong(no_fragments, first),
        ConnectionError::WrongKind(vec![0x83, 0x45])
    );
    assert_eq!(wrong(all, b"\x83"), ConnectionError::WrongKind(vec![0x83]));
    assert_eq!(
        wrong(all, b"\x83\x44"),
        ConnectionError::Header(HeaderError::CutOff)
    );
    assert_eq!(
        wrong(all, b"\x83\x45\0"),
        ConnectionError::Fragment(FragmentError::CutOff)
    );
    assert!(matches!(wrong(all, headed), ConnectionError::Control(_)));
    assert!(matches!(
        wrong(neither, pass_through),
        ConnectionError::Control(_)
    ));
}

#[test]
fn a_payload_without_header_begins_with_131() {
    let [.., neither] = kinds();
    let mut pair = Pair::new(neither);
    let tuple = RawTerm::new(&term!({2, x, (pid(B, 1))})).inline();
    let frame = [b"\x70\x83".as_slice(), tuple.bytes(), b"\x61\x01"].concat();
    assert_eq!(
        error(&mut pair.b, &frame),
        ConnectionError::Control(ControlError::NoVersion { operation: 2 })
    );
}

#[test]
fn the_control_tuple_is_whole_in_the_first_fragment() {
    // Several times the size of a fragment, by its options.
    let mut pair = Pair::new(Flags::OFFERED);
    let options: Vec<Term> = (0..50_000).map(|i| term!({option, (i)})).collect();
    let request = control::SpawnRequest {
        reference: Reference::new(Atom::from_static(A), &[1, 2, 3], 4).unwrap(),
        from: pid(A, 1),
        group_leader: pid(A, 1),
        module: Atom::from_static("m"),
        function: Atom::from_static("f"),
        arity: 1,
        options: RawTerm::new(&Term::from(options)),
        token: None,
        arguments: RawTerm::new(&term!([(Bytes::from(vec![b'x'; 100_000]))])),
    };
    pair.a.send(Control::SpawnRequest(Box::new(request)));
    let first = pair.a.transmit().remaining();
    assert!(first > 400_000, "{first}");
    let out = pair.carry_all();
    let Control::SpawnRequest(request) = &out[0] else {
        panic!()
    };
    assert_eq!(
        request
            .options
            .decode()
            .unwrap()
            .as_list()
            .unwrap()
            .iter()
            .count(),
        50_000
    );
}

#[test]
fn nothing_is_held_beyond_the_limit() {
    let now = Instant::now();
    let settings = Settings {
        unfinished_limit: 100_000,
        ..Settings::default()
    };
    let mut connection = Connection::new(&established(B, A, Flags::OFFERED), settings, now);
    let mut input = BytesMut::from(&[0, 1, 0x86, 0xa1][..]);
    let error = connection.handle_input(now, &mut input).unwrap_err();
    assert_eq!(
        error,
        ConnectionError::FrameTooLong {
            length: 100_001,
            limit: 100_000
        }
    );

    // Sequences that are begun and never finished, with nothing in them, count too.
    let mut connection = Connection::new(&established(B, A, Flags::OFFERED), settings, now);
    let begun = (1_u64..).find_map(|sequence| {
        let mut frame = b"\0\0\0\x13\x83\x45".to_vec();
        frame.extend(sequence.to_be_bytes());
        frame.extend(9_u64.to_be_bytes());
        frame.push(0);
        let result = connection.handle_input(now, &mut BytesMut::from(frame.as_slice()));
        result.err().map(|error| (sequence, error))
    });
    let (sequences, error) = begun.unwrap();
    assert_eq!(
        error,
        ConnectionError::Fragment(FragmentError::TooMuch { limit: 100_000 })
    );
    assert!(sequences < 1000);
}

#[test]
fn ticks_only_when_there_is_nothing_to_say() {
    let mut pair = Pair::new(Flags::OFFERED);
    let start = pair.now;
    let second = Duration::from_secs(1);
    assert_eq!(pair.a.poll_timeout(), start + 15 * second);
    pair.now = start + 15 * second;
    pair.a.handle_timeout(pair.now).unwrap();
    assert_eq!(pair.a.transmit().chunk(), [0; 4]);
    assert!(pair.carry_all().is_empty());
    // What is sent puts the next tick off.
    pair.now = start + 20 * second;
    pair.a.send(small(1, 1));
    assert_eq!(pair.carry_all().len(), 1);
    assert_eq!(pair.a.poll_timeout(), start + 35 * second);
    // With something that the peer does not take there is no use in ticking.
    pair.a.send(small(1, 2));
    let waiting = pair.a.transmit().remaining();
    pair.a.handle_timeout(start + 35 * second).unwrap();
    assert_eq!(pair.a.transmit().remaining(), waiting);
    // A has received nothing at all.
    assert_eq!(
        pair.a.handle_timeout(start + 60 * second),
        Err(ConnectionError::Silent(60 * second))
    );
    // B has, at 20 seconds.
    assert_eq!(pair.b.handle_timeout(start + 79 * second), Ok(()));
    assert_eq!(
        pair.b.handle_timeout(start + 80 * second),
        Err(ConnectionError::Silent(60 * second))
    );
}

#[test]
fn bytes_after_the_payload_are_ignored() {
    let mut pair = Pair::new(Flags::OFFERED);
    let mut payload = RawTerm::new(&term!(hello)).inline().bytes().to_vec();
    payload.extend(b"more");
    let Control::Send(send) = message(1, &term!(x)) else {
        unreachable!()
    };
    let message = RawTerm::from_parts(payload.into(), Atoms::NONE);
    pair.a.send(Control::Send(Send { message, ..send }));
    assert_eq!(pair.carry_all()[0].payload().unwrap().decode(), Ok(term!(hello)));
}

#[test]
fn large_payloads_are_not_copied() {
    let mut pair = Pair::new(Flags::OFFERED);
    let control = large(1, 1, 1_000_000);
    let range = control.payload().unwrap().bytes().as_ptr_range();
    pair.a.send(control);
    let mut shared = 0;
    while pair.a.transmit().has_remaining() {
        let chunk = pair.a.transmit().chunk();
        if range.contains(&chunk.as_ptr()) {
            shared += chunk.len();
        }
        let length = chunk.len();
        pair.a.handle_written(pair.now, length);
    }
    assert!(shared > 990_000, "{shared}");
}
