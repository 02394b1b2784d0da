//! Random bytes in random pieces on several connections to an EPMD, without I/O.
//!
//! Whatever comes: no panic; the names registered are those of the connections that hold one; a connection that waits for the
//! rest of its request holds no more bytes than a request may have; and when all connections have ended no name is left.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use beamnode::epmd::message::{MAX_REQUEST, Request};
use beamnode::epmd::registry::{ConnectionId, Listing, Registry};
use beamnode::epmd::session::{Context, Session, Step};
use beamnode::epmd::{Name, Registrant};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Script<'a> {
    relaxed: bool,
    full: bool,
    steps: Vec<(u8, Action<'a>)>,
}

#[derive(Debug, Arbitrary)]
enum Action<'a> {
    Bytes(&'a [u8]),
    Request(Sound<'a>),
    Register { name: u8, port: u16, version: u16 },
    Close,
}

/// Requests that are well formed, to get further than noise does.
#[derive(Debug, Arbitrary)]
enum Sound<'a> {
    Lookup(&'a str),
    Names,
    Dump,
    Kill,
    Stop(u8),
}

fuzz_target!(|script: Script<'_>| {
    let mut registry = Registry::new(true);
    let mut sessions: BTreeMap<u8, Session> = BTreeMap::new();
    for (number, action) in script.steps {
        let number = number % 8;
        let connection = ConnectionId(number.into());
        let bytes = match action {
            Action::Close => {
                if let Some(mut session) = sessions.remove(&number) {
                    session.closed(connection, &mut registry);
                }
                continue;
            }
            Action::Bytes(bytes) => bytes.to_vec(),
            Action::Request(sound) => {
                let name = |text: &str| Name::new(text).ok();
                let request = match sound {
                    Sound::Lookup(text) => name(text).map(Request::Lookup),
                    Sound::Names => Some(Request::Names),
                    Sound::Dump => Some(Request::Dump),
                    Sound::Kill => Some(Request::Kill),
                    Sound::Stop(index) => name(&format!("n{index}")).map(Request::Stop),
                };
                request.map(|request| request.encode()).unwrap_or_default()
            }
            Action::Register { name, port, version } => {
                let name = Name::new(&format!("n{}", name % 8)).expect("a name");
                let node = Registrant {
                    highest_version: version,
                    ..Registrant::new(name, port)
                };
                Request::Register(node).encode()
            }
        };
        let context = Context {
            connection,
            local: number != 0,
            relaxed: script.relaxed,
            full: script.full,
            port: 4369,
            now: 7,
        };
        let session = sessions.entry(number).or_default();
        let room = session.room();
        assert!(room <= MAX_REQUEST + 2);
        let read = &bytes[..bytes.len().min(room)];
        if read.is_empty() {
            continue;
        }
        let mut answer = Vec::new();
        match session.input(read, &context, &mut registry, &mut answer) {
            Step::Read => assert!(answer.is_empty()),
            Step::Hold => assert!(!answer.is_empty()),
            Step::List(mut listing) => {
                while registry.continue_listing(&mut listing, 64, &mut answer) {}
                assert_eq!(listing, Listing::Done);
                sessions.remove(&number);
            }
            Step::Stop(stopped) => {
                sessions.remove(&number);
                if let Some(ConnectionId(stopped)) = stopped {
                    let stopped = u8::try_from(stopped).expect("one of ours");
                    assert!(
                        sessions
                            .remove(&stopped)
                            .is_some_and(|session| session.is_holding())
                    );
                }
            }
            Step::Close | Step::Kill => {
                sessions.remove(&number);
            }
        }
        let holding = sessions.values().filter(|session| session.is_holding()).count();
        assert!(registry.len() <= holding);
        assert_eq!(registry.iter().count(), registry.len());
        for node in registry.iter() {
            assert_eq!(registry.lookup(&node.name), Some(node));
        }
    }
    for (number, mut session) in sessions {
        session.closed(ConnectionId(number.into()), &mut registry);
    }
    assert!(registry.is_empty());
});
