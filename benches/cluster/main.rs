//! Many nodes of ours in one program: a ring of hidden links, and a full mesh. Printed are the time until all see all, the memory and
//! the bytes on the wire a node.
//!
//! `cargo bench --bench cluster -- ring 1000`, `-- mesh 100`. Without arguments: a ring of 100 and a mesh of 30.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use beamnode::dist::Cookie;
use beamnode::epmd::resolver::Table;
use beamnode::node::{Node, NodeType};
use tokio::task::JoinSet;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match arguments.as_slice() {
        [shape, count] => runtime.block_on(run(shape, count.parse().expect("a number of nodes"))),
        _ => {
            runtime.block_on(run("ring", 100));
            runtime.block_on(run("mesh", 30));
        }
    }
}

async fn run(shape: &str, count: usize) {
    let (memory, sent, began) = (resident(), loopback(), Instant::now());
    // Every node knows where the earlier ones listen, and connects to those.
    let mut hosts = Table::new();
    let mut nodes = Vec::new();
    for index in 0..count {
        let name = format!("n{index}");
        let node = Node::builder(format!("{name}@localhost"))
            .cookie(Cookie::new("bench").expect("a cookie"))
            .hidden(shape == "ring")
            .resolver(hosts.clone())
            .start()
            .await
            .expect("a node");
        let address = SocketAddr::from(([127, 0, 0, 1], node.port().expect("it listens")));
        hosts = hosts.node(name.parse().expect("a name"), "localhost", address);
        nodes.push(node);
    }
    let started = began.elapsed();
    let (alone, began) = (resident(), Instant::now());
    let expected = if shape == "ring" { 2 } else { count - 1 };
    let mut dialling = JoinSet::new();
    for (index, node) in nodes.iter().enumerate() {
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
    while !nodes
        .iter()
        .all(|node| node.nodes(NodeType::All).len() == expected)
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let connected = began.elapsed();
    let links = if shape == "ring" {
        count
    } else {
        count * (count - 1) / 2
    };
    let each = |bytes: u64| bytes / count as u64 / 1024;
    println!(
        "{shape} of {count}: started in {started:.1?}, {links} connections and all see all after {connected:.1?}; \
         memory a node {} KiB alone, {} KiB connected; {} KiB on the wire a node",
        each(alone.saturating_sub(memory)),
        each(resident().saturating_sub(memory)),
        each(loopback().saturating_sub(sent)),
    );
    for node in nodes {
        node.shutdown().await;
    }
}

/// Bytes of memory that this program holds.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
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
