//! Servers of ours as BEAM nodes use them, servers of BEAM nodes as we do, and either of them ended at any moment of a call.

use std::time::Duration;

use beamnode::node::{ExitReason, Node, NodeType, Rules, What};
use beamnode::otp::{
    Answer, CallError, Caller, Context, GenServer, GlobalError, RpcError, Typed, TypedServer,
};
use beamnode::term;
use beamnode::term::{Atom, Term};
use serde::{Deserialize, Serialize};

use crate::inside::{Beam, Bed, COOKIE};

const PATIENCE: Duration = Duration::from_secs(60);

async fn ours(bed: &Bed) -> Node {
    let name = format!("asking@{}", bed.rust_host_name());
    Node::builder(name).cookie(COOKIE).start().await.unwrap()
}

/// Evaluates on a BEAM node, with `N` the name of ours; the value is printed as `expected`.
async fn ask(beam: &Beam, node: &Node, expression: &str, expected: &str) {
    let source = format!("(fun() -> N = '{}', _ = N, {expression} end)()", node.name());
    assert_eq!(beam.eval(source).await, expected, "{expression}");
}

/// Does whatever a server can do.
struct Everything {
    log: Vec<Term>,
    waiting: Vec<Caller>,
}

impl GenServer for Everything {
    async fn init(&mut self, context: &mut Context) -> Result<(), ExitReason> {
        context.continue_with(Term::atom("begun"));
        Ok(())
    }

    async fn call(
        &mut self,
        context: &mut Context,
        request: Term,
        from: &Caller,
    ) -> Result<Option<Term>, ExitReason> {
        match request.as_atom().map(Atom::as_str) {
            Some("log") => Ok(Some(Term::from(self.log.clone()))),
            Some("wait") => {
                self.waiting.push(from.clone());
                Ok(None)
            }
            Some("release") => {
                for caller in self.waiting.drain(..) {
                    caller.reply(context.process(), Term::atom("released"));
                }
                Ok(Some(Term::atom("ok")))
            }
            Some("timeout") => {
                context.timeout(Duration::from_millis(1));
                Ok(Some(Term::atom("ok")))
            }
            Some("continue") => {
                context.continue_with(Term::atom("again"));
                Ok(Some(Term::atom("ok")))
            }
            Some("stop") => Err(ExitReason::NORMAL),
            _ => Ok(Some(request)),
        }
    }

    async fn cast(&mut self, _: &mut Context, request: Term) -> Result<(), ExitReason> {
        self.log.push(request);
        Ok(())
    }

    async fn info(&mut self, _: &mut Context, message: beamnode::node::Message) -> Result<(), ExitReason> {
        self.log.push(message.term()?);
        Ok(())
    }

    async fn timed_out(&mut self, _: &mut Context) -> Result<(), ExitReason> {
        self.log.push(Term::atom("timeout"));
        Ok(())
    }

    async fn continued(&mut self, _: &mut Context, continuation: Term) -> Result<(), ExitReason> {
        self.log.push(continuation);
        Ok(())
    }

    async fn terminate(&mut self, context: &mut Context, reason: &ExitReason) {
        if let Some(watcher) = context.process().node().whereis("terminated") {
            let told = term!({terminated, (reason.term().clone())});
            context.process().send(&watcher, told).await.ok();
        }
    }

    fn state(&self) -> Term {
        Term::from(self.log.clone())
    }

    fn replace_state(&mut self, state: Term) -> Result<(), ExitReason> {
        self.log = state
            .as_list()
            .map(|list| list.iter().collect())
            .unwrap_or_default();
        Ok(())
    }

    fn module(&self) -> &'static str {
        "everything"
    }
}

fn everything() -> Everything {
    Everything {
        log: Vec::new(),
        waiting: Vec::new(),
    }
}

/// What handlers ask for is done, deferred answers arrive, and the end is told.
pub(crate) async fn handlers(bed: Bed) {
    let node = ours(&bed).await;
    let mut watcher = node.process();
    watcher.register("terminated").unwrap();
    node.start_server("everything", everything()).unwrap();
    let alice = bed.erl("alice", "a").start().await;
    let call = |request: &str| format!("gen_server:call({{everything, N}}, {request})");
    ask(&alice, &node, &call("log"), "[begun]").await;
    let told =
        "gen_server:cast({everything, N}, a), {everything, N} ! b, gen_server:call({everything, N}, log)";
    ask(&alice, &node, told, "[begun,a,b]").await;
    ask(
        &alice,
        &node,
        &format!("{}, {}", call("continue"), call("log")),
        "[begun,a,b,again]",
    )
    .await;
    // The timeout comes before the next message, however long that takes.
    let timeout = "gen_server:call({everything, N}, timeout), \
        (fun Wait() -> case lists:last(gen_server:call({everything, N}, log)) of timeout -> ok; _ -> gen_server:call({everything, N}, timeout), timer:sleep(20), Wait() end end)()";
    ask(&alice, &node, timeout, "ok").await;
    let deferred = "Me = self(), Pids = [spawn(fun() -> Me ! {self(), gen_server:call({everything, N}, wait, infinity)} end) || _ <- lists:seq(1, 3)], \
        (fun Wait(Done) when Done >= 3 -> ok; Wait(Done) -> gen_server:call({everything, N}, release), \
            Wait(Done + length([ok || P <- Pids, receive {P, released} -> true after 20 -> false end])) end)(0)";
    ask(&alice, &node, deferred, "ok").await;
    let typed = "[1, 2.5, <<\"x\">>, \"text\", #{a => {b, []}}, self(), make_ref()] =:= gen_server:call({everything, N}, [1, 2.5, <<\"x\">>, \"text\", #{a => {b, []}}, self(), make_ref()])";
    ask(&alice, &node, typed, "false").await;
    let stopped = "M = monitor(process, {everything, N}), R = (catch gen_server:call({everything, N}, stop)), \
        receive {'DOWN', M, process, {everything, N}, Why} -> ok end, \
        {Why, R =:= {'EXIT', {normal, {gen_server, call, [{everything, N}, stop]}}}}";
    ask(&alice, &node, stopped, "{normal,true}").await;
    let terminated = watcher.recv().await.unwrap().term().unwrap();
    assert_eq!(terminated, term!({terminated, normal}));
    node.shutdown().await;
}

/// `sys` and its kin, in the forms of the release.
pub(crate) async fn system_messages(bed: Bed) {
    let node = ours(&bed).await;
    let mut watcher = node.process();
    watcher.register("terminated").unwrap();
    node.module("states")
        .function("doubled", 1, async |_, arguments| {
            let list: Vec<Term> = arguments[0].as_list().unwrap().iter().collect();
            Ok(Term::from([list.clone(), list].concat()))
        });
    node.start_server("everything", everything()).unwrap();
    let alice = bed.erl("alice", "a").start().await;
    for (expression, expected) in [
        ("gen_server:call(S, log)", "[begun]"),
        ("sys:get_state(S)", "[begun]"),
        ("sys:get_state(S, 5000)", "[begun]"),
        ("sys:replace_state(S, fun states:doubled/1)", "[begun,begun]"),
        ("sys:get_state(S)", "[begun,begun]"),
        (
            "{'EXIT', {{callback_failed, {gen_server, system_replace_state}, {error, undef}}, _}} = (catch sys:replace_state(S, fun(X) -> X end)), ok",
            "ok",
        ),
        (
            "P = rpc:call(N, erlang, whereis, [everything]), {status, P, {module, gen_server}, [D, running, P, [], M]} = sys:get_status(S), \
             {everything, init, 1} = proplists:get_value('$initial_call', D), \
             [{header, \"Status for generic server everything\"}, {data, [{\"Status\", running}, {\"Parent\", P}, {\"Logged events\", []}]}, {data, [{\"State\", [begun, begun]}]}] = M, ok",
            "ok",
        ),
        (
            "ok = sys:suspend(S), {status, _, _, [_, suspended | _]} = sys:get_status(S), {'EXIT', {timeout, _}} = (catch gen_server:call(S, log, 50)), \
             [begun, begun] = sys:get_state(S), ok = sys:change_code(S, everything, undefined, []), sys:resume(S)",
            "ok",
        ),
        (
            "{error, {unknown_system_msg, _}} = sys:change_code(S, everything, undefined, []), ok",
            "ok",
        ),
        ("sys:no_debug(S)", "ok"),
        ("sys:log(S, get)", "{ok,[]}"),
        ("sys:statistics(S, get)", "{ok,no_statistics}"),
        ("gen_server:call(S, log)", "[begun,begun]"),
        (
            "M = monitor(process, S), ok = sys:terminate(S, shutdown), receive {'DOWN', M, process, _, Why} -> Why end",
            "shutdown",
        ),
    ] {
        ask(
            &alice,
            &node,
            &format!("S = {{everything, N}}, {expression}"),
            expected,
        )
        .await;
    }
    let terminated = watcher.recv().await.unwrap().term().unwrap();
    assert_eq!(terminated, term!({terminated, shutdown}));
    node.start_server("everything", everything()).unwrap();
    let stop = "gen_server:stop({everything, N})";
    ask(&alice, &node, stop, "ok").await;
    node.shutdown().await;
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    Deposit(u64),
    Withdraw { amount: u64 },
    Balance,
    Later,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    Set(u64),
}

#[derive(Serialize)]
struct Balance {
    balance: u64,
}

struct Account(u64);

impl TypedServer for Account {
    type Call = Request;
    type Reply = Result<Balance, &'static str>;
    type Cast = Order;

    async fn call(
        &mut self,
        context: &mut Context,
        request: Request,
        answer: Answer<Self::Reply>,
    ) -> Result<Option<Self::Reply>, ExitReason> {
        match request {
            Request::Deposit(amount) => self.0 += amount,
            Request::Withdraw { amount } if amount > self.0 => return Ok(Some(Err("poor"))),
            Request::Withdraw { amount } => self.0 -= amount,
            Request::Balance => {}
            Request::Later => {
                answer.give(context.process(), &Ok(Balance { balance: 1 }))?;
                return Ok(None);
            }
        }
        Ok(Some(Ok(Balance { balance: self.0 })))
    }

    async fn cast(&mut self, _: &mut Context, request: Order) -> Result<(), ExitReason> {
        let Order::Set(value) = request;
        self.0 = value;
        Ok(())
    }

    fn state(&self) -> Term {
        Term::from(self.0)
    }
}

/// A server of Rust types, reached by name, pid, `{via, …}` and `{global, …}` from Erlang and by Elixir's means.
pub(crate) async fn typed(bed: Bed) {
    let node = ours(&bed).await;
    node.start_server("account", Typed(Account(0))).unwrap();
    let alice = bed.erl("alice", "a").start().await;
    for (expression, expected) in [
        ("gen_server:call(S, {deposit, 10})", "{ok,#{balance => 10}}"),
        (
            "gen_server:call(S, {withdraw, #{amount => 3}})",
            "{ok,#{balance => 7}}",
        ),
        (
            "gen_server:call(S, {withdraw, #{amount => 30}})",
            "{error,<<\"poor\">>}",
        ),
        (
            "gen_server:cast(S, {set, 50}), gen_server:call(S, balance)",
            "{ok,#{balance => 50}}",
        ),
        ("gen_server:call(S, later)", "{ok,#{balance => 1}}"),
        (
            "call_chaos:via(), yes = call_chaos:register_name(it, rpc:call(N, erlang, whereis, [account])), gen_server:call({via, call_chaos, it}, balance)",
            "{ok,#{balance => 50}}",
        ),
        (
            "gen_server:cast({via, call_chaos, it}, {set, 51}), gen_server:call({via, call_chaos, it}, balance)",
            "{ok,#{balance => 51}}",
        ),
        (
            "yes = global:register_name(it, rpc:call(N, erlang, whereis, [account])), gen_server:call({global, it}, balance)",
            "{ok,#{balance => 51}}",
        ),
        (
            "{[{N, {ok, #{balance := 51}}}], []} = gen_server:multi_call([N], account, balance), ok",
            "ok",
        ),
        (
            "abcast = gen_server:abcast([N], account, {set, 52}), gen_server:call(S, balance)",
            "{ok,#{balance => 52}}",
        ),
    ] {
        ask(
            &alice,
            &node,
            &format!("S = {{account, N}}, {expression}"),
            expected,
        )
        .await;
    }
    let eve = bed.elixir("eve", "b").start().await;
    let name = node.name();
    for (expression, expected) in [
        ("GenServer.call(s, {:deposit, 1})", "{:ok, %{balance: 53}}"),
        (
            "GenServer.cast(s, {:set, 5}); GenServer.call(s, :balance)",
            "{:ok, %{balance: 5}}",
        ),
        ("GenServer.whereis(s) == s", "true"),
        (
            "{:ok, pid} = Task.start(fn -> nil end); _ = pid; Task.await(Task.async(fn -> GenServer.call(s, :balance) end))",
            "{:ok, %{balance: 5}}",
        ),
        (
            "GenServer.multi_call([n], :account, :balance) == {[{n, {:ok, %{balance: 5}}}], []}",
            "true",
        ),
        (
            "GenServer.abcast([n], :account, {:set, 6}); GenServer.call(s, :balance)",
            "{:ok, %{balance: 6}}",
        ),
        (
            "catch_exit = fn f -> try do f.() catch :exit, {why, _} -> why end end; catch_exit.(fn -> GenServer.call({:nobody, n}, :x) end)",
            ":noproc",
        ),
        (":erpc.call(n, :erlang, :node, []) == n", "true"),
        ("Node.spawn(n, :timer, :sleep, [0]) |> is_pid", "true"),
        // What is none of the type's values is the end of it, as where no clause fits.
        (
            "try do GenServer.call(s, {:nonsense, 1}) catch :exit, {{:unexpected, :call, {:nonsense, 1}}, _} -> :ended end",
            ":ended",
        ),
    ] {
        let source = format!("n = :\"{name}\"; s = {{:account, n}}; _ = s; {expression}");
        assert_eq!(eve.eval(source).await, expected, "{expression}");
    }
    // Nobody may call what has ended in the middle of a registration.
    ask(&alice, &node, "global:unregister_name(it)", "ok").await;
    node.shutdown().await;
}

/// Servers that have a name of the cluster's, or of a registry's: ours called from Erlang and Elixir, and theirs by us.
pub(crate) async fn by_global_name(bed: Bed) {
    let node = ours(&bed).await;
    let account = node.start_anonymous_server(Typed(Account(1)));
    let alice = bed.erl("alice", "a").start().await;
    node.ping(alice.node()).await.unwrap();
    let global = node.global();
    global.sync().await.unwrap();
    assert!(global.register_name(term!({account, 1}), &account).await.unwrap());
    for (expression, expected) in [
        (
            "gen_server:call({global, {account, 1}}, balance)",
            "{ok,#{balance => 1}}",
        ),
        (
            "gen_server:cast({global, {account, 1}}, {set, 2}), gen_server:call({global, {account, 1}}, balance)",
            "{ok,#{balance => 2}}",
        ),
        (
            "gen_server:call({via, global, {account, 1}}, balance)",
            "{ok,#{balance => 2}}",
        ),
        (
            "gen_server:wait_response(gen_server:send_request({global, {account, 1}}, balance), infinity)",
            "{reply,{ok,#{balance => 2}}}",
        ),
        (
            "case sys:get_state({global, {account, 1}}) of {ok, S} -> S; S -> S end",
            "2",
        ),
        (
            "{'EXIT', {noproc, _}} = (catch gen_server:call({global, nobody}, balance)), gen_server:cast({global, nobody}, x)",
            "ok",
        ),
    ] {
        ask(&alice, &node, expression, expected).await;
    }
    if bed.release() > 24 {
        let collected = "R = lists:foldl(fun(L, All) -> gen_server:send_request({global, {account, 1}}, balance, L, All) end, gen_server:reqids_new(), [a, b]), \
            {{reply, {ok, #{balance := 2}}}, L1, R1} = gen_server:receive_response(R, infinity, true), \
            {{reply, {ok, #{balance := 2}}}, L2, R2} = gen_server:receive_response(R1, infinity, true), {lists:sort([L1, L2]), gen_server:reqids_size(R2)}";
        ask(&alice, &node, collected, "{[a,b],0}").await;
    }
    let eve = bed.elixir("eve", "b").start().await;
    for (expression, expected) in [
        ("Node.connect(n) && :global.sync()", ":ok"),
        (
            "GenServer.call({:global, {:account, 1}}, :balance)",
            "{:ok, %{balance: 2}}",
        ),
        ("GenServer.cast({:global, {:account, 1}}, {:set, 3})", ":ok"),
        (
            "GenServer.call({:via, :global, {:account, 1}}, :balance)",
            "{:ok, %{balance: 3}}",
        ),
        (
            "GenServer.whereis({:global, {:account, 1}}) |> node() == n",
            "true",
        ),
        (
            "try do GenServer.call({:global, :nobody}, :x) catch :exit, {why, _} -> why end",
            ":noproc",
        ),
    ] {
        let source = format!("n = :\"{}\"; _ = n; {expression}", node.name());
        assert_eq!(eve.eval(source).await, expected, "{expression}");
    }
    // And theirs.
    assert_eq!(
        alice
            .eval("call_kinds:start(), yes = global:register_name(counter, whereis(counter)), ok")
            .await,
        "ok"
    );
    let mut me = node.process();
    let next = || Term::atom("next");
    assert_eq!(
        global
            .call(&mut me, Term::atom("counter"), next(), PATIENCE)
            .await
            .unwrap(),
        term!(1)
    );
    global
        .cast(&me, Term::atom("counter"), term!({set, 7}))
        .await
        .unwrap();
    assert_eq!(
        global
            .call(&mut me, Term::atom("counter"), next(), PATIENCE)
            .await
            .unwrap(),
        term!(8)
    );
    let nobody = global.call(&mut me, Term::atom("nobody"), next(), PATIENCE).await;
    assert!(
        matches!(&nobody, Err(GlobalError::NotRegistered { .. })),
        "{nobody:?}"
    );
    // By pid, as whoever found it in a registry has it.
    let counter = global.whereis_name(Term::atom("counter")).unwrap();
    assert_eq!(me.call(&counter, next(), PATIENCE).await.unwrap(), term!(9));
    // A cast as a function call of theirs, whose effect is seen.
    me.register("asking").unwrap();
    let to = Term::from((Term::atom("asking"), node.name().clone()));
    node.rpc(alice.node())
        .cast("erlang", "send", [to, Term::atom("cast")])
        .await
        .unwrap();
    let told = tokio::time::timeout(PATIENCE, me.recv()).await.unwrap().unwrap();
    assert_eq!(told.term().unwrap(), Term::atom("cast"));
    assert_eq!(me.mailbox_len(), 0);
    node.shutdown().await;
}

/// State machines and event managers of a BEAM node, its servers all at once, and Elixir's agents.
pub(crate) async fn their_kinds(bed: Bed) {
    let node = ours(&bed).await;
    let alice = bed.erl("alice", "a").start().await;
    let bob = bed.erl("bob", "b").start().await;
    let there = Atom::new(alice.node()).unwrap();
    let at = |name: &'static str| (Atom::from_static(name), there.clone());
    let mut me = node.process();
    assert_eq!(alice.eval("call_kinds:start()").await, "ok");
    assert_eq!(bob.eval("call_kinds:start()").await, "ok");
    // gen_statem
    assert_eq!(
        me.call(at("door"), Term::atom("open"), PATIENCE).await.unwrap(),
        term!({opened, 1})
    );
    me.cast(at("door"), Term::atom("close")).await.unwrap();
    assert_eq!(
        me.call(at("door"), Term::atom("open"), PATIENCE).await.unwrap(),
        term!({opened, 2})
    );
    // gen_event
    me.notify(at("events"), Term::atom("one")).await.unwrap();
    me.sync_notify(at("events"), Term::atom("two"), PATIENCE)
        .await
        .unwrap();
    let seen = me.call_handler(
        at("events"),
        Term::atom("call_kinds"),
        Term::atom("seen"),
        PATIENCE,
    );
    assert_eq!(seen.await.unwrap(), term!([one, two]));
    let handlers = me.call_manager(at("events"), Term::atom("which_handlers"), PATIENCE);
    assert_eq!(handlers.await.unwrap(), term!([call_kinds]));
    let nobody = me.call_handler(at("events"), Term::atom("nobody"), Term::atom("x"), PATIENCE);
    assert_eq!(nobody.await.unwrap(), term!({error, bad_module}));
    // sys
    let state = me
        .system_call(at("counter"), Term::atom("get_state"), PATIENCE)
        .await
        .unwrap();
    assert!(state == term!({ok, 0}) || state == term!(0), "{state}");
    // Requests side by side, the answer to one of which is given up.
    let one = me.send_request(at("counter"), Term::atom("next")).await.unwrap();
    let two = me.send_request(at("counter"), Term::atom("next")).await.unwrap();
    drop(me.send_request(at("counter"), Term::atom("next")).await.unwrap());
    assert_eq!(me.response(two, PATIENCE).await.unwrap(), term!(2));
    assert_eq!(me.response(one, PATIENCE).await.unwrap(), term!(1));
    assert_eq!(
        me.call(at("counter"), Term::atom("next"), PATIENCE)
            .await
            .unwrap(),
        term!(4)
    );
    let nodes = [alice.node(), bob.node(), "nobody@localhost"];
    let (answers, missing) = node
        .multi_call(nodes, "counter", Term::atom("next"), PATIENCE)
        .await;
    let bob_name = Atom::new(bob.node()).unwrap();
    assert_eq!(answers, [(there.clone(), term!(5)), (bob_name.clone(), term!(1))]);
    assert_eq!(missing, [Atom::from_static("nobody@localhost")]);
    node.abcast([alice.node(), bob.node()], "counter", term!({set, 40}))
        .await;
    assert_eq!(
        me.call(
            (Atom::from_static("counter"), bob_name),
            Term::atom("next"),
            PATIENCE
        )
        .await
        .unwrap(),
        term!(41)
    );
    // Functions on several nodes, in Rust's types, and by way of rex.
    let sums = node
        .multicall(nodes, "lists", "sum", [term!([1, 2])], Some(PATIENCE))
        .await;
    assert!(
        matches!(sums.as_slice(), [Ok(Term::Integer(3)), Ok(Term::Integer(3)), Err(error)] if error.badrpc().is_atom("nodedown")),
        "{sums:?}"
    );
    let sorted: Vec<i64> = node
        .rpc(&there)
        .call_as("lists", "sort", (vec![3, 1, 2],))
        .await
        .unwrap();
    assert_eq!(sorted, [1, 2, 3]);
    let name: String = node.rpc(&there).call_as("erlang", "node", ()).await.unwrap();
    assert_eq!(name, alice.node());
    let blocked = node.rpc(&there).block_call("lists", "max", [term!([1, 9])]).await;
    assert_eq!(blocked.unwrap(), term!(9));
    let failed = node
        .rpc(&there)
        .block_call("erlang", "exit", [Term::atom("x")])
        .await;
    assert!(
        matches!(&failed, Err(RpcError::BadRpc(reason)) if *reason == term!({(Term::atom("EXIT")), x})),
        "{failed:?}"
    );
    let pending = node.rpc(&there).send_request("erlang", "is_alive", []).unwrap();
    assert_eq!(pending.await.unwrap(), term!(true));
    let eve = bed.elixir("eve", "c").start().await;
    eve.eval("{:ok, a} = Agent.start(fn -> 7 end, name: :agent); is_pid(a)")
        .await;
    let agent = (Atom::from_static("agent"), Atom::new(eve.node()).unwrap());
    let get = term!({get, {(Term::atom("Elixir.Kernel")), (Term::atom("+")), [1]}});
    assert_eq!(me.call(agent, get, PATIENCE).await.unwrap(), term!(8));
    // OTP 23 has no aliases: there the answer that was given up is a message like any other.
    assert_eq!(me.mailbox_len(), usize::from(bed.release() < 24));
    node.shutdown().await;
}

/// A policy holds against every way to call, spawn, exit and send, and fails as it says.
pub(crate) async fn policy(bed: Bed) {
    let name = format!("strict@{}", bed.rust_host_name());
    let rules = Rules::closed()
        .allow("bob@*", What::Anything)
        .deny("*", What::Call("erlang", "halt"))
        .allow("*", What::Call("erlang", "*"))
        .allow("*", What::Call("rpc", "call"))
        .allow("*", What::Call("global", "trans"))
        .allow("*", What::Spawn("timer", "sleep"))
        .allow("*", What::Send("net_kernel"))
        .allow("*", What::Send("open"))
        .allow("*", What::Send("rex"))
        .allow("*", What::Exit("open"));
    let node = Node::builder(name)
        .cookie(COOKIE)
        .policy(rules)
        .start()
        .await
        .unwrap();
    let mut open = node.process();
    open.register("open").unwrap();
    open.trap_exit(true);
    let mut closed = node.process();
    closed.register("closed").unwrap();
    closed.trap_exit(true);
    let alice = bed.erl("alice", "a").start().await;
    let bob = bed.erl("bob", "b").start().await;
    for (expression, expected) in [
        ("net_adm:ping(N)", "pong"),
        ("erpc:call(N, erlang, is_alive, [])", "true"),
        ("rpc:call(N, erlang, is_alive, [])", "true"),
        ("rpc:block_call(N, erlang, is_alive, [])", "true"),
        (
            "catch erpc:call(N, erlang, halt, [])",
            "{'EXIT',{{erpc,not_allowed},[]}}",
        ),
        ("rpc:call(N, erlang, halt, [])", "{badrpc,{'EXIT',not_allowed}}"),
        (
            "rpc:block_call(N, erlang, halt, [])",
            "{badrpc,{'EXIT',not_allowed}}",
        ),
        (
            "element(1, element(2, element(2, rpc:call(N, erlang, apply, [erlang, halt, []]))))",
            "not_allowed",
        ),
        (
            "rpc:call(N, rpc, call, [N, erlang, halt, []])",
            "{badrpc,{'EXIT',not_allowed}}",
        ),
        // A fun that another function is to call is called on behalf of who asks for it, too.
        (
            "rpc:call(N, global, trans, [{l, self()}, fun erlang:is_alive/0, [N], 0])",
            "true",
        ),
        (
            "element(1, element(2, element(2, rpc:call(N, global, trans, [{l, self()}, fun erlang:halt/0, [N], 0]))))",
            "not_allowed",
        ),
        ("rpc:call(N, init, stop, [])", "{badrpc,{'EXIT',not_allowed}}"),
        (
            "element(1, element(2, rpc:call(N, erlang, spawn, [erlang, halt, []])))",
            "'EXIT'",
        ),
        (
            "{P, M} = spawn_monitor(N, timer, sleep, [0]), receive {'DOWN', M, process, P, Why} -> Why end",
            "normal",
        ),
        (
            "{'EXIT', {Why, _}} = (catch spawn_monitor(N, erlang, halt, [])), Why",
            "not_allowed",
        ),
    ] {
        let expression = match expression.strip_prefix("catch erpc:call") {
            Some(call) => format!(
                "case (catch erpc:call{call}) of {{'EXIT', {{Why, _}}}} -> {{'EXIT', {{Why, []}}}} end"
            ),
            None => expression.to_owned(),
        };
        ask(&alice, &node, &expression, expected).await;
    }
    // Everything is one signal after the other: when the last has come, those before would have.
    let signals = "C = rpc:call(N, erlang, whereis, [closed]), O = rpc:call(N, erlang, whereis, [open]), \
        {closed, N} ! no, C ! no, exit(C, no), {open, N} ! one, O ! two, exit(O, three), \
        process_flag(trap_exit, true), link(C), R = receive {'EXIT', C, Why} -> Why end, \
        M = monitor(process, C), demonitor(M, [info]), {rex, N} ! {O, {call, erlang, halt, [], user}}, {open, N} ! four, R";
    ask(&alice, &node, signals, "noproc").await;
    let mut got = Vec::new();
    while got.len() < 4 {
        got.push(open.recv().await.unwrap().term().unwrap());
    }
    assert_eq!(got[0], Term::atom("one"));
    assert_eq!(got[1], Term::atom("two"));
    assert_eq!(got[2].as_tuple().unwrap().get(2), Some(Term::atom("three")));
    assert_eq!(got[3], Term::atom("four"));
    assert_eq!(closed.mailbox_len(), 0);
    ask(
        &bob,
        &node,
        "{closed, N} ! yes, rpc:call(N, erlang, is_alive, [])",
        "true",
    )
    .await;
    assert_eq!(closed.recv().await.unwrap().term().unwrap(), Term::atom("yes"));
    node.shutdown().await;
}

/// A server that answers, or ends.
struct Chaos;

impl GenServer for Chaos {
    async fn call(&mut self, _: &mut Context, request: Term, _: &Caller) -> Result<Option<Term>, ExitReason> {
        match request.as_tuple().and_then(|tuple| tuple.array::<2>()) {
            Some([tag, value]) if tag.is_atom("echo") => Ok(Some(value)),
            Some([_, reason]) => Err(ExitReason::from(reason)),
            None => Ok(None),
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

async fn seed_and_rounds(bed: &Bed, rounds: u64) -> (u64, u64) {
    let seed = setting("BED_SEED").unwrap_or_else(super::processes::rand_seed) >> 12;
    bed.note(format!("BED_SEED={}", seed << 12)).await;
    (seed, setting("BED_ROUNDS").unwrap_or(rounds))
}

/// Calls of a BEAM node to ours, with servers, callers and connections ended at random: nothing is left of them on either side.
pub(crate) async fn killed_at_random(bed: Bed) {
    let (seed, rounds) = seed_and_rounds(&bed, 1600).await;
    let node = ours(&bed).await;
    node.module("chaos").function("server", 0, async |me, _| {
        Ok(Term::from(me.node().start_anonymous_server(Chaos)))
    });
    node.module("chaos").function("killed", 0, async |me, _| {
        me.exit_other(me.pid(), ExitReason::KILL).await.ok();
        std::future::pending().await
    });
    node.start_server("chaos_server", Chaos).unwrap();
    let alice = bed.erl("alice", "a").start().await;
    let before = node.processes().len();
    let limit = Duration::from_secs(110);
    let run = format!("call_chaos:run('{}', {rounds}, {seed})", node.name());
    assert_eq!(
        alice.eval_in("chaos", run, limit).await,
        "ok",
        "BED_SEED={}",
        seed << 12
    );
    let gone = format!("call_chaos:gone('{}', {}, {seed})", node.name(), rounds / 40);
    assert_eq!(
        alice.eval_in("chaos", gone, limit).await,
        "ok",
        "BED_SEED={}",
        seed << 12
    );
    // What was sent last is handled once an answer to something later has come.
    assert_eq!(
        alice.eval(format!("net_adm:ping('{}')", node.name())).await,
        "pong"
    );
    let mut left = node.processes().len();
    for _ in 0..500 {
        if left <= before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        left = node.processes().len();
    }
    assert!(
        left <= before,
        "{before} processes, then {left}; BED_SEED={}",
        seed << 12
    );
    node.shutdown().await;
}

/// Our calls to a BEAM node, with its servers and the connection ended at random.
pub(crate) async fn killed_at_random_by_us(bed: Bed) {
    let (seed, rounds) = seed_and_rounds(&bed, 800).await;
    let mut state = seed | 1;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let node = ours(&bed).await;
    let alice = bed.erl("alice", "a").start().await;
    let there = Atom::new(alice.node()).unwrap();
    assert_eq!(alice.eval("call_kinds:start()").await, "ok");
    node.connect(&there).await.unwrap();
    let mut me = node.process();
    let before = node.processes().len();
    for round in 0..rounds {
        let context = format!("round {round}, BED_SEED={}", seed << 12);
        let server = match node.rpc(&there).call("call_kinds", "counter", []).await {
            Ok(Term::Pid(pid)) => pid,
            other => panic!("{other:?}; {context}"),
        };
        let killer = {
            let (node, server, there) = (node.clone(), server.clone(), there.clone());
            let (cut, delay) = (random(10) == 0, random(300));
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_micros(delay)).await;
                if cut {
                    node.disconnect(&there);
                } else {
                    node.process().exit_other(&server, ExitReason::KILL).await.ok();
                }
            })
        };
        let result = me.call(&server, Term::atom("next"), PATIENCE).await;
        let right = match &result {
            Ok(value) => *value == term!(1),
            Err(CallError::Down(reason)) => ["killed", "noproc", "noconnection"]
                .iter()
                .any(|word| reason.is_atom(word)),
            Err(CallError::Send(_)) => true,
            Err(_) => false,
        };
        assert!(right, "{result:?}; {context}");
        let result = node.rpc(&there).call("erlang", "is_alive", []).await;
        let right = match &result {
            Ok(value) => *value == term!(true),
            Err(error) => error.badrpc().is_atom("nodedown"),
        };
        assert!(right, "{result:?}; {context}");
        killer.await.unwrap();
        // The end of the connection is over before the next call begins.
        node.connect(&there).await.unwrap();
        node.rpc(&there)
            .call("erlang", "exit", [Term::from(server), Term::atom("kill")])
            .await
            .unwrap();
    }
    let late = me.mailbox_len();
    assert_eq!(late, 0, "late answers; BED_SEED={}", seed << 12);
    let info = node.process_info(me.pid()).unwrap();
    assert!(info.monitors.is_empty() && info.links.is_empty(), "{info:?}");
    assert_eq!(node.processes().len(), before);
    assert_eq!(node.nodes(NodeType::All).len(), 1);
    node.shutdown().await;
}

/// The memory of this program in use, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// Calls leave nothing behind, however many there are: `BED_ROUNDS=1000000` makes a million of them.
pub(crate) async fn many(bed: Bed) {
    let rounds = setting("BED_ROUNDS").unwrap_or(16_000);
    let node = ours(&bed).await;
    node.start_server("chaos_server", Chaos).unwrap();
    let alice = bed.erl("alice", "a").start().await;
    let limit = Duration::from_secs(3_000);
    let calls = async |rounds: u64| {
        let calls = format!("call_chaos:flat('{}', {rounds})", node.name());
        assert_eq!(alice.eval_in("many", calls, limit).await, "ok");
    };
    calls(8_000).await;
    let (memory, processes) = (resident(), node.processes().len());
    calls(rounds).await;
    let (after, left) = (resident(), node.processes().len());
    bed.note(format!("{rounds} calls: {memory} KiB before, {after} after"))
        .await;
    // The last few may be about to go.
    assert!(left <= processes + 8, "{processes} processes, then {left}");
    // A hundred bytes a call would be sixteen times that, of a million.
    assert!(
        after < memory + 6_144,
        "{memory} KiB, then {after} after {rounds} calls"
    );
    node.shutdown().await;
}
