//! Random packets to either role of the handshake, cut anywhere: it ends in an error or goes on, and never takes more than the packet.

#![no_main]

use arbitrary::Arbitrary;
use beamnode::dist::handshake::{
    AskedName, AwaitName, Deframer, Dialed, LengthPrefix, Local, LocalName, ReplyReceived, StatusReceived,
    start,
};
use beamnode::dist::{Cookie, Flags};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    initiator: bool,
    undefined: bool,
    wide: bool,
    /// What the node decides.
    alive: bool,
    stream: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let prefix = if input.wide {
        LengthPrefix::Four
    } else {
        LengthPrefix::Two
    };
    let deframer = Deframer::new(prefix);
    let mut stream = BytesMut::from(input.stream.as_slice());
    let mut packets = std::iter::from_fn(|| deframer.next(&mut stream).ok().flatten());
    if input.initiator {
        initiator(&mut packets, input.undefined)
    } else {
        acceptor(&mut packets, input.alive)
    };
});

fn cookie() -> Cookie {
    Cookie::new("secret").unwrap()
}

fn initiator(packets: &mut dyn Iterator<Item = bytes::Bytes>, undefined: bool) -> Option<()> {
    let name = if undefined {
        LocalName::Undefined { host: "host".into() }
    } else {
        LocalName::Named("a@host".parse().unwrap())
    };
    let peer = "b@host".parse().unwrap();
    let dialed = Dialed {
        name,
        flags: Flags::OFFERED,
        creation: 4,
        peer,
        cookie: cookie(),
    };
    let (_, state) = start(dialed).unwrap();
    let state = match state.handle(&packets.next()?).ok()? {
        StatusReceived::Proceed(state) => state,
        StatusReceived::Alive(asked) => asked.replace().1,
    };
    let (_, state) = state.handle(&packets.next()?, 7).ok()?;
    state.handle(&packets.next()?).ok().map(drop)
}

fn acceptor(packets: &mut dyn Iterator<Item = bytes::Bytes>, alive: bool) -> Option<()> {
    let local = Local {
        name: "b@host".parse().unwrap(),
        flags: Flags::OFFERED,
        creation: 4,
    };
    let mut state = match AwaitName::new(local).handle(&packets.next()?).ok()? {
        AskedName::Connection(asked) if alive => {
            asked.alive().1.handle(&packets.next()?, cookie(), 7).ok()?.1
        }
        AskedName::Connection(asked) => asked.accept(false, cookie(), 7).1,
        AskedName::Name(asked) => {
            let name = format!("X@{}", asked.host()).parse().unwrap();
            asked.name(name, 9, cookie(), 7).1
        }
    };
    loop {
        match state.handle(&packets.next()?).ok()? {
            ReplyReceived::Complemented(next) => state = next,
            ReplyReceived::Verified(verified) => {
                let (_, established) = verified.finish();
                assert!(established.peer.flags.missing(Flags::REQUIRED).is_empty());
                return Some(());
            }
        }
    }
}
