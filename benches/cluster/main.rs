//! Clusters: the time until all nodes of a mesh see all others, ours beside BEAM nodes, each a process of its own, in turns, with the
//! processor time, the memory and the bytes on the wire a node; and many nodes of ours in one program.
//!
//!     cargo bench --bench cluster                # a mesh of 30 of each kind, OTP 29, in a container; then the others
//!     BENCH_OTP=27 BENCH_ROUNDS=5 BENCH_NODES=10 cargo bench --bench cluster
//!     cargo bench --bench cluster -- ring 1000   # hidden nodes of ours in one program, each connected to two others
//!     cargo bench --bench cluster -- mesh 150    # visible ones, each connected to all: 22,500 descriptors, so in two programs where one
//!                                                # may not have as many
//!
//! To reach: no slower than BEAM nodes, a fifth of their memory.

#[path = "../common/container.rs"]
mod container;
#[path = "../common/part.rs"]
mod part;

use std::net::SocketAddr;
use std::ops::Range;
use std::process::Command;
use std::time::{Duration, Instant};

use beamnode::dist::Cookie;
use beamnode::epmd::resolver::Table;
use beamnode::node::{Node, NodeType};
use nix::sys::resource::{Resource, getrlimit};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use container::{outer, prepare, setting};
use part::{Part, order};

const COOKIE: &str = "bench";
/// Where the nodes of one program listen, from here on.
const FIRST_PORT: u16 = 20_000;
const SCRIPT: &str = include_str!("cluster_bench.erl");

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--inner"] => inner(),
        ["--node", name] => node(name),
        ["--share", shape, count, from, to] => {
            let [count, from, to] = [count, from, to].map(|number| number.parse().expect("a number"));
            Runtime::new()
                .expect("a runtime")
                .block_on(share(shape, count, from..to));
        }
        [shape, count] => many(shape, count.parse().expect("a number of nodes")),
        _ => outer(&["BENCH_ROUNDS", "BENCH_NODES"]),
    }
}

/// What a node of a mesh took.
#[derive(Clone, Copy)]
struct Mesh {
    /// Milliseconds until all saw all.
    time: f64,
    /// Milliseconds of processor time.
    cpu: f64,
    /// Megabytes.
    memory: f64,
    /// Kilobytes that were sent.
    wire: f64,
}

fn inner() {
    prepare("cluster_bench", SCRIPT);
    let few = |setting| usize::try_from(setting).expect("few");
    let (rounds, count) = (few(setting("BENCH_ROUNDS", 5)), few(setting("BENCH_NODES", 30)));
    println!("a mesh of {count}, each node a process: medians of {rounds} turns");
    println!(
        "{:8}{:>24}{:>20}{:>16}{:>16}",
        "", "all see all, ms", "CPU a node, ms", "memory, MB", "wire, KB"
    );
    let mut all = [const { Vec::new() }; 2];
    // The first of each warms up.
    for round in 0..=rounds {
        for step in 0..2 {
            let which = (round + step) % 2;
            let mesh = mesh(which == 1, count);
            if round > 0 {
                all[which].push(mesh);
            }
        }
    }
    let [beam, ours] = all.map(median);
    for (name, one) in [("BEAM", beam), ("ours", ours)] {
        println!(
            "{name:8}{:16.0} ({:4.2}){:13.1} ({:4.2}){:9.1} ({:4.2}){:9.1} ({:4.2})",
            one.time,
            one.time / beam.time,
            one.cpu,
            one.cpu / beam.cpu,
            one.memory,
            one.memory / beam.memory,
            one.wire,
            one.wire / beam.wire
        );
    }
    println!("many nodes of ours in a program");
    many("ring", 1000);
    many("mesh", 150);
}

/// The first node is asked for by all others.
fn mesh(ours: bool, count: usize) -> Mesh {
    let mut parts: Vec<Part> = (0..count)
        .map(|number| {
            let name = format!("n{number}@127.0.0.1");
            let mut command;
            if ours {
                command = Command::new(std::env::current_exe().expect("this program has a path"));
                command.args(["--node", &name]);
            } else {
                command = Command::new("erl");
                command.args(["+S", "1:1", "-noshell", "-name", &name, "-setcookie", COOKIE]);
                command.args(["-pa", "/tmp", "-s", "cluster_bench"]);
            }
            Part::launch(command)
        })
        .collect();
    parts.iter_mut().for_each(Part::get_ready);
    let cpu = |parts: &[Part]| parts.iter().map(Part::cpu).sum::<u64>();
    let (before, sent, began) = (cpu(&parts), loopback(), Instant::now());
    let order = format!("{} {}", parts[0].name, count - 1);
    parts.iter_mut().for_each(|part| part.tell(&order));
    for part in &mut parts {
        part.answer();
    }
    let time = began.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "small enough")]
    let each = |sum: u64| sum as f64 / count as f64;
    Mesh {
        time: time.as_secs_f64() * 1e3,
        cpu: each(10 * (cpu(&parts) - before)),
        memory: each(parts.iter().map(|part| resident(&part.pid.to_string())).sum()) / f64::from(1 << 20),
        wire: each(loopback() - sent) / 1024.0,
    }
}

fn median(mut all: Vec<Mesh>) -> Mesh {
    let mut by = |key: fn(&Mesh) -> f64| {
        all.sort_by(|a, b| key(a).total_cmp(&key(b)));
        key(&all[all.len() / 2])
    };
    Mesh {
        time: by(|one| one.time),
        cpu: by(|one| one.cpu),
        memory: by(|one| one.memory),
        wire: by(|one| one.wire),
    }
}

/// A node of ours that does what `cluster_bench.erl` does.
fn node(name: &str) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let node = Node::builder(name)
            .cookie(COOKIE)
            .start()
            .await
            .expect("it starts");
        let mut events = node.monitor_nodes(NodeType::Visible);
        println!("ready {} {}", node.name().as_str(), std::process::id());
        while let Some(order) = order().await {
            let Some((peer, count)) = order.trim().split_once(' ') else {
                return;
            };
            node.ping(peer).await.expect("it answers");
            let count: usize = count.parse().expect("a count");
            while node.nodes(NodeType::Visible).len() < count {
                events.next().await;
            }
            println!("{}", node.nodes(NodeType::Visible).len());
        }
    });
}

/// Many nodes of ours, connected in a shape, in as few programs as can hold their descriptors.
fn many(shape: &str, count: usize) {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    // A node takes a descriptor, and so does each of its connections' ends.
    let each = peers(shape, count) + 1;
    let room = usize::try_from(limit).map_or(count, |limit| limit.saturating_sub(64) / each);
    let programs = count.div_ceil(room.max(1));
    let (sent, began) = (loopback(), Instant::now());
    let bounds = |number| number * count / programs;
    let mut parts: Vec<Part> = (0..programs)
        .map(|number| {
            let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
            command.args(["--share", shape, &count.to_string()]);
            command.args([bounds(number).to_string(), bounds(number + 1).to_string()]);
            Part::launch(command)
        })
        .collect();
    parts.iter_mut().for_each(Part::get_ready);
    let memory = |parts: &[Part]| {
        parts
            .iter()
            .map(|part| resident(&part.pid.to_string()))
            .sum::<u64>()
    };
    let (started, alone) = (began.elapsed(), memory(&parts));
    let began = Instant::now();
    parts.iter_mut().for_each(|part| part.tell("connect"));
    let ends: u64 = parts.iter_mut().map(Part::answer).sum();
    let connected = began.elapsed();
    let each = |bytes: u64| bytes / count as u64 / 1024;
    println!(
        "{shape} of {count} in {programs}: started in {started:.1?}, {} connections and all see all after {connected:.1?}; \
         memory a node {} KiB alone, {} KiB connected; {} KiB on the wire a node",
        ends / 2,
        each(alone),
        each(memory(&parts)),
        each(loopback().saturating_sub(sent)),
    );
}

/// How many others a node is connected to.
fn peers(shape: &str, count: usize) -> usize {
    if shape == "ring" { 2 } else { count - 1 }
}

/// A program that has some of the nodes of a shape. It starts them, connects them when it is told to, and says how many ends of connections they
/// have when each sees all that it should.
async fn share(shape: &str, count: usize, indices: Range<usize>) {
    // Every node knows where all listen, and connects to the earlier ones.
    let names = (0..count).map(|index| format!("n{index}"));
    let places: Vec<_> = names.zip(FIRST_PORT..).collect();
    let hosts = places.iter().fold(Table::new(), |hosts, (name, port)| {
        let address = SocketAddr::from(([127, 0, 0, 1], *port));
        hosts.node(name.parse().expect("a name"), "localhost", address)
    });
    let mut nodes = Vec::new();
    for (name, port) in &places[indices.clone()] {
        let node = Node::builder(format!("{name}@localhost"))
            .cookie(Cookie::new(COOKIE).expect("a cookie"))
            .hidden(shape == "ring")
            .resolver(hosts.clone())
            .listen_ports(*port..=*port);
        nodes.push(node.start().await.expect("a node"));
    }
    println!("ready {shape} {}", std::process::id());
    if order().await.is_none() {
        return;
    }
    let mut dialling = JoinSet::new();
    for (index, node) in indices.zip(&nodes) {
        let earlier = match shape {
            "ring" if index + 1 == count => vec![index - 1, 0],
            "ring" => index.checked_sub(1).into_iter().collect(),
            _ => (0..index).collect(),
        };
        let node = node.clone();
        dialling.spawn(async move {
            for other in earlier {
                node.connect(format!("n{other}@localhost"))
                    .await
                    .expect("a connection");
            }
        });
    }
    dialling.join_all().await;
    let expected = peers(shape, count);
    while !nodes
        .iter()
        .all(|node| node.nodes(NodeType::All).len() == expected)
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("{}", nodes.len() * expected);
    // Until it is ended: others may not be as far.
    while order().await.is_some() {}
}

/// Bytes of memory that a process holds.
fn resident(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    line.trim()
        .trim_end_matches("kB")
        .trim()
        .parse::<u64>()
        .unwrap_or_default()
        * 1024
}

/// Bytes that have gone over the loopback device of this network namespace.
fn loopback() -> u64 {
    let devices = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let line = devices
        .lines()
        .find_map(|line| line.trim().strip_prefix("lo:"))
        .unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|bytes| bytes.parse().ok())
        .unwrap_or_default()
}
