//! `rpc`, `erpc` and `gen_server`, with the subject called by a BEAM node, and us calling one.

use std::time::Duration;

use beamnode::dist::Cookie;
use beamnode::node::{Exception, ExitReason, Node};
use beamnode::otp::{CallError, Caller, Context, GenServer, RpcError};
use beamnode::term;
use beamnode::term::{Atom, Term};

use super::processes::check;
use crate::inside::{Bed, COOKIE};

/// Results and failures of calls to the subject, to the letter.
pub(crate) async fn rpc_to_subject(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    for (expression, pattern) in [
        ("rpc:call(N, erlang, node, []) =:= N", "true"),
        ("rpc:call(N, erlang, throw, [x])", "x"),
        ("rpc:call(N, erlang, exit, [x])", "{badrpc, {'EXIT', x}}"),
        ("rpc:call(N, erlang, error, [x])", "{badrpc, {'EXIT', {x, _}}}"),
        (
            "rpc:call(N, no, where, [1])",
            "{badrpc, {'EXIT', {undef, [{no, where, [1], []} | _]}}}",
        ),
        ("rpc:call(N, timer, sleep, [5000], 100)", "{badrpc, timeout}"),
        ("rpc:block_call(N, erlang, node, []) =:= N", "true"),
        (
            "gen_server:call({rex, N}, {call, erlang, throw, [{'EXIT', x}], group_leader()})",
            "{'EXIT', x}",
        ),
        (
            "rpc:block_call(N, erlang, throw, [{'EXIT', x}])",
            "{badrpc, {'EXIT', x}}",
        ),
        // What a device refuses.
        (
            "[begin G = spawn(fun() -> receive {io_request, F, R, _} -> F ! {io_reply, R, {error, Why}} end end), \
             {badrpc, {'EXIT', {Error, _}}} = rpc:call(N, io, format, [G, \"x\", []]), Error end || Why <- [terminated, {no_translation, unicode, latin1}, enospc]]",
            "[terminated, no_translation, badarg]",
        ),
        ("rpc:cast(N, erlang, send, [self(), hello]), M()", "hello"),
        ("rpc:yield(rpc:async_call(N, erlang, node, [])) =:= N", "true"),
        (
            "{[N, A], []} = rpc:multicall([N, node()], erlang, node, []), A =:= node()",
            "true",
        ),
        ("erpc:call(N, erlang, node, []) =:= N", "true"),
        (
            "try erpc:call(N, erlang, throw, [x]) catch C:E -> {C, E} end",
            "{throw, x}",
        ),
        (
            "try erpc:call(N, erlang, exit, [x]) catch C:E -> {C, E} end",
            "{exit, {exception, x}}",
        ),
        (
            "try erpc:call(N, erlang, error, [x]) catch C:E -> {C, E} end",
            "{error, {exception, x, _}}",
        ),
        (
            "try erpc:call(N, no, where, [1]) catch C:E -> {C, E} end",
            "{error, {exception, undef, [{no, where, [1], []} | _]}}",
        ),
        (
            "try erpc:call(N, timer, sleep, [5000], 100) catch C:E -> {C, E} end",
            "{error, {erpc, timeout}}",
        ),
        ("erpc:cast(N, erlang, send, [self(), hello]), M()", "hello"),
        (
            "erpc:receive_response(erpc:send_request(N, erlang, node, [])) =:= N",
            "true",
        ),
        (
            "erpc:multicall([N, node()], erlang, is_alive, [])",
            "[{ok, true}, {ok, true}]",
        ),
        (
            "net_kernel:get_net_ticktime() =:= rpc:call(N, net_kernel, get_net_ticktime, [])",
            "true",
        ),
        ("rpc:call(N, net_adm, ping, [node()])", "pong"),
        ("lists:member(node(), rpc:call(N, erlang, nodes, []))", "true"),
        (
            "rpc:call(N, code, ensure_loaded, [no_such_module])",
            "{error, nofile}",
        ),
    ] {
        check(&alice, &subject, expression, pattern).await;
    }
}

/// Some two hundred calls, each by `rpc`, `erpc` and spawn: the subject gives what a BEAM node in the same place gives.
pub(crate) async fn table(bed: Bed) {
    let subject = bed.subject().start().await;
    let bob = bed.erl("bob", "b").start().await;
    // Hidden, so that neither of the two sees more of a cluster than the other.
    let alice = bed.erl("alice", "a").hidden().start().await;
    let differences = format!("call_table:differences('{}', '{}')", bob.node(), subject.node());
    let found = alice
        .eval_in("table", differences, Duration::from_secs(100))
        .await;
    assert_eq!(found, "[]");
}

/// A call under way when the subject is killed.
pub(crate) async fn subject_killed_in_call(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let node = subject.node();
    alice.eval(format!("pong = net_adm:ping('{node}')")).await;
    alice
        .eval(format!(
            "S = self(), register(bed_calls, spawn(fun() -> \
             R = rpc:call('{node}', timer, sleep, [infinity]), \
             receive {{get, P}} -> P ! {{result, R}} end end)), \
             F = fun L() -> case rpc:call('{node}', erlang, processes, []) of Ps when length(Ps) > 4 -> ok; _ -> L() end end, F()"
        ))
        .await;
    subject.kill().await;
    let result = alice
        .eval("bed_calls ! {get, self()}, receive {result, R} -> R after 10000 -> none end")
        .await;
    assert_eq!(result, "{badrpc,nodedown}");
}

/// Our calls to functions of a BEAM node.
pub(crate) async fn rpc_by_us(bed: Bed) {
    let node = ours(&bed).await;
    let alice = bed.erl("alice", "a").start().await;
    let there = Atom::new(alice.node()).unwrap();
    let rpc = node.rpc(there.clone());
    let reversed = rpc.call("lists", "reverse", [term!([1, 2, 3])]).await.unwrap();
    assert_eq!(reversed, term!([3, 2, 1]));
    let raised = async |function: &'static str| match rpc.call("erlang", function, [Term::atom("x")]).await {
        Err(RpcError::Raised(exception)) => exception,
        other => panic!("{other:?}"),
    };
    assert_eq!(raised("throw").await, Exception::Throw(Term::atom("x")));
    assert_eq!(raised("exit").await, Exception::Exit(Term::atom("x")));
    assert!(matches!(raised("error").await, Exception::Error { reason, .. } if reason.is_atom("x")));
    let undef = rpc.call("no", "where", []).await;
    let is_undef = |error: &RpcError| {
        matches!(error, RpcError::Raised(Exception::Error { reason, stack })
            if reason.is_atom("undef") && stack.to_string().starts_with("[{no,where,[],"))
    };
    assert!(undef.as_ref().is_err_and(is_undef), "{undef:?}");
    let slow = node.rpc(there.clone()).timeout(Duration::from_millis(200));
    let timed_out = slow.call("timer", "sleep", [Term::from(60_000)]).await;
    assert!(matches!(timed_out, Err(RpcError::TimedOut(_))), "{timed_out:?}");
    rpc.cast("erlang", "put", [Term::from(1), Term::from(2)])
        .await
        .unwrap();
    let mut lost = std::pin::pin!(rpc.call("timer", "sleep", [Term::atom("infinity")]));
    // The request is on its way after one poll, and there once an answer to something later is.
    tokio::select! {
        biased;
        result = &mut lost => panic!("{result:?}"),
        answer = node.ping(&there) => answer.unwrap(),
    }
    alice.kill().await;
    let result = lost.await;
    assert!(matches!(result, Err(RpcError::NoConnection)), "{result:?}");
    node.shutdown().await;
}

async fn ours(bed: &Bed) -> Node {
    let name = format!("asking@{}", bed.rust_host_name());
    Node::builder(name)
        .cookie(Cookie::new(COOKIE).unwrap())
        .start()
        .await
        .unwrap()
}

/// A counter.
struct Counter(i64);

impl GenServer for Counter {
    async fn call(
        &mut self,
        _: &mut Context,
        request: Term,
        from: &Caller,
    ) -> Result<Option<Term>, ExitReason> {
        match request {
            Term::Atom(word) if word == *"next" => {
                self.0 += 1;
                Ok(Some(Term::from(self.0)))
            }
            Term::Atom(word) if word == *"who" => Ok(Some(Term::from(from.pid().clone()))),
            Term::Atom(word) if word == *"never" => Ok(None),
            other => Err(ExitReason::from(other)),
        }
    }

    async fn cast(&mut self, _: &mut Context, request: Term) -> Result<(), ExitReason> {
        if let Term::Integer(value) = request {
            self.0 = value;
        }
        Ok(())
    }

    fn state(&self) -> Term {
        Term::from(self.0)
    }
}

/// A server of ours, called by every way that Erlang and Elixir have.
pub(crate) async fn server_of_ours(bed: Bed) {
    let node = ours(&bed).await;
    let server = node.start_server("counter", Counter(0)).unwrap();
    let alice = bed.erl("alice", "a").start().await;
    let name = node.name().as_str();
    let ask = async |expression: &str, expected: &str| {
        let source = format!("(fun() -> N = '{name}', S = {{counter, N}}, _ = S, {expression} end)()");
        assert_eq!(alice.eval(source).await, expected, "{expression}");
    };
    ask("gen_server:call(S, next)", "1").await;
    ask("gen_server:cast(S, 41), gen_server:call(S, next)", "42").await;
    ask("gen_server:call(S, who) =:= self()", "true").await;
    ask(
        "gen_server:call(rpc:call(N, erlang, whereis, [counter]), next)",
        "43",
    )
    .await;
    ask(
        "abcast = gen_server:abcast([N], counter, 50), gen_server:call(S, next)",
        "51",
    )
    .await;
    ask(
        "gen_server:multi_call([N], counter, next) =:= {[{N, 52}], []}",
        "true",
    )
    .await;
    ask(
        "{reply, R} = gen_server:wait_response(gen_server:send_request(S, next), 5000), R",
        "53",
    )
    .await;
    ask(
        "{'EXIT', {timeout, _}} = (catch gen_server:call(S, never, 100)), ok",
        "ok",
    )
    .await;
    ask("case sys:get_state(S) of {ok, X} -> X; X -> X end", "53").await;
    ask(
        "ok = sys:suspend(S), {'EXIT', {timeout, _}} = (catch gen_server:call(S, who, 100)), sys:resume(S)",
        "ok",
    )
    .await;
    ask("element(1, sys:get_status(S))", "status").await;
    ask("{'EXIT', {boom, _}} = (catch gen_server:call(S, boom)), ok", "ok").await;
    ask(
        "{'EXIT', {noproc, _}} = (catch gen_server:call(S, next)), ok",
        "ok",
    )
    .await;
    assert!(!node.processes().contains(&server));
    // The request of that call came after its monitor, and must not find the next server under the name.
    ask("net_adm:ping(N)", "pong").await;
    node.start_server("counter", Counter(0)).unwrap();
    let elixir = bed.elixir("eve", "b").start().await;
    assert_eq!(
        elixir
            .eval(format!("GenServer.call({{:counter, :\"{name}\"}}, :next)"))
            .await,
        "1"
    );
    node.shutdown().await;
}

/// Servers of a BEAM node, called by us.
pub(crate) async fn server_of_theirs(bed: Bed) {
    let node = ours(&bed).await;
    let alice = bed.erl("alice", "a").start().await;
    let there = Atom::new(alice.node()).unwrap();
    let mut me = node.process();
    let patience = Duration::from_secs(10);
    let kernel = (Atom::from_static("net_kernel"), there.clone());
    let asked = term!({is_auth, (node.name().clone())});
    assert_eq!(
        me.call(kernel.clone(), asked, patience).await.unwrap(),
        Term::atom("yes")
    );
    let unanswered = me
        .call(kernel, Term::atom("nonsense"), Duration::from_millis(300))
        .await;
    assert!(
        matches!(unanswered, Err(CallError::TimedOut(_))),
        "{unanswered:?}"
    );
    let missing = me
        .call(
            (Atom::from_static("nobody"), there.clone()),
            Term::from(1),
            patience,
        )
        .await;
    assert!(
        matches!(&missing, Err(CallError::Down(reason)) if reason.is_atom("noproc")),
        "{missing:?}"
    );
    // A server that ends in mid-call, with its reason.
    alice
        .eval("register(dying, spawn(fun() -> receive {'$gen_call', _, _} -> exit(tired) end end))")
        .await;
    let died = me
        .call(
            (Atom::from_static("dying"), there.clone()),
            Term::from(1),
            patience,
        )
        .await;
    assert!(
        matches!(&died, Err(CallError::Down(reason)) if reason.is_atom("tired")),
        "{died:?}"
    );
    // An answer that comes too late.
    alice
        .eval(
            "register(late, spawn(fun() -> receive {'$gen_call', From, _} -> \
             timer:sleep(400), gen_server:reply(From, late), receive {P, sync} -> P ! synced end end end))",
        )
        .await;
    let late = me
        .call(
            (Atom::from_static("late"), there.clone()),
            Term::from(1),
            Duration::from_millis(100),
        )
        .await;
    assert!(matches!(late, Err(CallError::TimedOut(_))), "{late:?}");
    me.send(("late", there.as_str()), term!({(me.pid().clone()), sync}))
        .await
        .unwrap();
    let synced = me
        .recv_select(|message| message.term().ok().filter(|term| term.is_atom("synced")))
        .await;
    assert!(synced.is_some());
    // OTP 23 has no aliases: there a late answer is a message like any other.
    assert_eq!(me.mailbox_len(), usize::from(bed.release() < 24));
    node.shutdown().await;
}
