//! A cluster as a Rust program sees it and works in it, and clusters of several releases.

use std::time::Duration;

use beamnode::etf;
use beamnode::node::{
    AutoConnect, Backoff, ConnectError, InfoForm, Node, NodeEvent, NodeMonitor, NodeType, Process, SendError,
};
use beamnode::otp::{LockId, Resolve};
use beamnode::term;
use beamnode::term::{Atom, Pid, Term};
use tokio::task::JoinSet;

use super::global::{agree, list, sees};
use super::pg::node_of_ours;
use crate::inside::{Beam, Bed, COOKIE, LIMIT, Subject};

/// Seconds of silence after which a node is down.
const TICKTIME: u32 = 4;

async fn next(me: &mut Process) -> Term {
    let message = tokio::time::timeout(LIMIT, me.recv()).await;
    message
        .expect("a message")
        .expect("a process")
        .term()
        .expect("a term")
}

async fn eval(beam: &Beam, source: &str, expected: &str) {
    assert_eq!(beam.eval(source).await, expected, "{source}");
}

/// The functions of `global`, `pg`, `net_kernel` and `net_adm`, called on the subject, end as on a BEAM node, whatever their arguments.
pub(crate) async fn functions(bed: Bed) {
    let subject = bed.subject().start().await;
    let bob = bed.erl("bob", "b").start().await;
    // Hidden, so that the two stay strangers.
    let alice = bed.erl("alice", "a").hidden().start().await;
    let differences = format!(
        "call_table:differences('{}', '{}', call_table:cluster())",
        bob.node(),
        subject.node()
    );
    let found = alice.eval_in("table", differences, Duration::from_secs(100));
    assert_eq!(found.await, "[]");
    // What has gone between the two is more than that by now.
    let counted = format!(
        "begin {{ok, I}} = rpc:call('{}', net_kernel, node_info, [node()]), [proplists:get_value(K, I) > 100 || K <- [in, out]] end",
        subject.node()
    );
    eval(&alice, &counted, "[true,true]").await;
}

/// Every node of a list of hosts: `net_adm:world_list` as the subject does it, and as a BEAM node does it that finds the subject.
pub(crate) async fn world(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let bob = bed.erl("bob", "b").start().await;
    let (rust, host) = (subject.node(), subject.node().split_once('@').expect("a name").1);
    let found = format!("lists:sort(rpc:call('{rust}', net_adm, world_list, [[a, b]]))");
    eval(&alice, &found, "[alice@a,bob@b]").await;
    let connected = format!("lists:sort(rpc:call('{rust}', erlang, nodes, []))");
    eval(&alice, &connected, "[alice@a,bob@b]").await;
    let zoe = bed.erl("zoe", "c").start().await;
    let found = format!(
        "lists:sort(net_adm:world_list([b, '{host}'])) =:= lists:sort(['{rust}', '{}'])",
        bob.node()
    );
    eval(&zoe, &found, "true").await;
}

/// A BEAM node that counts on the subject for a global group and for distributed applications, of which the subject knows nothing: it starts, and
/// sees what it would see of a BEAM node that does not have them either.
pub(crate) async fn groups_of_theirs(bed: Bed) {
    let subject = bed.subject().start().await;
    let rust = subject.node();
    let (group, wanted, application) = (
        format!("[{{one,[alice@a,'{rust}']}}]"),
        format!("['{rust}']"),
        format!("[{{nothing,[alice@a,'{rust}']}}]"),
    );
    let alice = bed.erl("alice", "a").arguments(&[
        "-kernel",
        "global_groups",
        &group,
        "sync_nodes_mandatory",
        &wanted,
        "sync_nodes_timeout",
        "20000",
        "distributed",
        &application,
    ]);
    let alice = alice.start().await;
    let seen = "begin I = global_group:info(), {nodes(), dist_ac:get_known_nodes(), \
                [V || K <- [synced_nodes, sync_error, no_contact], {_, V} <- [lists:keyfind(K, 1, I)]]} end";
    let expected = format!("{{[{rust}],[alice@a],[[],[{rust}],[]]}}");
    eval(&alice, seen, &expected).await;
    eval(
        &alice,
        &format!("rpc:call('{rust}', erlang, is_alive, [])"),
        "true",
    )
    .await;
}

/// A BEAM node's `global_group` finds the names of the subject, which is in no group.
pub(crate) async fn asked_for_names(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let rust = subject.node();
    assert_eq!(super::ping::ping(&alice, rust).await, "pong");
    eval(
        &alice,
        "global:sync(), yes = global:register_name(me, self()), ok",
        "ok",
    )
    .await;
    let place = format!("{{node, '{rust}'}}");
    for (asked, found) in [
        (
            format!("global_group:whereis_name({place}, me) =:= self()"),
            "true",
        ),
        (format!("global_group:whereis_name({place}, nobody)"), "undefined"),
        (format!("global_group:registered_names({place})"), "[me]"),
        (
            format!("global_group:send({place}, me, hello) =:= self() andalso receive hello -> told end"),
            "told",
        ),
        (
            format!("global_group:send({place}, nobody, hello)"),
            "{badarg,{nobody,hello}}",
        ),
    ] {
        eval(&alice, &asked, found).await;
    }
}

/// A node that is kept connected is there again whenever it has died and come back, though this one connects to nobody by itself.
pub(crate) async fn kept(bed: Bed) {
    let node = Node::builder(format!("kept@{}", bed.rust_host_name()))
        .cookie(COOKIE)
        .auto_connect(AutoConnect::Never)
        .start()
        .await
        .unwrap();
    let me = node.process();
    let mut alice = bed.erl("alice", "a").start().await;
    let refused = me.send(("nobody", alice.node()), Term::NIL).await;
    assert!(
        matches!(
            refused,
            Err(SendError::Connect(ConnectError::NotAutomatic { .. }))
        ),
        "{refused:?}"
    );
    let mut events = node.monitor_nodes(NodeType::All);
    let backoff = Backoff {
        first: Duration::from_millis(10),
        longest: Duration::from_millis(500),
    };
    let _kept = node.keep_connected(alice.node(), backoff);
    for round in 0..3 {
        let event = tokio::time::timeout(LIMIT, events.next()).await;
        assert!(
            matches!(event, Ok(Some(NodeEvent::NodeUp { .. }))),
            "{round}: {event:?}"
        );
        let answer = node.rpc(alice.node()).call("erlang", "node", []).await;
        assert!(answer.unwrap().is_atom(alice.node()));
        alice.kill().await;
        let event = tokio::time::timeout(LIMIT, events.next()).await;
        assert!(
            matches!(event, Ok(Some(NodeEvent::NodeDown { .. }))),
            "{round}: {event:?}"
        );
        alice = bed.erl("alice", "a").start().await;
    }
    node.shutdown().await;
}

/// `global` from Rust: what is registered, resolved, sent and locked here is so on a BEAM node, and the other way round.
pub(crate) async fn global_by_us(bed: Bed) {
    let zoe = bed.erl("zoe", "a").start().await;
    let (node, mut me) = node_of_ours(&bed).await;
    let global = node.global();
    // A conflict for each way to resolve it, which is done where the lesser node is, here.
    let names = ["exit", "notify", "nobody", "own"];
    let us = node.name().clone();
    let theirs = global.resolver(move |_, _, one: Pid, other: Pid| {
        let theirs = if *one.node() == us { other } else { one };
        async move { Some(theirs) }
    });
    let ways = [
        Resolve::RandomExit,
        Resolve::RandomNotify,
        Resolve::NotifyAll,
        theirs,
    ];
    let mut ours = Vec::new();
    for (name, way) in names.into_iter().zip(ways) {
        let process = node.process();
        let registered = global.register_name_with(Term::atom(name), process.pid(), way);
        assert!(registered.await.unwrap());
        ours.push(process);
    }
    let register = "Ps = [begin P = global_watch:sleeper(node()), yes = global:register_name(N, P), P end \
                    || N <- [exit, notify, nobody, own, zoe]], length(Ps)";
    eval(&zoe, register, "5").await;
    node.connect(zoe.node()).await.unwrap();
    global.sync().await.unwrap();
    agree(&zoe, &[node.name().as_str(), zoe.node()]).await;
    let whose = |name: &'static str| global.whereis_name(Term::atom(name));
    let expected = [Some(ours[0].pid()), Some(ours[1].pid()), None];
    assert_eq!(
        [whose("exit"), whose("notify"), whose("nobody")],
        expected.map(|pid| pid.cloned())
    );
    let seen = "[global:whereis_name(N) =:= lists:nth(I, Ps) || {N, I} <- [{exit, 1}, {notify, 2}, {nobody, 3}, {own, 4}, {zoe, 5}]]";
    eval(&zoe, seen, "[false,false,false,true,true]").await;
    let ended = "(fun W() -> case is_process_alive(hd(Ps)) of false -> ended; true -> timer:sleep(20), W() end end)()";
    eval(&zoe, ended, "ended").await;
    let told = next(&mut ours[2]).await;
    let told = told
        .as_tuple()
        .and_then(|tuple| tuple.array::<3>())
        .expect("a conflict");
    assert_eq!(told[..2], [term!(global_name_conflict), term!(nobody)]);

    let other = node.process();
    assert!(!global.register_name(term!(zoe), other.pid()).await.unwrap());
    global
        .re_register_name(term!(zoe), other.pid(), Resolve::RandomExit)
        .await
        .unwrap();
    eval(
        &zoe,
        &format!("node(global:whereis_name(zoe)) =:= '{}'", node.name()),
        "true",
    )
    .await;
    global.unregister_name(term!(zoe)).await.unwrap();
    eval(&zoe, "global:whereis_name(zoe)", "undefined").await;
    assert!(global.register_name(term!({leader, 1}), me.pid()).await.unwrap());
    eval(
        &zoe,
        "global:send({leader, 1}, {self(), hello}), global:re_register_name(shell, self())",
        "yes",
    )
    .await;
    let hello = next(&mut me).await;
    assert_eq!(
        hello.as_tuple().and_then(|tuple| tuple.get(1)),
        Some(term!(hello))
    );
    let shell = global.send(&me, term!(shell), term!(over)).await.unwrap();
    assert_eq!(Some(shell), global.whereis_name(term!(shell)));
    eval(&zoe, "receive over -> ok after 20000 -> lost end", "ok").await;
    assert!(global.send(&me, term!(nobody), term!(over)).await.is_err());
    let mut registered = global.registered_names();
    registered.sort();
    let theirs = zoe.eval("lists:sort(global:registered_names())").await;
    assert_eq!(
        Term::from(registered),
        etf::decode(theirs.bytes().to_vec()).unwrap()
    );

    let nodes = global.nodes();
    let lock = LockId::new(term!(work), me.pid().clone());
    let theirs = "global:set_lock({work, self()}, [node() | nodes()], 0)";
    assert!(global.set_lock(&mut me, &lock, &nodes, Some(0)).await);
    eval(&zoe, theirs, "false").await;
    global.del_lock(&mut me, &lock, &nodes).await;
    eval(&zoe, theirs, "true").await;
    assert!(!global.set_lock(&mut me, &lock, &nodes, Some(0)).await);
    eval(&zoe, "global:del_lock({work, self()})", "true").await;
    let inside = global.trans(&mut me, &lock, &nodes, None, async |_| {
        eval(&zoe, theirs, "false").await
    });
    assert!(inside.await.is_some());
    eval(&zoe, theirs, "true").await;
    // A name is free when its process ends.
    drop(me);
    let freed = "(fun W() -> case global:whereis_name({leader, 1}) of undefined -> ok; _ -> timer:sleep(20), W() end end)()";
    eval(&zoe, freed, "ok").await;
    node.shutdown().await;
}

/// What was told, with connections counted from 0 in the order in which they came: their ids are each node's own.
fn counted(told: Vec<Term>) -> Vec<Term> {
    let (key, mut ids) = (term!(connection_id), Vec::new());
    let mut count = |message: Term| {
        let parts = message.as_tuple().and_then(|tuple| tuple.array::<3>());
        let Some([event, node, Term::Map(info)]) = parts else {
            return message;
        };
        let Some(id) = info.get(&key) else { return message };
        let place = ids.iter().position(|known| *known == id).unwrap_or_else(|| {
            ids.push(id);
            ids.len() - 1
        });
        let kind = info.get(&term!(node_type));
        Term::from((
            event,
            node,
            Term::from(vec![
                Term::from(place),
                Term::from(kind.into_iter().collect::<Vec<_>>()),
            ]),
        ))
    };
    told.into_iter().map(&mut count).collect()
}

/// What processes of ours are told of a node that comes, speaks and goes, visible and hidden, is what those of a BEAM node are told
/// that asked for it with the same options: up before its first message, down after its last.
pub(crate) async fn node_events(bed: Bed) {
    let judge = bed.erl("judge", "b").start().await;
    let (node, _) = node_of_ours(&bed).await;
    let typed = |node_type, nodedown_reason| NodeMonitor {
        node_type: Some(node_type),
        nodedown_reason,
        ..NodeMonitor::default()
    };
    let mut options = vec![
        (NodeMonitor::default(), "[]"),
        (
            typed(NodeType::Visible, true),
            "[nodedown_reason, {node_type, visible}]",
        ),
        (typed(NodeType::Hidden, false), "[{node_type, hidden}]"),
        (typed(NodeType::All, true), "[{node_type, all}, nodedown_reason]"),
    ];
    if bed.release() >= 25 {
        let map = NodeMonitor {
            form: InfoForm::Map,
            ..typed(NodeType::All, true)
        };
        options.push((map, "#{node_type => all, nodedown_reason => true}"));
        let numbered = NodeMonitor {
            connection_id: true,
            form: InfoForm::Map,
            ..typed(NodeType::All, false)
        };
        options.push((numbered, "#{node_type => all, connection_id => true}"));
    }
    let theirs: Vec<&str> = options.iter().map(|(_, theirs)| *theirs).collect();
    let watchers = format!("node_watch:watchers([{}])", theirs.join(", "));
    eval(&judge, &watchers, "ok").await;
    let mut ours = Vec::new();
    for (number, (wanted, _)) in (1..).zip(&options) {
        let process = node.process();
        process.register(&format!("watch{number}")).unwrap();
        process.monitor_nodes(*wanted);
        ours.push((process, Vec::new(), wanted.node_type.unwrap_or_default()));
    }
    let mut once = node.process();
    let mut counts = vec![0; ours.len()];
    for hidden in [false, true] {
        // It keeps the two apart.
        let alice = bed.erl("alice", "a").arguments(&["-connect_all", "false"]);
        let alice = if hidden { alice.hidden() } else { alice }.start().await;
        for node in [node.name().as_str(), judge.node()] {
            let speak = format!("node_watch:speak('{node}', {})", options.len());
            eval(&alice, &speak, "ok").await;
        }
        let wanted = |wanted| match wanted {
            NodeType::Visible => !hidden,
            NodeType::Hidden => hidden,
            NodeType::All => true,
        };
        // The last of what it says has come before it ends.
        for (process, told, of) in &mut ours {
            for _ in 0..3 + usize::from(wanted(*of)) {
                told.push(next(process).await);
            }
        }
        let queued = format!("process_info(whereis(watch{}), message_queue_len)", options.len());
        let there = format!(
            "(fun W() -> case {queued} of {{_, N}} when N >= {} -> ok; _ -> timer:sleep(20), W() end end)()",
            if hidden { 9 } else { 4 }
        );
        eval(&judge, &there, "ok").await;
        for _ in 0..2 {
            once.monitor_node(alice.node()).await;
        }
        alice.kill().await;
        for ((process, told, of), count) in ours.iter_mut().zip(&mut counts) {
            if wanted(*of) {
                told.push(next(process).await);
            }
            *count = told.len();
        }
        for _ in 0..2 {
            let down = term!({nodedown, (Atom::new(alice.node()).unwrap())});
            assert_eq!(next(&mut once).await, down);
        }
        assert_eq!(once.mailbox_len(), 0);
    }
    for (number, ((_, told, _), (_, theirs))) in (1..).zip(ours.iter().zip(&options)) {
        let seen = judge
            .eval(format!("node_watch:told({number}, {})", told.len()))
            .await;
        let seen = etf::decode(seen.bytes().to_vec()).unwrap();
        let seen = seen.as_list().expect("what was told").iter().collect();
        assert_eq!(counted(told.clone()), counted(seen), "{theirs}");
    }
    node.shutdown().await;
}

/// Nodes of several releases and two subjects in one mesh: names, locks and groups of all.
async fn mixed(bed: Bed, releases: &[u32]) {
    let (rust, other) = (
        bed.subject().start().await,
        bed.subject_named("another").start().await,
    );
    let mut beams = Vec::new();
    for &release in releases {
        beams.push(bed.erl("alice", "a").release(release).start().await);
    }
    let all: Vec<&str> = [rust.node(), other.node()]
        .into_iter()
        .chain(beams.iter().map(Beam::node))
        .collect();
    // One after the other to somebody of those before it.
    eval(&beams[0], &format!("net_adm:ping('{}')", rust.node()), "pong").await;
    agree(&beams[0], &[rust.node(), beams[0].node()]).await;
    eval(&beams[0], &format!("net_adm:ping('{}')", other.node()), "pong").await;
    agree(&beams[0], &[rust.node(), other.node(), beams[0].node()]).await;
    for count in 1..beams.len() {
        eval(
            &beams[count],
            &format!("net_adm:ping('{}')", all[count % 2]),
            "pong",
        )
        .await;
        agree(&beams[count], &all[..count + 3]).await;
    }
    let names = format!(
        "[yes = rpc:call(N, global, register_name, [{{at, N}}, global_watch:sleeper(N)]) || N <- {}], ok",
        list(&all)
    );
    eval(&beams[0], &names, "ok").await;
    for beam in &beams {
        sees(beam, &all).await;
        eval(
            beam,
            &format!("length(global:registered_names()) =:= {}", all.len()),
            "true",
        )
        .await;
        eval(beam, "global:sync()", "ok").await;
    }
    agree(&beams[0], &all).await;
    // Who has the lock keeps all others out, whatever they are.
    let all_nodes = list(&all);
    for beam in &beams {
        let lock = format!("global:set_lock({{l, self()}}, {all_nodes}, 0)");
        eval(beam, &lock, "true").await;
        let others = format!(
            "[{{N, On}} || N <- {all_nodes}, On <- {all_nodes}, rpc:call(N, global, set_lock, [{{l, N}}, [On], 0])]"
        );
        eval(beam, &others, "[]").await;
        eval(
            beam,
            &format!("global:del_lock({{l, self()}}, {all_nodes})"),
            "true",
        )
        .await;
    }
    // OTP 25 and before, and OTP 29, end each other's scopes: a scope has the one or the other.
    let few = |old: bool| -> Vec<&str> {
        let of = releases
            .iter()
            .zip(&beams)
            .filter(|&(&release, _)| release == 27 || (release < 27) == old);
        let beams = of.map(|(_, beam)| beam.node());
        let subjects = (rust.is_rust() || old == (bed.release() < 27)).then_some([rust.node(), other.node()]);
        beams.chain(subjects.into_iter().flatten()).collect()
    };
    for (scope, nodes) in [("old", few(true)), ("new", few(false))] {
        let nodes = list(&nodes);
        let play = format!(
            "(fun(Nodes) -> groups:start({scope}, Nodes), \
             M = lists:append([groups:join({scope}, N, g, groups:spawn_on(N)) || N <- Nodes]), \
             ok = groups:await({scope}, Nodes, M), \
             [ok = groups:leave({scope}, N, g, P) || N <- Nodes, {{g, P}} <- M, node(P) =:= N, N =/= hd(Nodes)], \
             Left = [E || {{g, P}} = E <- M, node(P) =:= hd(Nodes)], groups:await({scope}, Nodes, Left) end)({nodes})"
        );
        let judge = if scope == "old" {
            &beams[0]
        } else {
            beams.last().unwrap_or(&beams[0])
        };
        if nodes.len() > 2 {
            eval(judge, &play, "ok").await;
        }
    }
}

/// So many nodes of each kind in a large mesh.
const EACH: usize = 25;
/// How long that may take to come together, on a slow machine too.
const LARGE_LIMIT: Duration = Duration::from_secs(150);

/// A mesh of 50 light nodes, half of them the subject's kind: one asks for each of the others, and all find all. Names and members of
/// every node are seen by all, and go from all with their node.
pub(crate) async fn fifty(bed: Bed) {
    let mut starting = JoinSet::new();
    for number in 0..EACH {
        let host = ["a", "b", "c", "d", "e"][number % 5];
        let beam = bed
            .erl(&format!("beam{number}"), host)
            .arguments(&["+S", "1:1", "+A", "1"]);
        starting.spawn(beam.start());
    }
    let mut subjects = Vec::new();
    for number in 0..EACH {
        let subject = bed.subject_named(&format!("rust{number}"));
        subjects.push(subject.arguments(&["+S", "1:1", "+A", "1"]).start().await);
    }
    let beams = starting.join_all().await;
    let judge = bed.erl("judge", "j").hidden().start().await;
    let all: Vec<&str> = beams
        .iter()
        .map(Beam::node)
        .chain(subjects.iter().map(Subject::node))
        .collect();
    let large = async |beam: &Beam, source: &str| {
        let value = beam.eval_in("main", source, LARGE_LIMIT).await;
        assert_eq!(value, "ok", "{source}");
    };
    let bindings = format!("All = {}, groups:start(cuts, All)", list(&all));
    large(&judge, &bindings).await;
    let asks = format!("[pong = net_adm:ping(N) || N <- {} -- [node()]], ok", list(&all));
    large(&beams[0], &asks).await;
    // All see what is to be seen.
    let seen = |of: &str, members: &str| {
        let limit = LARGE_LIMIT.as_millis() / 2;
        format!(
            "(fun({{as_expected, _}}) -> ok; (Other) -> Other end)(cuts:await({of}, [], {members}, [], {limit}))"
        )
    };
    large(&judge, &seen("All", "[]")).await;
    large(&judge, "Members = cuts:members(light, All, [{cuts, All}]), ok").await;
    large(&judge, &seen("All", "Members")).await;
    let (gone, other) = (&subjects[EACH / 2], &beams[EACH / 2]);
    gone.kill().await;
    other.kill().await;
    let left = format!("All -- {}", list(&[gone.node(), other.node()]));
    large(&judge, &seen(&left, "Members")).await;
}

/// The newest that speak with each other.
pub(crate) async fn releases_25_27_29(bed: Bed) {
    mixed(bed, &[25, 27, 29]).await;
}

/// The oldest, which OTP 26 and later do not speak with.
pub(crate) async fn releases_23_25(bed: Bed) {
    mixed(bed, &[23, 25]).await;
}

/// The network between two of three nodes is cut: from OTP 25 on nobody is left who sees both. What is registered before and meanwhile
/// is everybody's once it is whole and the third has asked for each of them.
pub(crate) async fn cut_between_two(bed: Bed) {
    let subject = bed.subject().ticktime(TICKTIME).start().await;
    let alice = bed.erl("alice", "a").ticktime(TICKTIME).start().await;
    let zoe = bed.erl("zoe", "z").ticktime(TICKTIME).start().await;
    let three = [subject.node(), alice.node(), zoe.node()];
    for node in &three[..2] {
        eval(&zoe, &joined_with(node), "ok").await;
    }
    agree(&zoe, &three).await;
    let register = |when: &str, node: &str| {
        format!(
            "rpc:call('{node}', global, register_name, [{{{when}, '{node}'}}, global_watch:sleeper('{node}')])"
        )
    };
    for node in three {
        eval(&zoe, &register("before", node), "yes").await;
    }
    eval(&alice, "node_watch:start()", "ok").await;
    bed.cut(alice.host(), bed.subject_host()).await;
    let down = format!("length(node_watch:await('{}', 1, 25000)) > 0", subject.node());
    eval(&alice, &down, "true").await;
    subject
        .await_event(&format!("nodedown {} ", alice.node()), 1, LIMIT)
        .await;
    if bed.release() >= 25 {
        let apart = format!(
            "(fun W() -> case {} -- nodes() of [] -> timer:sleep(20), W(); _ -> ok end end)()",
            list(&three[..2])
        );
        eval(&zoe, &apart, "ok").await;
    }
    for beam in [&alice, &zoe] {
        eval(beam, &register("meanwhile", beam.node()), "yes").await;
    }
    bed.heal().await;
    for node in &three[..2] {
        eval(&zoe, &joined_with(node), "ok").await;
    }
    // Where partitions may overlap, the two have to be asked to.
    eval(&alice, &joined_with(subject.node()), "ok").await;
    agree(&zoe, &three).await;
    eval(&zoe, "length(global:registered_names())", "5").await;
}

/// `ok` once this node has asked for the other and both know each other.
fn joined_with(node: &str) -> String {
    format!(
        "(fun W() -> net_adm:ping('{node}'), Known = fun(N) -> catch gen_server:call({{global_name_server, N}}, get_known) end, \
         case catch lists:member('{node}', Known(node())) andalso lists:member(node(), Known('{node}')) of \
         true -> ok; _ -> timer:sleep(20), W() end end)()"
    )
}
