//! Hundreds of scopes in one thread, on a network that is cut at random and from a seed; the messages of every release; and scopes of two
//! nodes in one program. What BEAM nodes make of ours is judged in `tests/interop`.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::scope::{Action, Change, ChangeKind, Members, Scope};
use super::wire::{Message, Received, read};
use super::*;
use crate::dist::Cookie;
use crate::epmd::resolver::Table as Hosts;
use crate::term;
use crate::term::Map;

/// A small generator of numbers that look random: the same ones for a seed, on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// One scope, with what its driver would hold: what has come for it and is not handled yet, and who watches whom.
struct Member {
    scope: Scope,
    inbox: VecDeque<Input>,
    monitors: BTreeSet<Pid>,
    processes: Vec<Pid>,
    /// What a process that watches the whole scope has been told, summed up.
    told: HashMap<Term, Vec<Pid>>,
}

enum Input {
    NodeUp(usize),
    Message(Message),
    Down(Pid),
}

/// Scopes on a network of links, each of which delivers in order.
struct World {
    members: Vec<Member>,
    /// Messages on their way, by link and direction.
    links: BTreeMap<(usize, usize), VecDeque<Message>>,
    /// One for everything that waits in an inbox or on a link, in no order; some for what a cut has taken away.
    ready: Vec<Place>,
    next: u32,
    random: Random,
}

#[derive(Clone, Copy)]
enum Place {
    Inbox(usize),
    Link(usize, usize),
}

fn node_of(index: usize) -> Atom {
    Atom::new(&format!("n{index}@h")).unwrap()
}

fn index_of(node: &Atom) -> usize {
    node.as_str()[1..node.as_str().len() - 2].parse().unwrap()
}

fn scope_pid(index: usize) -> Pid {
    Pid::new(node_of(index), 1, 0, 7)
}

fn watcher_of(index: usize) -> Pid {
    Pid::new(node_of(index), 2, 0, 7)
}

fn group(number: usize) -> Term {
    Term::from(i64::try_from(number).unwrap())
}

impl World {
    fn new(count: usize, seed: u64) -> Self {
        let members = (0..count).map(|index| {
            let mut scope = Scope::new(scope_pid(index));
            let reference = Reference::new(node_of(index), &[1, 2, 3], 7).unwrap();
            scope.watch(watcher_of(index), reference, None);
            Member {
                scope,
                inbox: VecDeque::new(),
                monitors: BTreeSet::new(),
                processes: Vec::new(),
                told: HashMap::new(),
            }
        });
        Self {
            members: members.collect(),
            links: BTreeMap::new(),
            ready: Vec::new(),
            next: 10,
            random: Random(seed),
        }
    }

    fn is_up(&self, a: usize, b: usize) -> bool {
        self.links.contains_key(&(a, b))
    }

    fn connect(&mut self, a: usize, b: usize) {
        if a == b || self.is_up(a, b) {
            return;
        }
        for (from, to) in [(a, b), (b, a)] {
            self.links.insert((from, to), VecDeque::new());
            self.hand(from, Input::NodeUp(to));
        }
    }

    /// What is on its way is lost, in part: each side still gets some of it before it is told.
    fn cut(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            let Some(mut lost) = self.links.remove(&(from, to)) else {
                return;
            };
            let arrived = self.random.below(lost.len() + 1);
            for message in lost.drain(..arrived) {
                self.hand(to, Input::Message(message));
            }
            let watched = self.members[to]
                .monitors
                .iter()
                .filter(|pid| index_of(pid.node()) == from);
            let watched: Vec<Pid> = watched.cloned().collect();
            for pid in watched {
                self.members[to].monitors.remove(&pid);
                self.hand(to, Input::Down(pid));
            }
        }
    }

    fn hand(&mut self, to: usize, input: Input) {
        self.members[to].inbox.push_back(input);
        self.ready.push(Place::Inbox(to));
    }

    /// One process of one node joins, leaves or ends.
    fn operate(&mut self) {
        let at = self.random.below(self.members.len());
        let (kind, group) = (self.random.below(10), group(self.random.below(5)));
        let count = self.members[at].processes.len();
        match kind {
            0..=3 => {
                let pid = Pid::new(node_of(at), self.next, 0, 7);
                self.next += 1;
                self.members[at].processes.push(pid.clone());
                let times = 1 + self.random.below(2);
                self.members[at].scope.join(&group, vec![pid; times]);
            }
            4 | 5 if count > 0 => {
                let pid = self.members[at].processes[self.random.below(count)].clone();
                self.members[at].scope.join(&group, vec![pid]);
            }
            6 | 7 if count > 0 => {
                let pid = self.members[at].processes[self.random.below(count)].clone();
                self.members[at].scope.leave(&group, &[pid.clone(), pid]);
            }
            8 if count > 0 => {
                let pid = self.members[at].processes.swap_remove(self.random.below(count));
                if self.members[at].monitors.remove(&pid) {
                    self.hand(at, Input::Down(pid));
                }
            }
            _ => {}
        }
        self.drain(at);
    }

    /// Does what a scope wants done, as its driver would.
    fn drain(&mut self, at: usize) {
        while let Some(action) = self.members[at].scope.poll_action() {
            match action {
                Action::Discover { node, message } => self.post(at, index_of(&node), message),
                Action::Send { to, message } => {
                    for peer in to {
                        self.post(at, index_of(peer.node()), message.clone());
                    }
                }
                Action::Notify { watcher, change, .. } => {
                    assert_eq!(watcher, watcher_of(at));
                    apply(&mut self.members[at].told, change);
                }
                Action::Monitor(pid) => {
                    let peer = index_of(pid.node());
                    if peer == at || self.is_up(at, peer) {
                        self.members[at].monitors.insert(pid);
                    } else {
                        self.hand(at, Input::Down(pid));
                    }
                }
                Action::Demonitor(pid) => {
                    self.members[at].monitors.remove(&pid);
                    // Its message is flushed.
                    let fired = |input: &Input| matches!(input, Input::Down(down) if *down == pid);
                    self.members[at].inbox.retain(|input| !fired(input));
                }
            }
        }
    }

    /// Sends, if there is a connection; as the bytes of every release do, by way of terms.
    fn post(&mut self, from: usize, to: usize, message: Message) {
        let Some(link) = self.links.get_mut(&(from, to)) else {
            return;
        };
        match read(&message.term()) {
            Some(Received::Peer(read)) => {
                link.push_back(read);
                self.ready.push(Place::Link(from, to));
            }
            other => panic!("{message:?} was read as {other:?}"),
        }
    }

    /// Moves one message over one link, or has one scope handle one thing. `false` when nothing is left.
    fn step(&mut self) -> bool {
        if self.ready.is_empty() {
            return false;
        }
        let chosen = self.random.below(self.ready.len());
        let at = match self.ready.swap_remove(chosen) {
            Place::Link(from, to) => {
                if let Some(message) = self.links.get_mut(&(from, to)).and_then(VecDeque::pop_front) {
                    self.hand(to, Input::Message(message));
                }
                return true;
            }
            Place::Inbox(at) => at,
        };
        let member = &mut self.members[at];
        match member.inbox.pop_front() {
            Some(Input::NodeUp(peer)) => member.scope.node_up(node_of(peer)),
            Some(Input::Message(message)) => member.scope.receive(message),
            Some(Input::Down(pid)) => member.scope.down(&pid),
            None => {}
        }
        self.drain(at);
        true
    }

    /// What each scope should see: the members on its own node and on those that it is connected to.
    fn assert_views(&self, seed: u64) {
        for (at, member) in self.members.iter().enumerate() {
            let mut expected = HashMap::<Term, Vec<Pid>>::new();
            let seen = (0..self.members.len()).filter(|&peer| peer == at || self.is_up(at, peer));
            for peer in seen {
                for group in self.members[peer].scope.local_groups() {
                    let pids = self.members[peer].scope.local_members(&group);
                    expected.entry(group).or_default().extend(pids);
                }
            }
            let expected = sorted(expected);
            assert_eq!(sorted(member.scope.view()), expected, "seed {seed}, node {at}");
            assert_eq!(
                sorted(member.told.clone()),
                expected,
                "seed {seed}, who watches on node {at}"
            );
        }
    }
}

fn apply(view: &mut Members, change: Change) {
    let members = view.entry(change.group.clone()).or_default();
    match change.kind {
        ChangeKind::Join => members.extend(change.pids),
        ChangeKind::Leave => {
            for pid in change.pids {
                let index = members
                    .iter()
                    .position(|member| *member == pid)
                    .expect("only members leave");
                members.swap_remove(index);
            }
        }
    }
    if members.is_empty() {
        view.remove(&change.group);
    }
}

fn sorted(view: Members) -> BTreeMap<Term, Vec<Pid>> {
    let sorted = view.into_iter().map(|(group, mut pids)| {
        pids.sort();
        (group, pids)
    });
    sorted.collect()
}

/// Operations and cuts at random, then healing: a link that is up at the end is one whose both ends see the same.
fn play(count: usize, steps: usize, seed: u64) {
    let mut world = World::new(count, seed);
    for index in 0..count {
        world.drain(index);
    }
    for _ in 0..steps {
        let (a, b) = (world.random.below(count), world.random.below(count));
        match world.random.below(12) {
            0 | 1 => world.connect(a, b),
            2 => world.cut(a, b),
            3..=5 => world.operate(),
            _ => drop(world.step()),
        }
    }
    while world.step() {}
    world.assert_views(seed);
    for a in 0..count {
        for b in 0..a {
            world.connect(a, b);
        }
    }
    while world.step() {}
    world.assert_views(seed);
}

/// `PG_SEEDS` plays so many more.
#[test]
fn views_are_equal_after_cuts_and_healing() {
    let seeds = std::env::var("PG_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(150);
    for seed in 0..seeds {
        play(6, 1500, seed);
    }
}

#[test]
fn views_of_hundreds_are_equal_after_cuts_and_healing() {
    play(200, 6_000, 1);
}

#[test]
fn every_form_of_every_release_is_read() {
    let peer = Pid::new(node_of(1), 5, 0, 7);
    let a = Pid::new(node_of(1), 6, 0, 7);
    let message = |term: Term| match read(&term) {
        Some(Received::Peer(message)) => message,
        other => panic!("{term} was read as {other:?}"),
    };
    let discover = Message::Discover { peer: peer.clone() };
    assert_eq!(message(term!({discover, (peer.clone())})), discover);
    assert_eq!(message(term!({discover, (peer.clone()), 1})), discover);
    let join = Message::Join {
        peer: peer.clone(),
        group: Term::atom("g"),
        pids: vec![a.clone()],
    };
    assert_eq!(message(term!({join, (peer.clone()), g, (a.clone())})), join);
    assert_eq!(message(term!({join, (peer.clone()), g, [(a.clone())]})), join);
    let leave = Message::Leave {
        peer: peer.clone(),
        pids: vec![a.clone()],
        groups: vec![Term::atom("g"), Term::atom("g")],
    };
    assert_eq!(
        message(term!({leave, (peer.clone()), (a.clone()), [g, g]})),
        leave
    );
    let update = Message::Update {
        peer: peer.clone(),
        changes: vec![(Term::atom("g"), vec![a.clone()], vec![])],
    };
    assert_eq!(
        message(term!({update, (peer.clone()), [{g, [(a.clone())], []}]})),
        update
    );
    let sync = Message::Sync {
        peer: peer.clone(),
        groups: Members::from([(Term::atom("g"), vec![a.clone()])]),
    };
    let cast = |request: Term| Term::from((Term::atom("$gen_cast"), request));
    assert_eq!(
        message(cast(term!({sync, (peer.clone()), [{g, [(a.clone())]}]}))),
        sync
    );
    let data = Map::from_iter([(Term::atom("g"), Term::from(vec![a.clone()]))]);
    assert_eq!(
        message(cast(term!({local_data, (peer.clone()), 1, (Term::Map(data))}))),
        sync
    );
    assert_eq!(
        read(&term!({nodeup, (node_of(3))})),
        Some(Received::NodeUp(node_of(3)))
    );
    for other in [
        term!(hello),
        term!({nodedown, (node_of(3))}),
        term!({discover, me}),
        term!({join, (peer.clone()), g, [me]}),
        term!({leave, (peer.clone()), (a.clone()), g}),
        term!({update, (peer.clone()), [{g, [], (a.clone())}, 1]}),
        cast(term!({sync, (peer), [g]})),
        cast(term!(stop)),
    ] {
        assert_eq!(read(&other), None, "{other}");
    }
}

/// Two nodes that find each other without EPMD.
async fn pair() -> [Node; 2] {
    let start = async |name: &str, hosts: Hosts| {
        let builder = Node::builder(name)
            .cookie(Cookie::new("c").unwrap())
            .resolver(hosts);
        builder.start().await.unwrap()
    };
    let b = start("b@localhost", Hosts::new()).await;
    let address = SocketAddr::from(([127, 0, 0, 1], b.port().unwrap()));
    let hosts = Hosts::new().node("b".parse().unwrap(), "localhost", address);
    [start("a@localhost", hosts).await, b]
}

/// The next change that a process is told of.
async fn change(process: &mut Process) -> GroupChange {
    let change = process.recv_select(|message| GroupChange::read(message).ok().flatten());
    tokio::time::timeout(Duration::from_secs(20), change)
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn members_are_seen_on_the_other_node_until_they_or_their_node_go() {
    let [a, b] = pair().await;
    let (here, there) = (a.pg("chat").unwrap(), b.pg("chat").unwrap());
    let room = || Term::atom("room");
    let [first, second] = [a.process(), a.process()];
    here.join(
        room(),
        [first.pid().clone(), second.pid().clone(), second.pid().clone()],
    )
    .unwrap();
    assert_eq!(here.local_members(room()).len(), 3);
    assert!(there.members(room()).is_empty());

    let mut watcher = b.process();
    let (reference, members) = there.monitor(&watcher, room());
    assert!(members.is_empty());
    a.connect("b@localhost").await.unwrap();
    let joined = change(&mut watcher).await;
    assert_eq!(
        (joined.reference, joined.kind),
        (reference.clone(), ChangeKind::Join)
    );
    assert_eq!(joined.pids.len(), 3);
    assert_eq!(there.members(room()).len(), 3);
    assert!(there.local_groups().is_empty());

    here.leave(room(), second.pid()).unwrap();
    let left = change(&mut watcher).await;
    assert_eq!(
        (left.kind, left.pids),
        (ChangeKind::Leave, vec![second.pid().clone()])
    );
    drop(second);
    assert_eq!(change(&mut watcher).await.kind, ChangeKind::Leave);
    assert_eq!(there.members(room()), [first.pid().clone()]);

    assert!(a.disconnect("b@localhost"));
    assert_eq!(change(&mut watcher).await.kind, ChangeKind::Leave);
    assert!(there.groups().is_empty());
    a.connect("b@localhost").await.unwrap();
    assert_eq!(change(&mut watcher).await.pids, [first.pid().clone()]);
    // A scope that ends and starts again is another one, whose members have to join anew.
    here.stop();
    assert_eq!(change(&mut watcher).await.kind, ChangeKind::Leave);
    assert_eq!(here.join(room(), first.pid()), Err(JoinError::Ended));
    let here = a.pg("chat").unwrap();
    here.join(room(), first.pid()).unwrap();
    assert_eq!(change(&mut watcher).await.pids, [first.pid().clone()]);
    assert!(there.demonitor(&mut watcher, &reference));
    assert!(!there.demonitor(&mut watcher, &reference));
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn who_may_join_and_leave() {
    let [a, b] = pair().await;
    let pg = a.pg("pg").unwrap();
    let (mine, others) = (a.process(), b.process());
    let not_local = others.pid().clone();
    assert_eq!(
        pg.join(1, &not_local),
        Err(JoinError::NotLocal(not_local.clone()))
    );
    assert_eq!(pg.leave(1, &not_local), Err(LeaveError::NotLocal(not_local)));
    assert_eq!(pg.leave(1, mine.pid()), Err(LeaveError::NotJoined));
    pg.join(1, mine.pid()).unwrap();
    pg.join(1.5, mine.pid()).unwrap();
    assert_eq!(pg.groups().len(), 2);
    pg.leave(1, [mine.pid().clone(), mine.pid().clone()]).unwrap();
    assert_eq!(pg.groups(), [Term::from(1.5)]);
    // One name, one scope; a name that another process has is none.
    assert_eq!(a.pg("pg").unwrap().pid(), pg.pid());
    mine.register("taken").unwrap();
    assert!(matches!(a.pg("taken"), Err(RegisterError::Taken { .. })));
    a.shutdown().await;
    assert!(pg.groups().is_empty());
    b.shutdown().await;
}

/// What was told and not read goes with the monitor.
#[tokio::test]
async fn the_end_of_a_monitor_takes_its_messages() {
    let [a, _b] = pair().await;
    let pg = a.pg("pg").unwrap();
    let mut watcher = a.process();
    let (scope, groups) = pg.monitor_scope(&watcher);
    assert!(groups.is_empty());
    let (group, _) = pg.monitor(&watcher, 1);
    let member = a.process();
    pg.join(1, member.pid()).unwrap();
    pg.join(2, member.pid()).unwrap();
    assert_eq!(watcher.mailbox_len(), 3);
    assert!(pg.demonitor(&mut watcher, &scope));
    assert_eq!(watcher.mailbox_len(), 1);
    assert!(pg.demonitor(&mut watcher, &group));
    assert_eq!(watcher.mailbox_len(), 0);
    a.shutdown().await;
}
