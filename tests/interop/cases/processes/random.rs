//! Processes of ours and of a BEAM node that link, monitor and spawn one another while they are killed.

use std::sync::{Arc, Mutex};

use beamnode::node::{ExitReason, Message, Process, SpawnOptions};
use beamnode::term;
use beamnode::term::{Atom, Pid, Term};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{node_of_ours, rand_seed};
use crate::inside::{Bed, LIMIT};

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The pids of those that may be linked with and monitored.
#[derive(Clone, Default)]
struct Crowd(Arc<Mutex<Vec<Pid>>>);

impl Crowd {
    fn any(&self, random: &mut SmallRng) -> Pid {
        let pids = self.0.lock().unwrap();
        pids[random.random_range(0..pids.len())].clone()
    }
}

/// Does a few things to others, at random, and ends.
async fn act(me: Process, crowd: Crowd, peer: Atom, mut random: SmallRng) -> Result<(), ExitReason> {
    me.trap_exit(random.random());
    let mut monitors = Vec::new();
    for _ in 0..random.random_range(0..10) {
        let other = crowd.any(&mut random);
        match random.random_range(0..8) {
            0 | 1 => me.link(&other).await,
            2 => me.unlink(&other),
            3 => monitors.push(me.monitor(&other).await),
            4 => monitors.push(me.monitor((Atom::from_static("restless"), peer.clone())).await),
            5 => {
                if let Some(monitor) = monitors.pop() {
                    me.demonitor_flush(&monitor);
                }
            }
            6 => {
                let options = SpawnOptions {
                    link: random.random(),
                    monitor: random.random(),
                    ..SpawnOptions::default()
                };
                let _ = me.spawn_on(&peer, ("erlang", "self"), [], options).await;
            }
            _ => tokio::task::yield_now().await,
        }
    }
    Err(Term::atom("done").into())
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

/// Whatever is killed at whatever moment of a link, monitor or spawn, nothing of it stays on either side. The seed is printed;
/// `BED_ROUNDS` makes it longer.
pub(crate) async fn killed_at_random(bed: Bed) {
    let (node, mut observer, alice, there) = node_of_ours(&bed).await;
    let seed = variable("BED_SEED").unwrap_or_else(rand_seed);
    bed.note(format!("BED_SEED={seed}")).await;
    let mut random = SmallRng::seed_from_u64(seed);
    node.module("brief").function("life", 0, async |_, _| {
        tokio::task::yield_now().await;
        Ok(Term::NIL)
    });
    let theirs = beamnode::etf::decode(alice.eval("restless:start()").await.bytes().to_vec()).unwrap();
    let Term::Pid(theirs) = theirs else {
        panic!("{theirs} is no pid")
    };
    let ours = node.spawn(last);
    let crowd = Crowd::default();
    crowd.0.lock().unwrap().extend([ours.clone(), theirs.clone()]);
    let own = node.name().clone();
    let killer = node.process();
    let mut started = Vec::new();
    for _ in 0..variable("BED_ROUNDS").unwrap_or(400) {
        let pid = if random.random() {
            let (crowd, peer) = (crowd.clone(), there.clone());
            let choices = SmallRng::seed_from_u64(random.random());
            node.spawn(|me| act(me, crowd, peer, choices))
        } else {
            let some: Vec<Term> = (0..4).map(|_| crowd.any(&mut random).into()).collect();
            let spawned = killer.spawn_on(
                &there,
                ("restless", "act"),
                [Term::from(some)],
                SpawnOptions::default(),
            );
            spawned.await.unwrap().pid
        };
        {
            let mut crowd = crowd.0.lock().unwrap();
            crowd.push(pid.clone());
            if crowd.len() > 40 {
                crowd.drain(2..20);
            }
        }
        started.push(pid.clone());
        let order = ["link", "unlink", "monitor"][random.random_range(0..3)];
        let one = if random.random() { &ours } else { &theirs };
        killer
            .send(one, term!({(Term::atom(order)), (pid.clone())}))
            .await
            .unwrap();
        if random.random_ratio(1, 4) {
            let spawn = (Term::atom("spawn"), own.clone());
            killer.send(&theirs, Term::from(spawn)).await.unwrap();
        }
        if random.random() {
            killer.exit_other(&pid, ExitReason::KILL).await.unwrap();
        }
    }
    drop(killer);
    for pid in started {
        let monitor = observer.monitor(&pid).await;
        let down = |message: &Message| {
            matches!(message, Message::Down(down) if down.reference == monitor).then_some(())
        };
        let told = observer.recv_select_timeout(LIMIT, down).await;
        told.unwrap_or_else(|error| panic!("{pid} does not end: {error}; BED_SEED={seed}"));
    }
    // What is on its way arrives.
    let settled = async {
        loop {
            node.ping(&there).await.unwrap();
            let held = alice.eval("restless:held()").await;
            let info = node.process_info(&ours).expect("it lasts");
            let nothing = info.links.is_empty() && info.monitors.is_empty() && info.monitored_by.is_empty();
            if nothing && held == "[{links,[]},{monitors,[]},{monitored_by,[]}]" {
                break;
            }
            println!("{held:?} {info:?}");
        }
    };
    if tokio::time::timeout(LIMIT, settled).await.is_err() {
        panic!("something is left; BED_SEED={seed}");
    }
    node.shutdown().await;
}
