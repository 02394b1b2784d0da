//! Links, monitors and spawns under fire: processes of two nodes in one program, on several threads, that link, unlink, monitor
//! and spawn while they are killed. Whatever crossed whatever, both sides agree afterwards, and nothing is pending.
//!
//! `BED_SEED` repeats the choices of a run, as far as threads allow; `BED_ROUNDS` makes it longer.

use std::sync::{Arc, Mutex};

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::tests::{lone, pair};
use super::*;
use crate::term;
use crate::term::Term;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The seed of this run, printed.
fn seed() -> u64 {
    let seed = variable("BED_SEED").unwrap_or_else(rand::random);
    println!("BED_SEED={seed}");
    seed
}

/// How often to try: `few`, or what `BED_ROUNDS` says.
fn rounds(few: u64) -> u64 {
    variable("BED_ROUNDS").unwrap_or(few)
}

/// Everything that was on its way between the two has arrived, and what came of it.
async fn settle(nodes: &[Node]) {
    for _ in 0..2 {
        for from in nodes {
            for to in nodes {
                from.ping(to.name()).await.unwrap();
            }
        }
    }
}

fn links(node: &Node, pid: &Pid) -> Vec<Pid> {
    node.process_info(pid).unwrap().links
}

/// Two processes link and unlink as they like, at the same time; in the end either both are linked or neither is.
async fn crossing(here: &Node, there: &Node, seed: u64) {
    let mut random = SmallRng::seed_from_u64(seed);
    let nodes = [here.clone(), there.clone()];
    for _ in 0..rounds(200) {
        let pair = [here.process(), there.process()];
        let pids = [pair[0].pid().clone(), pair[1].pid().clone()];
        let mut tasks = Vec::new();
        for (index, me) in pair.into_iter().enumerate() {
            me.trap_exit(true);
            let (other, mut random) = (pids[1 - index].clone(), SmallRng::seed_from_u64(random.random()));
            tasks.push(tokio::spawn(async move {
                for _ in 0..random.random_range(1..12) {
                    if random.random() {
                        me.link(&other).await;
                    } else {
                        me.unlink(&other);
                    }
                    if random.random_ratio(1, 4) {
                        tokio::task::yield_now().await;
                    }
                }
                me
            }));
        }
        let mut ended = Vec::new();
        for task in tasks {
            ended.push(task.await.unwrap());
        }
        settle(&nodes).await;
        let [one, other] = [links(here, &pids[0]), links(there, &pids[1])];
        assert_eq!(one.is_empty(), other.is_empty(), "seed {seed}: {one:?} {other:?}");
        for (node, pid) in nodes.iter().zip(&pids) {
            let [entries, ..] = node.cell(pid).unwrap().held();
            assert_eq!(entries, one.len(), "seed {seed}: an acknowledgement is missing");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn links_and_unlinks_that_cross_between_nodes_leave_both_of_one_mind() {
    let [a, b] = pair(["c", "c"]).await;
    crossing(&a, &b, seed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn links_and_unlinks_that_cross_on_one_node_leave_both_of_one_mind() {
    let node = lone().await;
    crossing(&node, &node, seed()).await;
}

/// The pids of those that may be linked with, monitored and killed.
#[derive(Clone, Default)]
struct Crowd(Arc<Mutex<Vec<Pid>>>);

impl Crowd {
    fn add(&self, pid: Pid) {
        self.0.lock().unwrap().push(pid);
    }

    fn any(&self, random: &mut SmallRng) -> Pid {
        let pids = self.0.lock().unwrap();
        pids[random.random_range(0..pids.len())].clone()
    }
}

/// Does a few things to others, at random, and ends.
async fn act(me: Process, crowd: Crowd, peers: [Atom; 2], mut random: SmallRng) -> Result<(), ExitReason> {
    me.trap_exit(random.random());
    let mut monitors = Vec::new();
    for _ in 0..random.random_range(0..10) {
        let other = crowd.any(&mut random);
        match random.random_range(0..11) {
            0 | 1 => me.link(&other).await,
            2 => me.unlink(&other),
            3 => monitors.push(me.monitor(&other).await),
            4 => monitors.push(
                me.monitor((Atom::from_static("lasting"), other.node().clone()))
                    .await,
            ),
            5 => {
                if let Some(monitor) = monitors.pop() {
                    me.demonitor_flush(&monitor);
                }
            }
            6 if other.id() > 40 => me.exit_other(&other, ExitReason::KILL).await?,
            7 => {
                let options = SpawnOptions {
                    link: random.random(),
                    monitor: random.random(),
                    ..SpawnOptions::default()
                };
                let peer = &peers[random.random_range(0..2)];
                let life = ["life", "moment"][random.random_range(0..2)];
                let _ = me.spawn_on(peer, ("brief", life), vec![], options).await;
            }
            8 | 9 => {
                let rpc = me.node().rpc(&peers[random.random_range(0..2)]);
                let life = ["life", "moment"][random.random_range(0..2)];
                let patience = random.random_range(0..20);
                tokio::select! {
                    biased;
                    result = rpc.call("brief", life, []) => drop(result),
                    () = async { for _ in 0..patience { tokio::task::yield_now().await } } => {}
                }
            }
            _ => tokio::task::yield_now().await,
        }
    }
    Err(Term::atom("done").into())
}

/// Processes act on one another and are killed while they do; a few that last are their targets, too, and link and monitor back.
/// When all others have ended, nothing is left of them.
async fn killing(nodes: [Node; 2], seed: u64) {
    let mut random = SmallRng::seed_from_u64(seed);
    let crowd = Crowd::default();
    let peers = [nodes[0].name().clone(), nodes[1].name().clone()];
    let mut lasting = Vec::new();
    for node in &nodes {
        node.module(Atom::from_static("brief"))
            .function("life", 0, async |_, _| {
                tokio::task::yield_now().await;
                Ok(Term::NIL)
            })
            .at_once("moment", 0, |_, _| Ok(Term::NIL));
        if node.whereis("lasting").is_none() {
            node.register("lasting", &node.spawn(last)).unwrap();
        }
        lasting.push((node.clone(), node.whereis("lasting").unwrap()));
    }
    for (_, pid) in &lasting {
        crowd.add(pid.clone());
    }
    settle(&nodes).await;
    let before: Vec<_> = nodes.iter().map(|node| node.processes().len()).collect();
    let killer = nodes[0].process();
    for round in 0..rounds(1000) {
        let node = &nodes[random.random_range(0..2)];
        let (crowd_too, peers, own) = (
            crowd.clone(),
            peers.clone(),
            SmallRng::seed_from_u64(random.random()),
        );
        let pid = node.spawn(|me| act(me, crowd_too, peers, own));
        crowd.add(pid.clone());
        if random.random() {
            let (_, lasting) = &lasting[random.random_range(0..2)];
            let order = ["link", "unlink", "monitor"][random.random_range(0..3)];
            killer
                .send(lasting, term!({(Term::atom(order)), (pid.clone())}))
                .await
                .unwrap();
        }
        for _ in 0..random.random_range(0..4) {
            tokio::task::yield_now().await;
        }
        if random.random() {
            killer.exit_other(&pid, ExitReason::KILL).await.unwrap();
        }
        if round % 64 == 0 {
            let mut pids = crowd.0.lock().unwrap();
            let old = pids.len().saturating_sub(40);
            pids.drain(2..old.max(2));
        }
    }
    drop(killer);
    // Everybody ends by themselves; what they left behind is settled once all have.
    let mut observer = nodes[0].process();
    loop {
        let others: Vec<Pid> = crowd.0.lock().unwrap().drain(2..).collect();
        if others.is_empty() {
            break;
        }
        for pid in others {
            let monitor = observer.monitor(&pid).await;
            observer
                .recv_select(|message| {
                    matches!(message, Message::Down(down) if down.reference == monitor).then_some(())
                })
                .await;
        }
    }
    drop(observer);
    let counts = || -> Vec<_> { nodes.iter().map(|node| node.processes().len()).collect() };
    let quiet = async {
        loop {
            settle(&nodes).await;
            let mut left = Vec::new();
            for (node, pid) in &lasting {
                left.push(node.cell(pid).expect("it lasts").held());
            }
            let attached: Vec<_> = nodes
                .iter()
                .flat_map(|node| node.0.connections.all(NodeType::All))
                .map(|connection| connection.held())
                .collect();
            if counts() == before
                && left.iter().all(|held| *held == [0; 4])
                && attached.iter().all(|held| held[1..] == [0; 2])
            {
                break;
            }
            println!("{left:?} {attached:?} {:?}, of {before:?}", counts());
            tokio::task::yield_now().await;
        }
    };
    // Short-lived ones that were spawned last may be at their last breath.
    tokio::time::timeout(Duration::from_secs(60), quiet)
        .await
        .unwrap_or_else(|_| panic!("seed {seed}: something is left"));
}

/// Links, unlinks and monitors as it is told, and survives everything.
async fn last(mut me: Process) -> Result<(), ExitReason> {
    me.trap_exit(true);
    while let Some(message) = me.recv().await {
        if let Message::Term(raw) = &message
            && let Some([Term::Atom(order), Term::Pid(pid)]) =
                raw.decode()?.as_tuple().and_then(|tuple| tuple.array())
        {
            match order.as_str() {
                "link" => me.link(&pid).await,
                "unlink" => me.unlink(&pid),
                _ => drop(me.monitor(&pid).await),
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_at_any_moment_between_nodes_leaves_nothing_pending() {
    killing(pair(["c", "c"]).await, seed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_at_any_moment_on_one_node_leaves_nothing_pending() {
    let node = lone().await;
    killing([node.clone(), node], seed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_process_that_ends_at_once_is_told_of_first() {
    for [here, there] in [pair(["c", "c"]).await, {
        let node = lone().await;
        [node.clone(), node]
    }] {
        let module = there.module(Atom::from_static("brief"));
        module.function("life", 0, async |_, _| Ok(Term::NIL));
        module.at_once("moment", 0, |_, _| Ok(Term::NIL));
        let mut me = here.process();
        for round in 0..rounds(1000) {
            let brief = ("brief", if round % 2 == 0 { "life" } else { "moment" });
            let options = SpawnOptions::monitored();
            let spawned = me.spawn_on(there.name(), brief, vec![], options).await.unwrap();
            let monitor = spawned.monitor.unwrap();
            let down = |message: &Message| {
                matches!(message, Message::Down(down) if down.reference == monitor).then_some(())
            };
            // One that came before its process was known would be dropped.
            let told = me.recv_select_timeout(Duration::from_secs(60), down).await;
            told.unwrap();
        }
    }
}
