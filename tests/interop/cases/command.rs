//! The `beamnode` command as a user has it: what it prints, where, and its exit codes.

use crate::inside::{Bed, COOKIE, Output};

/// `beamnode ping` of a node that is there.
pub(crate) async fn ping_pong(bed: Bed) {
    let alice = bed.erl("alice", "a").start().await;
    let output = bed.beamnode(&["ping", "--cookie", COOKIE, alice.node()]).await;
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (Some(0), "pong\n"),
        "{output:?}"
    );
    assert_eq!(output.stderr, "");
    // It was a guest, and is gone.
    assert_eq!(
        alice
            .eval("{nodes(connected), nodes(known) -- [node()] =/= []}")
            .await,
        "{[],true}"
    );
    let named = ["ping", "--cookie", COOKIE, "--sname", "guest", alice.node()];
    assert_eq!(bed.beamnode(&named).await.stdout, "pong\n");
}

/// `beamnode ping` of a node with a long name, from a host that has none of its own.
pub(crate) async fn ping_long_name(bed: Bed) {
    let alice = bed.erl("alice", "a").long_names().start().await;
    let named = [
        "ping",
        "--cookie",
        COOKIE,
        "--name",
        "guest@127.0.0.1",
        alice.node(),
    ];
    let output = bed.beamnode(&named).await;
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (Some(0), "pong\n"),
        "{output:?}"
    );
}

/// The cookie is that of the file where none is given.
pub(crate) async fn cookie_file(bed: Bed) {
    let first = bed.beamnode(&["ping", "nobody@a"]).await;
    assert_eq!(first.code, Some(1));
    let file = bed
        .run(
            "rust",
            &["sh", "-c", "stat -c %a ~/.erlang.cookie; cat ~/.erlang.cookie"],
        )
        .await;
    let (mode, cookie) = file.stdout.split_once('\n').expect("two lines");
    assert_eq!(mode, "400");
    assert!(
        cookie.len() == 20 && cookie.bytes().all(|byte| byte.is_ascii_uppercase()),
        "{cookie}"
    );
    // A real node takes the file for its own.
    let write = format!("printf %s '{cookie}' > ~/.erlang.cookie && chmod 400 ~/.erlang.cookie");
    assert_eq!(bed.run("a", &["sh", "-c", &write]).await.code, Some(0));
    let alice = bed.erl("alice", "a").cookie_from_file().start().await;
    let output = bed.beamnode(&["ping", alice.node()]).await;
    assert_eq!(output.stdout, "pong\n", "{output:?}");
}

/// `beamnode ping` of what is not there says `pang`, exits with 1, and says why.
pub(crate) async fn ping_pang(bed: Bed) {
    let ping = async |node: &str| bed.beamnode(&["ping", "--cookie", COOKIE, node]).await;
    assert_pang(&ping("alice@nosuchhost").await, &["nosuchhost"]);
    // The host is there, and no EPMD on it yet.
    assert_eq!(bed.run("a", &["true"]).await.code, Some(0));
    assert_pang(&ping("alice@a").await, &["EPMD", "a"]);

    let alice = bed.erl("alice", "a").start().await;
    assert_pang(&ping("bob@a").await, &["bob", "not registered", "alice"]);
    assert_pang(
        &bed.beamnode(&["ping", "--cookie", "guessed", alice.node()]).await,
        &["cookie"],
    );

    alice.eval("ok = poor_peer:start(\"nobody\", nobody)").await;
    assert_pang(&ping("nobody@a").await, &["refused"]);
    alice.eval("ok = poor_peer:start(\"silent\", silent)").await;
    assert_pang(&ping("silent@a").await, &["tim"]);
    // Of what every node must have, all but atoms in UTF-8 and big creations, and not the flag that stands for all of it.
    let flags = 0x0d_07df_7fbd_u64 & !0x10000 & !0x40000 & !0x400_0000;
    alice
        .eval(format!("ok = poor_peer:start(\"poor\", {{flags, {flags}}})"))
        .await;
    assert_pang(&ping("poor@a").await, &["UTF8_ATOMS", "BIG_CREATION"]);
    // The name leads to a port where another node listens.
    alice.eval("ok = poor_peer:start(\"ghost\", self)").await;
    assert_pang(&ping("ghost@a").await, &["ghost@a", alice.node(), "wrong node"]);
    let not_a_name = ping("nonsense").await;
    assert_ne!(not_a_name.code, Some(0), "{not_a_name:?}");
}

/// `beamnode names` lists what `epmd -names` lists.
pub(crate) async fn names(bed: Bed) {
    assert_eq!(bed.run("a", &["true"]).await.code, Some(0));
    let none = bed.beamnode(&["names", "a"]).await;
    assert_eq!((none.code, none.stdout.as_str()), (Some(1), ""), "{none:?}");
    assert!(none.stderr.contains("EPMD"), "{none:?}");
    let _alice = bed.erl("alice", "a").start().await;
    let _bob = bed.erl("bob", "a").start().await;
    let theirs = bed.run("a", &["epmd", "-names"]).await;
    let ours = bed.beamnode(&["names", "a"]).await;
    assert_eq!(ours.code, Some(0), "{ours:?}");
    assert_eq!(ours.stdout, theirs.stdout);
    assert!(ours.stdout.contains("name alice at port "), "{ours:?}");
}

/// A node starts on a host where no EPMD runs, and leaves one there that a real node can register with.
pub(crate) async fn no_epmd(bed: Bed) {
    assert_eq!(
        bed.beamnode(&["names"]).await.code,
        Some(1),
        "an EPMD runs already"
    );
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(super::ping::ping(&alice, subject.node()).await, "pong");
    let _bob = bed.erl("bob", "rust").start().await;
    let names = bed.run("rust", &["epmd", "-names"]).await.stdout;
    assert!(
        names.contains("name rust at port ") && names.contains("name bob at port "),
        "{names}"
    );
    // It outlives the node that started it, as `erl`'s does, and forgets that node.
    subject.kill().await;
    let names = bed.run("rust", &["epmd", "-names"]).await.stdout;
    assert!(
        names.contains("name bob at port ") && !names.contains("name rust at port "),
        "{names}"
    );
}

/// A host knows its own name, as for `erl`, where no resolver does.
pub(crate) async fn own_name(bed: Bed) {
    let _subject = bed.subject().start().await;
    let shell = async |command: &str| bed.run("rust", &["sh", "-c", command]).await;
    let forget = "cp /etc/hosts /etc/resolv.conf /tmp && echo '127.0.0.1 localhost' > /etc/hosts && echo 'nameserver 127.0.0.9' > /etc/resolv.conf";
    assert_eq!(shell(forget).await.code, Some(0));
    let known = shell("getent hosts rust").await;
    let pinged = bed.beamnode(&["ping", "--cookie", COOKIE, "rust@rust"]).await;
    let names = bed.beamnode(&["names", "rust"]).await;
    let restore = "cat /tmp/hosts > /etc/hosts && cat /tmp/resolv.conf > /etc/resolv.conf";
    assert_eq!(shell(restore).await.code, Some(0));
    assert_ne!(known.code, Some(0), "{known:?}");
    assert_eq!(pinged.stdout, "pong\n", "{pinged:?}");
    assert!(names.stdout.contains("name rust at port "), "{names:?}");
}

/// A name that another node has is refused, with the reason.
pub(crate) async fn name_taken(bed: Bed) {
    let _subject = bed.subject().start().await;
    let second = bed
        .beamnode(&["node", "--sname", "rust", "--cookie", COOKIE])
        .await;
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(
        second.stderr.contains("rust@rust") && second.stderr.contains("taken"),
        "{second:?}"
    );
}

/// A node that is asked to end says so to its peers, and its name is free again.
pub(crate) async fn shutdown(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    alice.eval("node_watch:start()").await;
    assert_eq!(super::ping::ping(&alice, subject.node()).await, "pong");
    subject.terminate().await;
    let events = alice
        .eval(format!("node_watch:await('{}', 2, 50000)", subject.node()))
        .await;
    assert_eq!(events, "[{up,visible},{down,visible,connection_closed}]");
}

#[track_caller]
fn assert_pang(output: &Output, reasons: &[&str]) {
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (Some(1), "pang\n"),
        "{output:?}"
    );
    for reason in reasons {
        assert!(
            output.stderr.contains(reason),
            "{reason:?} is not in {:?}",
            output.stderr
        );
    }
    assert_eq!(output.stderr.lines().count(), 1, "{:?}", output.stderr);
}
