//! What has ended leaves nothing: many calls, short processes, links and monitors between two nodes, and the memory that is in use
//! after them beside that before.
//!
//!     MEMORY_ROUNDS=1000000 cargo test --release --test memory

use std::alloc::System;
use std::net::SocketAddr;
use std::time::Duration;

use beamnode::epmd::resolver::Table;
use beamnode::node::{ExitReason, Node, Process, SpawnOptions};
use beamnode::otp::{Caller, Context, GenServer};
use beamnode::term::{Pid, Term};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How much more may be in use: buffers and tables that happen to be larger just then, and not a byte for each round.
const SLACK: usize = 64 << 10;
const MINUTE: Duration = Duration::from_secs(60);

struct Echo;

impl GenServer for Echo {
    async fn call(&mut self, _: &mut Context, request: Term, _: &Caller) -> Result<Option<Term>, ExitReason> {
        Ok(Some(request))
    }
}

/// How often each is done.
fn rounds() -> usize {
    let set = std::env::var("MEMORY_ROUNDS").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(5_000)
}

fn in_use() -> usize {
    let stats = MEMORY.stats();
    stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated)
}

/// Two nodes that know of one another.
async fn pair() -> (Node, Node) {
    let node = |name: &str, hosts: Table| {
        Node::builder(format!("{name}@localhost"))
            .cookie("memory")
            .hidden(true)
            .resolver(hosts)
            .start()
    };
    let server = node("server", Table::new()).await.expect("a node");
    let address = SocketAddr::from(([127, 0, 0, 1], server.port().expect("it listens")));
    let hosts = Table::new().node("server".parse().expect("a name"), "localhost", address);
    let client = node("client", hosts).await.expect("a node");
    (client, server)
}

async fn call(me: &mut Process, server: &Pid) {
    let answer = me.call(server.clone(), Term::atom("hello"), MINUTE).await;
    assert_eq!(answer.expect("an answer"), Term::atom("hello"));
}

/// Does something often, a tenth of it before the memory is looked at.
async fn flat(what: &str, me: &mut Process, server: &Pid, mut round: impl AsyncFnMut(&mut Process)) {
    let rounds = rounds();
    for _ in 0..rounds / 10 {
        round(me).await;
    }
    call(me, server).await;
    let before = in_use();
    for index in 0..rounds {
        round(me).await;
        if index % 100 == 0 {
            call(me, server).await;
        }
    }
    // Answered when all that came before it has been seen to.
    call(me, server).await;
    let more = in_use().saturating_sub(before);
    println!("{what}: {rounds} times, {more} bytes more in use");
    assert!(
        more <= SLACK,
        "{what}: {more} bytes more in use after {rounds} times"
    );
}

#[tokio::test]
async fn nothing_is_left_of_what_has_ended() {
    let (client, peer) = pair().await;
    let server = peer.start_server("echo", Echo).expect("the name is free");

    let to = peer.name().to_string();
    let mut me = client.process();
    me.trap_exit(true);

    flat("calls of a server", &mut me, &server, async |me| {
        call(me, &server).await;
    })
    .await;
    flat("rpc", &mut me, &server, async |_| {
        let answer = client.rpc(&to).call("erlang", "is_alive", []).await;
        assert_eq!(answer.expect("a value"), Term::from(true));
    })
    .await;
    flat("monitors taken back", &mut me, &server, async |me| {
        let reference = me.monitor(&server).await;
        assert!(me.demonitor(&reference));
    })
    .await;
    flat("links taken back", &mut me, &server, async |me| {
        me.link(&server).await;
        me.unlink(&server);
    })
    .await;
    for (what, options) in [
        ("processes over there, linked", SpawnOptions::linked()),
        ("processes over there, monitored", SpawnOptions::monitored()),
    ] {
        flat(what, &mut me, &server, async |me| {
            let spawned = me
                .spawn_on(&to, ("erlang", "is_alive"), [], options.clone())
                .await;
            spawned.expect("a process");
            me.recv().await.expect("its end");
        })
        .await;
    }
    flat("processes here", &mut me, &server, async |me| {
        me.spawn_monitor(async |_| Ok(()));
        me.recv().await.expect("its end");
    })
    .await;
}
