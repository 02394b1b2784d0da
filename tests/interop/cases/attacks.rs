//! What a hostile or broken peer does costs that peer its connection. The subject stays up, serves the others meanwhile,
//! says in its log who it was and what was wrong, and has no more open files afterwards than before.

use std::time::Duration;

use beamnode::{
    dist::{
        Cookie, Flags,
        handshake::{Dialed, LocalName, SETUP_TIME},
    },
    net,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::ping::ping;
use crate::inside::{Beam, Bed, COOKIE, LIMIT, Subject, epmd};

/// A peer with another cookie connects.
pub(crate) async fn wrong_cookie(bed: Bed) {
    let subject = bed.subject().start().await;
    let witness = Witness::before(&bed, &subject).await;
    let mallory = bed.erl("mallory", "a").cookie("guessed").start().await;
    for _ in 0..3 {
        assert_eq!(ping(&mallory, subject.node()).await, "pang");
    }
    subject.await_log(&[mallory.node(), "cookie"]).await;
    witness.assert_well(&subject).await;
    assert!(subject.events_about(mallory.node()).await.is_empty());
}

/// The subject connects with another cookie than its peer's.
pub(crate) async fn wrong_cookie_by_subject(bed: Bed) {
    let subject = bed.subject().cookie("guessed").connecting().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let answer = subject.ping(alice.node()).await;
    assert!(answer.starts_with("pang"), "{answer}");
    if subject.is_rust() {
        assert!(answer.contains("cookie"), "{answer}");
    }
    assert_eq!(alice.eval("nodes(connected)").await, "[]");
}

/// Peers that lack what every node must be able to do: whoever turns them away names the flags, and who is turned away is told that
/// it may be those.
pub(crate) async fn missing_flags(bed: Bed) {
    let subject = bed.subject().connecting().start().await;
    let witness = Witness::before(&bed, &subject).await;
    let alice = bed.erl("alice", "a").start().await;
    let lacking = Flags::UTF8_ATOMS | Flags::BIG_CREATION;
    let flags = Flags::OFFERED - Flags::MANDATORY_25_DIGEST - lacking;
    let names = ["UTF8_ATOMS", "BIG_CREATION"];

    let mut poor = connect(&subject).await;
    poor.write_all(&send_name_with("poor@nowhere", flags.bits()))
        .await
        .expect("sent");
    assert_eq!(told(&mut poor).await, b"\0\x0csnot_allowed");
    subject.await_log(&["poor@nowhere", names[0], names[1]]).await;

    let start = format!("ok = poor_peer:start(\"poor\", {{flags, {}}})", flags.bits());
    alice.eval(start).await;
    let there = format!("poor@{}", host_of(alice.node()));
    let answer = subject.ping(&there).await;
    assert!(answer.starts_with("pang"), "{answer}");
    assert!(
        !subject.is_rust() || names.iter().all(|name| answer.contains(name)),
        "{answer}"
    );

    // The same from the other side: a real node turns our library away.
    let port = epmd::port(host_of(alice.node()), "alice").await;
    let port = port.expect("alice is registered");
    let addresses = tokio::net::lookup_host((host_of(alice.node()), port)).await;
    let dialed = Dialed {
        name: LocalName::Named("poor@elsewhere".parse().expect("a name")),
        flags,
        creation: 5,
        peer: alice.node().parse().expect("a name"),
        cookie: Cookie::new(COOKIE).expect("a cookie"),
    };
    let addresses: Vec<_> = addresses.expect("alice's host is known").collect();
    let error = net::connect(&addresses, dialed, SETUP_TIME, &()).await;
    let error = error.expect_err("alice wants those flags").to_string();
    assert!(error.contains("lack flags that it requires"), "{error}");
    let log = alice.await_log("poor@elsewhere", 1, LIMIT).await;
    assert!(names.iter().all(|name| log.contains(name)), "{log}");

    assert_eq!(alice.eval("nodes(connected)").await, "[]");
    alice.kill().await;
    witness.assert_well(&subject).await;
    for poor in ["poor@nowhere", &there] {
        assert!(subject.events_about(poor).await.is_empty());
    }
}

/// A name that leads to the port of another node: whoever connects finds out, and says who answered; the other says that it was
/// somebody else who was expected.
pub(crate) async fn wrong_name(bed: Bed) {
    let subject = bed.subject().connecting().start().await;
    let witness = Witness::before(&bed, &subject).await;
    let alice = bed.erl("alice", "a").start().await;
    alice.eval("ok = poor_peer:start(\"ghost\", self)").await;
    let answer = subject.ping(&format!("ghost@{}", host_of(alice.node()))).await;
    assert!(answer.starts_with("pang"), "{answer}");
    assert!(
        !subject.is_rust() || (answer.contains("wrong node") && answer.contains(alice.node())),
        "{answer}"
    );

    let neighbour = bed.erl("neighbour", bed.subject_host()).hidden().start().await;
    let (_, port) = subject.address().await;
    neighbour
        .eval(format!("ok = poor_peer:start(\"ghost\", {{port, {port}}})"))
        .await;
    let ghost = format!("ghost@{}", host_of(subject.node()));
    assert_eq!(ping(&alice, &ghost).await, "pang");
    subject
        .await_log(&[alice.node(), "expected another name here"])
        .await;
    assert_eq!(alice.eval("nodes(connected)").await, "[]");
    // Its two names are held by the subject's EPMD where that is part of it.
    neighbour.kill().await;
    alice.kill().await;
    witness.assert_well(&subject).await;
    assert!(subject.events_about(alice.node()).await.is_empty());
}

/// Peers that speak another protocol, or none.
pub(crate) async fn random_bytes(bed: Bed) {
    let subject = bed.subject().start().await;
    let witness = Witness::before(&bed, &subject).await;
    let seed = seed();
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    for round in 0..40 {
        let mut stream = connect(&subject).await;
        let length = random.below(2000);
        let mut bytes: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        // Framed as the handshake has it, every other time: else most are only the beginning of something long.
        if round % 2 == 0 {
            let length = u16::try_from(bytes.len()).expect("at most 2000");
            bytes.splice(0..0, length.to_be_bytes());
        }
        // And with the letter of a message at its beginning, every fourth time.
        if round % 4 == 0 && bytes.len() > 2 {
            bytes[2] = b"Nnsr"[round / 4 % 4];
        }
        stream.write_all(&bytes).await.ok();
    }
    let mut stream = connect(&subject).await;
    let peer = stream.local_addr().expect("an address").to_string();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: rust\r\n\r\n")
        .await
        .ok();
    assert_closed(&mut stream).await;
    subject.await_log(&[&peer]).await;
    witness.assert_well(&subject).await;
}

/// Peers that begin as they should, and then stop speaking, or hang up.
pub(crate) async fn half_handshakes(bed: Bed) {
    let subject = bed.subject().start().await;
    let witness = Witness::before(&bed, &subject).await;
    // Each stops one message or part of one further than the one before. Names of their own, lest one attempt stands in another's way.
    let nonsense = |name: &str| {
        let mut bytes = send_name(name);
        bytes.extend_from_slice(b"\0\x15r\0\0\0\0aaaaaaaaaaaaaaaa");
        bytes
    };
    let name = send_name("leaver@nowhere");
    let further = nonsense("quitter@nowhere");
    for part in [
        &name[..1],
        &name[..2],
        &name[..10],
        &name,
        &further[..send_name("quitter@nowhere").len() + 3],
    ] {
        let mut hanging_up = connect(&subject).await;
        hanging_up.write_all(part).await.expect("sent");
    }
    let name = send_name("ghost@nowhere");
    let mut silent = Vec::new();
    for part in [&name[..1], &name[..10], &name] {
        let mut stream = connect(&subject).await;
        stream.write_all(part).await.expect("sent");
        silent.push(stream);
    }
    let mut wrong_digest = connect(&subject).await;
    let bytes = nonsense("liar@nowhere");
    wrong_digest.write_all(&bytes).await.expect("sent");
    assert_closed(&mut wrong_digest).await;
    subject.await_log(&["liar@nowhere", "cookie"]).await;
    for stream in &mut silent {
        assert_closed(stream).await;
    }
    let peer = silent[2].local_addr().expect("an address").to_string();
    subject.await_log(&[&peer, "ghost@nowhere"]).await;
    witness.assert_well(&subject).await;
}

/// 200 connections that never speak: others are served meanwhile, and these are closed, each with its line in the log.
pub(crate) async fn silent_connections(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let witness = Witness::before(&bed, &subject).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(connect(&subject).await);
    }
    assert_eq!(ping(&alice, subject.node()).await, "pong");
    for stream in &mut silent {
        assert_closed(stream).await;
        let peer = stream.local_addr().expect("an address").to_string();
        subject.await_log(&[&peer, "timed out"]).await;
    }
    alice.kill().await;
    witness.assert_well(&subject).await;
}

/// A peer that dies when it has sent the beginning of a large message.
pub(crate) async fn killed_in_mid_message(bed: Bed) {
    let subject = bed.subject().start().await;
    let witness = Witness::before(&bed, &subject).await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(ping(&alice, subject.node()).await, "pong");
    // While the subject stands still, no more than the sockets' buffers hold can be under way.
    subject.pause().await;
    let stuck = format!("traffic:stuck('{}')", subject.node());
    assert_eq!(alice.eval(stuck).await, "ok");
    alice.kill().await;
    subject.resume().await;
    let down = format!("nodedown {} ", alice.node());
    assert_eq!(
        subject.await_event(&down, 1, LIMIT).await,
        format!("{down}visible connection_closed")
    );
    subject
        .await_log(&[alice.node(), "in the middle of a message"])
        .await;
    witness.assert_well(&subject).await;
}

/// A node that visits the subject before and after, and sees that it is as well as it was.
struct Witness {
    beam: Beam,
    open_files: usize,
}

impl Witness {
    async fn before(bed: &Bed, subject: &Subject) -> Self {
        // Hidden, so that `global` has no business with it, and does not ask for the subject when the visit is over.
        let beam = bed.erl("witness", "b").hidden().start().await;
        let mut witness = Self { beam, open_files: 0 };
        witness.visit(subject).await;
        // What a first visit makes a node open for good is no loss; that the visit's own socket goes is waited for.
        let (mut now, mut last) = (subject.open_files().await, usize::MAX);
        while now < last {
            tokio::time::sleep(Duration::from_millis(200)).await;
            (last, now) = (now, subject.open_files().await);
        }
        witness.open_files = now;
        witness
    }

    /// The subject still runs, serves a visitor, and has no more open files than before.
    async fn assert_well(&self, subject: &Subject) {
        assert!(subject.is_running().await, "the subject has ended");
        self.visit(subject).await;
        // A BEAM node starts a program that looks up names when it first needs one, and keeps it.
        let allowed = self.open_files + if subject.is_rust() { 0 } else { 4 };
        let mut open = subject.open_files().await;
        // A closed connection's file may go a moment later.
        for _ in 0..300 {
            if open <= allowed {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            open = subject.open_files().await;
        }
        panic!("{open} files are open; there were {} before", self.open_files);
    }

    async fn visit(&self, subject: &Subject) {
        let rust = subject.node();
        assert_eq!(ping(&self.beam, rust).await, "pong");
        assert_eq!(
            self.beam.eval(format!("echo_terms:every_type('{rust}')")).await,
            "ok"
        );
        assert_eq!(self.beam.eval(format!("disconnect_node('{rust}')")).await, "true");
    }
}

async fn connect(subject: &Subject) -> TcpStream {
    TcpStream::connect(subject.address().await)
        .await
        .expect("the subject listens")
}

/// The other side closes: the seven seconds that a handshake's step may take are much less than the limit here.
async fn assert_closed(stream: &mut TcpStream) {
    told(stream).await;
}

/// All that the other side says until it closes.
async fn told(stream: &mut TcpStream) -> Vec<u8> {
    let mut told = Vec::new();
    let closed = timeout(LIMIT, stream.read_to_end(&mut told)).await;
    assert!(closed.is_ok(), "the subject leaves the connection open");
    told
}

/// The part of a node's name after the `@`.
fn host_of(node: &str) -> &str {
    node.split_once('@').expect("a node's name").1
}

/// The first message of a handshake, from a node that has all that is asked of one.
fn send_name(name: &str) -> Vec<u8> {
    send_name_with(name, 0x0d_07df_7fbd)
}

/// The same with these flags.
fn send_name_with(name: &str, flags: u64) -> Vec<u8> {
    let mut message = b"N".to_vec();
    message.extend_from_slice(&flags.to_be_bytes());
    message.extend_from_slice(&7_u32.to_be_bytes());
    message.extend_from_slice(&u16::try_from(name.len()).expect("a short name").to_be_bytes());
    message.extend_from_slice(name.as_bytes());
    let mut packet = u16::try_from(message.len())
        .expect("short")
        .to_be_bytes()
        .to_vec();
    packet.append(&mut message);
    packet
}

/// `BED_SEED`, or another each time.
pub(super) fn seed() -> u64 {
    let given = std::env::var("BED_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| u64::from(now.subsec_nanos()) + 1)
    })
}

/// Marsaglia's xorshift: enough to be different each time and the same for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[3]
    }
}
