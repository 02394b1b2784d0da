//! Links, monitors, exits and spawning, with the subject on the other side, and with us asking a BEAM node.

mod elixir;
mod example;
mod io;
mod random;

pub(crate) use elixir::in_elixir;
pub(crate) use example::watched;
pub(crate) use io::{asking_node_goes, device, input_of_ours, on_their_leader, output_of_theirs};
pub(crate) use random::killed_at_random;

use beamnode::dist::Cookie;
use beamnode::node::{
    AliasKind, Exception, ExitReason, Message, MonitorOptions, Node, Process, SpawnError, SpawnOptions, Until,
};
use beamnode::term;
use beamnode::term::{Atom, Pid, Term};

use crate::inside::{Beam, Bed, COOKIE, LIMIT, Subject};

/// Alice, who is connected to the subject.
async fn connected(bed: &Bed) -> (Subject, Beam) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(super::ping::ping(&alice, subject.node()).await, "pong");
    (subject, alice)
}

/// Evaluates on `node`, with `N` the subject, and `M` a function that gives the next message or `none`; the value must
/// match `pattern`.
pub(super) async fn check(node: &Beam, subject: &Subject, expression: &str, pattern: &str) {
    let source = format!(
        "(fun() -> N = '{}', M = fun() -> receive X -> X after 60000 -> none end end, _ = {{N, M}}, \
         case begin {expression} end of {pattern} -> ok; Other -> {{Other}} end end)()",
        subject.node(),
    );
    assert_eq!(node.eval(source).await, "ok", "{expression} must give {pattern}");
}

/// A linked process that ends tells the other side, with its reason to the letter.
pub(crate) async fn links_of_subject(bed: Bed) {
    let (subject, alice) = connected(&bed).await;
    for (function, pattern) in [
        ("erlang, exit, [bye]", "{'EXIT', _, bye}"),
        ("erlang, exit, [normal]", "{'EXIT', _, normal}"),
        (
            "erlang, exit, [{shutdown, [1, <<2>>]}]",
            "{'EXIT', _, {shutdown, [1, <<2>>]}}",
        ),
        ("erlang, throw, [x]", "{'EXIT', _, {{nocatch, x}, _}}"),
        ("erlang, error, [x]", "{'EXIT', _, {x, _}}"),
        ("no, where, [1]", "{'EXIT', _, {undef, [{no, where, [1], []}]}}"),
        ("timer, sleep, [1]", "{'EXIT', _, normal}"),
    ] {
        let expression = format!("process_flag(trap_exit, true), spawn_link(N, {function}), M()");
        check(&alice, &subject, &expression, pattern).await;
    }
}

/// Exit signals reach a process of the subject and have the effect that they have in Erlang.
pub(crate) async fn exit_signals(bed: Bed) {
    let (subject, alice) = connected(&bed).await;
    for (reason, pattern) in [
        ("bye", "{'DOWN', R, process, P, bye}"),
        ("kill", "{'DOWN', R, process, P, killed}"),
    ] {
        let expression = format!(
            "{{P, R}} = spawn_monitor(N, timer, sleep, [infinity]), exit(P, {reason}), {{P, R, M()}}"
        );
        check(&alice, &subject, &expression, &format!("{{P, R, {pattern}}}")).await;
    }
    let ignored = "{P, R} = spawn_monitor(N, timer, sleep, [infinity]), exit(P, normal), \
                   L = receive X -> X after 200 -> none end, exit(P, kill), {L, M(), R, P}";
    check(
        &alice,
        &subject,
        ignored,
        "{none, {'DOWN', R, process, P, killed}, R, P}",
    )
    .await;
    // A process that dies takes those it is linked with along.
    let linked = "{P, R} = spawn_monitor(N, timer, sleep, [infinity]), \
                  spawn(fun() -> link(P), exit(crash) end), {M(), R, P}";
    check(&alice, &subject, linked, "{{'DOWN', R, process, P, crash}, R, P}").await;
    let unlinked = "{P, R} = spawn_monitor(N, timer, sleep, [infinity]), \
                    {Q, S} = spawn_monitor(fun() -> link(P), unlink(P), exit(crash) end), \
                    {'DOWN', S, process, Q, crash} = M(), \
                    L = receive X -> X after 200 -> none end, exit(P, kill), {L, M(), R, P}";
    check(
        &alice,
        &subject,
        unlinked,
        "{none, {'DOWN', R, process, P, killed}, R, P}",
    )
    .await;
}

/// Monitors fire once, by pid and by name, and not when they are taken away.
pub(crate) async fn monitors_of_subject(bed: Bed) {
    let (subject, alice) = connected(&bed).await;
    let by_name = "P = spawn(N, timer, sleep, [infinity]), true = rpc:call(N, erlang, register, [bed_name, P]), \
                   R = monitor(process, {bed_name, N}), exit(P, bye), {M(), R, N}";
    check(
        &alice,
        &subject,
        by_name,
        "{{'DOWN', R, process, {bed_name, N}, bye}, R, N}",
    )
    .await;
    let taken = "P = spawn(N, timer, sleep, [infinity]), R = monitor(process, P), true = demonitor(R, [info]), \
                 S = monitor(process, P), exit(P, bye), {M(), S, demonitor(R, [info]), receive X -> X after 100 -> none end}";
    check(
        &alice,
        &subject,
        taken,
        "{{'DOWN', S, process, _, bye}, S, false, none}",
    )
    .await;
    let gone = "{P, Q} = spawn_monitor(N, erlang, self, []), {'DOWN', Q, process, P, normal} = M(), \
                R = monitor(process, P), {M(), R, P}";
    check(&alice, &subject, gone, "{{'DOWN', R, process, P, noproc}, R, P}").await;
}

/// What a process logs goes to the node of its group leader: here the subject, as with a process that it has spawned.
pub(crate) async fn reports(bed: Bed) {
    let (subject, alice) = connected(&bed).await;
    let leader = format!(
        "group_leader(rpc:call('{}', erlang, whereis, [user]), self())",
        subject.node()
    );
    for (logs, expected) in [
        ("error(bed_boom)", "{bed_boom,"),
        (
            "logger:error(\"bed ~p ~ts\", [{a, 1}, \"text\"])",
            "bed {a,1} text",
        ),
        ("logger:error(\"bed string\")", "bed string"),
        ("logger:error(#{bed_report => [1, 2]})", "bed_report"),
        (
            "error_logger:error_msg(\"bed old ~w~n\", [style])",
            "bed old style",
        ),
        ("logger:warning(\"bed warning ~p\", [x])", "bed warning x"),
        ("proc_lib:spawn(fun() -> exit(bed_crash) end)", "bed_crash"),
    ] {
        alice.eval(format!("spawn(fun() -> {leader}, {logs} end)")).await;
        subject.await_logged(expected).await;
    }
    // And it is not printed where it was logged.
    let log = alice.log().await;
    assert!(!log.contains("bed_boom") && !log.contains("bed string"), "{log}");
}

/// A panic is an end like another, with a reason that says what it was.
pub(crate) async fn panics(bed: Bed) {
    let (node, me, alice, _) = node_of_ours(&bed).await;
    let module = node.module("shaky");
    module.function("panics", 0, async |_, _| panic!("no more {}", "leaves"));
    module.function("fails", 0, async |_, _| {
        let number: i64 = "many"
            .parse()
            .map_err(|error| Exception::Exit(term!({bad_number, (Term::from(format!("{error}")))})))?;
        Ok(Term::from(number))
    });
    let text = "<<\"no more leaves\">>";
    for (expression, expected) in [
        (
            "{P, R} = spawn_monitor(N, shaky, panics, []), receive {'DOWN', R, process, P, Why} -> Why end",
            format!("{{panic,{text}}}"),
        ),
        (
            "process_flag(trap_exit, true), P = spawn_link(N, shaky, panics, []), receive {'EXIT', P, Why} -> process_flag(trap_exit, false), Why end",
            format!("{{panic,{text}}}"),
        ),
        (
            "rpc:call(N, shaky, panics, [])",
            format!("{{badrpc,{{'EXIT',{{panic,{text}}}}}}}"),
        ),
        (
            "try erpc:call(N, shaky, panics, []) catch C:E -> {C, E} end",
            format!("{{exit,{{signal,{{panic,{text}}}}}}}"),
        ),
        (
            "rpc:call(N, shaky, fails, [])",
            "{badrpc,{'EXIT',{bad_number,<<\"invalid digit found in string\">>}}}".to_owned(),
        ),
        ("rpc:call(N, erlang, is_alive, [])", "true".to_owned()),
    ] {
        let source = format!("(fun() -> N = '{}', {expression} end)()", node.name());
        assert_eq!(alice.eval(source).await, expected, "{expression}");
    }
    drop(me);
    node.shutdown().await;
}

/// Every way to spawn on the subject, with the answers of a BEAM node.
pub(crate) async fn spawning_on_subject(bed: Bed) {
    let (subject, alice) = connected(&bed).await;
    let plain = "S = self(), P = spawn(N, erlang, send, [S, hello]), true = node(P) =:= N, M()";
    check(&alice, &subject, plain, "hello").await;
    let fun = "S = self(), spawn(N, erlang, apply, [fun erlang:send/2, [S, hello]]), M()";
    check(&alice, &subject, fun, "hello").await;
    let options = "process_flag(trap_exit, true), \
                   {P, R} = spawn_opt(N, timer, sleep, [infinity], [link, monitor, {priority, low}]), \
                   exit(P, bye), {lists:sort([M(), M()]), P, R}";
    check(
        &alice,
        &subject,
        options,
        "{[{'EXIT', P, bye}, {'DOWN', R, process, P, bye}], P, R}",
    )
    .await;
    let request = "R = spawn_request(N, erlang, self, [], [monitor]), \
                   {spawn_reply, R, ok, P} = M(), {M(), R, P}";
    check(
        &alice,
        &subject,
        request,
        "{{'DOWN', R, process, P, normal}, R, P}",
    )
    .await;
    let tagged = "R = spawn_request(N, timer, sleep, [infinity], [{reply_tag, tag}, {monitor, [{tag, down}]}]), \
                  {tag, R, ok, P} = M(), exit(P, kill), {M(), R, P}";
    // Tags of monitors came with OTP 24.
    if bed.release() > 23 {
        check(&alice, &subject, tagged, "{{down, R, process, P, killed}, R, P}").await;
    }
    let bad = "R = spawn_request(N, erlang, self, [], [nonsense]), {M(), R}";
    check(&alice, &subject, bad, "{{spawn_reply, R, error, badopt}, R}").await;
    for option in [
        "{priority, foo}",
        "{fullsweep_after, -1}",
        "{min_heap_size, x}",
        "{max_heap_size, []}",
        "{message_queue_data, 1}",
    ] {
        let bad = format!("R = spawn_request(N, erlang, self, [], [{option}]), {{M(), R}}");
        check(&alice, &subject, &bad, "{{spawn_reply, R, error, badopt}, R}").await;
    }
    let possible = "[begin R = spawn_request(N, erlang, self, [], [Option]), {spawn_reply, R, Answer, _} = M(), Answer end || Option <- \
                    [{priority, max}, {fullsweep_after, 0}, {min_heap_size, 9}, {min_bin_vheap_size, 9}, {max_heap_size, 9999}, \
                    {max_heap_size, #{size => 9999}}, {message_queue_data, off_heap}]] -- [ok, ok, ok, ok, ok, ok, ok]";
    check(&alice, &subject, possible, "[]").await;
    // More arguments than a function can have.
    let many = "{P, R} = spawn_monitor(N, no, where, lists:duplicate(300, a)), {'DOWN', R, process, P, {undef, _}} = M(), \
                rpc:call(N, erlang, is_alive, [])";
    check(&alice, &subject, many, "true").await;
    let external = "{P, R} = spawn_monitor(N, fun erlang:self/0), {M(), P, R}";
    check(
        &alice,
        &subject,
        external,
        "{{'DOWN', R, process, P, normal}, P, R}",
    )
    .await;
    let wrong_arity =
        "{P, R} = spawn_monitor(N, erlang, apply, [fun erlang:self/0, [1]]), element(1, element(5, M()))";
    check(&alice, &subject, wrong_arity, "{badarity, {_, [1]}}").await;
    // A closure of a module that is only on this side, as what a node says of a module that it has not.
    alice
        .eval(
            "{ok, _, Only} = compile:forms([{attribute, 1, module, only_here}, {attribute, 2, export, [{f, 0}]}, \
             {function, 3, f, 0, [{clause, 3, [], [], [{'fun', 3, {clauses, [{clause, 3, [], [], [{atom, 3, ok}]}]}}]}]}]), \
             code:load_binary(only_here, \"only_here.beam\", Only)",
        )
        .await;
    let closure = "F = only_here:f(), {P, R} = spawn_monitor(N, F), {'DOWN', R, process, P, {undef, [{G, [], []} | _]}} = M(), G =:= F";
    check(&alice, &subject, closure, "true").await;
    let silent = "R = spawn_request(N, erlang, self, [], [{reply, no}, monitor]), {'DOWN', R, process, _, normal} = M(), \
                  spawn_request(N, erlang, self, [], [{reply, success_only}, nonsense]), \
                  S = spawn_request(N, erlang, self, [], [{reply, error_only}, nonsense]), {M(), S}";
    check(&alice, &subject, silent, "{{spawn_reply, S, error, badopt}, S}").await;
    let leader = "G = spawn(fun() -> receive stop -> ok end end), O = group_leader(), group_leader(G, self()), S = self(), \
                  P = spawn(N, timer, sleep, [infinity]), group_leader(O, self()), \
                  {group_leader, L} = rpc:call(N, erlang, process_info, [P, group_leader]), exit(P, kill), {L =:= G, S =:= self()}";
    check(&alice, &subject, leader, "{true, true}").await;
}

/// What OTP 28 and later have for urgent news, between the subject and a BEAM node.
pub(crate) async fn priority(bed: Bed) {
    let (node, mut me, alice, there) = node_of_ours(&bed).await;
    // Any release: only the receiver's side knows of it.
    me.trap_exit(true);
    let sleep = [Term::atom("infinity")];
    let spawned = me
        .spawn_on(&there, ("timer", "sleep"), sleep, SpawnOptions::default())
        .await
        .unwrap();
    me.link_with_priority(&spawned.pid).await;
    let options = MonitorOptions {
        tag: Some(Term::atom("gone")),
        priority: true,
        ..MonitorOptions::default()
    };
    let monitor = me.monitor_with(&spawned.pid, options).await;
    me.send(me.pid(), Term::atom("ordinary")).await.unwrap();
    me.exit_other(&spawned.pid, ExitReason::KILL).await.unwrap();
    let all_there = async {
        while me.mailbox_len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, all_there).await.unwrap();
    let mut urgent = [next(&mut me).await, next(&mut me).await];
    urgent.sort();
    let mut expected = [
        term!({(Term::atom("EXIT")), (spawned.pid.clone()), killed}),
        term!({gone, (monitor), process, (spawned.pid), killed}),
    ];
    expected.sort();
    assert_eq!(urgent, expected);
    assert_eq!(next(&mut me).await, Term::atom("ordinary"));
    if bed.release() < 28 {
        return node.shutdown().await;
    }
    // By a function of ours that a BEAM node calls.
    for (call, expected) in [
        ("erlang, send, [A, message, [priority]]", "[message,ordinary]"),
        ("erlang, send, [A, message]", "[ordinary,message]"),
        ("erlang, exit, [A, bye]", "[ordinary,bye]"),
    ] {
        let called = format!(
            "(fun() -> process_flag(trap_exit, true), A = alias([priority]), self() ! ordinary, rpc:call('{}', {call}), \
             [receive {{'EXIT', _, X}} -> X; X -> X after 30000 -> none end || _ <- [1, 2]] end)()",
            node.name()
        );
        assert_eq!(alice.eval(called).await, expected, "{call}");
    }
    // Theirs to ours, and ours to theirs, through aliases that were made for it.
    let kind = AliasKind {
        priority: true,
        until: Until::Unalias,
    };
    me.register("urgent").unwrap();
    let alias = me.alias(kind);
    alice
        .eval(
            "register(urgent, spawn(fun() -> receive {alias, A} -> receive {do, F} -> F(A) end end end)), ok",
        )
        .await;
    let to_urgent = ("urgent", there.as_str());
    me.send(to_urgent, term!({alias, (alias)})).await.unwrap();
    alice
        .eval(format!(
            "urgent ! {{do, fun(A) -> {{urgent, '{0}'}} ! ordinary, erlang:send(A, message, [priority]), exit(A, reason, [priority]), \
             {{urgent, '{0}'}} ! last end}}, ok",
            node.name().as_str()
        ))
        .await;
    let last = |message: &Message| message.term().ok().filter(|term| *term == Term::atom("last"));
    me.recv_select(last).await.unwrap();
    assert_eq!(next(&mut me).await, Term::atom("message"));
    assert!(next(&mut me).await.to_string().ends_with(",reason}"));
    assert_eq!(next(&mut me).await, Term::atom("ordinary"));
    let theirs = alice
        .eval("process_flag(trap_exit, true), Urgent = alias([priority]), register(asking, self()), Urgent")
        .await;
    let Term::Reference(theirs) = beamnode::etf::decode(theirs.bytes().to_vec()).unwrap() else {
        panic!("{theirs:?} is no alias")
    };
    let asking = ("asking", there.as_str());
    me.send(asking, Term::atom("ordinary")).await.unwrap();
    me.send_priority(&theirs, Term::atom("message")).await.unwrap();
    me.exit_priority(&theirs, Term::atom("reason")).await.unwrap();
    me.send(asking, Term::atom("last")).await.unwrap();
    let received = alice
        .eval("receive last -> ok end, [receive {'EXIT', _, X} -> {exit, X}; Y -> Y end || _ <- [1, 2, 3]]")
        .await;
    assert_eq!(received, "[message,{exit,reason},ordinary]");
    node.shutdown().await;
}

/// Ours spawns on a BEAM node with every kind of option, and is told when that will not have them.
pub(crate) async fn spawning_by_us(bed: Bed) {
    let (node, mut me, alice, there) = node_of_ours(&bed).await;
    me.trap_exit(true);
    let own = Term::from(me.pid().clone());
    let options = SpawnOptions {
        link: true,
        monitor: true,
        others: vec![
            term!({priority, high}),
            term!({min_heap_size, 5000}),
            term!({fullsweep_after, 7}),
        ],
    };
    let spawned = me
        .spawn_on(&there, ("timer", "sleep"), [Term::atom("infinity")], options)
        .await
        .unwrap();
    let info = alice
        .eval(format!(
            "P0 = list_to_pid(\"{}\"), [process_info(P0, priority), element(2, lists:keyfind(fullsweep_after, 1, element(2, process_info(P0, garbage_collection)))), \
             [node(L) || L <- element(2, process_info(P0, links))], node(element(2, process_info(P0, group_leader)))]",
            spawned.pid.local()
        ))
        .await;
    let name = node.name().as_str();
    assert_eq!(info, format!("[{{priority,high}},7,[{name}],{name}]"));
    me.exit_other(&spawned.pid, Term::atom("enough")).await.unwrap();
    let mut told = [next(&mut me).await, next(&mut me).await];
    told.sort();
    let mut expected = [
        term!({(Term::atom("EXIT")), (spawned.pid.clone()), enough}),
        term!({(Term::atom("DOWN")), (spawned.monitor.unwrap()), process, (spawned.pid), enough}),
    ];
    expected.sort();
    assert_eq!(told, expected);
    let refused = SpawnOptions {
        others: vec![Term::atom("nonsense")],
        ..SpawnOptions::default()
    };
    let refused = me.spawn_on(&there, ("erlang", "self"), [], refused).await;
    assert!(
        matches!(&refused, Err(SpawnError::Refused(reason)) if *reason == *"badopt"),
        "{refused:?}"
    );
    let missing = me
        .spawn_on(&there, ("no", "where"), [own], SpawnOptions::monitored())
        .await
        .unwrap();
    let down = next(&mut me).await;
    let reason = down.as_tuple().unwrap().get(4).unwrap();
    let undef = term!({undef, [{no, where, [(me.pid().clone())], []}]});
    assert_eq!(reason, undef, "{}", missing.pid);
    node.shutdown().await;
}

/// A node of ours that speaks with `alice`.
async fn node_of_ours(bed: &Bed) -> (Node, Process, Beam, Atom) {
    let alice = bed.erl("alice", "a").start().await;
    let name = format!("asking@{}", bed.rust_host_name());
    let node = Node::builder(name)
        .cookie(Cookie::new(COOKIE).unwrap())
        .start()
        .await
        .unwrap();
    let me = node.process();
    let there = Atom::new(alice.node()).unwrap();
    (node, me, alice, there)
}

async fn next(me: &mut Process) -> Term {
    let message = tokio::time::timeout(LIMIT, me.recv()).await;
    message
        .expect("no message in time")
        .expect("the process has ended")
        .term()
        .unwrap()
}

/// Spawns on alice, linked and monitored as `options` say.
async fn spawn(
    me: &Process,
    there: &Atom,
    function: &'static str,
    arguments: Vec<Term>,
    options: SpawnOptions,
) -> Pid {
    let function = (Atom::from_static("erlang"), Atom::from_static(function));
    me.spawn_on(there, function, arguments, options)
        .await
        .unwrap()
        .pid
}

/// What happens to processes of a BEAM node is told to ours that is linked with them.
pub(crate) async fn links_by_us(bed: Bed) {
    let (node, mut me, _alice, there) = node_of_ours(&bed).await;
    me.trap_exit(true);
    let link = SpawnOptions::linked;
    let pid = spawn(&me, &there, "exit", vec![Term::atom("bye")], link()).await;
    assert_eq!(next(&mut me).await, term!({(Term::atom("EXIT")), (pid), bye}));
    let sleeping = (Atom::from_static("timer"), Atom::from_static("sleep"));
    let sleep = async |me: &Process, options| {
        let forever = vec![Term::atom("infinity")];
        me.spawn_on(&there, sleeping.clone(), forever, options)
            .await
            .unwrap()
    };
    let killed = sleep(&me, link()).await.pid;
    me.exit_other(&killed, ExitReason::KILL).await.unwrap();
    assert_eq!(
        next(&mut me).await,
        term!({(Term::atom("EXIT")), (killed.clone()), killed})
    );
    me.link(&killed).await;
    assert_eq!(
        next(&mut me).await,
        term!({(Term::atom("EXIT")), (killed), noproc})
    );
    // Ours dies, and theirs with it.
    let ours = node.process();
    let theirs = sleep(&me, SpawnOptions::default()).await.pid;
    let monitor = me.monitor(&theirs).await;
    ours.link(&theirs).await;
    ours.exit(Term::atom("crash"));
    assert_eq!(
        next(&mut me).await,
        term!({(Term::atom("DOWN")), (monitor), process, (theirs), crash})
    );
    // Unlinked, ours dies alone.
    let ours = node.process();
    let theirs = sleep(&me, SpawnOptions::monitored()).await;
    ours.link(&theirs.pid).await;
    ours.unlink(&theirs.pid);
    ours.exit(Term::atom("crash"));
    me.exit_other(&theirs.pid, Term::atom("later")).await.unwrap();
    let down = term!({(Term::atom("DOWN")), (theirs.monitor.unwrap()), process, (theirs.pid), later});
    assert_eq!(next(&mut me).await, down);
    node.shutdown().await;
}

/// Monitors of ours on a BEAM node's processes and names.
pub(crate) async fn monitors_by_us(bed: Bed) {
    let (node, mut me, alice, there) = node_of_ours(&bed).await;
    alice
        .eval("register(bed_name, spawn(fun() -> receive die -> exit(bye) end end))")
        .await;
    let name = Atom::from_static("bed_name");
    let monitor = me.monitor((name.clone(), there.clone())).await;
    me.send(("bed_name", alice.node()), Term::atom("die"))
        .await
        .unwrap();
    let item = || Term::from((name.clone(), there.clone()));
    assert_eq!(
        next(&mut me).await,
        term!({(Term::atom("DOWN")), (monitor), process, (item()), bye})
    );
    let monitor = me.monitor((name.clone(), there.clone())).await;
    assert_eq!(
        next(&mut me).await,
        term!({(Term::atom("DOWN")), (monitor), process, (item()), noproc})
    );
    let pid = spawn(&me, &there, "self", vec![], SpawnOptions::default()).await;
    let monitor = me.monitor(&pid).await;
    let Some([.., reason]) = next(&mut me).await.as_tuple().unwrap().array::<5>() else {
        panic!("no 'DOWN'")
    };
    assert!(
        ["normal", "noproc"].iter().any(|known| reason.is_atom(known)),
        "{reason}"
    );
    assert!(!me.demonitor_flush(&monitor));
    // The node goes.
    let standing = me.monitor(("kernel_sup", "none@nowhere")).await;
    let Some(Message::Down(down)) = me.recv().await else {
        panic!("no 'DOWN'")
    };
    assert_eq!(down.reference, standing);
    let kernel = me.monitor((Atom::from_static("kernel_sup"), there.clone())).await;
    node.ping(&there).await.unwrap();
    alice.kill().await;
    let item = Term::from((Term::atom("kernel_sup"), there));
    assert_eq!(
        next(&mut me).await,
        term!({(Term::atom("DOWN")), (kernel), process, (item), noconnection})
    );
    node.shutdown().await;
}

/// An answer through an alias of ours comes once; one after it was taken away does not.
pub(crate) async fn aliases_by_us(bed: Bed) {
    let (node, mut me, alice, there) = node_of_ours(&bed).await;
    let echo = "register(alias_echo, spawn(fun L() -> receive {To, X} -> To ! X, L() end end))";
    // Releases before 24 have no aliases to send to.
    if bed.release() < 24 {
        return node.shutdown().await;
    }
    alice.eval(echo).await;
    let alias = me.alias(Until::Reply);
    for n in [1, 2] {
        me.send(("alias_echo", there.as_str()), term!({(alias.clone()), (n)}))
            .await
            .unwrap();
    }
    me.send(("alias_echo", there.as_str()), term!({(me.pid().clone()), 3}))
        .await
        .unwrap();
    assert_eq!(
        [next(&mut me).await, next(&mut me).await],
        [Term::from(1), Term::from(3)]
    );
    let alias = me.alias(Until::Unalias);
    me.unalias(&alias);
    me.send(("alias_echo", there.as_str()), term!({(alias), 4}))
        .await
        .unwrap();
    me.send(("alias_echo", there.as_str()), term!({(me.pid().clone()), 5}))
        .await
        .unwrap();
    assert_eq!(next(&mut me).await, Term::from(5));
    node.shutdown().await;
}

/// Processes of ours and theirs linked, monitored, unlinked and killed at random: every monitor fires once, and nothing stays
/// behind on either side. The seed is printed.
pub(crate) async fn at_random(bed: Bed) {
    let (node, mut me, alice, there) = node_of_ours(&bed).await;
    let seed: u64 = std::env::var("BED_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(rand_seed);
    bed.note(format!("BED_SEED={seed}")).await;
    let mut state = seed | 1;
    let mut random = move |below: u64| {
        // xorshift: enough to choose among a few things, and the same for the same seed.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let sleeping = (Atom::from_static("timer"), Atom::from_static("sleep"));
    let count = async || {
        alice
            .eval("erlang:system_info(process_count)")
            .await
            .integers::<1>()[0]
    };
    let before = count().await;
    for _ in 0..300 {
        let options = SpawnOptions::monitored();
        let forever = vec![Term::atom("infinity")];
        let theirs = me
            .spawn_on(&there, sleeping.clone(), forever, options)
            .await
            .unwrap();
        let ours = node.process();
        let mut linked = false;
        for _ in 0..random(6) {
            match random(4) {
                0 => {
                    ours.link(&theirs.pid).await;
                    linked = true;
                }
                1 => {
                    ours.unlink(&theirs.pid);
                    linked = false;
                }
                2 => {
                    let monitor = ours.monitor(&theirs.pid).await;
                    if random(2) == 0 {
                        ours.demonitor(&monitor);
                    }
                }
                _ => drop(ours.monitor(&theirs.pid).await),
            }
        }
        ours.exit(Term::atom("crash"));
        me.exit_other(&theirs.pid, ExitReason::KILL).await.unwrap();
        let reason = if linked { "crash" } else { "killed" };
        let monitor = theirs.monitor.unwrap();
        let down = term!({(Term::atom("DOWN")), (monitor), process, (theirs.pid), (Term::atom(reason))});
        assert_eq!(next(&mut me).await, down, "BED_SEED={seed}");
    }
    assert_eq!(me.mailbox_len(), 0, "BED_SEED={seed}");
    // Those of the connection, and of the system, come on top.
    let back = async { while count().await - before >= 10 {} };
    if tokio::time::timeout(LIMIT, back).await.is_err() {
        panic!("processes are left over; BED_SEED={seed}");
    }
    node.shutdown().await;
}

pub(super) fn rand_seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}
