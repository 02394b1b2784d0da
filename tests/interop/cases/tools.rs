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

/// A remote shell at a node that has none is refused in plain words, and so is a job of a shell there; the shell goes on.
pub(crate) async fn remote_shell(bed: Bed) {
    let subject = bed.subject().start().await;
    let node = subject.node();
    let alice = bed.erl("alice", "a").start().await;
    if !subject.is_rust() {
        // A BEAM node without the module `shell`; before OTP 26 with an empty one, since theirs is found whatever the path.
        let delete = if bed.release() < 26 {
            format!(
                "N = '{node}', ok = rpc:call(N, code, unstick_dir, [rpc:call(N, code, lib_dir, [stdlib]) ++ \"/ebin\"]), \
                 {{ok, shell, Empty}} = compile:forms([{{attribute, 1, module, shell}}]), \
                 {{module, shell}} = rpc:call(N, code, load_binary, [shell, \"empty\", Empty]), true"
            )
        } else {
            format!(
                "N = '{node}', ok = rpc:call(N, code, unstick_dir, [rpc:call(N, code, lib_dir, [stdlib]) ++ \"/ebin\"]), \
                 rpc:call(N, code, purge, [shell]), rpc:call(N, code, delete, [shell]), rpc:call(N, code, purge, [shell]), \
                 rpc:call(N, code, del_path, [stdlib])"
            )
        };
        assert_eq!(alice.eval(delete).await, "true");
    }
    let remsh = format!(
        "TERM=dumb timeout 50 script -qfec 'erl -sname remote -setcookie {COOKIE} -remsh {node}' /dev/null < /dev/null"
    );
    let output = bed.run("a", &["sh", "-c", &remsh]).await;
    let expected = if bed.release() < 26 {
        // The shell is one of the node that was started for it.
        "(remote@a)1>".to_owned()
    } else {
        format!("Could not load \"{node}\" on shell (nofile)")
    };
    assert!(output.stdout.contains(&expected), "{output:?}");
    // Nobody was left waiting: 124 is what timeout says of one that was.
    assert_ne!(output.code, Some(124), "{output:?}");
    let job = JOB.replace("COOKIE", COOKIE).replace("NODE", node);
    let output = bed.run("a", &["timeout", "55", "sh", "-c", &job]).await;
    assert_eq!(output.stdout.trim(), "ended well", "{output:?}");
    assert_eq!(alice.eval(format!("net_adm:ping('{node}')")).await, "pong");
}

/// Someone at a terminal: a job on NODE, which does not come to be; then one at home. What was not seen in time ends it, with all that was.
const JOB: &str = r#"
d=$(mktemp -d); mkfifo $d/in; : > $d/out
TERM=xterm script -qfec "erl -sname job -setcookie COOKIE" $d/out < $d/in > /dev/null 2>&1 &
exec 3> $d/in
seen() {
    tries=0
    until [ $(grep -aoE -- "$1" $d/out | wc -l) -ge $2 ]; do
        tries=$((tries+1)); [ $tries -gt 400 ] && { cat $d/out; echo "not seen: $1"; exit 1; }
        sleep 0.05
    done
}
seen '\)1> ' 1
printf '' >&3; seen ' --> ' 1
printf "r 'NODE'
" >&3; seen ' --> ' 2
printf 'c
' >&3; seen 'Shell process terminated' 1
printf '' >&3; seen ' --> ' 3
printf 's
' >&3; seen ' --> ' 4
printf 'c
' >&3; seen '\)1> ' 2
printf '{answer, 6*7}.
' >&3; seen '\{answer,42\}' 1
printf 'halt().
' >&3; wait
echo "ended well"
"#;

/// `halt` and `init:stop` end the program with the status that they name, and its name is free; who called `halt`, or waits for anything
/// else there, hears that the node went.
pub(crate) async fn halts(bed: Bed) {
    let alice = bed.erl("alice", "a").start().await;
    let gone = "{badrpc,nodedown}";
    for (call, result, status) in [
        ("rpc:call(N, erlang, halt, [])", gone, 0),
        ("rpc:call(N, erlang, halt, [\"the end\"])", gone, 1),
        ("rpc:block_call(N, erlang, halt, [7])", gone, 7),
        ("rpc:call(N, erlang, halt, [8, [{flush, false}]])", gone, 8),
        ("rpc:call(N, init, stop, [])", "ok", 0),
        ("rpc:call(N, init, stop, [3])", "ok", 3),
        // What is no status halts nothing.
        (
            "begin {badrpc, {'EXIT', {badarg, _}}} = rpc:call(N, erlang, halt, [-1]), rpc:call(N, init, stop, [4]) end",
            "ok",
            4,
        ),
    ] {
        let subject = bed.subject().start().await;
        let expression = format!(
            "(fun(N) -> pong = net_adm:ping(N), Waits = erpc:send_request(N, timer, sleep, [infinity]), Result = {call}, \
             {{Result, try erpc:receive_response(Waits) catch _:Reason -> Reason end}} end)('{}')",
            subject.node()
        );
        let expected = format!("{{{result},{{erpc,noconnection}}}}");
        assert_eq!(alice.eval(expression).await, expected, "{call}");
        // The bed does not say what a BEAM node's was.
        if let Some(ended) = subject.ended().await {
            assert_eq!(ended, status, "{call}");
        }
    }
}
