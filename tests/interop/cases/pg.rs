//! Process groups that the subject has in common with BEAM nodes: who sees which members, whatever happens.

use beamnode::dist::Cookie;
use beamnode::node::{Node, Process};
use beamnode::otp::{ChangeKind, GroupChange};
use beamnode::term::{Atom, Pid, Term};

use crate::inside::{Beam, Bed, COOKIE, LIMIT, Subject, SubjectBuilder};

/// Seconds of `net_ticktime` where a network is cut.
const TICKTIME: u32 = 4;

/// Nodes that keep their other connections when they lose one: what is told apart here is who sees whom.
const APART: [&str; 3] = ["-kernel", "prevent_overlapping_partitions", "false"];

fn subject(bed: &Bed) -> SubjectBuilder {
    bed.subject().ticktime(TICKTIME).arguments(&APART)
}

/// A cluster of the subject and two BEAM nodes, with a scope on each. In the expressions of alice, who has a shell, `S` is the scope,
/// `N` the subject and `All` all nodes.
async fn cluster(bed: &Bed) -> (Subject, Beam, Beam) {
    let subject = subject(bed).start().await;
    let start = async |alive, host| {
        bed.erl(alive, host)
            .ticktime(TICKTIME)
            .arguments(&APART)
            .start()
            .await
    };
    let (alice, bob) = (start("alice", "a").await, start("bob", "b").await);
    let bindings = format!(
        "S = bed, N = '{}', B = '{}', All = [node(), B, N], groups:connect(All), groups:start(S, All)",
        subject.node(),
        bob.node()
    );
    assert_eq!(alice.eval(bindings).await, "ok");
    (subject, alice, bob)
}

/// How many operations at random each node does: `PG_OPERATIONS`.
fn operations() -> usize {
    let given = std::env::var("PG_OPERATIONS")
        .ok()
        .and_then(|count| count.parse().ok());
    given.unwrap_or(40)
}

/// Joins, leaves and ends at random on all nodes at once; then all see the same, and what they should.
pub(crate) async fn at_random(bed: Bed) {
    let (_subject, alice, _bob) = cluster(&bed).await;
    let seed = super::attacks::seed();
    eprintln!("seed {seed}");
    let play = format!(
        "Model = groups:play(S, All, {}, {}), length(Model) > 0",
        operations(),
        seed % 1_000_000
    );
    assert_eq!(alice.eval_in("main", play, LIMIT * 2).await, "true");
    assert_eq!(alice.eval("groups:await(S, All, Model)").await, "ok");
}

/// Members go with their node and with the scope that they joined in, and others come with the next incarnation of either.
pub(crate) async fn crashes(bed: Bed) {
    let (subject, alice, bob) = cluster(&bed).await;
    let join = "P = groups:spawn_on(N), Q = groups:spawn_on(node()), \
                M1 = groups:join(S, N, g, [P, P]), M2 = groups:join(S, node(), g, Q), groups:await(S, All, M1 ++ M2)";
    assert_eq!(alice.eval(join).await, "ok");
    let scope_ends = "groups:kill(rpc:call(N, erlang, whereis, [S])), groups:await(S, [node(), B], M2)";
    assert_eq!(alice.eval(scope_ends).await, "ok");
    let again = "groups:start(S, [N]), groups:await(S, All, M2), M3 = groups:join(S, N, g, P), groups:await(S, All, M2 ++ M3)";
    assert_eq!(alice.eval(again).await, "ok");
    let peer_scope_ends = "groups:kill(whereis(S)), groups:await(S, [N, B], M3)";
    assert_eq!(alice.eval(peer_scope_ends).await, "ok");
    let again = "groups:start(S, [node()]), groups:join(S, node(), g, Q), groups:await(S, All, M2 ++ M3)";
    assert_eq!(alice.eval(again).await, "ok");
    subject.kill().await;
    assert_eq!(alice.eval("groups:await(S, [node(), B], M2)").await, "ok");
    let subject = self::subject(&bed).start().await;
    let again = "groups:connect(All), groups:start(S, [N]), P2 = groups:spawn_on(N), M4 = groups:join(S, N, g, P2), \
                 groups:await(S, All, M2 ++ M4)";
    assert_eq!(alice.eval(again).await, "ok");
    bob.kill().await;
    assert_eq!(alice.eval("groups:await(S, [node(), N], M2 ++ M4)").await, "ok");
    assert!(subject.is_running().await);
}

/// A BEAM process that monitors a scope or a group is told of what the subject's processes do, in order and in full.
pub(crate) async fn monitors_of_peer(bed: Bed) {
    let (_subject, alice, _bob) = cluster(&bed).await;
    if bed.release() < 25 {
        // It has no monitors of groups.
        return;
    }
    let eval =
        async |source: &str, expected: &str| assert_eq!(alice.eval(source).await, expected, "{source}");
    eval(
        "{R, M0} = pg:monitor_scope(S), {G, []} = pg:monitor(S, g), M0",
        "#{}",
    )
    .await;
    eval(
        "P = groups:spawn_on(N), groups:join(S, N, other, P), groups:next(R) =:= {join, other, [P]}",
        "true",
    )
    .await;
    eval(
        "groups:join(S, N, g, [P, P]), [groups:next(R), groups:next(G)] =:= [{join, g, [P, P]}, {join, g, [P, P]}]",
        "true",
    )
    .await;
    eval(
        "groups:leave(S, N, g, P), [groups:next(R), groups:next(G)] =:= [{leave, g, [P]}, {leave, g, [P]}]",
        "true",
    )
    .await;
    eval(
        "groups:kill(P), [groups:next(G), lists:sort([groups:next(R), groups:next(R)])] \
         =:= [{leave, g, [P]}, [{leave, g, [P]}, {leave, other, [P]}]]",
        "true",
    )
    .await;
}

/// The functions of `pg`, called on the subject by rpc, answer and fail as those of a BEAM node.
pub(crate) async fn functions(bed: Bed) {
    let (_subject, alice, _bob) = cluster(&bed).await;
    let check = async |expression: &str, pattern: &str| {
        let source =
            format!("(fun() -> case begin {expression} end of {pattern} -> ok; Other -> Other end end)()");
        assert_eq!(alice.eval(source).await, "ok", "{expression} must give {pattern}");
    };
    alice
        .eval("C = fun(F, A) -> rpc:call(N, pg, F, A) end, P = groups:spawn_on(N), Me = self()")
        .await;
    check(
        "C(start, [S])",
        "{error, {already_started, Pid}} when node(Pid) =:= N",
    )
    .await;
    check(
        "C(join, [S, g, Me])",
        "{badrpc, {'EXIT', {{nolocal, Me}, [{pg, _, _, _} | _]}}}",
    )
    .await;
    check(
        "C(join, [S, g, [P, Me]])",
        "{badrpc, {'EXIT', {{nolocal, Me}, _}}}",
    )
    .await;
    check("C(leave, [S, g, Me])", "{badrpc, {'EXIT', {{nolocal, Me}, _}}}").await;
    check("C(leave, [S, g, P])", "not_joined").await;
    check("C(join, [S, g, P])", "ok").await;
    check("C(get_members, [S, g])", "[P]").await;
    check("C(get_local_members, [S, g])", "[P]").await;
    check("C(which_groups, [S])", "[g]").await;
    check("C(get_members, [S, nobody])", "[]").await;
    check(
        "groups:join(S, node(), far, Me), groups:await(S, [N], [{g, P}, {far, Me}])",
        "ok",
    )
    .await;
    check("C(get_local_members, [S, far])", "[]").await;
    check("C(which_local_groups, [S])", "[g]").await;
    check("C(leave, [S, g, [P, P]])", "ok").await;
    check("C(get_members, [S, g])", "[]").await;
    // A dead process joins, and is gone at once.
    check("groups:kill(P), C(join, [S, g, P])", "ok").await;
    check("groups:await(S, All, [{far, Me}])", "ok").await;
    // The default scope does not run unless somebody starts it.
    check("C(get_members, [g])", "[]").await;
    check(
        "C(join, [g, groups:spawn_on(N)])",
        "{badrpc, {'EXIT', {noproc, {gen_server, call, [pg | _]}}}}",
    )
    .await;
    check("C(which_groups, [])", "{badrpc, {'EXIT', {badarg, _}}}").await;
    check("element(1, C(start, [pg]))", "ok").await;
    check("C(join, [g, groups:spawn_on(N)])", "ok").await;
    check("length(C(get_members, [g]))", "1").await;
    check("C(which_groups, [])", "[g]").await;
    if bed.release() >= 25 {
        check("C(monitor, [S, far])", "{R, [Me]} when is_reference(R)").await;
        check(
            "C(monitor_scope, [S])",
            "{R, #{far := [Me]}} when is_reference(R)",
        )
        .await;
        check("C(monitor, [nobody, far])", "{badrpc, {'EXIT', {noproc, _}}}").await;
    }
}

/// While the network is cut, each side sees its own members alone; healed and connected again, all see all.
pub(crate) async fn netsplit(bed: Bed) {
    let (subject, alice, bob) = cluster(&bed).await;
    let before = "P = groups:spawn_on(N), Q = groups:spawn_on(node()), \
                  M1 = groups:join(S, N, g, [P, P]), M2 = groups:join(S, node(), g, Q), groups:await(S, All, M1 ++ M2)";
    assert_eq!(alice.eval(before).await, "ok");
    for beam in [&alice, &bob] {
        bed.cut(beam.host(), bed.subject_host()).await;
    }
    assert_eq!(alice.eval("groups:await(S, [node(), B], M2)").await, "ok");
    // The subject sees it, too, in its own time.
    for beam in [&alice, &bob] {
        subject
            .await_event(&format!("nodedown {} ", beam.node()), 1, LIMIT)
            .await;
    }
    let meanwhile = "M3 = groups:join(S, B, new, groups:spawn_on(B)), groups:leave(S, node(), g, Q), \
                     groups:await(S, [node(), B], M3)";
    assert_eq!(alice.eval(meanwhile).await, "ok");
    bed.heal().await;
    assert_eq!(
        alice
            .eval("groups:connect(All), groups:await(S, All, M1 ++ M3)")
            .await,
        "ok"
    );
}

/// One node of each release, none connected with another, and all with the subject: it has the groups of all, each has the subject's,
/// and nobody's scope has ended.
pub(crate) async fn every_release_at_once(bed: Bed) {
    let subject = bed.subject().start().await;
    let mut beams = Vec::new();
    for release in [23, 25, 27, 29] {
        let beam = bed
            .erl("alice", "a")
            .release(release)
            .arguments(&["-connect_all", "false"])
            .start()
            .await;
        let start = format!(
            "S = bed, N = '{}', {{ok, Pg}} = pg:start(S), pong = net_adm:ping(N), Q = groups:spawn_on(node()), \
             M = groups:join(S, node(), own, Q) ++ groups:join(S, node(), all, [Q, Q]), nodes()",
            subject.node()
        );
        assert_eq!(
            beam.eval(start).await,
            format!("[{}]", subject.node()),
            "OTP {release}"
        );
        beams.push(beam);
    }
    let joined = "groups:start(S, [N]), true = rpc:call(N, erlang, register, [member, groups:spawn_on(N)]), \
                  length(groups:join(S, N, all, rpc:call(N, erlang, whereis, [member])))";
    assert_eq!(beams[0].eval(joined).await, "1");
    for beam in &beams {
        let both = "P = rpc:call(N, erlang, whereis, [member]), groups:await(S, [node()], [{all, P} | M])";
        assert_eq!(beam.eval(both).await, "ok");
    }
    let count = "(fun W(0) -> rpc:call(N, pg, get_members, [S, all]); \
         W(I) -> case {length(rpc:call(N, pg, get_members, [S, all])), length(rpc:call(N, pg, get_members, [S, own]))} \
         of {9, 4} -> all; _ -> timer:sleep(20), W(I - 1) end end)(1000)";
    for beam in &beams {
        assert_eq!(beam.eval(count).await, "all");
    }
    // One leaves, one ends, one goes down.
    assert_eq!(
        beams[1]
            .eval("groups:leave(S, node(), all, [Q, Q]), groups:kill(Q)")
            .await,
        "ok"
    );
    beams[2].kill().await;
    let fewer = count.replace("{9, 4}", "{5, 2}");
    for beam in [&beams[0], &beams[1], &beams[3]] {
        assert_eq!(beam.eval(fewer.clone()).await, "all");
        assert_eq!(
            beam.eval("whereis(S) =:= Pg andalso nodes() =:= [N]").await,
            "true"
        );
    }
}

/// A node of ours in the case's own program, and its first process.
pub(super) async fn node_of_ours(bed: &Bed) -> (Node, Process) {
    let node = Node::builder(format!("asking@{}", bed.rust_host_name()))
        .cookie(Cookie::new(COOKIE).unwrap())
        .start()
        .await
        .unwrap();
    let me = node.process();
    (node, me)
}

async fn change(me: &mut Process) -> (ChangeKind, Vec<Pid>) {
    let change = me.recv_select(|message| GroupChange::read(message).ok().flatten());
    let change = tokio::time::timeout(LIMIT, change)
        .await
        .expect("a change")
        .expect("a process");
    (change.kind, change.pids)
}

/// From Rust: processes here and on a BEAM node in one group, each reached by the other through the list of members.
pub(crate) async fn by_us(bed: Bed) {
    let alice = bed.erl("alice", "a").start().await;
    let (node, mut me) = node_of_ours(&bed).await;
    let pg = node.pg("bed").unwrap();
    let (monitor, members) = pg.monitor(&me, Term::atom("g"));
    assert!(members.is_empty());
    pg.join(Term::atom("g"), me.pid()).unwrap();
    assert_eq!(change(&mut me).await, (ChangeKind::Join, vec![me.pid().clone()]));
    let join = format!(
        "pong = net_adm:ping('{}'), {{ok, _}} = pg:start(bed), \
         P = spawn(fun L() -> receive {{From, M}} -> From ! {{got, M}}, L(); stop -> ok end end), pg:join(bed, g, P)",
        node.name()
    );
    assert_eq!(alice.eval(join).await, "ok");
    let (kind, joined) = change(&mut me).await;
    assert_eq!((kind, joined.len()), (ChangeKind::Join, 1));
    // To all members, ourselves among them.
    for member in pg.members(Term::atom("g")) {
        me.send(&member, beamnode::term!({(me.pid().clone()), hello}))
            .await
            .unwrap();
    }
    let answer = me.recv_select(|message| {
        message
            .term()
            .ok()
            .filter(|term| *term == beamnode::term!({got, hello}))
    });
    tokio::time::timeout(LIMIT, answer)
        .await
        .expect("an answer")
        .expect("a process");
    let theirs = "groups:await(bed, [node()], lists:sort([{g, Pid} || Pid <- pg:get_members(bed, g)])), length(pg:get_members(bed, g))";
    assert_eq!(alice.eval(theirs).await, "2");
    assert_eq!(alice.eval("P ! stop, ok").await, "ok");
    assert_eq!(change(&mut me).await, (ChangeKind::Leave, joined));
    assert!(pg.demonitor(&mut me, &monitor));
    pg.leave(Term::atom("g"), me.pid()).unwrap();
    assert_eq!(alice.eval("groups:await(bed, [node()], [])").await, "ok");
    node.shutdown().await;
}

/// Elixir's publish and subscribe over `pg`, as Phoenix does it: a topic's message goes to one process a node, which hands it to its
/// own subscribers.
pub(crate) async fn pubsub(bed: Bed) {
    let alice = bed.elixir("alice", "a").start().await;
    let (node, mut me) = node_of_ours(&bed).await;
    let (scope, group) = (
        "Elixir.Phoenix.PubSub",
        Atom::new("Elixir.Chat.PubSub.Adapter").unwrap(),
    );
    let pg = node.pg(scope).unwrap();
    let adapter = node.process();
    adapter.register(group.as_str()).unwrap();
    let mut adapter = adapter;
    pg.join(&group, adapter.pid()).unwrap();
    let (_monitor, _) = pg.monitor(&me, &group);
    let start = format!(
        r#"
        defmodule Adapter do
          def init(parent, subscriber) do
            Process.register(self(), Chat.PubSub.Adapter)
            :ok = :pg.join(Phoenix.PubSub, Chat.PubSub.Adapter, self())
            send(parent, :ready)
            loop(subscriber)
          end
          defp loop(subscriber) do
            receive do
              {{:forward_to_local, topic, message, dispatcher}} ->
                send(subscriber, {{topic, message, dispatcher}})
                loop(subscriber)
            end
          end
          def broadcast(topic, message) do
            case :pg.get_members(Phoenix.PubSub, Chat.PubSub.Adapter) -- :pg.get_local_members(Phoenix.PubSub, Chat.PubSub.Adapter) do
              [] -> :nobody
              remote -> for pid <- remote, do: send(pid, {{:forward_to_local, topic, message, Phoenix.PubSub}}); length(remote)
            end
          end
          def await(0), do: :nobody
          def await(tries) do
            case :pg.get_members(Phoenix.PubSub, Chat.PubSub.Adapter) do
              [_, _] -> :both
              _ -> Process.sleep(20); await(tries - 1)
            end
          end
        end
        {{:ok, _}} = :pg.start(Phoenix.PubSub)
        me = self()
        spawn(fn -> Adapter.init(me, me) end)
        receive do :ready -> :ok end
        true = Node.connect(:"{}")
        Adapter.await(1000)"#,
        node.name()
    );
    assert_eq!(alice.eval(start).await, ":both");
    let (_, theirs) = change(&mut me).await;
    assert_eq!(
        alice.eval(r#"Adapter.broadcast("lobby", %{text: "hi"})"#).await,
        "1"
    );
    let message = tokio::time::timeout(LIMIT, adapter.recv())
        .await
        .unwrap()
        .unwrap();
    let expected = alice
        .eval(r#"{:forward_to_local, "lobby", %{text: "hi"}, Phoenix.PubSub}"#)
        .await;
    assert_eq!(
        message.term().unwrap(),
        beamnode::etf::decode(expected.bytes().to_vec()).unwrap()
    );
    for member in theirs {
        adapter.send(&member, message.term().unwrap()).await.unwrap();
    }
    // To one node alone, by the adapter's name.
    let direct = (group.clone(), Atom::new(alice.node()).unwrap());
    adapter.send(direct, message.term().unwrap()).await.unwrap();
    let twice = r#"for _ <- 1..2, do: (receive do m -> m after 25000 -> :lost end)"#;
    let said = r#"{"lobby", %{text: "hi"}, Phoenix.PubSub}"#;
    assert_eq!(alice.eval(twice).await, format!("[{said}, {said}]"));
    node.shutdown().await;
}
