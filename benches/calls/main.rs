//! Calls a second by `rpc`, `erpc` and `gen_server`, spawn requests with their replies, and pairs of monitor and demonitor, link and unlink:
//! from a BEAM node to ours, from ours to a BEAM node, between ours, and between BEAM nodes, interleaved in one run, with the processor time
//! that each side takes.
//!
//!     cargo bench --bench calls                  # OTP 29 in a container
//!     BENCH_OTP=27 BENCH_ROUNDS=9 BENCH_MS=1000 cargo bench --bench calls
//!
//! One caller is measured with both sides on one core, 64 callers with all cores. With one caller, what plain TCP takes there and back on the same runtime
//! is shown too: no call can take less. To reach: one caller faster to ours than to a BEAM node, with 64
//! ours below half of the processor time of the BEAM side, and ours to ours three times as fast as BEAM to BEAM for calls, twice for the others.

#[path = "../common/container.rs"]
mod container;
#[path = "../common/part.rs"]
mod part;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use beamnode::node::{ExitReason, Node, SpawnOptions};
use beamnode::otp::{Caller, Context, GenServer, Rpc};
use beamnode::term::{Atom, Pid, Term};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use container::{outer, prepare, setting};
use part::{Part, order};

const COOKIE: &str = "bench";
const KINDS: [&str; 6] = ["rpc", "erpc", "gen_server", "spawn", "monitor", "link"];
const SCRIPT: &str = include_str!("call_bench.erl");

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("--inner") => inner(),
        Some("--node") => node(&arguments[2], arguments[3] == "pinned"),
        _ => outer(&["BENCH_ROUNDS", "BENCH_MS"]),
    }
}

fn beam(name: &str, pinned: bool) -> Part {
    let mut command = command("erl", pinned);
    if pinned {
        command.args(["+S", "1:1"]);
    }
    command.args(["-noinput", "-noshell", "-sname", name, "-setcookie", COOKIE]);
    command.args([
        "-kernel",
        "logger_level",
        "none",
        "-pa",
        "/tmp",
        "-s",
        "call_bench",
    ]);
    // Standard input is the program's, not the shell's.
    start(reading(command))
}

fn rust(name: &str, pinned: bool) -> Part {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = command(&program.display().to_string(), pinned);
    command.args(["--node", name, if pinned { "pinned" } else { "free" }]);
    start(command)
}

fn start(command: Command) -> Part {
    let mut part = Part::launch(command);
    part.get_ready();
    part
}

fn command(program: &str, pinned: bool) -> Command {
    if pinned {
        let mut command = Command::new("taskset");
        command.args(["-c", "0", program]);
        command
    } else {
        Command::new(program)
    }
}

/// `-noinput` is what keeps `erl` from its standard input.
fn reading(command: Command) -> Command {
    let mut reading = Command::new(command.get_program());
    reading.args(command.get_args().filter(|argument| *argument != "-noinput"));
    reading
}

/// What one pair did in one round: calls, and hundredths of a second of each side.
#[derive(Clone, Copy)]
struct Measured {
    rate: f64,
    caller: f64,
    server: f64,
}

fn inner() {
    prepare("call_bench", SCRIPT);
    let (rounds, time) = (setting("BENCH_ROUNDS", 7), setting("BENCH_MS", 400));
    for (callers, pinned) in [(1, true), (64, false)] {
        let mut parts = [
            beam("alice", pinned),
            beam("bob", pinned),
            rust("ann", pinned),
            rust(SERVES, pinned),
        ];
        println!(
            "{callers} callers, {}",
            if pinned { "all on one core" } else { "on all cores" }
        );
        println!("             BEAM-BEAM     BEAM-ours             ours-BEAM             ours-ours");
        let mut plain = 0.0;
        if callers == 1 {
            let all = (0..rounds).map(|_| measure(&mut parts, "tcp", (2, 3), callers, time));
            plain = median(all.collect()).rate;
            println!("plain TCP {plain:8.0}/s there and back");
        }
        for kind in KINDS {
            let pairs = [(0, 1), (0, 3), (2, 1), (2, 3)];
            let mut all = [const { Vec::new() }; 4];
            for round in 0..=rounds {
                for step in 0..4_usize {
                    // Another order in each round.
                    let which = (step + usize::try_from(round).unwrap_or(0)) % 4;
                    let (from, to) = pairs[which];
                    let measured = measure(&mut parts, kind, (from, to), callers, time);
                    // The first round warms up.
                    if round > 0 {
                        all[which].push(measured);
                    }
                }
            }
            let [beam, served, asking, ours] = all.map(median);
            let show = |one: Measured| {
                format!(
                    "{:7.0}/s {:4.2} ({:4.1}+{:4.1} us)",
                    one.rate,
                    one.rate / beam.rate,
                    one.caller,
                    one.server
                )
            };
            println!(
                "{kind:10} {:7.0}/s ({:4.1}+{:4.1} us)  {}  {}  {}",
                beam.rate,
                beam.caller,
                beam.server,
                show(served),
                show(asking),
                show(ours)
            );
            println!(
                "{:10} served: ours {:.2} of the caller's CPU{}",
                "",
                served.server / served.caller,
                if plain > 0.0 {
                    format!("; plain TCP {:.2} times BEAM-BEAM", plain / beam.rate)
                } else {
                    String::new()
                }
            );
        }
    }
}

fn measure(
    parts: &mut [Part; 4],
    kind: &str,
    (from, to): (usize, usize),
    callers: u32,
    time: u64,
) -> Measured {
    let order = format!("{kind} {} {callers} {time}", parts[to].name);
    let before = (parts[from].cpu(), parts[to].cpu());
    parts[from].tell(&order);
    let calls = parts[from].answer();
    let after = (parts[from].cpu(), parts[to].cpu());
    #[expect(clippy::cast_precision_loss, reason = "counts of a second")]
    let [calls, caller, server, time] =
        [calls, after.0 - before.0, after.1 - before.1, time].map(|n| n as f64);
    Measured {
        rate: calls * 1000.0 / time,
        // Hundredths of a second, in microseconds a call.
        caller: caller * 10_000.0 / calls,
        server: server * 10_000.0 / calls,
    }
}

fn median(mut all: Vec<Measured>) -> Measured {
    let mut by = |key: fn(&Measured) -> f64| {
        all.sort_by(|a, b| key(a).total_cmp(&key(b)));
        key(&all[all.len() / 2])
    };
    Measured {
        rate: by(|one| one.rate),
        caller: by(|one| one.caller),
        server: by(|one| one.server),
    }
}

/// How large a question is over plain TCP, and its answer: about as what is sent for a call.
const PLAIN: usize = 128;

/// Answers each question with itself.
async fn echo(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        stream.set_nodelay(true).expect("a socket");
        let mut question = [0; PLAIN];
        while stream.read_exact(&mut question).await.is_ok() {
            stream.write_all(&question).await.expect("it reads");
        }
    }
}

/// Asks over plain TCP until the time is over.
async fn ask(time: Duration) -> u64 {
    let mut stream = TcpStream::connect(ECHO).await.expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    let (began, mut count, mut question) = (Instant::now(), 0, [0; PLAIN]);
    while began.elapsed() < time {
        stream.write_all(&question).await.expect("it reads");
        stream.read_exact(&mut question).await.expect("it answers");
        count += 1;
    }
    count
}

/// How often what is not answered is done before a call.
const MANY: u64 = 100;
const MINUTE: Duration = Duration::from_secs(60);
/// Which of ours is never the caller, and where it answers over plain TCP.
const SERVES: &str = "ben";
const ECHO: (&str, u16) = ("127.0.0.1", 4711);

struct Echo;

impl GenServer for Echo {
    async fn call(&mut self, _: &mut Context, request: Term, _: &Caller) -> Result<Option<Term>, ExitReason> {
        Ok(Some(request))
    }
}

/// A node of ours: it serves, and calls as it is told.
fn node(name: &str, pinned: bool) {
    let mut builder = if pinned {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let node = Node::short(name).cookie(COOKIE).start().await.expect("it starts");
        node.start_server("bench", Echo).expect("the name is free");
        if name == SERVES {
            tokio::spawn(echo(TcpListener::bind(ECHO).await.expect("it is free")));
        }
        println!("ready {} {}", node.name(), std::process::id());
        while let Some(order) = order().await {
            let words: Vec<&str> = order.split_whitespace().collect();
            let [kind, peer, callers, time] = words.as_slice() else {
                return;
            };
            let (callers, time) = (callers.parse().expect("a count"), time.parse().expect("a time"));
            if *kind == "tcp" {
                println!("{}", ask(Duration::from_millis(time)).await);
                continue;
            }
            node.ping(peer).await.expect("it answers");
            println!("{}", run(&node, kind, peer, callers, time).await);
        }
    });
}

/// The server's pid.
async fn whereis(rpc: &Rpc<'_>) -> Pid {
    let found = rpc.call("erlang", "whereis", [Term::atom("bench")]).await;
    found.expect("a value").as_pid().expect("the server").clone()
}

async fn run(node: &Node, kind: &str, peer: &str, callers: u32, time: u64) -> u64 {
    let over = Arc::new(AtomicBool::new(false));
    let calls = (0..callers).map(|_| {
        let (node, kind, peer, over) = (node.clone(), kind.to_owned(), peer.to_owned(), Arc::clone(&over));
        tokio::spawn(async move {
            let mut count = 0_u64;
            let mut me = node.process();
            let server = (Atom::from_static("bench"), Atom::new(&peer).expect("a name"));
            let rpc = node.rpc(&peer);
            let mut target = None;
            while !over.load(Ordering::Relaxed) {
                match &*kind {
                    "gen_server" => {
                        let answer = me.call(server.clone(), Term::atom("hello"), MINUTE);
                        answer.await.expect("an answer");
                    }
                    "spawn" => {
                        let spawned = me.spawn_on(&peer, ("erlang", "is_alive"), [], SpawnOptions::default());
                        spawned.await.expect("a process");
                    }
                    "monitor" | "link" => {
                        let pid = match &target {
                            Some(pid) => Pid::clone(pid),
                            None => target.insert(whereis(&rpc).await).clone(),
                        };
                        for _ in 0..MANY {
                            if kind == "monitor" {
                                let reference = me.monitor(&pid).await;
                                me.demonitor(&reference);
                            } else {
                                me.link(&pid).await;
                                me.unlink(&pid);
                            }
                        }
                        // There when all of it is.
                        let answer = me.call(pid, Term::atom("hello"), MINUTE);
                        answer.await.expect("an answer");
                        count += MANY - 1;
                    }
                    _ => {
                        rpc.call("erlang", "is_alive", []).await.expect("a value");
                    }
                }
                count += 1;
            }
            count
        })
    });
    let calls: Vec<_> = calls.collect();
    tokio::time::sleep(Duration::from_millis(time)).await;
    over.store(true, Ordering::Relaxed);
    let mut sum = 0;
    for call in calls {
        sum += call.await.unwrap_or(0);
    }
    sum
}
