//! What daemons grant to another host's peers: answers to questions, and nothing else.

use tokio::net::lookup_host;

use super::{
    Daemon, Inventor, PID_OF_EPMD, known_scripts, packet, place_ours, seed, send,
    twins::{self, Step},
};
use crate::inside::Bed;

/// Where nodes listen, so that two daemons say the same of them.
const NODE_PORT: &str = "9100";

/// Stock's daemon on one host and ours on another, each with a node: asked from a third host they do the same. Neither
/// registers, stops, dumps or ends for it, though they are told to be relaxed.
pub(crate) async fn remote_peers(bed: Bed) {
    let ours = place_ours(&bed, "b").await;
    let seed = seed();
    for relaxed in ["", "-relaxed_command_check"] {
        let mut nodes = Vec::new();
        let mut daemons = Vec::new();
        for (host, program) in [("a", "epmd"), ("b", &*ours)] {
            let started = bed
                .run(host, &["sh", "-c", &format!("{program} -daemon {relaxed}")])
                .await;
            assert_eq!(started.code, Some(0), "{started:?}");
            let ports = [
                "-kernel",
                "inet_dist_listen_min",
                NODE_PORT,
                "inet_dist_listen_max",
                NODE_PORT,
            ];
            nodes.push(bed.erl("alice", host).arguments(&ports).start().await);
            let mut addresses = lookup_host((host, 4369)).await.expect("the host is known");
            daemons.push(Daemon::elsewhere(addresses.next().expect("an address")));
        }
        let compared = tokio::task::spawn_blocking(move || {
            let (mut ours, mut stock) = (daemons.pop().expect("two"), daemons.pop().expect("two"));
            for (title, script) in known_scripts().into_iter().chain(forbidden()) {
                twins::compare(&format!("{title} {relaxed}"), &mut stock, &mut ours, &script);
            }
            let script = Inventor::new(seed).script(60);
            twins::compare(&format!("seed {seed} {relaxed}"), &mut stock, &mut ours, &script);
        });
        compared.await.expect("the twins are alike");
        // Both are still there, with their node.
        for node in &nodes {
            let names = format!("{{ok,[{{\"alice\",{NODE_PORT}}}]}}");
            assert_eq!(node.eval("erl_epmd:names()").await, names);
        }
        for node in nodes {
            node.kill().await;
            let end = format!(
                "for pid in $({PID_OF_EPMD}); do kill -KILL $pid; while kill -0 $pid 2>/dev/null; do sleep 0.02; done; done"
            );
            assert_eq!(bed.run(node.host(), &["sh", "-c", &end]).await.code, Some(0));
        }
    }
}

/// What only a host's own processes may ask for, with questions between that are answered.
fn forbidden() -> Vec<(&'static str, Vec<Step>)> {
    let asked = |title, body: &[u8]| {
        let script = vec![
            send('a', packet(body)),
            send('b', packet(b"zalice")),
            send('c', packet(b"n")),
        ];
        (title, script)
    };
    vec![
        asked("kill from afar", b"k"),
        asked("stop from afar", b"salice"),
        asked("dump from afar", b"d"),
        asked("registration from afar", b"x\x11\x92M\0\0\x06\0\x05\0\x03bob\0\0"),
    ]
}
