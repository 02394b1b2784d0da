//! All nodes, all streams, and what happens next.

use crate::network::{Piece, Pipe};
use crate::node::{End, Node, Slot};
use crate::random::Random;
use beamnode::dist::arbitration::{Held, Verdict, incoming};
use beamnode::dist::control::{MonitorP, MonitorPExit, Monitored, Send, Target};
use beamnode::dist::handshake::*;
use beamnode::dist::{Connection, Control, Cookie, Flags, Settings, Ticks};
use beamnode::etf::RawTerm;
use beamnode::term;
use beamnode::term::{Atom, Pid, Reference};
use bytes::{Buf, Bytes, BytesMut};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

/// For how long the network misbehaves and processes begin new things; then all heals and must settle.
const CHAOS: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(120);

#[derive(Debug)]
enum Event {
    /// Something may have arrived at this end.
    Arrival(End),
    /// The stream that this end has dialled is there.
    Connected(End),
    /// The step of the handshake that was under way then has taken too long.
    SetupTimer(End, u32),
    Tick(End),
    /// A node does something.
    Act(usize),
    /// The network does something.
    Trouble,
}

/// How far one end is.
enum Phase {
    Dialing,
    AwaitStatus(AwaitStatus),
    /// Was told `nok`; the peer's own attempt is to come.
    Yielded,
    AwaitChallenge(AwaitChallenge),
    AwaitAck(AwaitAck),
    AwaitName(AwaitName),
    AwaitAlive(AwaitAlive),
    AwaitReply(AwaitReply),
    Up(Box<Connection>),
    Closed,
}

struct Stream {
    /// The node at either end; the first has dialled.
    nodes: [usize; 2],
    pipes: [Pipe; 2],
    phases: [Phase; 2],
    inputs: [BytesMut; 2],
    /// Counts the steps, so that the timer of an earlier one is known to be that.
    steps: [u32; 2],
    ticking: [Option<Duration>; 2],
}

/// What has happened in all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) connected: u64,
    pub(crate) simultaneous: u64,
    pub(crate) replaced: u64,
    pub(crate) lost: u64,
    pub(crate) messages: u64,
    pub(crate) answers: u64,
    pub(crate) given_up: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        self.connected += other.connected;
        self.simultaneous += other.simultaneous;
        self.replaced += other.replaced;
        self.lost += other.lost;
        self.messages += other.messages;
        self.answers += other.answers;
        self.given_up += other.given_up;
    }
}

pub(crate) struct World {
    now: Duration,
    start: Instant,
    random: Random,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    events: BTreeMap<u64, Event>,
    next: u64,
    nodes: Vec<Node>,
    streams: Vec<Stream>,
    /// The stream that is up at both ends, by pair.
    pairs: BTreeMap<(usize, usize), usize>,
    totals: Totals,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let count = match seed {
            seed if seed % 2000 == 1999 => 200,
            seed if seed % 200 == 199 => 30,
            _ => 2 + random.below(4),
        };
        let nodes = (0..count)
            .map(|i| Node {
                local: Local {
                    name: format!("n{i}@host").parse().unwrap(),
                    flags: Flags::OFFERED,
                    creation: 4 + i as u32,
                },
                slots: BTreeMap::new(),
                asked: BTreeMap::new(),
                sent: BTreeMap::new(),
                received: BTreeMap::new(),
            })
            .collect();
        let mut world = Self {
            now: Duration::ZERO,
            start: Instant::now(),
            random,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            next: 0,
            nodes,
            streams: Vec::new(),
            pairs: BTreeMap::new(),
            totals: Totals::default(),
        };
        for node in 0..count {
            // Many at the very beginning, so that nodes connect to each other at the same time.
            for _ in 0..6 {
                let at = if world.random.below(2) == 0 { 30 } else { 50_000 };
                let at = Duration::from_millis(world.random.below(at) as u64);
                world.at(at, Event::Act(node));
            }
        }
        world.at(Duration::from_millis(20), Event::Trouble);
        world
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.queue.push(Reverse((time, self.next)));
        self.events.insert(self.next, event);
        self.next += 1;
    }

    fn instant(&self) -> Instant {
        self.start + self.now
    }

    pub(crate) fn run(mut self) -> Totals {
        while let Some(Reverse((time, id))) = self.queue.pop() {
            let event = self.events.remove(&id).unwrap();
            if time > END {
                break;
            }
            self.now = time;
            match event {
                Event::Arrival(end) => self.arrival(end),
                Event::Connected(end) => self.connected(end),
                Event::SetupTimer(end, step) => self.setup_timer(end, step),
                Event::Tick(end) => self.tick(end),
                Event::Act(node) => self.act(node),
                Event::Trouble => self.trouble(),
            }
        }
        self.settled();
        self.totals
    }

    /// A process does something: connects if need be, then sends a few messages, and asks.
    fn act(&mut self, node: usize) {
        if self.now > CHAOS {
            return;
        }
        let peer = self.random.below(self.nodes.len());
        if peer != node {
            match self.nodes[node].slots.entry(peer).or_default().up {
                Some(end) => self.talk(node, peer, end),
                None => self.want(node, peer),
            }
        }
        let again = self.now + Duration::from_millis(10 + self.random.below(3_000) as u64);
        self.at(again, Event::Act(node));
    }

    fn want(&mut self, node: usize, peer: usize) {
        self.next += 1;
        let waiter = self.next;
        let stream = self.streams.len();
        let slot = self.nodes[node].slots.entry(peer).or_default();
        slot.waiting.insert(waiter);
        if slot.attempt.is_some() {
            return;
        }
        slot.attempt = Some(((stream, 0), Held::Dialing));
        self.streams.push(Stream {
            nodes: [node, peer],
            pipes: <_>::default(),
            phases: [Phase::Dialing, Phase::Closed],
            inputs: <_>::default(),
            steps: [0, 0],
            ticking: [None, None],
        });
        let delay = Duration::from_micros(self.random.below(10_000) as u64);
        self.at(self.now + delay, Event::Connected((stream, 0)));
    }

    fn talk(&mut self, node: usize, peer: usize, end: End) {
        for _ in 0..1 + self.random.below(12) {
            let (from, to) = (1 + self.random.below(3) as u32, 1 + self.random.below(2) as u32);
            let number = self.nodes[node].sent.entry((peer, from, to)).or_default();
            *number += 1;
            let number = *number;
            let size = match self.random.below(12) {
                0 => self.random.below(400_000),
                _ => self.random.below(300),
            };
            let text = Bytes::from(vec![b'x'; size]);
            let message = RawTerm::new(&term!({(i64::from(from)), (number), (text)}));
            let (from, to) = (Some(self.pid(node, from)), Target::Pid(self.pid(peer, to)));
            self.send(
                end,
                Control::Send(Send {
                    from,
                    to,
                    priority: false,
                    token: None,
                    message,
                }),
            );
        }
        // A question: a monitor on what does not exist.
        self.next += 1;
        let question = self.next as u32;
        let reference = Reference::new(
            self.atom(node),
            &[question, 0, 0],
            self.nodes[node].local.creation,
        )
        .unwrap();
        self.nodes[node].asked.insert(question, end);
        let to = Monitored::Name(Atom::from_static("nobody"));
        let from = self.pid(node, 1 + question % 3);
        self.send(end, Control::MonitorP(MonitorP { from, to, reference }));
        self.flush(end);
    }

    fn atom(&self, node: usize) -> Atom {
        Atom::from(&self.nodes[node].local.name)
    }

    fn pid(&self, node: usize, id: u32) -> Pid {
        Pid::new(self.atom(node), id, 0, self.nodes[node].local.creation)
    }

    fn send(&mut self, (stream, end): End, control: Control) {
        if let Phase::Up(connection) = &mut self.streams[stream].phases[end] {
            connection.send(control);
        }
    }

    /// Puts what is ready under way, as far as there is room.
    fn flush(&mut self, (stream, end): End) {
        let now = self.instant();
        let at = &mut self.streams[stream];
        let Phase::Up(connection) = &mut at.phases[end] else {
            return;
        };
        let mut times = Vec::new();
        while connection.transmit().has_remaining() && at.pipes[end].room() > 0 {
            let chunk = connection.transmit().chunk();
            let size = chunk.len().min(at.pipes[end].room());
            times.extend(at.pipes[end].write(self.now, &chunk[..size], &mut self.random));
            connection.handle_written(now, size);
        }
        let timeout = connection.poll_timeout().saturating_duration_since(self.start);
        if at.ticking[end].is_none_or(|at| at <= self.now || timeout < at) {
            at.ticking[end] = Some(timeout);
            self.at(timeout, Event::Tick((stream, end)));
        }
        for time in times {
            self.at(time, Event::Arrival((stream, 1 - end)));
        }
    }

    fn tick(&mut self, (stream, end): End) {
        let now = self.instant();
        self.streams[stream].ticking[end] = None;
        let Phase::Up(connection) = &mut self.streams[stream].phases[end] else {
            return;
        };
        match connection.handle_timeout(now) {
            Ok(()) => self.flush((stream, end)),
            Err(_) => self.close((stream, end)),
        }
    }

    /// Sends handshake packets, and gives the next step its time.
    fn say(&mut self, (stream, end): End, packets: &[Vec<u8>]) {
        let bytes: Vec<u8> = packets
            .iter()
            .flat_map(|packet| LengthPrefix::Two.frame(packet))
            .collect();
        let times = self.streams[stream].pipes[end].write(self.now, &bytes, &mut self.random);
        for time in times {
            self.at(time, Event::Arrival((stream, 1 - end)));
        }
        self.begin_step((stream, end));
    }

    fn begin_step(&mut self, (stream, end): End) {
        self.streams[stream].steps[end] += 1;
        let step = self.streams[stream].steps[end];
        self.at(self.now + SETUP_TIME, Event::SetupTimer((stream, end), step));
    }

    fn setup_timer(&mut self, (stream, end): End, step: u32) {
        let at = &self.streams[stream];
        if at.steps[end] == step && !matches!(at.phases[end], Phase::Up(_) | Phase::Closed) {
            self.close((stream, end));
        }
    }

    /// TCP is there: both ends begin the handshake.
    fn connected(&mut self, (stream, end): End) {
        let [node, peer] = self.streams[stream].nodes;
        if !matches!(self.streams[stream].phases[end], Phase::Dialing) {
            return;
        }
        let slot = self.nodes[node].slots.entry(peer).or_default();
        match &mut slot.attempt {
            Some((attempt, held)) if *attempt == (stream, end) => *held = Held::Pending,
            _ => return self.close((stream, end)),
        }
        let local = self.nodes[node].local.clone();
        let dialed = Dialed {
            name: LocalName::Named(local.name),
            flags: local.flags,
            creation: local.creation,
            peer: self.nodes[peer].local.name.clone(),
            cookie: cookie(),
        };
        let (packet, state) = start(dialed).unwrap();
        self.streams[stream].phases[end] = Phase::AwaitStatus(state);
        self.streams[stream].phases[1] = Phase::AwaitName(AwaitName::new(self.nodes[peer].local.clone()));
        self.begin_step((stream, 1));
        self.say((stream, end), &[packet]);
    }

    fn arrival(&mut self, (stream, end): End) {
        while let Some(piece) = self.streams[stream].pipes[1 - end].arrived(self.now) {
            match piece {
                Piece::Bytes(bytes) => self.streams[stream].inputs[end].extend_from_slice(&bytes),
                Piece::End => return self.close((stream, end)),
            }
            self.read((stream, end));
        }
        // There is room again for the other end.
        self.flush((stream, 1 - end));
    }

    fn read(&mut self, (stream, end): End) {
        loop {
            let now = self.instant();
            let at = &mut self.streams[stream];
            match &mut at.phases[end] {
                Phase::Up(connection) => match connection.handle_input(now, &mut at.inputs[end]) {
                    Ok(Some(control)) => self.control((stream, end), control),
                    Ok(None) => break,
                    Err(error) => panic!("{error}"),
                },
                Phase::Closed | Phase::Yielded => break,
                _ => {
                    let packet = Deframer::new(LengthPrefix::Two)
                        .next(&mut at.inputs[end])
                        .unwrap();
                    let Some(packet) = packet else { break };
                    self.step((stream, end), &packet);
                }
            }
        }
        self.flush((stream, end));
    }

    /// One step of the handshake.
    fn step(&mut self, (stream, end): End, packet: &[u8]) {
        let at = &mut self.streams[stream];
        let (us, peer) = (at.nodes[end], at.nodes[1 - end]);
        let phase = std::mem::replace(&mut at.phases[end], Phase::Closed);
        let here = (stream, end);
        let next = match phase {
            Phase::AwaitStatus(state) => match state.handle(packet) {
                Ok(StatusReceived::Proceed(state)) => Phase::AwaitChallenge(state),
                Ok(StatusReceived::Alive(asked)) => {
                    if !self.slot(us, peer).is_attempt(here) {
                        let (packet, _) = asked.give_up();
                        self.say(here, &[packet]);
                        return self.close_from(here, Phase::Yielded);
                    }
                    let (packet, state) = asked.replace();
                    self.say(here, &[packet]);
                    Phase::AwaitChallenge(state)
                }
                Err(HandshakeError::Nok) => {
                    self.begin_step(here);
                    Phase::Yielded
                }
                Err(error) => panic!("{error}"),
            },
            Phase::AwaitChallenge(state) => {
                let (packet, state) = state.handle(packet, self.random.next() as u32).unwrap();
                self.say(here, &[packet]);
                Phase::AwaitAck(state)
            }
            Phase::AwaitAck(state) => return self.up(here, &state.handle(packet).unwrap()),
            Phase::AwaitName(state) => {
                let Ok(AskedName::Connection(asked)) = state.handle(packet) else {
                    panic!("refused")
                };
                return self.asked(here, asked);
            }
            Phase::AwaitAlive(state) => match state.handle(packet, cookie(), self.random.next() as u32) {
                Ok((packet, state)) => {
                    self.say(here, &[packet]);
                    Phase::AwaitReply(state)
                }
                Err(_) => return self.close_from(here, Phase::Yielded),
            },
            Phase::AwaitReply(state) => {
                let Ok(ReplyReceived::Verified(verified)) = state.handle(packet) else {
                    panic!("not verified")
                };
                if let Some(old) = self.slot(us, peer).up {
                    self.totals.replaced += 1;
                    self.close(old);
                }
                let (ack, established) = verified.finish();
                self.say(here, &[ack]);
                return self.up(here, &established);
            }
            Phase::Dialing | Phase::Yielded | Phase::Up(_) | Phase::Closed => unreachable!(),
        };
        self.streams[stream].phases[end] = next;
    }

    fn slot(&mut self, us: usize, peer: usize) -> &mut Slot {
        self.nodes[us].slots.entry(peer).or_default()
    }

    /// A peer connects: the rules of arbitration, and what they demand of the table.
    fn asked(&mut self, here: End, asked: ConnectionAsked) {
        let (stream, end) = here;
        let (us, peer) = (
            self.streams[stream].nodes[end],
            self.streams[stream].nodes[1 - end],
        );
        let (name, other) = (
            self.nodes[us].local.name.clone(),
            self.nodes[peer].local.name.clone(),
        );
        let held = self.slot(us, peer).held();
        let verdict = incoming(&name, &other, held);
        let refusal = match verdict {
            Verdict::Nok => Some(Refusal::Nok),
            Verdict::Busy => Some(Refusal::Busy),
            _ => None,
        };
        if let Some(refusal) = refusal {
            if let Some(packet) = asked.refuse(refusal).farewell {
                self.say(here, &[packet]);
            }
            return self.close_from(here, Phase::Yielded);
        }
        let old = self.slot(us, peer).attempt.replace((here, Held::Pending));
        if let Some((old, _)) = old {
            self.totals.simultaneous += 1;
            self.close(old);
        }
        let phase = if verdict == Verdict::Alive {
            let (packet, state) = asked.alive();
            self.say(here, &[packet]);
            Phase::AwaitAlive(state)
        } else {
            let simultaneous = verdict == Verdict::OkSimultaneous;
            let (packets, state) = asked.accept(simultaneous, cookie(), self.random.next() as u32);
            self.say(here, &packets);
            Phase::AwaitReply(state)
        };
        self.streams[stream].phases[end] = phase;
    }

    fn up(&mut self, here: End, established: &Established) {
        let (stream, end) = here;
        let (us, peer) = (
            self.streams[stream].nodes[end],
            self.streams[stream].nodes[1 - end],
        );
        assert_eq!(established.peer.name, self.nodes[peer].local.name);
        let slot = self.slot(us, peer);
        if !slot.is_attempt(here) || slot.up.is_some() {
            return self.close_from(here, Phase::Yielded);
        }
        (slot.attempt, slot.up) = (None, Some(here));
        slot.waiting.clear();
        self.totals.connected += 1;
        let ticks = Ticks::new(Duration::from_secs(8), 4);
        let settings = Settings {
            ticks,
            ..Settings::default()
        };
        let connection = Connection::new(established, settings, self.instant());
        self.streams[stream].phases[end] = Phase::Up(Box::new(connection));
        if matches!(self.streams[stream].phases[1 - end], Phase::Up(_)) {
            let pair = (us.min(peer), us.max(peer));
            let other = self.pairs.insert(pair, stream);
            assert_eq!(
                other, None,
                "two connections between n{us} and n{peer} at {:?}",
                self.now
            );
        }
        self.flush(here);
    }

    fn control(&mut self, here: End, control: Control) {
        let (stream, end) = here;
        let (us, peer) = (
            self.streams[stream].nodes[end],
            self.streams[stream].nodes[1 - end],
        );
        assert_eq!(
            self.slot(us, peer).up,
            Some(here),
            "a message over a connection that is not up"
        );
        match control {
            Control::Send(send) => {
                let term = send.message.decode().unwrap();
                let [from, number, _] = term.as_tuple().unwrap().array().unwrap();
                let from = u32::try_from(from.as_integer().unwrap()).unwrap();
                assert_eq!(send.from.unwrap().id(), from);
                let Target::Pid(to) = send.to else { panic!() };
                let (number, key) = (number.as_integer().unwrap(), (peer, from, to.id()));
                let before = self.nodes[us].received.insert(key, (number, here));
                let (last, over) = before.unwrap_or((0, here));
                // What was under way when a connection was lost is lost with it, and nothing else.
                let right = if over == here {
                    number == last + 1 || last == 0
                } else {
                    number > last
                };
                assert!(right, "n{peer} to n{us}, {key:?}: {number} after {last}");
                self.totals.messages += 1;
            }
            Control::MonitorP(question) => {
                let answer = MonitorPExit {
                    process: None,
                    from: question.to,
                    to: question.from,
                    reference: question.reference,
                    reason: RawTerm::new(&term!(noproc)),
                };
                self.send(here, Control::MonitorPExit(answer));
            }
            Control::MonitorPExit(answer) => {
                let question = answer.reference.words()[0];
                assert_eq!(
                    self.nodes[us].asked.remove(&question),
                    Some(here),
                    "answered twice"
                );
                self.totals.answers += 1;
            }
            other => panic!("{other:?}"),
        }
    }

    /// As [`Self::close`] for an end whose phase has been taken out.
    fn close_from(&mut self, (stream, end): End, phase: Phase) {
        self.streams[stream].phases[end] = phase;
        self.close((stream, end));
    }

    /// This end is done with: by its node, or because it has seen the other end's end.
    fn close(&mut self, here: End) {
        let (stream, end) = here;
        let at = &mut self.streams[stream];
        let (us, peer) = (at.nodes[end], at.nodes[1 - end]);
        let phase = std::mem::replace(&mut at.phases[end], Phase::Closed);
        if matches!(phase, Phase::Closed) {
            return;
        }
        at.inputs[end].clear();
        let time = at.pipes[end].end(self.now, &mut self.random);
        self.at(time, Event::Arrival((stream, 1 - end)));
        if matches!(phase, Phase::Up(_)) {
            self.totals.lost += 1;
            let pair = (us.min(peer), us.max(peer));
            if self.pairs.get(&pair) == Some(&stream) {
                self.pairs.remove(&pair);
            }
            // Whoever waits for an answer over it learns that there will be none.
            let before = self.nodes[us].asked.len();
            self.nodes[us].asked.retain(|_, over| *over != here);
            self.totals.given_up += (before - self.nodes[us].asked.len()) as u64;
        }
        let slot = self.slot(us, peer);
        if slot.up == Some(here) {
            slot.up = None;
        }
        if slot.is_attempt(here) {
            slot.attempt = None;
            slot.waiting.clear();
        }
    }

    fn trouble(&mut self) {
        if self.now > CHAOS {
            return;
        }
        if !self.streams.is_empty() {
            // Of the last few, most of which are alive.
            let back = self.random.below(self.streams.len().min(2 * self.nodes.len()));
            let stream = self.streams.len() - 1 - back;
            match self.random.below(6) {
                0 => {
                    // Cut: each end sees it in its own time, the second perhaps only by its ticks.
                    for pipe in &mut self.streams[stream].pipes {
                        pipe.cut();
                    }
                    let first = self.random.below(2);
                    self.close((stream, first));
                    self.streams[stream].pipes[first].cut();
                    if self.random.below(2) == 0 {
                        self.close((stream, 1 - first));
                    }
                }
                1 => {
                    let end = self.random_end();
                    self.close((stream, end));
                }
                2 => {
                    let until = self.now + Duration::from_millis(self.random.below(25_000) as u64);
                    let direction = self.random_end();
                    self.streams[stream].pipes[direction].silence(until);
                }
                _ => {}
            }
        }
        let again = self.now + Duration::from_millis(10 + self.random.below(2_000) as u64);
        self.at(again, Event::Trouble);
    }

    fn random_end(&mut self) -> usize {
        self.random.below(2)
    }

    /// A minute after the last trouble nobody waits for anything, and all that was sent is there.
    fn settled(&mut self) {
        for us in 0..self.nodes.len() {
            let node = &self.nodes[us];
            assert!(
                node.asked.is_empty(),
                "n{us} still waits for answers: {:?}",
                node.asked
            );
            for (peer, slot) in &node.slots {
                assert!(slot.waiting.is_empty(), "n{us} still waits for n{peer}");
                assert!(
                    slot.attempt.is_none(),
                    "n{us} still tries n{peer}: {:?}",
                    slot.attempt
                );
                let Some((stream, end)) = slot.up else { continue };
                let there = self.nodes[*peer].slots.get(&us).and_then(|slot| slot.up);
                assert_eq!(there, Some((stream, 1 - end)), "n{us} and n{peer} disagree");
                let Phase::Up(connection) = &self.streams[stream].phases[end] else {
                    panic!("up and not up")
                };
                assert_eq!((connection.queued_bytes(), connection.unfinished_bytes()), (0, 0));
                for ((to, from, process), number) in &node.sent {
                    if to == peer
                        && let Some((last, over)) = self.nodes[*peer].received.get(&(us, *from, *process))
                        && *over == (stream, 1 - end)
                    {
                        assert_eq!(last, number, "n{us} to n{peer}: not all has come");
                    }
                }
            }
        }
    }
}

fn cookie() -> Cookie {
    Cookie::new("secret").unwrap()
}
