//! The connection: what the handshake's statuses do, who may connect with which cookie and under which name, ticks that change while
//! a connection is up, what a peer that breaks the protocol is cut off for, and large and many-atomed messages both ways.

use std::time::Duration;

use beamnode::{
    dist::Cookie,
    node::{Node, NodeType, Process, SendError},
    term,
    term::Term,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::ping::{assert_listed, ping};
use crate::inside::{Bed, COOKIE, LIMIT, Subject};

/// A name that is connected connects again: the subject asks whether the old connection is to go, and does as it is told. A third
/// attempt meanwhile is turned away.
pub(crate) async fn alive(bed: Bed) {
    let subject = bed.subject().start().await;
    let mut first = Raw::connect(&subject, "ghost@nowhere").await;
    let up = "nodeup ghost@nowhere ";
    subject.await_event(up, 1, LIMIT).await;

    let mut second = Raw::hello(&subject, "ghost@nowhere").await;
    assert_eq!(second.packet().await.as_deref(), Some(&b"salive"[..]));
    second.say(b"sfalse").await;
    assert_eq!(second.packet().await, None, "closed");
    first.assert_echo().await;

    // That the second is gone is seen here before the subject has forgotten it.
    let mut third = Raw::hello(&subject, "ghost@nowhere").await;
    while third.packet().await.as_deref() != Some(b"salive") {
        third = Raw::hello(&subject, "ghost@nowhere").await;
    }
    // OTP 23 drops the third for it.
    if subject.is_rust() || bed.release() > 23 {
        let mut fourth = Raw::hello(&subject, "ghost@nowhere").await;
        assert_eq!(fourth.packet().await, None, "closed");
    }
    third.say(b"strue").await;
    // OTP 23 does not end the old connection, but waits for its end.
    if !subject.is_rust() && bed.release() == 23 {
        first.stream.shutdown().await.expect("it is open");
    }
    third.prove().await;
    first.assert_closed().await;
    subject.await_event(up, 2, LIMIT).await;
    third.assert_echo().await;
    let events = subject.events_about("ghost@nowhere").await;
    let words: Vec<&str> = events
        .iter()
        .filter_map(|event| event.split(' ').next())
        .collect();
    assert_eq!(words, ["nodeup", "nodedown", "nodeup"], "{events:?}");
}

/// A node that stands still while another takes its place, under the same name, and connects: whoever has the old connection asks by
/// `alive` whether it is to go, and the new node says so. First a BEAM node is the new one, then the subject.
pub(crate) async fn restarted(bed: Bed) {
    // EPMDs that let go of the name of a node that lives.
    for host in ["a", bed.subject_host()] {
        let epmd = bed
            .run(host, &["epmd", "-daemon", "-relaxed_command_check"])
            .await;
        assert_eq!(epmd.code, Some(0), "{epmd:?}");
    }
    // OTP 23 does not end the old connection, but waits for its end.
    let (waits, replaced) = match bed.release() {
        23 => (true, "connection_closed"),
        _ => (false, "wait_pending"),
    };
    let first = bed.subject().connecting().start().await;
    let rust = first.node().to_owned();
    let frozen = bed.erl("alice", "a").hidden().start().await;
    assert_eq!(ping(&frozen, &rust).await, "pong");
    frozen.pause().await;
    forget(&bed, "a", "alice").await;
    let alice = bed.erl("alice", "a").hidden().start().await;
    alice.eval("node_watch:start()").await;
    let up = format!("nodeup {} hidden", alice.node());
    let down = format!("nodedown {} hidden", alice.node());
    let down = if first.is_rust() {
        format!("{down} wait_pending")
    } else {
        format!("{down} {replaced}")
    };
    let gone = waits && !first.is_rust();
    if gone {
        frozen.kill().await;
    }
    assert_eq!(ping(&alice, &rust).await, "pong");
    first.await_event(&up, 2, LIMIT).await;
    assert_eq!(first.events_about(alice.node()).await, [up.clone(), down, up]);
    if !gone {
        frozen.kill().await;
    }

    first.pause().await;
    forget(&bed, bed.subject_host(), "rust").await;
    let second = bed.subject().connecting().start().await;
    let asked = format!(
        "(fun P() -> case [E || C <- ets:lookup(sys_dist, '{rust}'), E <- tuple_to_list(C), E =:= up_pending] of \
         [] -> timer:sleep(10), P(); _ -> ok end end)()"
    );
    let ends = async {
        if waits {
            alice.eval_in("another", asked, LIMIT).await;
            first.kill().await;
        }
    };
    let (answer, ()) = tokio::join!(second.ping(alice.node()), ends);
    assert_eq!(answer, "pong");
    assert_eq!(
        alice.eval(format!("node_watch:await('{rust}', 3, 50000)")).await,
        format!("[{{up,hidden}},{{down,hidden,{replaced}}},{{up,hidden}}]")
    );
    if !waits {
        first.kill().await;
    }
    let echo = format!("echo_terms:every_type('{rust}')");
    assert_eq!(alice.eval(echo).await, "ok");
}

/// Has EPMD forget the name, whose node stands still and does not notice.
async fn forget(bed: &Bed, host: &str, alive: &str) {
    let stopped = bed.run(host, &["epmd", "-stop", alive]).await;
    assert!(stopped.stdout.contains("STOPPED"), "{stopped:?}");
}

/// What a peer says to the subject that connects to it: `alive` is answered with `true`; `nok` and `not_allowed` mean no connection.
pub(crate) async fn statuses(bed: Bed) {
    let subject = bed.subject().connecting().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let host = alice.node().split_once('@').expect("a node's name").1.to_owned();
    for (status, says) in [
        ("alive", "closed"),
        ("not_allowed", "allow"),
        ("nok", "prefers its own attempt"),
    ] {
        alice
            .eval(format!(
                "ok = poor_peer:start(\"{status}\", {{status, \"{status}\"}})"
            ))
            .await;
        let answer = subject.ping(&format!("{status}@{host}")).await;
        assert!(answer.starts_with("pang"), "{answer}");
        assert!(!subject.is_rust() || answer.contains(says), "{answer}");
    }
    alice.await_log("poor_peer is told <<\"strue\">>", 1, LIMIT).await;
    assert_eq!(subject.ping(alice.node()).await, "pong");
}

/// `net_kernel:allow/1`: from then on only these connect, and are connected to.
pub(crate) async fn allowed(bed: Bed) {
    let subject = bed.subject().start().await;
    let (alice, bob) = (
        bed.erl("alice", "a").hidden().start().await,
        bed.erl("bob", "b").hidden().start().await,
    );
    let rust = subject.node();
    assert_eq!(ping(&bob, rust).await, "pong");
    let allow = |node: &str| format!("rpc:call('{rust}', net_kernel, allow, [['{node}']])");
    assert_eq!(bob.eval(allow(bob.node())).await, "ok");
    assert_eq!(ping(&alice, rust).await, "pang");
    let connect = format!(
        "rpc:call('{rust}', net_kernel, connect_node, ['{}'])",
        alice.node()
    );
    assert_eq!(bob.eval(connect.clone()).await, "false");
    assert_eq!(bob.eval(allow(alice.node())).await, "ok");
    assert_eq!(ping(&alice, rust).await, "pong");
    assert_eq!(ping(&bob, rust).await, "pong");
}

/// Two nodes of different cookies connect once each has set one for the other, whoever connects; and not before.
pub(crate) async fn cookies(bed: Bed) {
    let subject = bed.subject().start().await;
    let rust = subject.node();
    let alice = bed.erl("alice", "a").cookie("other").hidden().start().await;
    let bob = bed.erl("bob", "b").hidden().start().await;
    assert_eq!(ping(&bob, rust).await, "pong");
    assert_eq!(ping(&alice, rust).await, "pang");
    let set = format!(
        "rpc:call('{rust}', erlang, set_cookie, ['{}', shared])",
        alice.node()
    );
    assert_eq!(bob.eval(set).await, "true");
    assert_eq!(ping(&alice, rust).await, "pang");
    assert_eq!(
        alice.eval(format!("erlang:set_cookie('{rust}', shared)")).await,
        "true"
    );
    assert_eq!(ping(&alice, rust).await, "pong");
    let again = bed.erl("carol", "a").cookie("other").hidden().start().await;
    let set = |node: &str| format!("rpc:call('{rust}', erlang, set_cookie, ['{node}', other])");
    assert_eq!(bob.eval(set(again.node())).await, "true");
    let connect = format!(
        "rpc:call('{rust}', net_kernel, connect_node, ['{}'])",
        again.node()
    );
    assert_eq!(bob.eval(connect).await, "true");
    assert_eq!(ping(&bob, rust).await, "pong");
}

/// Long and short names do not mix, and the error says so.
pub(crate) async fn long_by_subject(bed: Bed) {
    let subject = bed.subject().connecting().start().await;
    let alice = bed.erl("alice", "a").long_names().start().await;
    let answer = subject.ping(alice.node()).await;
    assert!(answer.starts_with("pang"), "{answer}");
    assert!(
        !subject.is_rust() || answer.contains("is a long name, and this node uses short names"),
        "{answer}"
    );
}

/// A node without a name is given one by the subject, is hidden, and talks under it.
pub(crate) async fn gives_names(bed: Bed) {
    let subject = bed.subject().start().await;
    let rust = subject.node();
    let nobody = bed.erl("undefined", "a").start().await;
    assert_eq!(nobody.eval("node()").await, "nonode@nohost");
    for times in 1..=2 {
        assert_eq!(
            nobody.eval(format!("net_kernel:connect_node('{rust}')")).await,
            "true"
        );
        let name = nobody.eval("node()").await.text().trim_matches('\'').to_owned();
        assert!(name.ends_with("@a") || !bed.has_hosts(), "{name}");
        assert_listed(&nobody, rust, "hidden").await;
        let up = format!("nodeup {name} ");
        assert_eq!(subject.await_event(&up, 1, LIMIT).await, format!("{up}hidden"));
        let echo = format!(
            "{{echo, '{rust}'}} ! {{self(), {times}}}, receive {{echo, M}} -> M after 5000 -> lost end"
        );
        assert_eq!(nobody.eval(echo).await, times.to_string());
        if times == 1 {
            assert_eq!(
                nobody.eval(format!("erlang:disconnect_node('{rust}')")).await,
                "true"
            );
            subject.await_event(&format!("nodedown {name} "), 1, LIMIT).await;
            break;
        }
    }
}

/// Our node has no name, and is given one by the node that it connects to.
pub(crate) async fn is_given_a_name(bed: Bed) {
    let alice = bed.erl("alice", "a").start().await;
    let node = Node::named_by(alice.node())
        .cookie(COOKIE)
        .start()
        .await
        .expect("alice gives a name");
    assert_listed(&alice, node.name().as_str(), "hidden").await;
    node.ping(alice.node()).await.expect("an answer");
    assert_eq!(ping(&alice, node.name().as_str()).await, "pong");
    // The name is another's once the connection has ended: the node stops.
    let mut events = node.monitor_nodes(NodeType::All);
    assert_eq!(
        alice
            .eval(format!("erlang:disconnect_node('{}')", node.name().as_str()))
            .await,
        "true"
    );
    let ended = timeout(LIMIT, async { while events.next().await.is_some() {} }).await;
    assert!(ended.is_ok(), "the node goes on without a name");
}

/// `net_kernel:set_net_ticktime/2` while a connection is up: from then on silence ends it sooner.
pub(crate) async fn ticktime_changes(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").hidden().start().await;
    let rust = subject.node();
    assert_eq!(ping(&alice, rust).await, "pong");
    let set = format!("rpc:call('{rust}', net_kernel, set_net_ticktime, [4, 0])");
    assert_eq!(
        alice.eval("net_kernel:set_net_ticktime(4, 0)").await,
        "change_initiated"
    );
    assert_eq!(alice.eval(set).await, "change_initiated");
    let down = format!("nodedown {} ", alice.node());
    alice.pause().await;
    assert_eq!(
        subject.await_event(&down, 1, LIMIT).await,
        format!("{down}hidden net_tick_timeout")
    );
    alice.resume().await;
    assert_eq!(ping(&alice, rust).await, "pong");
    // And the subject ticks as often: alice, who waits four seconds, keeps it for nine ticks, of which each is a packet.
    let nine = format!(
        "node_watch:start(), {{_, C}} = lists:keyfind('{rust}', 1, erlang:system_info(dist_ctrl)), \
         Count = fun() -> {{ok, [{{_, N}}]}} = inet:getstat(C, [recv_cnt]), N end, Last = Count() + 9, \
         (fun P() -> case Count() of N when N < Last -> timer:sleep(50), P(); _ -> ticked end end)()"
    );
    assert_eq!(alice.eval(nine).await, "ticked");
    assert_eq!(alice.eval(format!("node_watch:about('{rust}')")).await, "[]");
}

/// `net_kernel:set_net_ticktime/1,2` and `get_net_ticktime/0`: what they answer before a change, while it is under way, and after it.
pub(crate) async fn ticktime_answers(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").hidden().start().await;
    let rust = subject.node();
    let call = async |function: &str| {
        alice
            .eval(format!("rpc:call('{rust}', net_kernel, {function})"))
            .await
    };
    let set = async |arguments: &str| call(&format!("set_net_ticktime, {arguments}")).await;
    assert_eq!(call("get_net_ticktime, []").await, "60");
    assert_eq!(set("[60]").await, "unchanged");
    assert_eq!(set("[61, 1]").await, "change_initiated");
    let over = format!(
        "(fun P() -> case rpc:call('{rust}', net_kernel, get_net_ticktime, []) of {{ongoing_change_to, 61}} -> timer:sleep(50), P(); T -> T end end)()"
    );
    assert_eq!(alice.eval(over).await, "61");
    assert_eq!(set("[61, 600]").await, "unchanged");
    assert_eq!(set("[50, 600]").await, "change_initiated");
    for again in ["[61, 0]", "[50]", "[50, 600]"] {
        assert_eq!(set(again).await, "{ongoing_change_to,50}");
    }
    assert_eq!(call("get_net_ticktime, []").await, "{ongoing_change_to,50}");
}

/// Nodes that speak IPv6.
pub(crate) async fn ipv6(bed: Bed) {
    let enabled = bed
        .run("rust", &["sh", "-c", "grep -c ' lo$' /proc/net/if_inet6"])
        .await;
    if enabled.stdout.trim() != "1" {
        bed.note("ipv6: there is none on the loopback here").await;
        return;
    }
    let alice = bed
        .erl("alice@ip6-localhost", "rust")
        .arguments(&["-proto_dist", "inet6_tcp"])
        .hidden()
        .start()
        .await;
    let node = Node::builder("ours@ip6-localhost")
        .cookie(COOKIE)
        .hidden(true)
        .start()
        .await
        .expect("a node");
    node.ping(alice.node()).await.expect("an answer over IPv6");
    let name = node.name().as_str();
    let called = format!("rpc:call('{name}', erlang, node, [])");
    assert_eq!(alice.eval(called).await, format!("'{name}'"));
    node.disconnect(alice.node());
    let pong = "(fun P() -> case net_adm:ping('ours@ip6-localhost') of pong -> pong; pang -> timer:sleep(50), P() end end)()";
    assert_eq!(alice.eval(pong).await, "pong");
    node.shutdown().await;
}

/// What a peer may not send costs it the connection; the subject goes on, and ours logs what was wrong.
pub(crate) async fn broken_peers(bed: Bed) {
    let subject = bed.subject().start().await;
    let pid = pid("liar@nowhere");
    let other = self::pid("else@nowhere");
    let op = |number: u8, fields: &[&[u8]]| {
        let arity = u8::try_from(fields.len() + 1).expect("a few");
        [&[131, 68, 0, 104, arity, 97, number], fields.concat().as_slice()].concat()
    };
    let to = [&b"w\x04"[..], b"echo"].concat();
    for (frame, log) in [
        (op(99, &[&pid]), "99"),
        (op(38, &[]), "38"),
        (vec![131, 68, 0, 97, 1], "invalid control message"),
        (vec![131, 68, 0, 104, 0], "invalid control message"),
        // A message without one, a link by somebody else's process, a name that is none.
        (op(6, &[&pid, b"w\0", &to]), "invalid control message"),
        (op(1, &[&other, &other]), "invalid control message"),
        (
            op(6, &[&pid, b"w\0", b"a\x01", b"a\x01"]),
            "invalid control message",
        ),
        // An atom that was never sent, a fragment of nothing, a kind of frame that there is not.
        (vec![131, 68, 1, 0, 7, 104, 0], "slot 7"),
        (
            [
                &[131, 70][..],
                &[0, 0, 0, 0, 0, 0, 0, 9],
                &[0, 0, 0, 0, 0, 0, 0, 1],
            ]
            .concat(),
            "sequence 9",
        ),
        (vec![131, 71, 0], "kind"),
        (b"\x70\x83h\x03a\x02w\0".to_vec(), "kind"),
    ] {
        let mut liar = Raw::connect_anew(&subject, "liar@nowhere").await;
        liar.assert_echo().await;
        liar.frame(&frame).await;
        liar.assert_closed().await;
        subject.await_log(&["liar@nowhere", log]).await;
        assert!(subject.is_running().await);
    }
}

/// A message that is no term costs its receiver an error, and not the connection.
pub(crate) async fn no_term(bed: Bed) {
    let subject = bed.subject().start().await;
    let mut peer = Raw::connect(&subject, "liar@nowhere").await;
    let pid = pid("liar@nowhere");
    peer.frame(
        &[
            &[131, 68, 0, 104, 4, 97, 6],
            &pid[..],
            b"w\0w\x04echo",
            &[200, 1, 2],
        ]
        .concat(),
    )
    .await;
    peer.frame(
        &[
            &[131, 68, 0, 104, 4, 97, 6],
            &pid[..],
            b"w\0w\x04echo",
            &[108, 255, 255, 255, 255],
        ]
        .concat(),
    )
    .await;
    peer.assert_echo().await;
    assert_eq!(subject.events_about("liar@nowhere").await.len(), 1);
}

/// Messages with more atoms than a header lists, atoms of every length, and so many that the caches overflow, there and back.
pub(crate) async fn atoms(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(
        alice.eval(format!("traffic:atoms('{}')", subject.node())).await,
        "ok"
    );
}

/// Large messages of many processes at once, with small ones in between: each process's arrive in order and whole.
pub(crate) async fn fragments(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(
        alice
            .eval(format!("traffic:fragments('{}')", subject.node()))
            .await,
        "ok"
    );
}

/// A process that is answered while another's large message is under way, both ways: it does not wait for all of it.
pub(crate) async fn large_beside_small(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(
        alice
            .eval(format!("traffic:large_beside_small('{}')", subject.node()))
            .await,
        "ok"
    );
}

/// Traced messages arrive as others do.
pub(crate) async fn trace_tokens(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(
        alice.eval(format!("traffic:traced('{}')", subject.node())).await,
        "ok"
    );
}

/// A peer that does not read makes the connection busy: who sends waits, and is told when it is free again.
pub(crate) async fn busy(bed: Bed) {
    let alice = bed.erl("alice", "a").hidden().start().await;
    let node = Node::builder(format!("ours@{}", bed.rust_host_name()))
        .cookie(COOKIE)
        .hidden(true)
        .busy_limit(100_000)
        .start()
        .await
        .expect("a node");
    alice.eval("bed:echo()").await;
    node.ping(alice.node()).await.expect("an answer");
    let mut busy = node.watch_busy(alice.node()).expect("connected");
    alice.pause().await;
    let me = node.process();
    let there = alice.node().to_owned();
    let sending = tokio::spawn(async move {
        let large = Term::from(bytes::Bytes::from(vec![1; 50_000]));
        let mut count = 0;
        // More than the sockets' buffers hold.
        for _ in 0..1_000 {
            me.send(("nobody", there.as_str()), large.clone())
                .await
                .expect("sent");
            count += 1;
        }
        (me, count)
    });
    busy.wait_for(|busy| *busy).await.expect("the connection lasts");
    // It is free again and again until the sockets' buffers are full.
    let other = node.process();
    let refused = async {
        loop {
            match other.try_send(("nobody", alice.node()), Term::NIL) {
                Ok(()) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(error) => return error,
            }
        }
    };
    let refused = timeout(LIMIT, refused).await.expect("a busy connection");
    assert!(matches!(refused, SendError::Busy { .. }), "{refused:?}");
    assert!(!sending.is_finished());
    alice.resume().await;
    busy.wait_for(|busy| !*busy).await.expect("the connection lasts");
    let (mut me, count) = sending.await.expect("all is sent");
    assert_eq!(count, 1_000);
    busy.wait_for(|busy| !*busy).await.expect("the connection lasts");
    other
        .try_send(("nobody", alice.node()), Term::NIL)
        .expect("it is free again");
    assert_answer(&mut me, alice.node()).await;
    node.shutdown().await;
}

/// What else is sent over a busy connection waits as messages do: monitors, links, exit signals. Who will not wait is told so.
pub(crate) async fn busy_for_signals(bed: Bed) {
    let subject = bed.subject().hidden().start().await;
    let alice = bed.erl("alice", "a").hidden().start().await;
    let bob = bed.erl("bob", "b").hidden().start().await;
    let (rust, there) = (subject.node(), alice.node());
    bob.eval(format!(
        "Call = fun(F, As) -> rpc:call('{rust}', erlang, F, As) end, [P1, P2] = [spawn('{there}', timer, sleep, [infinity]) || _ <- [1, 2]], \
         ok = Call(send, [{{nobody, '{there}'}}, hello, [nosuspend]])"
    ))
    .await;
    alice.pause().await;
    // More than the sockets' buffers hold.
    bob.eval(format!(
        "rpc:cast('{rust}', erlang, send, [{{nobody, '{there}'}}, binary:copy(<<1>>, 40000000)])"
    ))
    .await;
    let until = |sent: &str| {
        format!(
            "(fun P() -> case Call(send, [{{nobody, '{there}'}}, x, [nosuspend]]) of {sent} -> {sent}; _ -> timer:sleep(20), P() end end)()"
        )
    };
    assert_eq!(bob.eval(until("nosuspend")).await, "nosuspend");
    assert_eq!(
        bob.eval(format!("Call(send_nosuspend, [{{nobody, '{there}'}}, x])"))
            .await,
        "false"
    );
    let begin = format!(
        "Self = self(), [spawn(fun() -> Self ! {{done, F, Call(F, As)}} end) || {{F, As}} <- \
         [{{monitor, [process, {{nobody, '{there}'}}]}}, {{link, [P1]}}, {{exit, [P2, enough]}}]], \
         [rpc:call('{rust}', erlang, node, []) || _ <- lists:seq(1, 50)], receive Done -> Done after 0 -> all_wait end"
    );
    assert_eq!(bob.eval(begin).await, "all_wait");
    alice.resume().await;
    let done =
        "lists:sort([receive {done, F, R} when is_reference(R); R =:= true -> F end || _ <- [1, 2, 3]])";
    assert_eq!(bob.eval(done).await, "[exit,link,monitor]");
    assert_eq!(bob.eval(until("ok")).await, "ok");
}

async fn assert_answer(me: &mut Process, node: &str) {
    me.send(("echo", node), term!({(me.pid().clone()), hello}))
        .await
        .expect("sent");
    let answer = timeout(LIMIT, me.recv())
        .await
        .expect("an answer")
        .expect("alive");
    assert_eq!(answer.term().expect("a term"), term!({echo, hello}));
}

/// A peer that is played byte by byte.
struct Raw {
    stream: TcpStream,
    name: String,
}

/// What a node of OTP 27 offers, hidden.
const FLAGS: u64 = 0x0d_07df_7fbc;

impl Raw {
    /// Connects and says its name.
    async fn hello(subject: &Subject, name: &str) -> Self {
        let stream = TcpStream::connect(subject.address().await)
            .await
            .expect("the subject listens");
        let mut raw = Self {
            stream,
            name: name.to_owned(),
        };
        let length = u16::try_from(name.len()).expect("short").to_be_bytes();
        let flags = FLAGS.to_be_bytes();
        raw.say(&[&b"N"[..], &flags, &[0, 0, 0, 7], &length, name.as_bytes()].concat())
            .await;
        raw
    }

    /// Connects, with all of the handshake.
    async fn connect(subject: &Subject, name: &str) -> Self {
        let mut raw = Self::hello(subject, name).await;
        assert_eq!(raw.packet().await.as_deref(), Some(&b"sok"[..]));
        raw.prove().await;
        raw
    }

    /// The same, once the subject has noticed that an earlier connection of this name is gone.
    async fn connect_anew(subject: &Subject, name: &str) -> Self {
        loop {
            let mut raw = Self::hello(subject, name).await;
            if raw.packet().await.as_deref() == Some(b"sok") {
                raw.prove().await;
                return raw;
            }
        }
    }

    /// From the challenge on.
    async fn prove(&mut self) {
        let challenge = self.packet().await.expect("a challenge");
        let challenge = u32::from_be_bytes(challenge[9..13].try_into().expect("four bytes"));
        let digest = Cookie::new(COOKIE).expect("a cookie").digest(challenge);
        self.say(&[&b"r\0\0\0\x05"[..], digest.as_ref()].concat()).await;
        let ack = self.packet().await.expect("an answer to the right cookie");
        assert_eq!(ack[0], b'a');
    }

    async fn say(&mut self, packet: &[u8]) {
        let length = u16::try_from(packet.len()).expect("short").to_be_bytes();
        self.stream
            .write_all(&[&length, packet].concat())
            .await
            .expect("sent");
    }

    /// The next packet of the handshake; none when the subject closes.
    async fn packet(&mut self) -> Option<Vec<u8>> {
        let read = async {
            let length = self.stream.read_u16().await.ok()?;
            let mut packet = vec![0; length.into()];
            self.stream.read_exact(&mut packet).await.ok()?;
            Some(packet)
        };
        timeout(LIMIT, read)
            .await
            .expect("the subject goes on, or closes")
    }

    async fn frame(&mut self, frame: &[u8]) {
        let length = u32::try_from(frame.len()).expect("short").to_be_bytes();
        self.stream
            .write_all(&[&length, frame].concat())
            .await
            .expect("sent");
    }

    /// Sends `{Self, hello}` to `echo`, and waits for the answer.
    async fn assert_echo(&mut self) {
        let pid = pid(&self.name);
        let control = [&[131, 68, 0, 104, 4, 97, 6], &pid[..], b"w\0w\x04echo"].concat();
        self.frame(&[&control[..], b"h\x02", &pid, b"w\x05hello"].concat())
            .await;
        let answered = async {
            loop {
                let length = self.stream.read_u32().await.expect("a frame");
                let mut frame = vec![0; length as usize];
                self.stream.read_exact(&mut frame).await.expect("a frame");
                if frame.windows(5).any(|part| part == b"hello") {
                    break;
                }
            }
        };
        timeout(LIMIT, answered).await.expect("an answer");
    }

    async fn assert_closed(&mut self) {
        let mut rest = Vec::new();
        let closed = timeout(LIMIT, self.stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "the subject leaves the connection open");
    }
}

/// A process of a node that is called so.
fn pid(node: &str) -> Vec<u8> {
    let length = u8::try_from(node.len()).expect("short");
    [
        &[88, 119, length],
        node.as_bytes(),
        &[0, 0, 0, 77, 0, 0, 0, 0, 0, 0, 0, 7],
    ]
    .concat()
}
