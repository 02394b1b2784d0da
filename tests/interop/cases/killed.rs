//! Nodes killed at any moment of whatever is under way between them: everything that waits is told as its kind is, once, and nothing
//! is left of it. `BED_ROUNDS` says how often a node is killed; the moments come from a seed, which is printed.

use std::time::Duration;

use beamnode::node::{
    ConnectError, ExitReason, Message, Node, NodeEvent, NodeType, Process, SendError, SpawnError,
    SpawnOptions,
};
use beamnode::otp::{CallError, RpcError};
use beamnode::term;
use beamnode::term::{Atom, Pid, Term};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::inside::{Bed, COOKIE, LIMIT};

/// How many processes are at it at a time.
const WORKERS: usize = 8;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The seed of this run, printed, and the choices that come of it.
async fn choices(bed: &Bed) -> (u64, SmallRng) {
    let seed = variable("BED_SEED").unwrap_or_else(super::processes::rand_seed);
    bed.note(format!("BED_SEED={seed}")).await;
    (seed, SmallRng::seed_from_u64(seed))
}

fn rounds(few: u64) -> u64 {
    variable("BED_ROUNDS").unwrap_or(few)
}

/// Some moment soon.
async fn a_moment(random: &mut SmallRng) {
    tokio::time::sleep(Duration::from_micros(random.random_range(0..15_000))).await;
}

/// The subject is killed while a BEAM node's processes call, link, monitor and spawn on it, and comes back under its name.
pub(crate) async fn subject(bed: Bed) {
    let alice = bed.erl("alice", "a").start().await;
    let (seed, mut random) = choices(&bed).await;
    for round in 0..rounds(30) {
        let subject = bed.subject().start().await;
        let begin = format!(
            "node_chaos:start('{}', {WORKERS}, {})",
            subject.node(),
            random.random::<u32>()
        );
        assert_eq!(alice.eval(begin).await, "ok", "round {round}, BED_SEED={seed}");
        a_moment(&mut random).await;
        subject.kill().await;
        let finish = format!("node_chaos:finish('{}', 30000)", subject.node());
        assert_eq!(alice.eval(finish).await, "ok", "round {round}, BED_SEED={seed}");
    }
}

/// A BEAM node is killed while our processes call, link, monitor and spawn on it, and its on ours.
pub(crate) async fn peer(bed: Bed) {
    let (seed, mut random) = choices(&bed).await;
    let node = Node::builder(format!("asking@{}", bed.rust_host_name()))
        .cookie(COOKIE)
        .start()
        .await
        .unwrap();
    let mut echo = node.process();
    echo.register("echo").unwrap();
    tokio::spawn(async move {
        while let Some(message) = echo.recv().await {
            if let Some([Term::Pid(from), said]) =
                message.term().unwrap().as_tuple().and_then(|tuple| tuple.array())
            {
                echo.send(from, term!({echo, (said)})).await.ok();
            }
        }
    });
    let mut events = node.monitor_nodes(NodeType::All);
    let before = node.processes().len();
    let start = |round: u64| {
        bed.erl(if round.is_multiple_of(2) { "alice" } else { "bob" }, "a")
            .start()
    };
    let rounds = rounds(30);
    let mut next = start(0).await;
    for round in 0..rounds {
        let context = format!("round {round}, BED_SEED={seed}");
        let beam = next;
        let there = Atom::new(beam.node()).unwrap();
        let begin = format!(
            "node_chaos:start('{}', {WORKERS}, {})",
            node.name(),
            random.random::<u32>()
        );
        assert_eq!(beam.eval(begin).await, "ok", "{context}");
        let kernel = match node
            .rpc(&there)
            .call("erlang", "whereis", [Term::atom("net_kernel")])
            .await
        {
            Ok(Term::Pid(pid)) => pid,
            other => panic!("{other:?}; {context}"),
        };
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                let worker = Worker {
                    me: node.process(),
                    there: there.clone(),
                    // Before there were aliases, a late answer stayed in the mailbox.
                    gives_up: bed.release() > 23,
                    kernel: kernel.clone(),
                    random: SmallRng::seed_from_u64(random.random()),
                };
                tokio::spawn(worker.work())
            })
            .collect();
        // The next node starts meanwhile.
        let kill = async {
            a_moment(&mut random).await;
            beam.kill().await;
            for worker in workers {
                let ended = tokio::time::timeout(LIMIT, worker).await;
                ended
                    .unwrap_or_else(|_| panic!("a process of ours waits for ever; {context}"))
                    .unwrap_or_else(|error| panic!("{error}; {context}"));
            }
        };
        if round + 1 < rounds {
            ((), next) = tokio::join!(kill, start(round + 1));
        } else {
            next = beam.clone();
            kill.await;
        }
        for expected in ["up", "down"] {
            let event = tokio::time::timeout(LIMIT, events.next())
                .await
                .expect("an event")
                .expect("the node runs");
            let right = match &event {
                NodeEvent::NodeUp { node, .. } => expected == "up" && *node == there,
                NodeEvent::NodeDown { node, .. } => expected == "down" && *node == there,
            };
            assert!(right, "{event:?} where {there} was to be {expected}; {context}");
        }
        nothing_left(&node, &there, before, &context).await;
    }
    node.shutdown().await;
}

/// No process of ours knows of that node, and those that it had made are over.
async fn nothing_left(node: &Node, there: &Atom, before: usize, context: &str) {
    assert!(!node.nodes(NodeType::All).contains(there), "{context}");
    let over_there = |pid: &Pid| pid.node() == there;
    let settled = async {
        loop {
            let pids = node.processes();
            let holding = pids.iter().filter_map(|pid| node.process_info(pid)).find(|info| {
                info.links.iter().any(over_there)
                    || info.monitored_by.iter().any(over_there)
                    || info.monitors.iter().any(|item| item.node() == there)
            });
            if holding.is_none() && pids.len() <= before {
                break;
            }
            // A function that was called goes on when the caller's node goes, as on any node; those that would for ever are ended.
            for pid in &pids {
                if node
                    .process_info(pid)
                    .is_some_and(|info| info.parent.as_ref().is_some_and(over_there))
                {
                    node.process().exit_other(pid, ExitReason::KILL).await.ok();
                }
            }
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(LIMIT, settled).await.is_err() {
        let infos: Vec<_> = node
            .processes()
            .iter()
            .filter_map(|pid| node.process_info(pid))
            .collect();
        panic!("{before} processes, then {}: {infos:#?}; {context}", infos.len());
    }
}

/// What became of an attempt.
#[derive(PartialEq, Eq)]
enum Seen {
    There,
    Gone,
}

/// A process of ours that is at it until the node is gone.
struct Worker {
    me: Process,
    there: Atom,
    kernel: Pid,
    /// Whether it gives up calls.
    gives_up: bool,
    random: SmallRng,
}

impl Worker {
    async fn work(mut self) {
        self.me.trap_exit(true);
        while self.act().await == Seen::There {}
        let info = self.me.node().process_info(self.me.pid()).unwrap();
        let nothing = info.links.is_empty() && info.monitors.is_empty() && info.monitored_by.is_empty();
        assert!(nothing && info.message_queue_len == 0, "{info:?}");
    }

    fn name(&self, name: &'static str) -> (Atom, Atom) {
        (Atom::from_static(name), self.there.clone())
    }

    async fn spawn(&self, function: &'static str, options: SpawnOptions) -> Option<Pid> {
        let (module, arguments) = match function {
            "sleep" => ("timer", vec![Term::atom("infinity")]),
            _ => ("erlang", vec![]),
        };
        match self
            .me
            .spawn_on(&self.there, (module, function), arguments, options)
            .await
        {
            Ok(spawned) => Some(spawned.pid),
            Err(
                SpawnError::NoConnection
                | SpawnError::Send(SendError::Connect(_) | SendError::ConnectionLost { .. }),
            ) => None,
            Err(other) => panic!("spawn: {other:?}"),
        }
    }

    /// One thing, at random, until it has been served or cannot be.
    async fn act(&mut self) -> Seen {
        let is_auth = term!({is_auth, (self.me.node().name().clone())});
        match self.random.random_range(0..40) {
            0..6 => rpc(
                self.me
                    .node()
                    .rpc(&self.there)
                    .call("erlang", "is_alive", [])
                    .await,
                "true",
            ),
            6..8 => rpc(
                self.me
                    .node()
                    .rpc(&self.there)
                    .block_call("erlang", "is_alive", [])
                    .await,
                "true",
            ),
            8 => {
                let sleep = [Term::atom("infinity")];
                rpc(
                    self.me
                        .node()
                        .rpc(&self.there)
                        .call("timer", "sleep", sleep)
                        .await,
                    "never",
                )
            }
            9..11 => {
                let pending = self
                    .me
                    .node()
                    .rpc(&self.there)
                    .send_request("erlang", "is_alive", [])
                    .unwrap();
                rpc(pending.await, "true")
            }
            11..16 => answer(self.me.call(self.name("net_kernel"), is_auth, LIMIT).await),
            16..18 => answer(self.me.call(&self.kernel, is_auth, LIMIT).await),
            18..20 => {
                let (answers, missing) = self
                    .me
                    .node()
                    .multi_call([&self.there], "net_kernel", is_auth, LIMIT)
                    .await;
                match (answers.as_slice(), missing.as_slice()) {
                    ([(node, value)], []) if *node == self.there && value.is_atom("yes") => Seen::There,
                    ([], [node]) if *node == self.there => Seen::Gone,
                    other => panic!("multi_call: {other:?}"),
                }
            }
            // One that is given up at some moment. Not of `net_kernel`: that of OTP 25 answers the process, and not its alias.
            20..22 if self.gives_up => {
                let soon = Duration::from_micros(self.random.random_range(0..300));
                let call = self
                    .me
                    .call(self.name("kernel_sup"), Term::atom("count_children"), LIMIT);
                match tokio::time::timeout(soon, call).await {
                    Err(_) | Ok(Ok(Term::List(_))) => Seen::There,
                    Ok(other) => answer(other),
                }
            }
            22..25 => {
                let soon = Duration::from_micros(self.random.random_range(0..300));
                let options = SpawnOptions {
                    link: true,
                    monitor: true,
                    ..SpawnOptions::default()
                };
                match tokio::time::timeout(soon, self.spawn("is_alive", options)).await {
                    Err(_) => Seen::There,
                    Ok(None) => Seen::Gone,
                    Ok(Some(pid)) => {
                        let reasons = [self.told(&pid).await, self.told(&pid).await];
                        assert_eq!(reasons[0], reasons[1]);
                        reason(&reasons[0], "normal")
                    }
                }
            }
            25..28 => match self.spawn("sleep", SpawnOptions::monitored()).await {
                Some(pid) => {
                    self.me
                        .exit_other(&pid, ExitReason::KILL)
                        .await
                        .unwrap_or_else(cannot_connect);
                    reason(&self.told(&pid).await, "killed")
                }
                None => Seen::Gone,
            },
            28..31 => match self.spawn("sleep", SpawnOptions::linked()).await {
                Some(pid) => {
                    self.me
                        .exit_other(&pid, Term::atom("bye"))
                        .await
                        .unwrap_or_else(cannot_connect);
                    reason(&self.told(&pid).await, "bye")
                }
                None => Seen::Gone,
            },
            31..35 => {
                let monitor = self.me.monitor(self.name("net_kernel")).await;
                self.me.demonitor_flush(&monitor);
                Seen::There
            }
            _ => {
                self.me.link(&self.kernel).await;
                self.me.unlink(&self.kernel);
                if self.me.mailbox_len() > 0 {
                    let kernel = self.kernel.clone();
                    return reason(&self.told(&kernel).await, "never");
                }
                Seen::There
            }
        }
    }

    /// The reason in the next message, which is the end of `pid`.
    async fn told(&mut self, pid: &Pid) -> Term {
        match self.me.recv().await.expect("the process lives") {
            Message::Down(down) if down.item == pid.clone().into() => down.reason.decode().unwrap(),
            Message::Exit(exit) if exit.from == *pid => exit.reason.decode().unwrap(),
            other => panic!("{other:?} where {pid} was to end"),
        }
    }
}

fn cannot_connect(error: ConnectError) {
    assert!(!matches!(error, ConnectError::Stopped), "{error}");
}

fn reason(reason: &Term, there: &'static str) -> Seen {
    match reason.as_atom().map(Atom::as_str) {
        Some("noconnection") => Seen::Gone,
        Some(known) if known == there => Seen::There,
        _ => panic!("{reason} is neither {there} nor noconnection"),
    }
}

fn answer(answer: Result<Term, CallError>) -> Seen {
    match answer {
        Ok(value) if value.is_atom("yes") => Seen::There,
        Err(CallError::Down(reason)) if reason.is_atom("noconnection") => Seen::Gone,
        other => panic!("call: {other:?}"),
    }
}

fn rpc(result: Result<Term, RpcError>, there: &'static str) -> Seen {
    match result {
        Ok(value) if value.is_atom(there) => Seen::There,
        Err(error) if !matches!(error, RpcError::Stopped) && error.badrpc().is_atom("nodedown") => Seen::Gone,
        other => panic!("rpc: {other:?}"),
    }
}
