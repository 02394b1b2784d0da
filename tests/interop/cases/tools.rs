//! Tools that people use on any node.

use crate::inside::{Bed, COOKIE};

/// `erl_call`, a C node: functions called, with their results and what they raise.
pub(crate) async fn erl_call(bed: Bed) {
    let subject = bed.subject().start().await;
    let node = subject.node();
    // An EPMD for the host that it runs on, which it looks for.
    let _alice = bed.erl("alice", "a").start().await;
    let call = async |call: &str| {
        let output = bed
            .run("a", &["erl_call", "-c", COOKIE, "-sname", node, "-a", call])
            .await;
        output.stdout + &output.stderr
    };
    assert_eq!(call("erlang node []").await.trim(), node);
    assert_eq!(call("erlang is_alive []").await.trim(), "true");
    assert_eq!(call("erlang throw [x]").await.trim(), "x");
    assert!(call("no where [1]").await.contains("undef"));
    assert!(call("erlang exit [bye]").await.contains("bye"));
}

/// What Observer asks a node that may not have what it looks for, it is told so.
pub(crate) async fn observer_asks(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    for (expression, pattern) in [
        (
            "rpc:call(N, code, ensure_loaded, [no_backend])",
            "{error, nofile}",
        ),
        (
            "rpc:call(N, no_backend, sys_info, [])",
            "{badrpc, {'EXIT', {undef, [{no_backend, sys_info, [], []} | _]}}}",
        ),
        (
            "[{rpc:call(N, erlang, process_info, [P, [registered_name, message_queue_len, memory, reductions, current_function, initial_call]])} \
             || P <- rpc:call(N, erlang, processes, [])] -- [{undefined}]",
            "[{[{registered_name, _}, {message_queue_len, 0}, {memory, _}, {reductions, _}, {current_function, {_, _, _}}, {initial_call, {_, _, _}}]} | _]",
        ),
        (
            "[is_integer(V) || {_, V} <- rpc:call(N, erlang, memory, [])]",
            "[true, true, true, true, true, true, true, true, true]",
        ),
        ("rpc:block_call(N, erlang, system_info, [wordsize])", "8"),
        (
            "rpc:call(N, erlang, function_exported, [erlang, node, 0])",
            "true",
        ),
    ] {
        super::processes::check(&alice, &subject, expression, pattern).await;
    }
}
