//! The programs of `examples/`, each with its Erlang or Elixir half.

use crate::inside::Bed;

const ECHO: &str = include_str!("../../../examples/echo/echo.erl");
const DIST_KV: &str = include_str!("../../../examples/dist_kv/dist_kv.erl");
const CLUSTER_WORKER: &str = include_str!("../../../examples/cluster_worker/cluster_worker.ex");
const POOL: &str = include_str!("../../../examples/pool/pool.exs");

/// An expression that compiles and loads the module of that source.
fn load(source: &str) -> String {
    let name = source
        .split_once("-module(")
        .and_then(|(_, rest)| rest.split_once(')'));
    let (name, _) = name.expect("a module");
    // Forms have no macros.
    let source = source.replace("?MODULE", name);
    let quoted = source.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "(fun() -> {{ok, Tokens, _}} = erl_scan:string(\"{quoted}\"), \
         Split = fun Split([], [], Forms) -> lists:reverse(Forms); \
                     Split([{{dot, _}} = Dot | Rest], Form, Forms) -> Split(Rest, [], [lists:reverse([Dot | Form]) | Forms]); \
                     Split([Token | Rest], Form, Forms) -> Split(Rest, [Token | Form], Forms) end, \
         Forms = [begin {{ok, Form}} = erl_parse:parse_form(One), Form end || One <- Split(Tokens, [], [])], \
         {{ok, Module, Code}} = compile:forms(Forms), {{module, _}} = code:load_binary(Module, \"bed\", Code), ok end)()"
    )
}

/// The echo answers Erlang's half, and asks it.
pub(crate) async fn echo(bed: Bed) {
    let name = format!("echoing@{}", bed.rust_host_name());
    let echoing = bed.example("echo", &[&name, crate::inside::COOKIE]);
    echoing.printed("echoes").await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(alice.eval(load(ECHO)).await, "ok");
    let asked = alice
        .eval(format!("echo:ask('{name}', {{hello, [1.5, <<\"x\">>]}})"))
        .await;
    assert_eq!(asked, "{hello,[1.5,<<\"x\">>]}");
    assert_eq!(alice.eval("echo:start()").await, "ok");
    let asking = format!("asking@{}", bed.rust_host_name());
    let asking = bed.example(
        "echo",
        &[&asking, crate::inside::COOKIE, alice.node(), "{hello,\"you\"}"],
    );
    asking.printed("{hello,").await;
}

/// What one half of the store is told, the other knows, whoever joined first.
pub(crate) async fn dist_kv(bed: Bed) {
    let name = format!("first@{}", bed.rust_host_name());
    let first = bed.example("dist_kv", &[&name, crate::inside::COOKIE]);
    first.printed("serves dist_kv").await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(alice.eval(load(DIST_KV)).await, "ok");
    // Something that is there before the other joins.
    first.line("put color blue").await;
    first.printed("ok\n").await;
    assert_eq!(
        alice
            .eval(format!("{{ok, _}} = dist_kv:start('{name}'), dist_kv:get(color)"))
            .await,
        "{ok,blue}"
    );
    // From Erlang to Rust, by cast and by call of the one or the other.
    let put = format!(
        "gen_server:cast({{dist_kv, '{name}'}}, {{put, {{size, 1}}, \"XL\"}}), gen_server:call({{dist_kv, '{name}'}}, {{get, {{size, 1}}}})"
    );
    assert_eq!(alice.eval(put).await, "{ok,\"XL\"}");
    assert_eq!(
        alice
            .eval("dist_kv:put(weight, 12.5), gen_server:call(dist_kv, {get, weight})")
            .await,
        "{ok,12.5}"
    );
    let missing = format!("gen_server:call({{dist_kv, '{name}'}}, {{get, nothing}})");
    assert_eq!(alice.eval(missing).await, "error");
    // A second one in Rust takes over what Erlang's half has.
    let second = format!("second@{}", bed.rust_host_name());
    let second = bed.example("dist_kv", &[&second, crate::inside::COOKIE, alice.node()]);
    second.printed("serves dist_kv").await;
    second.line("get weight").await;
    second.printed("{ok,12.5}").await;
    // And from Rust to Erlang. An answer to a call of the same caster comes after its cast.
    second.line("put owner eve").await;
    second.printed("ok\n").await;
    let owner = "(fun Wait(0) -> none; Wait(N) -> case dist_kv:get(owner) of {ok, Owner} -> Owner; error -> timer:sleep(50), Wait(N - 1) end end)(200)";
    assert_eq!(alice.eval(owner).await, "eve");
}

/// Elixir's calls, one and many at once, are answered by the workers; a job that is none ends the pool, as any server.
pub(crate) async fn pool(bed: Bed) {
    let name = format!("pooling@{}", bed.rust_host_name());
    let pool = bed.example("pool", &[&name, crate::inside::COOKIE, "4"]);
    pool.printed("serves pool").await;
    let eve = bed.elixir("eve", "a").start().await;
    let module = POOL.split("\nwith ").next().unwrap_or_default();
    eve.eval(module).await;
    let ask = async |expression: &str| {
        let source = format!("node = :\"{name}\"; _ = node; {expression}");
        eve.eval(source).await.text().to_owned()
    };
    assert_eq!(ask("Pool.call(node, {:primes, 1000})").await, "{:ok, 168}");
    assert_eq!(
        ask("Pool.call(node, {:sort, [3, 1, 2]})").await,
        "{:ok, [1, 2, 3]}"
    );
    assert_eq!(
        ask("Pool.call(node, {:fail, \"why\"})").await,
        "{:error, \"why\"}"
    );
    assert_eq!(ask("Pool.call(node, :size)").await, "4");
    let tasks = "Pool.map(node, for(n <- 1..40, do: {:sort, [n, 0]})) == for(n <- 1..40, do: {:ok, [0, n]})";
    assert_eq!(ask(tasks).await, "true");
    let awaited = "Task.await(Task.async(fn -> GenServer.call({:pool, node}, {:primes, 100}) end))";
    assert_eq!(ask(awaited).await, "{:ok, 25}");
    let state = "case :sys.get_state({:pool, node}) do {:ok, s} -> s; s -> s end |> Map.get(:workers)";
    assert_eq!(ask(state).await, "4");
}

/// Elixir's half finds the worker and its foreman; while the network is cut it has a foreman of its own, and when it is whole again
/// the worker comes back by itself, is told that it is foreman no longer, and works.
pub(crate) async fn cluster_worker(bed: Bed) {
    const TICKTIME: u32 = 4;
    let alice = bed.elixir("alice", "a").ticktime(TICKTIME).start().await;
    let bob = bed.elixir("bob", "b").ticktime(TICKTIME).start().await;
    for beam in [&alice, &bob] {
        beam.eval(CLUSTER_WORKER).await;
        assert_eq!(beam.eval("ClusterWorker.start()").await, ":ok");
    }
    assert_eq!(
        bob.eval(format!("Node.connect(:\"{}\")", alice.node())).await,
        "true"
    );
    let name = format!("zworker@{}", bed.rust_host_name());
    let worker = bed.example(
        "cluster_worker",
        &[&name, crate::inside::COOKIE, alice.node(), &TICKTIME.to_string()],
    );
    let (alice_node, joined) = (
        alice.node(),
        format!("joined {}; the foreman is on", alice.node()),
    );
    worker.printed(&format!("{joined} {name}")).await;
    let until = |ask: &str, expected: &str| {
        format!("f = fn f -> case {ask} do {expected} -> :ok; _ -> Process.sleep(20); f.(f) end end; f.(f)")
    };
    let works = until("ClusterWorker.square(12)", &format!("{{144, :\"{name}\"}}"));
    for beam in [&alice, &bob] {
        assert_eq!(beam.eval(works.as_str()).await, ":ok");
        assert_eq!(
            beam.eval(until("ClusterWorker.foreman()", &format!(":\"{name}\"")))
                .await,
            ":ok"
        );
    }
    for beam in [&alice, &bob] {
        bed.cut(beam.host(), bed.subject_host()).await;
    }
    worker.printed(&format!("lost {alice_node}")).await;
    for beam in [&alice, &bob] {
        assert_eq!(
            beam.eval(until(
                "{ClusterWorker.foreman(), ClusterWorker.workers()}",
                "{nil, []}"
            ))
            .await,
            ":ok"
        );
    }
    let foreman = "pid = spawn(fn -> Process.sleep(:infinity) end); \
                   :global.register_name(:foreman, pid, &:global.random_notify_name/3)";
    assert_eq!(alice.eval(foreman).await, ":yes");
    bed.heal().await;
    worker.printed(&format!("{joined} {alice_node}")).await;
    worker.printed("no longer foreman").await;
    for beam in [&alice, &bob] {
        assert_eq!(beam.eval(works.as_str()).await, ":ok");
        assert_eq!(
            beam.eval(until("ClusterWorker.foreman()", &format!(":\"{alice_node}\"")))
                .await,
            ":ok"
        );
    }
}
