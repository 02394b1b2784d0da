//! The mesh that `global` makes, its names and its locks, with the subject as one node among others.

use crate::inside::{Beam, Bed, OVERLAPPING, Subject};

/// Milliseconds in which what must come has come, on a slow machine too.
const LIMIT: u32 = 25_000;

/// `[alice@a, …]`, as Erlang has it.
pub(super) fn list(nodes: &[&str]) -> String {
    let quoted: Vec<String> = nodes.iter().map(|node| format!("'{node}'")).collect();
    format!("[{}]", quoted.join(","))
}

/// Every one of the nodes sees all others, knows them, and has their names.
#[track_caller]
pub(super) fn agree(judge: &Beam, nodes: &[&str]) -> impl Future<Output = ()> {
    let views = format!("global_watch:await_views({}, {LIMIT})", list(nodes));
    let viewed = judge.eval(views);
    async move { assert_eq!(viewed.await, "ok") }
}

/// The BEAM node sees just these others, by itself.
pub(super) async fn sees(beam: &Beam, nodes: &[&str]) {
    let seen = beam.eval(format!("global_watch:await_nodes({}, {LIMIT})", list(nodes)));
    assert_eq!(seen.await, "ok");
}

async fn ping(beam: &Beam, node: &str) {
    assert_eq!(super::ping::ping(beam, node).await, "pong");
}

/// The subject and two BEAM nodes, in one cluster.
async fn cluster(bed: &Bed) -> (Subject, Beam, Beam) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let bob = bed.erl("bob", "b").start().await;
    ping(&alice, bob.node()).await;
    ping(&alice, subject.node()).await;
    agree(&alice, &[subject.node(), alice.node(), bob.node()]).await;
    (subject, alice, bob)
}

/// Who connects to one node of a cluster is connected to all of it, and so is a later newcomer to him.
pub(crate) async fn mesh(bed: Bed) {
    let subject = bed.subject().connecting().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let bob = bed.erl("bob", "b").start().await;
    ping(&alice, bob.node()).await;
    agree(&alice, &[alice.node(), bob.node()]).await;
    assert_eq!(subject.ping(alice.node()).await, "pong");
    let three = [subject.node(), alice.node(), bob.node()];
    for beam in [&alice, &bob] {
        sees(beam, &three).await;
    }
    agree(&alice, &three).await;
    let zoe = bed.erl("zoe", "z").start().await;
    ping(&zoe, bob.node()).await;
    let four = [subject.node(), alice.node(), bob.node(), zoe.node()];
    for beam in [&alice, &bob, &zoe] {
        sees(beam, &four).await;
    }
    agree(&zoe, &four).await;
    for beam in [&alice, &bob, &zoe] {
        assert_eq!(beam.eval("global:sync()").await, "ok");
    }
}

/// Five nodes, of which two are subjects: two clusters that become one.
pub(crate) async fn mesh_of_five(bed: Bed) {
    let rust = bed.subject().start().await;
    let other = bed.subject_named("another").start().await;
    let alice = bed.erl("alice", "a").start().await;
    let bob = bed.erl("bob", "b").start().await;
    let zoe = bed.erl("zoe", "z").start().await;
    ping(&alice, rust.node()).await;
    ping(&alice, bob.node()).await;
    ping(&zoe, other.node()).await;
    agree(&alice, &[rust.node(), alice.node(), bob.node()]).await;
    agree(&zoe, &[other.node(), zoe.node()]).await;
    for (beam, node, name) in [(&bob, rust.node(), "left"), (&zoe, other.node(), "right")] {
        let register = format!("global:register_name({name}, global_watch:sleeper('{node}'))");
        assert_eq!(beam.eval(register).await, "yes");
    }
    ping(&zoe, bob.node()).await;
    let five = [rust.node(), other.node(), alice.node(), bob.node(), zoe.node()];
    for beam in [&alice, &bob, &zoe] {
        sees(beam, &five).await;
    }
    agree(&zoe, &five).await;
    assert_eq!(
        alice.eval("lists:sort(global:registered_names())").await,
        "[left,right]"
    );
}

/// One that keeps to itself has the connections that it was asked for, and nobody is told of it; so has a hidden one.
pub(crate) async fn apart(bed: Bed) {
    for hidden in [false, true] {
        let subject = bed.subject();
        let subject = if hidden {
            subject.hidden()
        } else {
            subject.keeping_to_itself()
        };
        let subject = subject.start().await;
        let alice = bed.erl("alice", "a").start().await;
        let bob = bed.erl("bob", "b").start().await;
        ping(&alice, subject.node()).await;
        ping(&alice, bob.node()).await;
        agree_on_knowing(&alice, &bob).await;
        let known = |node: &str| format!("gen_server:call({{global_name_server, '{node}'}}, get_known)");
        assert_eq!(alice.eval(known(subject.node())).await, "[]");
        let seen = bob.eval(format!("nodes() =:= ['{}']", alice.node())).await;
        assert_eq!(seen, "true", "{hidden}");
        assert_eq!(alice.eval("global:register_name(name, self())").await, "yes");
        let whereis = format!("rpc:call('{}', global, whereis_name, [name])", subject.node());
        assert_eq!(alice.eval(whereis).await, "undefined");
        // A lock is a matter of those who are asked.
        let lock = format!(
            "global:set_lock({{lock, self()}}, [node(), '{}'], 0)",
            subject.node()
        );
        assert_eq!(alice.eval(lock).await, "true");
        subject.kill().await;
        alice.kill().await;
        bob.kill().await;
    }
}

async fn agree_on_knowing(alice: &Beam, bob: &Beam) {
    for (beam, other) in [(alice, bob), (bob, alice)] {
        let knows = format!(
            "(fun Wait() -> case gen_server:call(global_name_server, get_known) of ['{}'] -> ok; _ -> timer:sleep(20), Wait() end end)()",
            other.node()
        );
        assert_eq!(beam.eval(knows).await, "ok");
    }
}

/// Where two nodes come up one after the other, the subject gives them time to acknowledge each other before it joins the first: OTP 27
/// and later forget the names of who acknowledges a session that another node's has ended. Alice is slow as soon as she is locked.
pub(crate) async fn slow_to_acknowledge(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let zoe = bed.erl("zoe", "z").start().await;
    let judge = bed.erl("judge", "j").hidden().start().await;
    ping(&alice, subject.node()).await;
    agree(&judge, &[subject.node(), alice.node()]).await;
    for beam in [&alice, &zoe] {
        for name in [beam.node(), "contested"] {
            let sleeper = "global_watch:sleeper(node())";
            let register = format!("global:register_name('{name}', {sleeper}, fun global_watch:late/3)");
            assert_eq!(beam.eval(register).await, "yes");
        }
    }
    assert_eq!(alice.eval("global_watch:tardy(1000)").await, "ok");
    let connect = format!(
        "[rpc:call(One, net_adm, ping, ['{}']) || One <- {}]",
        zoe.node(),
        list(&[subject.node(), alice.node()])
    );
    assert_eq!(judge.eval(connect).await, "[pong,pong]");
    agree(&judge, &[subject.node(), alice.node(), zoe.node()]).await;
}

/// What a node has been told of names by the time that the two are in sync, it gives to who asks it after that.
pub(crate) async fn told_before_asked(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let rust = subject.node();
    for round in 1..=30 {
        ping(&alice, rust).await;
        let seen = format!(
            "(fun() -> S = global_watch:sleeper(node()), yes = global:register_name(told, S), ok = global:sync(), \
             Found = rpc:call('{rust}', global, whereis_name, [told]), ok = global_watch:ends(S), Found =:= S end)()"
        );
        assert_eq!(alice.eval(seen).await, "true", "round {round}");
        let disconnect = format!("erlang:disconnect_node('{rust}')");
        assert_eq!(alice.eval(disconnect).await, "true");
        let down = format!("nodedown {} ", alice.node());
        subject.await_event(&down, round, crate::inside::LIMIT).await;
    }
}

/// Names are seen everywhere before the call that registers them returns, and are free when their processes end.
pub(crate) async fn names(bed: Bed) {
    let (subject, alice, bob) = cluster(&bed).await;
    let rust = subject.node();
    let here = format!("rpc:call('{rust}', global, whereis_name, [N])");
    let everywhere = format!(
        "Everywhere = fun(N, P) -> [P, P, P] =:= [global:whereis_name(N), rpc:call('{}', global, whereis_name, [N]), {here}] end, \
         R = global_watch:sleeper('{rust}'), A = global_watch:sleeper(node()), ok",
        bob.node()
    );
    assert_eq!(alice.eval(everywhere).await, "ok");
    let on_rust =
        |function: &str, arguments: &str| format!("rpc:call('{rust}', global, {function}, [{arguments}])");
    let steps = [
        ("global:register_name({a, 1}, A)".to_owned(), "yes"),
        ("Everywhere({a, 1}, A)".to_owned(), "true"),
        (on_rust("register_name", "{a, 1}, R"), "no"),
        (on_rust("register_name", "{b, \"two\"}, R"), "yes"),
        ("Everywhere({b, \"two\"}, R)".to_owned(), "true"),
        // A process has one name.
        (on_rust("register_name", "third, R"), "no"),
        ("global:register_name(third, R)".to_owned(), "no"),
        (
            on_rust("re_register_name", "{a, 1}, R, fun global:notify_all_name/3"),
            "yes",
        ),
        ("Everywhere({a, 1}, R)".to_owned(), "true"),
        (on_rust("unregister_name", "{b, \"two\"}"), "ok"),
        ("Everywhere({b, \"two\"}, undefined)".to_owned(), "true"),
        (on_rust("unregister_name", "nobody"), "ok"),
        ("global:unregister_name({a, 1})".to_owned(), "ok"),
        ("Everywhere({a, 1}, undefined)".to_owned(), "true"),
        (
            on_rust("register_name", "echo, rpc:call('RUST', erlang, whereis, [echo])"),
            "yes",
        ),
        (
            "global:send(echo, {self(), hello}), receive {echo, hello} -> ok after 20000 -> lost end"
                .to_owned(),
            "ok",
        ),
        ("global:re_register_name(me, self()), ok".to_owned(), "ok"),
        (
            format!(
                "{}, receive over -> ok after 20000 -> lost end",
                on_rust("send", "me, over")
            ),
            "ok",
        ),
        (
            on_rust("send", "nobody, over"),
            "{badrpc,{'EXIT',{badarg,{nobody,over}}}}",
        ),
        (
            format!("lists:sort({})", on_rust("registered_names", "")),
            "[echo,me]",
        ),
        ("global:register_name(gone, R)".to_owned(), "yes"),
    ];
    for (step, expected) in steps {
        let step = step.replace("RUST", rust);
        assert_eq!(alice.eval(step.clone()).await, expected, "{step}");
    }
    assert_eq!(alice.eval("global_watch:ends(R)").await, "ok");
    agree(&alice, &[rust, alice.node(), bob.node()]).await;
    assert_eq!(alice.eval("global:whereis_name(gone)").await, "undefined");
    // A node takes its names with it.
    subject.kill().await;
    let freed = "(fun Wait() -> case global:whereis_name(echo) of undefined -> ok; _ -> timer:sleep(20), Wait() end end)()";
    assert_eq!(bob.eval(freed).await, "ok");
}

/// What becomes of a name that two partitions have when they join: each way to resolve it, the subject on either side of the
/// alphabet.
pub(crate) async fn conflicts(bed: Bed) {
    for (alive, subject_first) in [("alice", false), ("zoe", true)] {
        let subject = bed.subject().start().await;
        let rust = subject.node();
        let beam = bed.erl(alive, "a").start().await;
        // Who has the subject register its names is hidden, so that nobody joins anybody.
        let ask = bed.erl("ask", "b").hidden().start().await;
        // The one of their own runs on the lesser node, which must have its code.
        let own = if subject_first {
            ""
        } else {
            ", {global_watch, first}"
        };
        let methods = format!(
            "[{{global, random_exit_name}}, {{global, random_notify_name}}, {{global, notify_all_name}}{own}]"
        );
        let theirs = format!("Theirs = global_watch:rivals('{rust}', {methods}), ok");
        assert_eq!(ask.eval(theirs).await, "ok");
        let ours = format!("Ours = global_watch:rivals(node(), {methods}), ok");
        assert_eq!(beam.eval(ours).await, "ok");
        ping(&beam, rust).await;
        agree(&beam, &[rust, beam.node()]).await;
        ping(&ask, beam.node()).await;
        let tell = format!("{{judge, '{}'}} ! {{theirs, Theirs}}, ok", beam.node());
        assert_eq!(beam.eval("register(judge, self())").await, "true");
        assert_eq!(ask.eval(tell).await, "ok");
        assert_eq!(
            beam.eval("receive {theirs, T} -> T =/= [] after 20000 -> lost end")
                .await,
            "true"
        );
        let (first, second) = if subject_first {
            ("T", "Ours")
        } else {
            ("Ours", "T")
        };
        let kept = |method: &str, whose: &str| {
            format!("(fun(N, Ps) -> global_watch:kept(N, proplists:get_value(N, Ps)) end)({method}, {whose})")
        };
        let ended = "(fun Wait(P) -> case global_watch:kept(random_exit_name, P) of ended -> ok; _ -> timer:sleep(20), Wait(P) end end)";
        let loser = format!("{ended}(proplists:get_value(random_exit_name, {second}))");
        assert_eq!(beam.eval(loser).await, "ok");
        let mut expected = vec![
            ("random_exit_name", first, "{true,0}"),
            ("random_notify_name", first, "{true,0}"),
            ("random_notify_name", second, "{false,1}"),
            ("notify_all_name", first, "{false,1}"),
            ("notify_all_name", second, "{false,1}"),
        ];
        if !subject_first {
            expected.extend([("first", first, "{true,1}"), ("first", second, "{false,0}")]);
        }
        for (method, whose, left) in expected {
            assert_eq!(beam.eval(kept(method, whose)).await, left, "{method} of {whose}");
        }
        for node in [&beam, &ask] {
            node.kill().await;
        }
        subject.kill().await;
    }
}

/// Locks asked for by either side are on all nodes or on none, shared by those who are one requester, and free when their holders
/// end.
pub(crate) async fn locks(bed: Bed) {
    let (subject, alice, bob) = cluster(&bed).await;
    let rust = subject.node();
    let all = list(&[rust, alice.node(), bob.node()]);
    let by_rust =
        |function: &str, arguments: &str| format!("rpc:call('{rust}', global, {function}, [{arguments}])");
    let steps = [
        (&alice, format!("global:set_lock({{l, alice}}, {all}, 0)"), "true"),
        (&bob, format!("global:set_lock({{l, bob}}, {all}, 0)"), "false"),
        (&bob, by_rust("set_lock", &format!("{{l, rust}}, {all}, 0")), "false"),
        (&bob, "global:trans({l, bob}, fun() -> done end, [node() | nodes()], 0)".to_owned(), "aborted"),
        // The same requester, from another process.
        (&bob, format!("global:set_lock({{l, alice}}, {all}, 0)"), "true"),
        (&alice, format!("global:del_lock({{l, alice}}, {all})"), "true"),
        (&alice, format!("global:set_lock({{l, other}}, {all}, 0)"), "false"),
        (&bob, format!("global:del_lock({{l, alice}}, {all})"), "true"),
        // A lock taken by rpc is free when the process that took it has ended.
        (&alice, by_rust("set_lock", &format!("{{l, rust}}, {all}, 0")), "true"),
        (&alice, format!("global:set_lock({{l, alice}}, {all}, 10)"), "true"),
        (&bob, by_rust("trans", &format!("{{l, rust}}, fun erlang:node/0, {all}, 0")), "aborted"),
        (&alice, format!("global:del_lock({{l, alice}}, {all})"), "true"),
        (&bob, format!("{} =:= '{rust}'", by_rust("trans", "{l, rust}, fun erlang:node/0")), "true"),
        (&bob, by_rust("sync", ""), "ok"),
        // One that waits has it as soon as its holder has ended.
        (&alice, format!("H = spawn(fun() -> global:set_lock({{l, self()}}, {all}), receive over -> ok end end), ok"), "ok"),
        (&alice, "(fun Wait() -> case global:set_lock({l, me}, [node()], 0) of true -> global:del_lock({l, me}, [node()]), timer:sleep(20), Wait(); false -> held end end)()".to_owned(), "held"),
        (&alice, "H ! over, ok".to_owned(), "ok"),
        (&bob, format!("global:set_lock({{l, bob}}, {all})"), "true"),
    ];
    for (beam, step, expected) in steps {
        assert_eq!(beam.eval(step.clone()).await, expected, "{step}");
    }
}

/// Who loses a connection tells everybody, and no partitions overlap: whoever sees two nodes, these see each other. Then all find
/// together again.
pub(crate) async fn no_overlapping_partitions(bed: Bed) {
    let (subject, alice, bob) = cluster(&bed).await;
    let (rust, all) = (subject.node(), list(&[subject.node(), alice.node(), bob.node()]));
    assert_eq!(
        alice.eval(format!("disconnect_node('{}')", bob.node())).await,
        "true"
    );
    if bed.release() >= 25 {
        let limit = tokio::time::Instant::now() + std::time::Duration::from_millis(u64::from(LIMIT));
        loop {
            let sees = |other: &str| format!("lists:member('{other}', nodes())");
            let alice_bob = alice.eval(sees(bob.node())).await == "true";
            let alice_rust = alice.eval(sees(rust)).await == "true";
            let bob_rust = bob.eval(sees(rust)).await == "true";
            let edges = [alice_bob, alice_rust, bob_rust]
                .iter()
                .filter(|&&edge| edge)
                .count();
            if edges != 2 {
                break;
            }
            assert!(tokio::time::Instant::now() < limit, "partitions overlap");
        }
    }
    let joined = format!("global_watch:joined({all}, {LIMIT})");
    assert_eq!(alice.eval(joined).await, "ok");
}

/// Where that is switched off, the other connections stay.
pub(crate) async fn overlapping_partitions(bed: Bed) {
    let subject = bed.subject().overlapping().start().await;
    let alice = bed.erl("alice", "a").arguments(OVERLAPPING).start().await;
    let bob = bed.erl("bob", "b").arguments(OVERLAPPING).start().await;
    ping(&alice, bob.node()).await;
    ping(&alice, subject.node()).await;
    agree(&alice, &[subject.node(), alice.node(), bob.node()]).await;
    let rust = subject.node();
    assert_eq!(
        alice.eval(format!("disconnect_node('{}')", bob.node())).await,
        "true"
    );
    // The answers come after whatever a name server has done about it.
    for beam in [&alice, &bob] {
        let known = format!("is_list(gen_server:call({{global_name_server, '{rust}'}}, get_known))");
        assert_eq!(beam.eval(known).await, "true");
        let knows = format!("lists:member('{rust}', gen_server:call(global_name_server, get_known))");
        assert_eq!(beam.eval(knows).await, "true");
        assert_eq!(
            beam.eval(format!("lists:member('{rust}', nodes())")).await,
            "true"
        );
    }
}

/// Operations on a few names at random from three nodes at once, then every node's view compared. `BED_OPERATIONS` says how many.
pub(crate) async fn at_random(bed: Bed) {
    let (subject, alice, bob) = cluster(&bed).await;
    let count = std::env::var("BED_OPERATIONS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(10);
    let seed = std::env::var("BED_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(super::processes::rand_seed) % 1_000_000;
    bed.note(format!("BED_SEED={seed}")).await;
    let limit = std::time::Duration::from_secs(90 + count);
    let operate = |seed: u64| format!("global_watch:operate('{}', {count}, {seed})", subject.node());
    let (one, other) = tokio::join!(
        alice.eval_in("work", operate(seed), limit),
        bob.eval_in("work", operate(seed + 1), limit)
    );
    assert_eq!((one.text(), other.text()), ("ok", "ok"), "seed {seed}");
    agree(&alice, &[subject.node(), alice.node(), bob.node()]).await;
}

/// Seconds of silence after which a node is down.
const TICKTIME: u32 = 4;

/// A cluster cut in two halves: each goes on by itself, and names of both are those of all when it is whole again.
pub(crate) async fn cut_in_halves(bed: Bed) {
    let subject = bed.subject().ticktime(TICKTIME).start().await;
    let alice = bed.erl("alice", "a").ticktime(TICKTIME).start().await;
    let bob = bed.erl("bob", "b").ticktime(TICKTIME).start().await;
    let zoe = bed.erl("zoe", "z").ticktime(TICKTIME).start().await;
    let rust = subject.node();
    let all = [rust, alice.node(), bob.node(), zoe.node()];
    for beam in [&bob, &zoe] {
        ping(beam, alice.node()).await;
    }
    ping(&alice, rust).await;
    agree(&alice, &all).await;
    for here in [bed.subject_host(), alice.host()] {
        for there in [bob.host(), zoe.host()] {
            bed.cut(here, there).await;
        }
    }
    // What is left of a half that noticed one cut before the next was made finds together again.
    let halves = [[rust, alice.node()], [bob.node(), zoe.node()]];
    for (beam, half, other) in [(&alice, 0, 1), (&bob, 1, 0), (&zoe, 1, 0)] {
        let without = format!("global_watch:await_without({}, {LIMIT})", list(&halves[other]));
        assert_eq!(beam.eval(without).await, "ok", "{half}");
    }
    for (beam, half) in [(&alice, 0), (&zoe, 1)] {
        let joined = format!("global_watch:joined({}, {LIMIT})", list(&halves[half]));
        assert_eq!(beam.eval(joined).await, "ok");
    }
    let register = |name: &str, node: &str| {
        format!("rpc:call('{node}', global, register_name, [{name}, global_watch:sleeper('{node}')])")
    };
    for (beam, name, node) in [
        (&alice, "left", rust),
        (&alice, "both", rust),
        (&zoe, "right", zoe.node()),
        (&zoe, "both", bob.node()),
    ] {
        assert_eq!(beam.eval(register(name, node)).await, "yes", "{name}");
    }
    bed.heal().await;
    let joined = format!("global_watch:joined({}, {LIMIT})", list(&all));
    assert_eq!(alice.eval(joined).await, "ok");
    let names = "lists:sort(global:registered_names())";
    assert_eq!(bob.eval(names).await, "[both,left,right]");
    assert_eq!(
        bob.eval("node(global:whereis_name(both)) =:= node()").await,
        "true"
    );
}

/// The network drops what one node sends to another: when it is whole again, all find together.
pub(crate) async fn cut_one_way(bed: Bed) {
    for towards_subject in [true, false] {
        let subject = bed.subject().ticktime(TICKTIME).start().await;
        let alice = bed.erl("alice", "a").ticktime(TICKTIME).start().await;
        let bob = bed.erl("bob", "b").ticktime(TICKTIME).start().await;
        let rust = subject.node();
        ping(&alice, bob.node()).await;
        ping(&alice, rust).await;
        agree(&alice, &[rust, alice.node(), bob.node()]).await;
        alice.eval("node_watch:start()").await;
        if towards_subject {
            bed.cut_one_way(alice.host(), bed.subject_host()).await;
        } else {
            bed.cut_one_way(bed.subject_host(), alice.host()).await;
        }
        let down = format!("length(node_watch:await('{rust}', 1, {LIMIT})) > 0");
        assert_eq!(alice.eval(down).await, "true");
        bed.heal().await;
        let joined = format!(
            "global_watch:joined({}, {LIMIT})",
            list(&[rust, alice.node(), bob.node()])
        );
        assert_eq!(alice.eval(joined).await, "ok");
        alice.kill().await;
        bob.kill().await;
        subject.kill().await;
    }
}
