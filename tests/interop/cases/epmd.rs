//! EPMD: our daemon in the place of theirs, our client with theirs, nodes of both kinds through the death of either, nodes
//! without any. The judged are our daemon and our client, so no BEAM node plays their part.

mod commands;
mod inet6;
mod installed;
mod pace;
mod remote;
mod twins;

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use beamnode::{
    dist::Cookie,
    epmd::{
        Client, ClientError, Keeper, Name, NodeType, Registrant,
        resolver::{FixedPort, Table},
    },
    node::{self, Node, NodeEvent},
    term::Atom,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    time::timeout,
};

use self::twins::{Daemon, Inventor, Step};
pub(crate) use self::{
    commands::commands, inet6::inet6, installed::installed, pace::pace, remote::remote_peers,
};
use super::ping;
use crate::inside::{BEAMNODE, Bed, COOKIE, LIMIT, epmd};

/// Random scripts that the twins are taken through, and the steps in each.
const SCRIPTS: usize = 12;
const STEPS: usize = 40;

/// Within these, nodes are back under their names once EPMD is: they look for it every two seconds.
const SECONDS: Duration = Duration::from_secs(10);

/// What the shell of a host calls for the process of the EPMD there, ours or theirs.
const PID_OF_EPMD: &str = "grep -lx epmd /proc/[0-9]*/comm | cut -d/ -f3";

/// Our daemon and stock's, told the same, do the same.
pub(crate) async fn twins(bed: Bed) {
    let stock = stock_program(&bed).await;
    let seed = seed();
    let compared = tokio::task::spawn_blocking(move || {
        let ours = our_program();
        for relaxed in [&[][..], &["-relaxed_command_check"]] {
            let (mut stock, mut ours) = (Daemon::start(&stock, relaxed), Daemon::start(&ours, relaxed));
            for (title, script) in known_scripts() {
                twins::compare(&format!("{title} {relaxed:?}"), &mut stock, &mut ours, &script);
            }
            let mut inventor = Inventor::new(seed);
            for number in 1..=SCRIPTS {
                let title = format!("script {number} of seed {seed} {relaxed:?}");
                twins::compare(&title, &mut stock, &mut ours, &inventor.script(STEPS));
            }
            assert_eq!(twins::creations(&stock), twins::creations(&ours));
            let small = [&stock, &ours].map(twins::small_creations);
            assert_eq!(
                small[0].windows(2).map(step_of_three).collect::<Vec<_>>(),
                [1; 6],
                "{small:?}"
            );
            assert_eq!(
                small[1].windows(2).map(step_of_three).collect::<Vec<_>>(),
                [1; 6],
                "{small:?}"
            );
            // Refused while a node lives, unless relaxed; granted afterwards. Either way the daemon is asked once more.
            let kill = [send('a', alive(b"last")), send('b', packet(b"k")), close('a')];
            if relaxed.is_empty() {
                twins::compare("kill with a node", &mut stock, &mut ours, &kill);
            }
            twins::compare("kill", &mut stock, &mut ours, &[send('k', packet(b"kk"))]);
            for daemon in [&mut stock, &mut ours] {
                daemon.await_end();
            }
        }
        // Of names that have gone the latest are remembered, and fewer by a daemon that is debugged.
        for (arguments, gone) in [(&[][..], 1010), (&["-d"], 10)] {
            let (mut stock, mut ours) = (Daemon::start(&stock, arguments), Daemon::start(&ours, arguments));
            let script = [
                Step::Pass(gone),
                send('a', alive(b"alice")),
                send('d', packet(b"d")),
                Step::Pass(gone / 2),
                send('e', packet(b"d")),
            ];
            twins::compare(
                &format!("{gone} names gone {arguments:?}"),
                &mut stock,
                &mut ours,
                &script,
            );
        }
    });
    compared.await.expect("the twins are alike");
}

/// How far it is from one creation of three to the next.
fn step_of_three(creations: &[u8]) -> u8 {
    (creations[1] + 3 - creations[0]) % 3
}

/// Every kind of request that daemons are known to treat in a way of its own.
fn known_scripts() -> Vec<(&'static str, Vec<Step>)> {
    let long = |character: &str, times| character.repeat(times).into_bytes();
    let lookup = |name: &[u8]| packet(&[b"z", name].concat());
    let mut scripts = vec![
        (
            "register, find, list, dump, let go",
            vec![
                send('a', alive(b"alice")),
                send('b', alive_with(b"bob", 5, b"extra", b"")),
                send('c', packet(b"n")),
                send('d', lookup(b"alice")),
                send('e', lookup(b"bob")),
                send('f', lookup(b"carol")),
                close('a'),
                send('g', packet(b"n")),
                send('h', packet(b"d")),
                send('i', lookup(b"alice")),
                send('j', alive(b"alice")),
            ],
        ),
        (
            "a name that is taken",
            vec![
                send('a', alive(b"alice")),
                send('b', alive(b"alice")),
                send('c', alive_with(b"alice", 5, b"", b"")),
                close('a'),
                // Those that were refused stay refused.
                send('d', packet(b"n")),
                send('b', b"more".to_vec()),
            ],
        ),
        (
            "bytes on a connection that holds a name",
            vec![
                send('a', alive(b"alice")),
                send('a', packet(b"n")),
                send('b', packet(b"n")),
            ],
        ),
        (
            "half-closed connections",
            vec![
                send('a', alive(b"alice")),
                Step::Finish('a'),
                send('b', packet(b"n")),
                Step::Send('c', vec![b"\0\x04z".to_vec()]),
                Step::Finish('c'),
            ],
        ),
        (
            "names that have gone and come back",
            (0..5)
                .flat_map(|_| [send('a', alive(b"alice")), close('a')])
                .chain([send('d', packet(b"d"))])
                .collect(),
        ),
    ];
    let mut single = |title, bytes: Vec<u8>| {
        // Each with a look at what is registered after it.
        scripts.push((
            title,
            vec![send('a', bytes), send('n', packet(b"n")), send('d', packet(b"d"))],
        ));
    };
    single("length 0", b"\0\0".to_vec());
    single("length 3058", [&3058_u16.to_be_bytes()[..], b"n"].concat());
    single("length 65535", b"\xff\xffn".to_vec());
    single("more than the length says", b"\0\x01nn".to_vec());
    single("two requests at once", [packet(b"n"), packet(b"n")].concat());
    single("an unknown request", packet(b"q"));
    single("the old ALIVE", packet(b"a\x11\x92alice"));
    single("names, and more", packet(b"nothing"));
    single("registration: no name", alive(b""));
    single(
        "registration: no name, and bytes behind",
        alive_with(b"", 6, b"", b"x"),
    );
    single("registration: too short", packet(b"x\x11\x92M\0"));
    single("registration: NUL in the name", alive(b"al\0ice"));
    single("registration: not UTF-8", alive(b"al\xffice"));
    single("registration: a surrogate", alive(b"\xed\xa0\x80"));
    single("registration: blanks and @", alive(b"a b@c"));
    single("registration: a line end", alive(b"a\nb"));
    single(
        "registration: bytes behind",
        alive_with(b"alice", 6, b"", b"tail"),
    );
    single(
        "registration: name longer than the packet",
        packet(b"x\x11\x92M\0\0\x06\0\x05\0\x06alice\0\0"),
    );
    single(
        "registration: extra longer than the packet",
        packet(b"x\x11\x92M\0\0\x06\0\x05\0\x05alice\0\x01"),
    );
    for version in [0, 5, 6, 7] {
        single("registration: versions", alive_with(b"alice", version, b"", b""));
    }
    for length in [254, 255, 256, 1020, 1021] {
        single("registration: long names", alive(&long("x", length)));
        single("look-up: long names", lookup(&long("x", length)));
    }
    for length in [254, 255, 256, 510] {
        single(
            "registration: long names of two bytes a character",
            alive(&long("é", length)),
        );
        single(
            "look-up: long names of two bytes a character",
            lookup(&long("é", length)),
        );
    }
    for length in [1020, 1021, 2000] {
        single(
            "registration: long extra fields",
            alive_with(b"alice", 6, &long("e", length), b""),
        );
    }
    for name in [&b""[..], b"\0", b"alice\0", b"alice\0\0", b"al\0ice", b"\xff"] {
        single("look-up: endings", lookup(name));
        single("stop", packet(&[b"s", name].concat()));
    }
    scripts.push((
        "the longest name is registered and cannot be looked up",
        vec![
            send('a', alive(&long("x", 255))),
            send('b', lookup(&long("x", 255))),
            send('c', packet(b"n")),
        ],
    ));
    scripts.push((
        "stop",
        vec![
            send('a', alive(b"alice")),
            send('b', packet(b"salice")),
            send('c', packet(b"n")),
            send('d', packet(b"salice\0rest")),
            send('e', packet(b"d")),
        ],
    ));
    let in_pieces = |bytes: Vec<u8>| bytes.into_iter().map(|byte| vec![byte]).collect();
    scripts.push((
        "one request in many pieces",
        vec![
            Step::Send('a', in_pieces(alive(b"alice"))),
            Step::Send('b', in_pieces(lookup(b"alice"))),
            // What comes behind a request on a connection that then holds a name ends it.
            Step::Send(
                'c',
                vec![alive(b"bob")[..5].to_vec(), [&alive(b"bob")[5..], b"zz"].concat()],
            ),
            Step::Send('d', vec![b"\0\x01".to_vec(), b"nnnn".to_vec()]),
            send('e', packet(b"n")),
        ],
    ));
    scripts
}

/// Our daemon where `erl` and `iex` look for theirs: they start it, are found, collide and let go.
pub(crate) async fn in_place(bed: Bed) {
    let epmd = place_ours(&bed, "a").await;
    let command = format!("{epmd} -daemon");
    let start = async || {
        bed.erl("alice", "a")
            .arguments(&["-epmd", &command])
            .start()
            .await
    };
    let alice = start().await;
    let running = bed
        .run(
            "a",
            &[
                "sh",
                "-c",
                &format!("tr '\\0' ' ' < /proc/$({PID_OF_EPMD})/cmdline"),
            ],
        )
        .await;
    assert!(
        running.stdout.contains("-detached"),
        "it is ours that runs: {running:?}"
    );

    // Another, by iex.
    bed.require_elixir("a").await;
    let iex = format!(
        "ERL_AFLAGS='-epmd \"{command}\"' iex --sname bob -e ':erl_epmd.names() |> IO.inspect(); System.halt()' </dev/null"
    );
    let bob = bed.run("a", &["sh", "-c", &iex]).await;
    assert!(
        bob.stdout.contains("'alice'") || bob.stdout.contains("~c\"alice\""),
        "{bob:?}"
    );
    assert!(
        bob.stdout.contains("'bob'") || bob.stdout.contains("~c\"bob\""),
        "{bob:?}"
    );

    // Who asks: the node itself, another host's, stock's program, ours.
    let port = epmd::port("a", "alice").await.expect("alice is registered");
    let names = format!("{{ok,[{{\"alice\",{port}}}]}}");
    assert_eq!(alice.eval("erl_epmd:names()").await, names);
    let carol = bed.erl("carol", "b").start().await;
    assert_eq!(carol.eval("net_adm:names('a')").await, names);
    assert_eq!(ping::ping(&carol, alice.node()).await, "pong");
    let listing = format!("epmd: up and running on port 4369 with data:\nname alice at port {port}\n");
    let stock = bed.run("a", &["epmd", "-names"]).await;
    assert_eq!((stock.code, &stock.stdout), (Some(0), &listing));
    let ours = bed.run("a", &[&epmd, "-names"]).await;
    assert_eq!((ours.code, &ours.stdout), (Some(0), &listing));
    let remote = bed.beamnode(&["names", "a"]).await;
    assert_eq!((remote.code, &remote.stdout), (Some(0), &listing));

    // A second alice is not let in, and the first is none the worse for it.
    let second = bed
        .run(
            "a",
            &[
                "erl", "-noinput", "-sname", "alice", "-epmd", &command, "-s", "init", "stop",
            ],
        )
        .await;
    assert_ne!(second.code, Some(0), "{second:?}");
    let said = second.stdout + &second.stderr;
    assert!(
        said.contains("seems to be in use by another Erlang node"),
        "{said}"
    );
    let iex = iex.replace("--sname bob", "--sname alice");
    let second = bed.run("a", &["sh", "-c", &iex]).await;
    let said = second.stdout + &second.stderr;
    assert!(
        said.contains("seems to be in use by another Erlang node") && !said.contains("'alice'"),
        "{said}"
    );
    let creation = alice.eval("erlang:system_info(creation)").await;

    // She goes, and the name is free at once, with another creation.
    alice.kill().await;
    let alice = start().await;
    assert_ne!(
        alice.eval("erlang:system_info(creation)").await.text(),
        creation.text()
    );
    let kill = bed.run("a", &["epmd", "-kill"]).await;
    assert_eq!(kill.stdout, "Killing not allowed - living nodes in database.\n");
}

/// Our client with stock's daemon: each operation.
pub(crate) async fn client_of_stock(bed: Bed) {
    let name = |name: &str| Name::new(name).expect("a name");
    if bed.has_hosts() {
        // On another host one may ask, and nothing more.
        let alice = bed.erl("alice", "a").start().await;
        let port = epmd::port("a", "alice").await.expect("alice is registered");
        let there = Client::new("a");
        let found = there
            .lookup(&name("alice"))
            .await
            .expect("an answer")
            .expect("alice");
        assert_eq!(
            (found.port, found.node_type, found.highest_version),
            (port, NodeType::Visible, 6)
        );
        let theirs = bed.run("a", &["epmd", "-names"]).await;
        assert_eq!(bed.beamnode(&["names", "a"]).await.stdout, theirs.stdout);
        let refused = there.register(&Registrant::new(name("bob"), 1)).await;
        assert!(matches!(refused, Err(ClientError::Closed { .. })), "{refused:?}");
        assert!(matches!(there.kill().await, Err(ClientError::Closed { .. })));
        drop(alice);
    }

    let stock = stock_program(&bed).await;
    let mut daemon = Daemon::start(&stock, &[]);
    let client = Client::at(daemon.address());
    let mut bob = Registrant::new(name("bob"), 4711);
    bob.extra = (&b"extra"[..]).into();
    let mut held = client.register(&bob).await.expect("bob is registered");
    assert!(held.creation() >= 4);
    assert_eq!(
        client.lookup(&name("bob")).await.expect("an answer"),
        Some(bob.clone())
    );
    assert_eq!(client.lookup(&name("carol")).await.expect("an answer"), None);
    let names = client.names().await.expect("an answer");
    assert_eq!(names.epmd_port, daemon.address().port());
    assert_eq!(
        names
            .names
            .iter()
            .map(|entry| (entry.name.as_str(), entry.port))
            .collect::<Vec<_>>(),
        [("bob", 4711)]
    );
    let (_, dump) = client.dump().await.expect("an answer");
    assert!(dump.starts_with(b"active name     <bob> at port 4711, fd = "));
    assert!(matches!(
        client.register(&bob).await,
        Err(ClientError::NameRefused { result: 1, .. })
    ));
    assert!(matches!(client.kill().await, Err(ClientError::LivingNodes)));
    assert!(matches!(
        client.stop(&name("bob")).await,
        Err(ClientError::Closed { .. })
    ));
    daemon.kill();
    timeout(LIMIT, held.lost()).await.expect("its end is noticed");
    assert!(matches!(
        client.names().await,
        Err(ClientError::NotRunning { .. })
    ));

    let mut daemon = Daemon::start(&stock, &["-relaxed_command_check"]);
    let client = Client::at(daemon.address());
    let mut held = client.register(&bob).await.expect("bob is registered");
    assert!(client.stop(&name("bob")).await.expect("an answer"));
    timeout(LIMIT, held.lost()).await.expect("its end is noticed");
    assert!(!client.stop(&name("bob")).await.expect("an answer"));
    client.kill().await.expect("granted");
    daemon.await_end();
}

/// A real node, through the death and return of stock's daemon and then of ours.
pub(crate) async fn beam_outlives(bed: Bed) {
    if bed.release() < 25 {
        // It takes the end of its connection for granted, whoever the daemon was.
        return bed
            .note("a BEAM node does not register again when EPMD is back: not tried")
            .await;
    }
    let ours = place_ours(&bed, "a").await;
    let alice = bed.erl("alice", "a").start().await;
    let port = epmd::port("a", "alice").await;
    assert!(port.is_some());
    // The port is free once the process is gone.
    let kill = format!(
        "for pid in $({PID_OF_EPMD}); do kill -KILL $pid; while kill -0 $pid 2>/dev/null; do sleep 0.02; done; done"
    );
    for program in ["epmd", &ours, "epmd"] {
        let killed = bed.run("a", &["sh", "-c", &kill]).await;
        assert_eq!(killed.code, Some(0), "{killed:?}");
        assert_eq!(epmd::port("a", "alice").await, None);
        let started = bed.run("a", &[program, "-daemon"]).await;
        assert_eq!(started.code, Some(0), "{started:?}");
        let back = Instant::now();
        assert_eq!(epmd::await_port("a", "alice").await, port);
        assert!(back.elapsed() < SECONDS, "{:?}", back.elapsed());
    }
    assert_eq!(alice.eval("node()").await, "alice@a");
}

/// A Rust node, through the death and return of stock's daemon and then of ours.
pub(crate) async fn rust_outlives(bed: Bed) {
    let (stock, ours) = (stock_program(&bed).await, our_program());
    let mut daemon = Daemon::start(&stock, &[]);
    let port = daemon.address().port();
    let client = Client::at(daemon.address());
    let name = |name: &str| Name::new(name).expect("a name");

    // The whole node as a user starts it, and the part of it that keeps it registered.
    let host = bed.rust_host_name().to_owned();
    let mut node = Command::new(BEAMNODE)
        .args(["node", "--sname", &format!("keeper@{host}"), "--cookie", COOKIE])
        .env("ERL_EPMD_PORT", port.to_string())
        .env("RUST_LOG", "info")
        .env("NO_COLOR", "1")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a node");
    let mut log = BufReader::new(node.stderr.take().expect("a pipe")).lines();
    let mut logged = async |words: &str| {
        let line = async {
            while let Ok(Some(line)) = log.next_line().await {
                if line.contains(words) {
                    return;
                }
            }
            panic!("the node has ended");
        };
        timeout(LIMIT, line)
            .await
            .unwrap_or_else(|_| panic!("it does not log {words:?}"));
    };
    let registered = async || {
        let found = client.lookup(&name("keeper")).await.ok().flatten();
        let kept = client.lookup(&name("kept")).await.ok().flatten();
        Some((found?.port, kept?.port))
    };
    let back = async || {
        let found = async {
            loop {
                match registered().await {
                    Some(ports) => return ports,
                    None => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        timeout(LIMIT, found).await.expect("back within seconds")
    };
    // The daemon is there before the node asks for it: twins start listening.
    let keeper = Keeper::start(client.clone(), Registrant::new(name("kept"), 4711))
        .await
        .expect("registered");
    let before = back().await;
    for program in [&stock, &ours, &ours, &stock] {
        daemon.kill();
        assert!(matches!(
            client.names().await,
            Err(ClientError::NotRunning { .. })
        ));
        logged("lost the registration with EPMD").await;
        daemon = Daemon::start_on(program, &[], port);
        let since = Instant::now();
        assert_eq!(back().await, before);
        assert!(since.elapsed() < SECONDS, "{:?}", since.elapsed());
        logged("registered with EPMD again").await;
    }
    assert!(keeper.is_registered());
    assert!(matches!(node.try_wait(), Ok(None)), "the node still runs");
}

/// Nodes of both kinds without any EPMD, on one port that all know; each finds the other.
pub(crate) async fn without_any(bed: Bed) {
    let port = 14_369;
    let builder = Node::short("rust").cookie(Cookie::new(COOKIE).expect("a cookie"));
    let rust = builder
        .resolver(FixedPort::new(port))
        .start()
        .await
        .expect("the node starts");
    let erl = |alive: &str, host: &str| {
        let port = port.to_string();
        bed.erl(alive, host)
            .arguments(&["-start_epmd", "false", "-erl_epmd_port", &port])
    };
    let (alice, bob) = (erl("alice", "a").start().await, erl("bob", "b").start().await);
    for host in ["a", "b"] {
        let none = bed.run(host, &["sh", "-c", PID_OF_EPMD]).await;
        assert_eq!(none.stdout, "", "no EPMD runs on {host}");
    }
    let atom = Atom::new(alice.node()).expect("an atom");
    rust.ping(&atom).await.expect("pong");
    assert_eq!(ping::ping(&bob, rust.name().as_str()).await, "pong");
    assert_eq!(ping::ping(&bob, alice.node()).await, "pong");
    rust.shutdown().await;

    // The same by our command: one that asks, and one that stays.
    let port = port.to_string();
    let asked = bed
        .beamnode(&["ping", "--cookie", COOKIE, "--erl-epmd-port", &port, alice.node()])
        .await;
    assert_eq!(
        (asked.code, asked.stdout.as_str()),
        (Some(0), "pong\n"),
        "{asked:?}"
    );
    let mut node = Command::new(BEAMNODE)
        .args([
            "node",
            "--sname",
            "stays",
            "--cookie",
            COOKIE,
            "--erl-epmd-port",
            &port,
        ])
        .kill_on_drop(true)
        .spawn()
        .expect("a node");
    let listens = async {
        while tokio::net::TcpStream::connect(("localhost", 14_369))
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, listens).await.expect("it listens");
    assert_eq!(ping::ping(&bob, "stays@rust").await, "pong");
    assert!(matches!(node.try_wait(), Ok(None)));
    let none = bed.run("rust", &["sh", "-c", PID_OF_EPMD]).await;
    assert_eq!(none.stdout, "", "no EPMD runs here either");
}

/// Our side by a list of nodes instead of EPMD, and ports to listen on that a firewall lets through on both.
pub(crate) async fn table_and_ports(bed: Bed) {
    let ports = [
        "-kernel",
        "inet_dist_listen_min",
        "9100",
        "inet_dist_listen_max",
        "9100",
    ];
    let alice = bed
        .erl("alice", "a")
        .arguments(&["-epmd_module", "bed_epmd"])
        .arguments(&ports)
        .start()
        .await;
    let address = |host| async move {
        let found = tokio::net::lookup_host((host, 9100))
            .await
            .expect("the host is known");
        found.into_iter().next().expect("an address")
    };
    let name = Name::new("alice").expect("a name");
    let table = Table::new().node(name, "a", address("a").await);
    // The first of its ports is taken.
    let _taken = tokio::net::TcpListener::bind(("0.0.0.0", 9100))
        .await
        .expect("a port");
    let rust = Node::short("rust")
        .cookie(Cookie::new(COOKIE).expect("a cookie"))
        .listen_ports(9100..=9101)
        .resolver(table)
        .start()
        .await
        .expect("the node starts");
    let mut events = rust.monitor_nodes(node::NodeType::All);
    alice.eval("bed_epmd:route(\"rust\", \"rust\", 9101)").await;
    assert_eq!(ping::ping(&alice, rust.name().as_str()).await, "pong");
    assert_eq!(alice.eval("disconnect_node('rust@rust')").await, "true");
    while !matches!(events.next().await, Some(NodeEvent::NodeDown { .. })) {}
    let there = Atom::new(alice.node()).expect("an atom");
    rust.ping(&there).await.expect("pong");
    let unknown = rust.ping(&Atom::new("bob@b").expect("an atom")).await;
    assert!(unknown.is_err_and(|error| error.to_string().contains("not in the table")));
    rust.shutdown().await;
}

/// Our program under the name of theirs, on this host.
fn our_program() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("beamnode-epmd-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let program = folder.join("epmd");
    if !program.exists() {
        std::os::unix::fs::symlink(BEAMNODE, &program).expect("a link");
    }
    program
}

/// Our program under the name of theirs, on another host. An old system's C library is too old for what cargo built here: there it
/// runs with that of the machine that built it.
async fn place_ours(bed: &Bed, host: &str) -> String {
    let program = "/tmp/ours/epmd";
    let libraries = Path::new(BEAMNODE).with_file_name("bed-libraries");
    let libraries = libraries.display();
    let script = format!(
        "mkdir -p /tmp/ours && if {BEAMNODE} --version >/dev/null 2>&1; then ln -sf {BEAMNODE} {program}; else \
         printf '#!/bin/sh\\nexec {libraries}/loader --argv0 \"$0\" --library-path {libraries} {BEAMNODE} \"$@\"\\n' > {program} && \
         chmod +x {program}; fi"
    );
    let placed = bed.run(host, &["sh", "-c", &script]).await;
    assert_eq!(placed.code, Some(0), "{placed:?}");
    program.to_owned()
}

/// Stock's daemon of the release, brought to this host: only here can it be asked as one who is local.
async fn stock_program(bed: &Bed) -> PathBuf {
    let read = bed.run("a", &["sh", "-c", "base64 \"$(command -v epmd)\""]).await;
    assert_eq!(read.code, Some(0), "{}", read.stderr);
    let encoded: String = read.stdout.split_whitespace().collect();
    let program = std::env::temp_dir().join(format!("stock-epmd-{}", std::process::id()));
    std::fs::write(&program, BASE64_STANDARD.decode(encoded).expect("base64")).expect("a file");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    program
}

/// `BED_SEED`, or another each time; it is printed.
fn seed() -> u64 {
    let seed = match std::env::var("BED_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |since| since.as_secs()),
    };
    eprintln!("random scripts from BED_SEED={seed}");
    seed
}

fn send(connection: char, bytes: Vec<u8>) -> Step {
    Step::Send(connection, vec![bytes])
}

fn close(connection: char) -> Step {
    Step::Close(connection)
}

fn packet(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("short");
    [&length.to_be_bytes()[..], body].concat()
}

/// A registration as real nodes send it.
fn alive(name: &[u8]) -> Vec<u8> {
    alive_with(name, 6, b"", b"")
}

fn alive_with(name: &[u8], version: u16, extra: &[u8], tail: &[u8]) -> Vec<u8> {
    let sized = |bytes: &[u8]| packet(bytes);
    packet(
        &[
            b"x\x11\x92M\0",
            &version.to_be_bytes()[..],
            b"\0\x05",
            &sized(name),
            &sized(extra),
            tail,
        ]
        .concat(),
    )
}
