//! Any number of name servers in one thread, on a network that is cut, heals, and lies about it, all from a seed.
//!
//! What must hold: a lock over all nodes is never held twice by nodes that are connected; and once the network is whole and
//! somebody connects, every node knows every other and has the same names.
//!
//! `GLOBAL_SEEDS` says how many seeds to run, `GLOBAL_SEED` which one; the first sixty and those that have found something, if
//! nothing is said.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::time::Duration;

use super::core::{CallId, Conflict, Core, MonitorId, Output, Settings, Timer};
use crate::etf::RawTerm;
use crate::otp::call::Caller;
use crate::term::{Atom, Pid, Term};

/// Seeds that have found something.
const FOUND: [u64; 12] = [61, 87, 115, 136, 158, 209, 285, 286, 370, 382, 412, 1328];
/// For how long the network misbehaves.
const CHAOS: Duration = Duration::from_secs(60);
/// By when all must be well.
const END: Duration = Duration::from_secs(3600);

type Node = usize;

/// What one name server tells another, or a process.
#[derive(Clone)]
enum Message {
    Cast(Term),
    Info(Term),
    Call {
        id: CallId,
        request: Term,
    },
    /// A call of a process of the node, for a lock.
    User {
        round: u64,
        request: Term,
    },
    Reply {
        to: Term,
        reply: Term,
    },
    Monitor {
        id: MonitorId,
        pid: Pid,
    },
    Down {
        id: MonitorId,
    },
}

enum Event {
    Arrival {
        from: Node,
        to: Node,
        link: u64,
        message: Message,
    },
    Up {
        node: Node,
        peer: Node,
        link: u64,
    },
    Down {
        node: Node,
        peer: Node,
        link: u64,
    },
    /// What a node hears of a connection that it has ended.
    Ended {
        node: Node,
        peer: Node,
        over: Over,
    },
    /// An attempt to connect has come to its end.
    Dialed {
        node: Node,
        peer: Node,
    },
    Timer {
        node: Node,
        timer: Timer,
    },
    Resolved {
        node: Node,
        peer: Atom,
        tag: i64,
        outcomes: Vec<(Conflict, Option<Term>)>,
    },
    Act(Node),
    Trouble,
    Look,
}

/// What went over a connection that has ended.
struct Over {
    monitors: Vec<MonitorId>,
    calls: Vec<CallId>,
    /// The attempt to lock that waits for it no more.
    round: Option<u64>,
}

enum Waiting {
    Message(Message),
    Told,
}

/// One end of a connection.
struct End {
    link: u64,
    /// When the last message under way to this end arrives.
    last: Duration,
}

/// A process's attempt to lock all nodes, or its success.
struct UserLock {
    round: u64,
    waits_for: BTreeSet<Node>,
    gave: BTreeSet<Node>,
    refused: bool,
    held: bool,
    /// The connections that it counts on.
    links: BTreeMap<Node, u64>,
}

struct Simulated {
    name: Atom,
    core: Core,
    /// Connections, as this node sees them.
    ends: BTreeMap<Node, End>,
    waiting: BTreeMap<Node, Vec<Waiting>>,
    monitors: BTreeMap<MonitorId, Pid>,
    calls: BTreeMap<(CallId, Node), ()>,
    /// Living processes here, and who monitors them.
    processes: HashMap<Pid, BTreeSet<(Node, MonitorId)>>,
    lock: Option<UserLock>,
    replies: u64,
}

struct World {
    seed: u64,
    now: Duration,
    random: u64,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    events: HashMap<u64, Event>,
    next: u64,
    nodes: Vec<Simulated>,
    index: HashMap<Atom, Node>,
    cut: BTreeSet<(Node, Node)>,
    /// Connections that have lost something, and will end.
    doomed: BTreeSet<u64>,
    settled: Option<Duration>,
    operations: u64,
    locks: u64,
}

fn pair(one: Node, other: Node) -> (Node, Node) {
    (one.min(other), one.max(other))
}

fn caller(pid: &Pid, tag: Term) -> Caller {
    Caller::read(RawTerm::new(&(pid, tag)).glance()).expect("a caller")
}

impl World {
    fn new(seed: u64, count: usize) -> Self {
        let mut world = Self {
            seed,
            now: Duration::ZERO,
            random: seed.wrapping_mul(0x9e37_79b9).wrapping_add(1),
            queue: BinaryHeap::new(),
            events: HashMap::new(),
            next: 0,
            nodes: Vec::new(),
            index: HashMap::new(),
            cut: BTreeSet::new(),
            doomed: BTreeSet::new(),
            settled: None,
            operations: 0,
            locks: 0,
        };
        for node in 0..count {
            let name = Atom::new(&format!("n{node:03}@h{}", node % 3)).expect("a name");
            let me = Pid::new(name.clone(), 1, 0, 4 + u32::try_from(node).expect("few"));
            let core = Core::new(me, Settings::default(), world.below(u64::MAX));
            world.index.insert(name.clone(), node);
            let simulated = Simulated {
                name,
                core,
                ends: BTreeMap::new(),
                waiting: BTreeMap::new(),
                monitors: BTreeMap::new(),
                calls: BTreeMap::new(),
                processes: HashMap::new(),
                lock: None,
                replies: 0,
            };
            world.nodes.push(simulated);
            let first = world.milliseconds(5_000);
            world.at(first, Event::Act(node));
        }
        world.at(Duration::from_millis(500), Event::Trouble);
        world.at(CHAOS, Event::Look);
        world
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    fn node(&mut self) -> Node {
        usize::try_from(self.below(self.nodes.len() as u64)).expect("few")
    }

    fn milliseconds(&mut self, most: u64) -> Duration {
        Duration::from_micros(1 + self.below(most * 1000))
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.next += 1;
        self.queue.push(Reverse((time, self.next)));
        self.events.insert(self.next, event);
    }

    fn after(&mut self, delay: Duration, event: Event) {
        self.at(self.now + delay, event);
    }

    fn run(mut self) -> (u64, u64) {
        while self.settled.is_none() {
            let Some(Reverse((time, number))) = self.queue.pop() else {
                break;
            };
            assert!(time < END, "seed {}: not settled: {}", self.seed, self.views());
            self.now = time;
            let event = self.events.remove(&number).expect("an event");
            self.happen(event);
        }
        (self.operations, self.locks)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrival {
                from,
                to,
                link,
                message,
            } => {
                let lost = self.doomed.contains(&link);
                if !lost && self.nodes[to].ends.get(&from).is_some_and(|end| end.link == link) {
                    self.arrive(from, to, message);
                }
            }
            Event::Up { node, peer, link } => self.up(node, peer, link),
            Event::Down { node, peer, link } => self.down(node, peer, link),
            Event::Ended { node, peer, over } => self.ended(node, peer, over),
            Event::Dialed { node, peer } => self.dialed(node, peer),
            Event::Timer { node, timer } => {
                self.nodes[node].core.handle_timer(timer);
                self.perform(node);
            }
            Event::Resolved {
                node,
                peer,
                tag,
                outcomes,
            } => {
                self.nodes[node].core.handle_resolved(&peer, tag, outcomes);
                self.perform(node);
            }
            Event::Act(node) => self.act(node),
            Event::Trouble => self.trouble(),
            Event::Look => self.look(),
        }
    }

    // The network

    fn dial(&mut self, node: Node, peer: Node) {
        let delay = self.milliseconds(20);
        self.after(delay, Event::Dialed { node, peer });
    }

    fn dialed(&mut self, node: Node, peer: Node) {
        if !self.nodes[node].ends.contains_key(&peer) && !self.cut.contains(&pair(node, peer)) {
            self.next += 1;
            let link = self.next;
            // The other side may not have noticed that an earlier one is gone.
            if let Some(old) = self.nodes[peer].ends.get(&node).map(|end| end.link) {
                self.down(peer, node, old);
            }
            // This side is up a little later, but before anything of the other can arrive.
            let delay = self.milliseconds(4);
            self.after(delay, Event::Up { node, peer, link });
            self.up(peer, node, link);
            return;
        }
        let connected = self.nodes[node].ends.contains_key(&peer);
        self.connected(node, peer, connected);
    }

    fn up(&mut self, node: Node, peer: Node, link: u64) {
        if self.nodes[node].ends.contains_key(&peer) {
            return;
        }
        let last = self.now;
        self.nodes[node].ends.insert(peer, End { link, last });
        let name = self.nodes[peer].name.clone();
        self.nodes[node].core.handle_node_up(&name);
        self.perform(node);
        self.connected(node, peer, true);
    }

    fn connected(&mut self, node: Node, peer: Node, connected: bool) {
        let mut told = false;
        for waiting in self.nodes[node].waiting.remove(&peer).unwrap_or_default() {
            match waiting {
                Waiting::Told => told = true,
                Waiting::Message(message) if connected => self.transmit(node, peer, message),
                Waiting::Message(Message::Call { id, .. }) => self.unanswered(node, peer, id),
                Waiting::Message(Message::Monitor { id, .. }) => self.fired(node, id),
                Waiting::Message(_) => {}
            }
        }
        if told {
            let name = self.nodes[peer].name.clone();
            self.nodes[node].core.handle_connected(&name, connected);
        }
        self.perform(node);
    }

    fn unanswered(&mut self, node: Node, peer: Node, id: CallId) {
        self.nodes[node].calls.remove(&(id, peer));
        let name = self.nodes[peer].name.clone();
        self.nodes[node].core.handle_answer(id, &name, None);
    }

    fn fired(&mut self, node: Node, id: MonitorId) {
        if self.nodes[node].monitors.remove(&id).is_some() {
            self.nodes[node].core.handle_down(id);
        }
    }

    /// One side notices that a connection is gone.
    fn down(&mut self, node: Node, peer: Node, link: u64) {
        if let Some(over) = self.sever(node, peer, link) {
            self.ended(node, peer, over);
        }
    }

    /// One side has the connection no more. What went over it is to be told.
    fn sever(&mut self, node: Node, peer: Node, link: u64) -> Option<Over> {
        let simulated = &mut self.nodes[node];
        simulated.ends.get(&peer).filter(|end| end.link == link)?;
        simulated.ends.remove(&peer);
        for watchers in simulated.processes.values_mut() {
            watchers.retain(|(watcher, _)| *watcher != peer);
        }
        let lock = simulated.lock.as_mut();
        let lock = lock.and_then(|lock| lock.waits_for.remove(&peer).then_some(lock.round));
        let calls = simulated.calls.keys().filter(|(_, to)| *to == peer);
        let calls = calls.map(|(id, _)| *id).collect();
        let name = &self.nodes[peer].name;
        let monitors = self.nodes[node].monitors.iter();
        let monitors = monitors.filter(|(_, pid)| pid.node() == name);
        let monitors = monitors.map(|(id, _)| *id).collect();
        Some(Over {
            monitors,
            calls,
            round: lock,
        })
    }

    fn ended(&mut self, node: Node, peer: Node, over: Over) {
        for id in over.monitors {
            self.fired(node, id);
        }
        for id in over.calls {
            self.unanswered(node, peer, id);
        }
        let name = self.nodes[peer].name.clone();
        self.nodes[node].core.handle_node_down(&name);
        self.perform(node);
        let lock = self.nodes[node].lock.as_ref();
        if lock.is_some_and(|lock| over.round == Some(lock.round)) {
            self.user_answered(node);
        }
    }

    fn send(&mut self, from: Node, to: Node, message: Message) {
        if from == to {
            return self.arrive(from, to, message);
        }
        if self.nodes[from].ends.contains_key(&to) && !self.nodes[from].waiting.contains_key(&to) {
            return self.transmit(from, to, message);
        }
        self.wait(from, to, Waiting::Message(message));
    }

    fn wait(&mut self, from: Node, to: Node, waiting: Waiting) {
        let fresh = !self.nodes[from].waiting.contains_key(&to);
        self.nodes[from].waiting.entry(to).or_default().push(waiting);
        if fresh {
            self.dial(from, to);
        }
    }

    fn transmit(&mut self, from: Node, to: Node, message: Message) {
        let delay = self.milliseconds(3);
        let Some(end) = self.nodes[from].ends.get_mut(&to) else {
            return;
        };
        if self.doomed.contains(&end.link) {
            return;
        }
        // What goes over one connection keeps its order.
        end.last = end.last.max(self.now + Duration::from_millis(5)) + delay;
        let (time, link) = (end.last, end.link);
        self.at(
            time,
            Event::Arrival {
                from,
                to,
                link,
                message,
            },
        );
    }

    fn arrive(&mut self, from: Node, to: Node, message: Message) {
        match message {
            Message::Cast(request) => self.nodes[to].core.handle_cast(&request),
            Message::Info(message) => self.nodes[to].core.handle_info(&message, self.now),
            Message::Call { id, request } => {
                let pid = self.nodes[from].core.me.clone();
                let caller = caller(&pid, Term::from((Term::atom("core"), id.0)));
                self.nodes[to].core.handle_call(caller, &request);
            }
            Message::User { round, request } => {
                let pid = Pid::new(self.nodes[from].name.clone(), 2, 0, 9);
                let caller = caller(&pid, Term::from((Term::atom("user"), round)));
                self.nodes[to].core.handle_call(caller, &request);
            }
            Message::Reply { to: tag, reply } => self.reply(from, to, &tag, reply),
            Message::Monitor { id, pid } => match self.nodes[to].processes.get_mut(&pid) {
                Some(watchers) => {
                    watchers.insert((from, id));
                }
                // The requesters of locks, and name servers, live as long as their nodes.
                None if pid.id() <= 2 => {}
                None => self.send(to, from, Message::Down { id }),
            },
            Message::Down { id } => self.fired(to, id),
        }
        self.perform(to);
    }

    fn reply(&mut self, from: Node, to: Node, tag: &Term, reply: Term) {
        let [kind, number] = tag
            .as_tuple()
            .and_then(|tuple| tuple.array::<2>())
            .expect("a tag");
        let number = u64::try_from(&number).expect("a number");
        if kind.is_atom("core") {
            if self.nodes[to].calls.remove(&(CallId(number), from)).is_some() {
                let name = self.nodes[from].name.clone();
                self.nodes[to]
                    .core
                    .handle_answer(CallId(number), &name, Some(reply));
            }
        } else if kind.is_atom("user") {
            if let Some(lock) = &mut self.nodes[to].lock
                && lock.round == number
                && lock.waits_for.remove(&from)
            {
                if reply.as_bool() == Some(true) {
                    lock.gave.insert(from);
                } else {
                    lock.refused = true;
                }
                self.user_answered(to);
            }
        } else {
            self.nodes[to].replies += 1;
        }
    }

    fn perform(&mut self, node: Node) {
        while let Some(output) = self.nodes[node].core.poll_output() {
            match output {
                Output::Cast { node: to, request } => {
                    self.send(node, self.index[&to], Message::Cast(request))
                }
                Output::Info { node: to, message } => {
                    let to = self.index[&to];
                    if self.nodes[node].ends.contains_key(&to) {
                        self.send(node, to, Message::Info(message));
                    }
                }
                Output::Send { to, message } => {
                    let to = self.index[to.node()];
                    self.send(node, to, Message::Info(message));
                }
                Output::Call {
                    id,
                    node: to,
                    request,
                } => {
                    let to = self.index[&to];
                    self.nodes[node].calls.insert((id, to), ());
                    self.send(node, to, Message::Call { id, request });
                }
                Output::Reply { to, reply } => {
                    let tag = to.tag();
                    let to = self.index[to.pid().node()];
                    // An answer to nobody is no reason to connect.
                    if to == node || self.nodes[node].ends.contains_key(&to) {
                        self.send(node, to, Message::Reply { to: tag, reply });
                    }
                }
                Output::Monitor { id, pid } => {
                    let to = self.index[pid.node()];
                    self.nodes[node].monitors.insert(id, pid.clone());
                    self.send(node, to, Message::Monitor { id, pid });
                }
                Output::Demonitor { id } => {
                    self.nodes[node].monitors.remove(&id);
                }
                Output::Connect { node: to } => self.wait(node, self.index[&to], Waiting::Told),
                Output::Disconnect { node: to } => {
                    let to = self.index[&to];
                    if let Some(link) = self.nodes[node].ends.get(&to).map(|end| end.link) {
                        self.close(node, to, link);
                    }
                }
                Output::Timer { timer, after } => self.after(after, Event::Timer { node, timer }),
                Output::Resolve {
                    node: peer,
                    tag,
                    conflicts,
                } => {
                    let lesser = |Conflict { his, mine }: Conflict| {
                        let pid = if his.pid.node() < mine.pid.node() {
                            &his.pid
                        } else {
                            &mine.pid
                        };
                        let outcome = Some(Term::from(pid.clone()));
                        (Conflict { his, mine }, outcome)
                    };
                    let outcomes = conflicts.into_iter().map(lesser).collect();
                    let delay = self.milliseconds(30);
                    self.after(
                        delay,
                        Event::Resolved {
                            node,
                            peer,
                            tag,
                            outcomes,
                        },
                    );
                }
                Output::Name { .. } => {}
            }
        }
    }

    /// A node ends a connection: what it has sent arrives before the end does.
    fn close(&mut self, node: Node, peer: Node, link: u64) {
        let last = self.nodes[node]
            .ends
            .get(&peer)
            .map_or(self.now, |end| end.last.max(self.now));
        // It has it no more at once; its name server is told by messages.
        if let Some(over) = self.sever(node, peer, link) {
            self.after(Duration::ZERO, Event::Ended { node, peer, over });
        }
        self.at(
            last + Duration::from_micros(1),
            Event::Down {
                node: peer,
                peer: node,
                link,
            },
        );
    }

    // What people do

    fn act(&mut self, node: Node) {
        if self.now < CHAOS {
            match self.below(12) {
                0..3 => self.change(node, "register_name"),
                3 => self.change(node, "re_register_name"),
                4 => {
                    let name = Term::from(self.below(12));
                    let request = Term::from((Term::atom("change"), Term::atom("unregister_name"), name));
                    self.ask(node, &request);
                }
                5 => self.kill(node),
                6..9 => self.lock(node),
                _ => self.connect_somewhere(node),
            }
        } else {
            self.unlock(node);
            self.connect_somewhere(node);
        }
        let delay = Duration::from_millis(200) + self.milliseconds(3_000);
        self.after(delay, Event::Act(node));
    }

    fn connect_somewhere(&mut self, node: Node) {
        let peer = self.node();
        if peer != node && !self.nodes[node].ends.contains_key(&peer) {
            self.dial(node, peer);
        }
    }

    fn ask(&mut self, node: Node, request: &Term) {
        self.operations += 1;
        let pid = Pid::new(self.nodes[node].name.clone(), 2, 0, 9);
        self.nodes[node]
            .core
            .handle_call(caller(&pid, Term::from((Term::atom("answer"), 0))), request);
        self.perform(node);
    }

    fn change(&mut self, node: Node, function: &'static str) {
        self.next += 1;
        let id = 100 + u32::try_from(self.next).expect("few");
        let pid = Pid::new(self.nodes[node].name.clone(), id, 0, 9);
        self.nodes[node].processes.insert(pid.clone(), BTreeSet::new());
        let name = Term::from(self.below(12));
        let method = Term::atom("method");
        let request = (Term::atom("change"), Term::atom(function), name, pid, method);
        self.ask(node, &Term::from(request));
    }

    fn kill(&mut self, node: Node) {
        let mut pids: Vec<Pid> = self.nodes[node].processes.keys().cloned().collect();
        pids.sort();
        if pids.is_empty() {
            return;
        }
        let index = usize::try_from(self.below(pids.len() as u64)).expect("few");
        let watchers = self.nodes[node]
            .processes
            .remove(&pids[index])
            .unwrap_or_default();
        for (watcher, id) in watchers {
            if watcher == node || self.nodes[node].ends.contains_key(&watcher) {
                self.send(node, watcher, Message::Down { id });
            }
        }
    }

    /// A process of the node tries to lock a resource on all nodes, or gives it back.
    fn lock(&mut self, node: Node) {
        if self.unlock(node) {
            return;
        }
        self.next += 1;
        let round = self.next;
        let links: BTreeMap<Node, u64> = self.nodes[node]
            .ends
            .iter()
            .map(|(peer, end)| (*peer, end.link))
            .collect();
        let nodes: BTreeSet<Node> = links.keys().copied().chain([node]).collect();
        self.nodes[node].lock = Some(UserLock {
            round,
            waits_for: nodes.clone(),
            gave: BTreeSet::new(),
            refused: false,
            held: false,
            links,
        });
        for to in nodes {
            let request = self.lock_request(node, "set_lock");
            self.send(node, to, Message::User { round, request });
        }
    }

    fn lock_request(&self, node: Node, what: &'static str) -> Term {
        let id = (Term::atom("resource"), self.nodes[node].name.clone());
        Term::from((Term::atom(what), id))
    }

    fn unlock(&mut self, node: Node) -> bool {
        if self.nodes[node]
            .lock
            .as_ref()
            .is_none_or(|lock| !lock.held && !lock.waits_for.is_empty())
        {
            return self.nodes[node].lock.is_some();
        }
        let lock = self.nodes[node].lock.take().expect("a lock");
        for to in lock.gave {
            let request = self.lock_request(node, "del_lock");
            if to == node || self.nodes[node].ends.contains_key(&to) {
                self.send(node, to, Message::User { round: 0, request });
            }
        }
        true
    }

    fn user_answered(&mut self, node: Node) {
        let lock = self.nodes[node].lock.as_mut().expect("a lock");
        if !lock.waits_for.is_empty() {
            return;
        }
        if lock.refused {
            self.unlock(node);
            return;
        }
        lock.held = true;
        self.locks += 1;
        for other in 0..self.nodes.len() {
            if other != node && self.counts_on(node, other) && self.counts_on(other, node) {
                panic!("seed {}: {node} and {other} both hold the lock", self.seed);
            }
        }
    }

    /// Whether a process of `node` holds the lock with `other` among its nodes, over a connection that is still up at both ends.
    fn counts_on(&self, node: Node, other: Node) -> bool {
        let Some(lock) = self.nodes[node].lock.as_ref().filter(|lock| lock.held) else {
            return false;
        };
        let same = |from: Node, to: Node| {
            let end = self.nodes[from].ends.get(&to).map(|end| end.link);
            end.is_some() && end == lock.links.get(&other).copied()
        };
        lock.gave.contains(&other) && same(node, other) && same(other, node)
    }

    fn trouble(&mut self) {
        if self.now >= CHAOS - Duration::from_secs(5) {
            self.cut.clear();
            return;
        }
        let (one, other) = (self.node(), self.node());
        match self.below(6) {
            0 if one != other => self.cut_off(&[(one, other)]),
            1 => {
                // In two.
                let mut pairs = Vec::new();
                let side: Vec<bool> = (0..self.nodes.len()).map(|_| self.below(2) == 0).collect();
                for a in 0..side.len() {
                    for b in a + 1..side.len() {
                        if side[a] != side[b] {
                            pairs.push((a, b));
                        }
                    }
                }
                self.cut_off(&pairs);
            }
            2 if one != other => {
                if let Some(link) = self.nodes[one].ends.get(&other).map(|end| end.link) {
                    self.close(one, other, link);
                }
            }
            _ => self.cut.clear(),
        }
        let delay = self.milliseconds(6_000);
        self.after(delay, Event::Trouble);
    }

    fn cut_off(&mut self, pairs: &[(Node, Node)]) {
        for &(one, other) in pairs {
            self.cut.insert(pair(one, other));
            for (node, peer) in [(one, other), (other, one)] {
                let Some(link) = self.nodes[node].ends.get(&peer).map(|end| end.link) else {
                    continue;
                };
                // Some notice soon, some late.
                self.doomed.insert(link);
                let most = if self.below(3) == 0 { 8_000 } else { 300 };
                let delay = self.milliseconds(most);
                self.after(delay, Event::Down { node, peer, link });
            }
        }
    }

    // What must hold in the end

    fn look(&mut self) {
        if self.agree() {
            self.settled = Some(self.now);
            return;
        }
        self.after(Duration::from_secs(1), Event::Look);
    }

    fn names(&self, node: Node) -> BTreeMap<Term, Pid> {
        self.nodes[node]
            .core
            .names
            .entries()
            .map(|entry| (entry.name, entry.pid))
            .collect()
    }

    fn agree(&self) -> bool {
        let all: BTreeSet<&Atom> = self.nodes.iter().map(|node| &node.name).collect();
        let names = self.names(0);
        (0..self.nodes.len()).all(|node| {
            let simulated = &self.nodes[node];
            let mut known: BTreeSet<&Atom> = simulated.core.known.keys().collect();
            known.insert(&simulated.name);
            known == all && simulated.ends.len() + 1 == all.len() && self.names(node) == names
        })
    }

    fn views(&self) -> String {
        let view = |node: &Simulated| {
            let mut known: Vec<&str> = node.core.known.keys().map(Atom::as_str).collect();
            known.sort_unstable();
            let connected: Vec<&str> = node
                .ends
                .keys()
                .map(|peer| self.nodes[*peer].name.as_str())
                .collect();
            let mut names: Vec<String> = node
                .core
                .names
                .entries()
                .map(|entry| format!("{}={}", entry.name, entry.pid))
                .collect();
            names.sort();
            format!(
                "\n{}: known {known:?} connected {connected:?} names {names:?} pending {:?} {:?} {:?}",
                node.name, node.core.pending, node.core.locker, node.core.registrar
            )
        };
        self.nodes.iter().map(view).collect()
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().expect("a number"))
}

#[test]
fn views_are_equal_after_any_trouble() {
    let seeds: Vec<u64> = match (number("GLOBAL_SEED"), number("GLOBAL_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, Some(count)) => (0..count).collect(),
        (None, None) => (0..60).chain(FOUND).collect(),
    };
    let (mut operations, mut locks) = (0, 0);
    for seed in seeds {
        let count = match seed {
            seed if seed % 1000 == 999 => 200,
            seed if seed % 100 == 99 => 40,
            seed => 2 + usize::try_from(seed % 7).expect("few"),
        };
        let (done, held) = World::new(seed, count).run();
        operations += done;
        locks += held;
    }
    println!("{operations} operations, {locks} locks");
}

/// The same with more than a hundred; two hundred are played with `GLOBAL_SEED=999`, which without optimisation takes minutes.
#[test]
fn views_of_many_are_equal_after_any_trouble() {
    let (operations, locks) = World::new(499, 120).run();
    println!("{operations} operations, {locks} locks");
    assert!(locks > 0, "no lock was ever held");
}
