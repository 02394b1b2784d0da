//! The driver and the handshakes over streams in memory and over loopback. Real nodes are asked in `tests/interop`.

use super::*;
use crate::dist::arbitration::{Held, Verdict, incoming};
use crate::dist::control::{self, Send, Target};
use crate::dist::handshake::{Dialed, HandshakeError, LengthPrefix, Local, LocalName, Step};
use crate::dist::{Control, Cookie, Flags, NodeName, Ticks};
use crate::etf::RawTerm;
use crate::term;
use crate::term::{Atom, Pid, Reference, Term};
use bytes::Bytes;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

mod writes;

const SETUP: Duration = Duration::from_secs(5);

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn cookie(text: &str) -> Cookie {
    Cookie::new(text).unwrap()
}

fn dialed(cookie_text: &str) -> Dialed {
    Dialed {
        name: LocalName::Named(name("a@host")),
        flags: Flags::OFFERED,
        creation: 5,
        peer: name("b@host"),
        cookie: cookie(cookie_text),
    }
}

/// What became of an attempt.
#[derive(Debug)]
enum Event {
    Up(Link),
    Failed(SetupError),
}

/// A node that lets in who has its cookie, and holds for everybody the same.
struct Gate {
    held: Held,
    closed_old: AtomicUsize,
    events: UnboundedSender<Event>,
}

impl Gate {
    fn new(held: Held) -> (Arc<Self>, UnboundedReceiver<Event>) {
        let (events, receiver) = unbounded_channel();
        (
            Arc::new(Self {
                held,
                closed_old: AtomicUsize::new(0),
                events,
            }),
            receiver,
        )
    }
}

impl Gatekeeper for Gate {
    type Admission = NodeName;

    fn local(&self) -> Local {
        Local {
            name: name("b@host"),
            flags: Flags::OFFERED,
            creation: 6,
        }
    }

    fn connection(&self, peer: &NodeName, _: Flags, _: Option<SocketAddr>) -> Decision<NodeName> {
        let (admission, cookie) = (peer.clone(), cookie("secret"));
        match incoming(&name("b@host"), peer, self.held) {
            Verdict::Ok => Decision::Accept {
                admission,
                simultaneous: false,
                cookie,
            },
            Verdict::OkSimultaneous => Decision::Accept {
                admission,
                simultaneous: true,
                cookie,
            },
            Verdict::Alive => Decision::Alive { admission, cookie },
            Verdict::Nok => Decision::Refuse(crate::dist::handshake::Refusal::Nok),
            Verdict::Busy => Decision::Refuse(crate::dist::handshake::Refusal::Busy),
        }
    }

    fn name(&self, host: &str, _: Flags, _: Option<SocketAddr>) -> Naming<NodeName> {
        let given = NodeName::new("GIVEN", host).unwrap();
        Naming::Name {
            admission: given.clone(),
            name: given,
            creation: 77,
            cookie: cookie("secret"),
        }
    }

    async fn verified(&self, _: &NodeName) -> bool {
        self.closed_old.fetch_add(1, Ordering::Relaxed);
        true
    }

    async fn withdrawn(&self, _: &NodeName) {
        std::future::pending().await
    }

    fn established(&self, _: NodeName, link: Link) {
        let _ = self.events.send(Event::Up(link));
    }

    fn failed(&self, _: NodeName, error: SetupError) {
        let _ = self.events.send(Event::Failed(error));
    }
}

/// A listener on loopback with this gate, and where it listens.
fn listening(gate: &Arc<Gate>, options: ListenOptions) -> SocketAddr {
    let interface = Some(Ipv4Addr::LOCALHOST.into());
    let listener = Listener::bind(ListenOptions { interface, ..options }).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(listener.serve(Arc::clone(gate)));
    address
}

fn patience(setup_time: Duration) -> ListenOptions {
    ListenOptions {
        setup_time,
        ..ListenOptions::default()
    }
}

/// Whether an attempt of ours replaces the connection that the peer has.
struct Replacing(bool);

impl Attempt for Replacing {
    fn replaces(&self) -> bool {
        self.0
    }
}

/// Two connected links in memory.
async fn linked() -> (Link<DuplexStream>, Link<DuplexStream>) {
    let (a, b) = duplex(64 * 1024);
    let (gate, _events) = Gate::new(Held::Nothing);
    let dial = shake_hands(a, LengthPrefix::Two, dialed("secret"), SETUP, &());
    let accept = super::accept::accept(b, LengthPrefix::Two, SETUP, None, &*gate);
    let (dialed, accepted) = tokio::join!(dial, accept);
    let (_, accepted) = accepted.unwrap();
    (dialed.unwrap(), accepted.unwrap())
}

fn message(from: u32, message: &Term) -> Control {
    let from = Some(Pid::new(Atom::from_static("a@host"), from, 0, 5));
    let to = Target::Name(Atom::from_static("echo"));
    Control::Send(Send {
        from,
        to,
        priority: false,
        token: None,
        message: RawTerm::new(message),
    })
}

fn number(control: &Control) -> i64 {
    let term = control.payload().unwrap().decode().unwrap();
    term.as_tuple().unwrap().get(0).unwrap().as_integer().unwrap()
}

fn numbered(number: i64, size: usize) -> Control {
    message(1, &term!({(number), (Bytes::from(vec![b'x'; size]))}))
}

#[tokio::test]
async fn over_loopback_both_ways() {
    let (gate, mut events) = Gate::new(Held::Nothing);
    let address = listening(&gate, patience(SETUP));
    let link = connect(&[address], dialed("secret"), SETUP, &()).await.unwrap();
    assert_eq!(link.established().peer.name, name("b@host"));
    assert_eq!(link.address(), Some(address));
    let Some(Event::Up(accepted)) = events.recv().await else {
        panic!()
    };
    assert_eq!(accepted.established().peer.name, name("a@host"));
    assert_eq!(accepted.established().peer.creation, 5);

    let (there, driver) = link.open(LinkOptions::default());
    let dialing = tokio::spawn(driver.run(|_: Control| {}));
    let (_back, driver) = accepted.open(LinkOptions::default());
    let (send, mut received) = unbounded_channel();
    let accepting = tokio::spawn(driver.run(move |control| send.send(control).unwrap()));
    for (i, size) in [1, 100, 70_000, 3_000_000, 1].into_iter().enumerate() {
        there
            .send(numbered(i64::try_from(i).unwrap(), size))
            .await
            .unwrap();
    }
    for i in 0..5 {
        assert_eq!(number(&received.recv().await.unwrap()), i);
    }
    there.close();
    assert!(matches!(dialing.await.unwrap(), CloseReason::Disconnected));
    assert!(matches!(accepting.await.unwrap(), CloseReason::ConnectionClosed));
    assert_eq!(there.send_now(numbered(1, 1)), Err(SendError::Closed));
    assert_eq!(there.send(numbered(1, 1)).await, Err(SendError::Closed));
}

#[tokio::test]
async fn what_was_sent_before_closing_arrives() {
    let (a, b) = linked().await;
    let (there, driver) = a.open(LinkOptions::default());
    for i in 0..10 {
        there.send_now(numbered(i, 10)).unwrap();
    }
    there.close();
    let (send, mut received) = unbounded_channel();
    let (_back, other) = b.open(LinkOptions::default());
    tokio::join!(
        driver.run(|_: Control| {}),
        other.run(move |control| send.send(number(&control)).unwrap())
    );
    for i in 0..10 {
        assert_eq!(received.recv().await, Some(i));
    }
}

#[tokio::test]
async fn a_wrong_cookie_is_an_error_on_both_sides() {
    let (gate, mut events) = Gate::new(Held::Nothing);
    let address = listening(&gate, patience(SETUP));
    let error = connect(&[address], dialed("other"), SETUP, &())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("another cookie"), "{error}");
    let Some(Event::Failed(error)) = events.recv().await else {
        panic!()
    };
    assert!(
        matches!(error, SetupError::Handshake(HandshakeError::WrongCookie)),
        "{error}"
    );
}

#[tokio::test]
async fn statuses() {
    for (held, replace, closed_old) in [
        (Held::Nothing, false, 1),
        (Held::Dialing, false, 1),
        (Held::Up, true, 1),
        (Held::Up, false, 0),
        (Held::Pending, false, 0),
        (Held::UpPending, false, 0),
    ] {
        let (gate, mut events) = Gate::new(held);
        let address = listening(&gate, patience(SETUP));
        let result = connect(&[address], dialed("secret"), SETUP, &Replacing(replace)).await;
        match (held, replace) {
            (Held::Nothing | Held::Dialing, _) | (Held::Up, true) => {
                assert!(result.is_ok(), "{held:?} {result:?}");
                assert!(matches!(events.recv().await, Some(Event::Up(_))));
            }
            (Held::Up, false) => {
                let error = result.unwrap_err();
                assert!(
                    matches!(error, SetupError::Handshake(HandshakeError::Superseded)),
                    "{error}"
                );
                let Some(Event::Failed(error)) = events.recv().await else {
                    panic!()
                };
                assert!(
                    matches!(error, SetupError::Handshake(HandshakeError::GivenUp)),
                    "{error}"
                );
            }
            // Of two attempts that of b wins, which is greater.
            (Held::Pending, _) => {
                let error = result.unwrap_err();
                assert!(
                    matches!(error, SetupError::Handshake(HandshakeError::Nok)),
                    "{error}"
                );
            }
            (Held::UpPending, _) => {
                let error = result.unwrap_err();
                let closed = HandshakeError::Closed { step: Step::Status };
                assert!(matches!(error, SetupError::Handshake(e) if e == closed));
            }
        }
        assert_eq!(gate.closed_old.load(Ordering::Relaxed), closed_old, "{held:?}");
    }
}

#[tokio::test]
async fn a_node_without_a_name_is_given_one() {
    let (gate, mut events) = Gate::new(Held::Nothing);
    let address = listening(&gate, patience(SETUP));
    let unnamed = Dialed {
        name: LocalName::Undefined { host: "host".into() },
        ..dialed("secret")
    };
    let link = connect(&[address], unnamed, SETUP, &()).await.unwrap();
    assert_eq!(link.established().local.name, name("GIVEN@host"));
    assert_eq!(link.established().local.creation, 77);
    let Some(Event::Up(accepted)) = events.recv().await else {
        panic!()
    };
    assert_eq!(accepted.established().peer.name, name("GIVEN@host"));
    assert!(accepted.established().peer.hidden);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stalls_is_given_up_at_each_step() {
    for bytes in [&b""[..], b"\0", b"\0\x03sok", b"\0\x06salive"] {
        let (a, mut b) = duplex(1024);
        let start = tokio::time::Instant::now();
        let silent = async {
            b.write_all(bytes).await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
        };
        let error = tokio::select! {
            result = shake_hands(a, LengthPrefix::Two, dialed("secret"), SETUP, &()) => result.unwrap_err(),
            () = silent => panic!("not given up"),
        };
        let step = if bytes.len() > 1 {
            Step::Challenge
        } else {
            Step::Status
        };
        assert!(matches!(error, SetupError::Handshake(e) if e == HandshakeError::TimedOut { step }));
        assert_eq!(start.elapsed(), SETUP);
    }
    let (gate, _events) = Gate::new(Held::Nothing);
    let (a, _b) = duplex(1024);
    let result = super::accept::accept(a, LengthPrefix::Two, SETUP, None, &*gate).await;
    let timed_out = HandshakeError::TimedOut { step: Step::SendName };
    assert!(matches!(result, Err(SetupError::Handshake(e)) if e == timed_out));
}

#[tokio::test]
async fn strangers_leave_nothing_behind() {
    let (gate, mut events) = Gate::new(Held::Nothing);
    let address = listening(
        &gate,
        ListenOptions {
            unauthenticated: 50,
            ..patience(SETUP)
        },
    );
    // Many that never speak, more than are let in at a time; and some that speak nonsense.
    let mut silent = Vec::new();
    for i in 0..200 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        if i % 10 == 0 {
            let nonsense: Vec<u8> = (0..64_u32).map(|k| (k * 37 + i) as u8).collect();
            stream.write_all(&nonsense).await.unwrap();
        }
        silent.push(stream);
    }
    // Whoever has the cookie is let in all the same.
    let link = connect(&[address], dialed("secret"), SETUP, &()).await.unwrap();
    assert!(matches!(events.recv().await, Some(Event::Up(_))));
    drop(link);
    // The oldest were cut off for it.
    let mut first = silent.remove(0);
    let closed = tokio::time::timeout(SETUP, first.read_u8()).await.unwrap();
    assert!(closed.is_err());
    assert!(events.is_empty(), "no admission was left");
}

#[tokio::test]
async fn half_handshakes_end_when_the_peer_goes() {
    let (gate, mut events) = Gate::new(Held::Nothing);
    let address = listening(&gate, patience(SETUP));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let prefix = LengthPrefix::Two;
    let (packet, _) = crate::dist::handshake::start(dialed("secret")).unwrap();
    stream.write_all(&prefix.frame(&packet)).await.unwrap();
    let mut status = [0; 5];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"\0\x03sok");
    drop(stream);
    let Some(Event::Failed(error)) = events.recv().await else {
        panic!()
    };
    let closed = HandshakeError::Closed { step: Step::Reply };
    assert!(
        matches!(&error, SetupError::Handshake(e) if *e == closed),
        "{error}"
    );
}

#[tokio::test]
async fn a_peer_that_never_reads_is_cut_off_in_the_end() {
    let (a, b) = linked().await;
    let (there, driver) = a.open(LinkOptions {
        busy_limit: 1_000,
        unread_limit: 200_000,
        ..LinkOptions::default()
    });
    let running = tokio::spawn(driver.run(|_: Control| {}));
    let mut sent = 0;
    while there.send_now(numbered(sent, 10_000)).is_ok() {
        sent += 1;
        assert!(there.queued_bytes() <= 200_000);
        tokio::task::yield_now().await;
    }
    let reason = running.await.unwrap();
    assert!(
        matches!(reason, CloseReason::Unread(190_000..=200_000)),
        "{reason}"
    );
    assert_eq!(there.send_now(numbered(0, 1)), Err(SendError::Closed));
    drop(b);
}

#[tokio::test(start_paused = true)]
async fn busy_and_free() {
    let (a, b) = linked().await;
    let (there, driver) = a.open(LinkOptions {
        busy_limit: 100_000,
        ..LinkOptions::default()
    });
    let mut busy = there.watch_busy();
    let running = tokio::spawn(driver.run(|_: Control| {}));
    let mut sent = 0;
    while there.try_send(&numbered(sent, 10_000)).is_ok() {
        sent += 1;
        tokio::task::yield_now().await;
    }
    assert!((10..20).contains(&sent), "{sent}");
    assert!(there.is_busy());
    assert_eq!(there.try_send(&numbered(sent, 1)), Err(SendError::Busy));
    busy.wait_for(|busy| *busy).await.unwrap();
    // What must not wait does not.
    there.send_now(numbered(sent, 1)).unwrap();
    let waiting = {
        let there = there.clone();
        tokio::spawn(async move { there.send(numbered(sent + 1, 1)).await })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());

    // The peer reads.
    let (send, mut received) = unbounded_channel();
    let (_back, other) = b.open(LinkOptions::default());
    tokio::spawn(other.run(move |control| send.send(number(&control)).unwrap()));
    waiting.await.unwrap().unwrap();
    busy.wait_for(|busy| !*busy).await.unwrap();
    for i in 0..sent + 2 {
        assert_eq!(received.recv().await, Some(i));
    }
    assert_eq!(there.queued_bytes(), 0);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn small_messages_do_not_wait_for_large_ones_of_others() {
    const LARGE: usize = 20_000_000;
    let (a, b) = linked().await;
    let (there, driver) = a.open(LinkOptions {
        busy_limit: 100_000,
        ..LinkOptions::default()
    });
    tokio::spawn(driver.run(|_: Control| {}));
    let of = |sender, number: i64, size| {
        let text = Bytes::from(vec![b'x'; size]);
        message(sender, &term!({(number), (text)}))
    };
    // The peer does not read, and the sockets do not hold all of it.
    there.send(of(1, 0, LARGE)).await.unwrap();
    assert!(there.is_busy());
    // What comes after it from the same process, and another large one, would wait; small ones go, as long as few of them wait.
    assert_eq!(there.try_send(&of(1, 1, 1)), Err(SendError::Busy));
    assert_eq!(there.try_send(&of(2, 1, LARGE)), Err(SendError::Busy));
    there.send(of(2, 0, 1)).await.unwrap();
    there.free().await;
    let mut sent = 1;
    while there.try_send(&of(3, sent, 10_000)).is_ok() {
        sent += 1;
        tokio::task::yield_now().await;
    }
    assert!((10..100).contains(&sent), "{sent}");
    let waiting: Vec<_> = [of(3, sent, 1), of(1, 1, 1), of(2, 1, LARGE)]
        .into_iter()
        .map(|message| {
            let there = there.clone();
            tokio::spawn(async move { there.send(message).await })
        })
        .collect();

    let (send, mut received) = unbounded_channel();
    let (_back, other) = b.open(LinkOptions::default());
    tokio::spawn(other.run(move |control: Control| {
        let sender = control.sender().unwrap().id();
        send.send((sender, number(&control))).unwrap();
    }));
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    let mut all = Vec::new();
    for _ in 0..sent + 4 {
        all.push(received.recv().await.unwrap());
    }
    let place = |message| all.iter().position(|one| *one == message).unwrap();
    assert_eq!(place((2, 0)), 0, "it passes the large one");
    assert!(place((3, sent)) < place((1, 0)));
    assert!(place((1, 0)) < place((1, 1)) && place((2, 0)) < place((2, 1)));
    assert!((1..sent).all(|number| place((3, number)) < place((3, number + 1))));
}

#[tokio::test(start_paused = true)]
async fn small_messages_wait_as_well_when_the_peer_takes_nothing() {
    let (a, b) = linked().await;
    let (there, driver) = a.open(LinkOptions::default());
    tokio::spawn(driver.run(|_: Control| {}));
    let small = || message(2, &term!({2, small}));
    let longer = Bytes::from(vec![b'x'; 40_000_000]);
    there.send(numbered(1, 10_000_000)).await.unwrap();
    there.send_now(message(3, &term!({3, (longer)}))).unwrap();
    there.try_send(&small()).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(there.try_send(&small()), Err(SendError::Busy));
    let waiting = {
        let (there, small) = (there.clone(), small());
        tokio::spawn(async move { there.send(small).await })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());

    // The peer reads again: what waited goes at once, and not when little is left of the large ones.
    let (send, mut received) = unbounded_channel();
    let (_back, other) = b.open(LinkOptions::default());
    tokio::spawn(other.run(move |control| send.send(number(&control)).unwrap()));
    waiting.await.unwrap().unwrap();
    for expected in [2, 2, 1, 3] {
        assert_eq!(received.recv().await, Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_the_connection() {
    let (a, _b) = linked().await;
    let (there, driver) = a.open(LinkOptions {
        busy_limit: 100_000,
        ..LinkOptions::default()
    });
    let running = tokio::spawn(driver.run(|_: Control| {}));
    while there.try_send(&numbered(0, 1_000_000)).is_ok() {}
    let waiting = {
        let there = there.clone();
        tokio::spawn(async move { there.send(numbered(0, 1)).await })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());
    running.abort();
    assert_eq!(waiting.await.unwrap(), Err(SendError::Closed));
}

#[tokio::test]
async fn many_senders_that_wait_keep_their_own_order() {
    let (a, b) = linked().await;
    let (there, driver) = a.open(LinkOptions {
        busy_limit: 10_000,
        ..LinkOptions::default()
    });
    tokio::spawn(driver.run(|_: Control| {}));
    let received = Arc::new(Mutex::new(Vec::new()));
    let (_back, other) = b.open(LinkOptions::default());
    let done = Arc::new(tokio::sync::Notify::new());
    let (seen, all) = (Arc::clone(&received), Arc::clone(&done));
    tokio::spawn(other.run(move |control: Control| {
        let mut seen = seen.lock().unwrap();
        seen.push((control.sender().unwrap().id(), number(&control)));
        if seen.len() == 8 * 500 {
            all.notify_one();
        }
    }));
    for sender in 0..8 {
        let there = there.clone();
        tokio::spawn(async move {
            for i in 0..500 {
                let size = if i % 100 == 7 { 100_000 } else { 50 };
                let text = Bytes::from(vec![b'x'; size]);
                there.send(message(sender, &term!({(i), (text)}))).await.unwrap();
            }
        });
    }
    tokio::time::timeout(Duration::from_secs(30), done.notified())
        .await
        .unwrap();
    let received = received.lock().unwrap();
    for sender in 0..8 {
        let of_one: Vec<i64> = received
            .iter()
            .filter(|(s, _)| *s == sender)
            .map(|(_, n)| *n)
            .collect();
        assert_eq!(of_one, (0..500).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn ticks_keep_an_idle_connection_and_silence_ends_it() {
    let (a, b) = linked().await;
    let options = LinkOptions {
        ticks: Ticks::new(Duration::from_secs(8), 4),
        ..LinkOptions::default()
    };
    let (there, driver) = a.open(options);
    let one = tokio::spawn(driver.run(|_: Control| {}));
    let (_back, driver) = b.open(options);
    let other = tokio::spawn(driver.run(|_: Control| {}));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!one.is_finished() && !other.is_finished());
    // Ticking far more slowly than the other end is patient.
    there.set_ticks(Ticks::new(Duration::from_secs(1000), 4), Duration::from_secs(1));
    let reason = other.await.unwrap();
    assert!(
        matches!(reason, CloseReason::NetTickTimeout(time) if time == Duration::from_secs(8)),
        "{reason:?}"
    );
    assert!(matches!(one.await.unwrap(), CloseReason::ConnectionClosed));
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_is_cut_off_with_the_reason() {
    let (a, b) = linked().await;
    let (_there, driver) = a.open(LinkOptions::default());
    let mut io = b.io;
    io.write_all(b"\0\0\0\x07\x83\x44\0\x68\x02\x61\x63")
        .await
        .unwrap();
    let reason = driver.run(|_: Control| {}).await;
    assert_eq!(
        reason.to_string(),
        "the peer broke the protocol: invalid control message: operation 99 does not exist"
    );
}

#[tokio::test]
async fn what_follows_the_handshake_at_once_is_not_lost() {
    let (a, mut b) = duplex(64 * 1024);
    let peer = async move {
        // The acceptor's part by hand, with two messages behind the acknowledgement in the same write.
        let local = Local {
            name: name("b@host"),
            flags: Flags::OFFERED,
            creation: 6,
        };
        use crate::dist::handshake::{AskedName, AwaitName, ReplyReceived};
        let packet = async |b: &mut DuplexStream| {
            let length = b.read_u16().await.unwrap();
            let mut packet = vec![0; usize::from(length)];
            b.read_exact(&mut packet).await.unwrap();
            packet
        };
        let asked = AwaitName::new(local).handle(&packet(&mut b).await).unwrap();
        let AskedName::Connection(asked) = asked else {
            panic!()
        };
        let (packets, state) = asked.accept(false, cookie("secret"), 1);
        for packet in packets {
            b.write_all(&LengthPrefix::Two.frame(&packet)).await.unwrap();
        }
        let ReplyReceived::Verified(verified) = state.handle(&packet(&mut b).await).unwrap() else {
            panic!()
        };
        let (ack, _) = verified.finish();
        let mut bytes = LengthPrefix::Two.frame(&ack);
        bytes.extend([0, 0, 0, 0]);
        let tuple = RawTerm::new(&term!({2, x, (Pid::new(Atom::from_static("a@host"), 1, 0, 5))})).inline();
        bytes.extend([
            0,
            0,
            0,
            u8::try_from(3 + tuple.bytes().len() + 2).unwrap(),
            131,
            68,
            0,
        ]);
        bytes.extend_from_slice(tuple.bytes());
        bytes.extend([97, 42]);
        b.write_all(&bytes).await.unwrap();
        b
    };
    let (link, _b) = tokio::join!(
        shake_hands(a, LengthPrefix::Two, dialed("secret"), SETUP, &()),
        peer
    );
    let (send, mut received) = unbounded_channel();
    let (_there, driver) = link.unwrap().open(LinkOptions::default());
    tokio::spawn(driver.run(move |control: Control| send.send(control).unwrap()));
    let control = tokio::time::timeout(SETUP, received.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(control.payload().unwrap().decode(), Ok(term!(42)));
}

#[tokio::test]
async fn a_range_of_ports_is_tried_in_turn() {
    let interface = Some(Ipv4Addr::LOCALHOST.into());
    let first = Listener::bind(ListenOptions {
        interface,
        ..ListenOptions::default()
    })
    .unwrap();
    let port = first.local_addr().unwrap().port();
    let ports = port..=port.saturating_add(20);
    let second = Listener::bind(ListenOptions {
        interface,
        ports,
        ..ListenOptions::default()
    })
    .unwrap();
    assert!(second.local_addr().unwrap().port() > port);
    assert!(
        Listener::bind(ListenOptions {
            interface,
            ports: port..=port,
            ..ListenOptions::default()
        })
        .is_err()
    );
}

#[tokio::test]
async fn both_address_families_at_one_port() {
    let (gate, mut events) = Gate::new(Held::Nothing);
    let listener = Listener::bind(ListenOptions::default()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let both = listener.local_addr().unwrap().is_ipv6();
    tokio::spawn(listener.serve(Arc::clone(&gate)));
    let mut addresses: Vec<SocketAddr> = vec![(Ipv4Addr::LOCALHOST, port).into()];
    if both {
        addresses.push((std::net::Ipv6Addr::LOCALHOST, port).into());
    }
    for address in addresses {
        let link = connect(&[address], dialed("secret"), SETUP, &()).await.unwrap();
        assert!(matches!(events.recv().await, Some(Event::Up(_))));
        drop(link);
    }
}

#[tokio::test]
async fn a_peer_that_goes_in_the_middle_of_a_message_is_told_from_one_that_closes() {
    let whole = b"\0\0\0\0".as_slice();
    let first_fragment = b"\0\0\0\x13\x83\x45\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0".as_slice();
    for (bytes, cut_off) in [
        (whole, false),
        (&b"\0\0\0\x07\x83"[..], true),
        (first_fragment, true),
    ] {
        let (a, b) = linked().await;
        let (_there, driver) = a.open(LinkOptions::default());
        let mut io = b.io;
        io.write_all(bytes).await.unwrap();
        drop(io);
        let reason = driver.run(|_: Control| {}).await;
        assert_eq!(matches!(reason, CloseReason::CutOff), cut_off, "{reason:?}");
        assert_eq!(
            matches!(reason, CloseReason::ConnectionClosed),
            !cut_off,
            "{reason:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_told_that_the_peer_comes_itself_may_wait_for_it() {
    struct Waiting;
    impl Attempt for Waiting {
        fn waits_for_peer(&self) -> bool {
            true
        }
    }
    let (a, mut b) = duplex(1024);
    b.write_all(b"\0\x04snok").await.unwrap();
    let start = tokio::time::Instant::now();
    let error = shake_hands(a, LengthPrefix::Two, dialed("secret"), SETUP, &Waiting)
        .await
        .unwrap_err();
    assert!(
        matches!(error, SetupError::Handshake(HandshakeError::Nok)),
        "{error}"
    );
    assert_eq!(start.elapsed(), SETUP);
    // Its own connection is gone meanwhile.
    b.read_u16().await.unwrap();
    let mut rest = Vec::new();
    b.read_to_end(&mut rest).await.unwrap();
}
