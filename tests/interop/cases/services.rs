//! Nothing that a BEAM node does to all nodes of its cluster hangs because the subject is one of them.

use crate::inside::{Beam, Bed, Subject};

/// Evaluates on alice, which is connected to the subject, and beside it in a cluster with bob.
async fn cluster(bed: &Bed) -> (Subject, Beam, Beam) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let bob = bed.erl("bob", "b").start().await;
    for node in [subject.node(), bob.node()] {
        assert_eq!(super::ping::ping(&alice, node).await, "pong");
    }
    assert_eq!(super::ping::ping(&bob, subject.node()).await, "pong");
    (subject, alice, bob)
}

/// `global:sync/0` returns.
pub(crate) async fn global_sync(bed: Bed) {
    let (_subject, alice, bob) = cluster(&bed).await;
    assert_eq!(alice.eval("global:sync()").await, "ok");
    assert_eq!(bob.eval("global:sync()").await, "ok");
}

/// A lock over all nodes is got, held against the others and given back; a name registered on one is found on the other.
pub(crate) async fn global_lock_and_names(bed: Bed) {
    let (_subject, alice, bob) = cluster(&bed).await;
    // Before that, a name is one of its own partition of the cluster.
    assert_eq!(alice.eval("global:sync()").await, "ok");
    assert_eq!(bob.eval("global:sync()").await, "ok");
    assert_eq!(
        alice
            .eval("global:set_lock({bed, self()}, [node() | nodes()], 3)")
            .await,
        "true"
    );
    assert_eq!(
        bob.eval("global:set_lock({bed, self()}, [node() | nodes()], 0)")
            .await,
        "false"
    );
    assert_eq!(
        alice
            .eval("global:del_lock({bed, self()}, [node() | nodes()])")
            .await,
        "true"
    );
    assert_eq!(
        bob.eval("global:trans({bed, self()}, fun() -> done end)").await,
        "done"
    );
    assert_eq!(
        alice
            .eval("global:register_name(bed_name, whereis(code_server))")
            .await,
        "yes"
    );
    let found = format!("node(global:whereis_name(bed_name)) =:= '{}'", alice.node());
    assert_eq!(bob.eval(found).await, "true");
    assert_eq!(bob.eval("global:unregister_name(bed_name)").await, "ok");
    assert_eq!(alice.eval("global:whereis_name(bed_name)").await, "undefined");
}

/// A call to a name that nobody has fails at once with `noproc`.
pub(crate) async fn call_to_nobody(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let rust = subject.node();
    let call = format!("catch gen_server:call({{nobody, '{rust}'}}, hello, infinity)");
    let expected = format!("{{'EXIT',{{noproc,{{gen_server,call,[{{nobody,'{rust}'}},hello,infinity]}}}}}}");
    assert_eq!(alice.eval(format!("({call}) =:= {expected}")).await, "true");
    let multi_call = format!("gen_server:multi_call(['{rust}'], nobody, hello) =:= {{[], ['{rust}']}}");
    assert_eq!(alice.eval(multi_call).await, "true");
}

/// A monitor of a name or a pid that is not there fires at once, with `noproc` and the item as it was given.
pub(crate) async fn monitor_of_nobody(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let rust = subject.node();
    let monitor = format!(
        "M = monitor(process, {{nobody, '{rust}'}}), \
         receive {{'DOWN', M, process, {{nobody, '{rust}'}}, noproc}} -> fired after 30000 -> hangs end"
    );
    assert_eq!(alice.eval(monitor).await, "fired");
    // One that is there does not fire until it is gone, and can be taken back.
    let monitor = format!(
        "N = monitor(process, {{echo, '{rust}'}}), {{echo, '{rust}'}} ! {{self(), there}}, \
         receive {{echo, there}} -> ok after 30000 -> lost end, \
         receive {{'DOWN', N, _, _, Why}} -> {{fired, Why}} after 0 -> demonitor(N, [info]) end"
    );
    assert_eq!(alice.eval(monitor).await, "true");
}

/// A monitor of a process of the subject fires with `noconnection` when the subject is killed.
pub(crate) async fn monitor_of_killed(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let rust = subject.node();
    let monitor = format!(
        "M = monitor(process, {{echo, '{rust}'}}), {{echo, '{rust}'}} ! {{self(), there}}, \
         receive {{echo, there}} -> ok after 30000 -> lost end"
    );
    assert_eq!(alice.eval(monitor).await, "ok");
    subject.kill().await;
    let fired =
        format!("receive {{'DOWN', M, process, {{echo, '{rust}'}}, Why}} -> Why after 30000 -> hangs end");
    assert_eq!(alice.eval(fired).await, "noconnection");
}

/// Whatever a node sends to all others unasked leaves both sides well: `rpc`, `pg`, `global` and `logger` among them.
pub(crate) async fn unasked_traffic(bed: Bed) {
    let (subject, alice, bob) = cluster(&bed).await;
    assert_eq!(
        alice
            .eval("rpc:abcast(nobody, hello), gen_server:abcast(nobody, hello)")
            .await,
        "abcast"
    );
    // pg came with OTP 23: its scope asks every node that comes up for its groups.
    assert_eq!(alice.eval("element(1, pg:start(pg))").await, "ok");
    assert_eq!(bob.eval("element(1, pg:start(pg))").await, "ok");
    assert_eq!(alice.eval("pg:join(bed, [self()])").await, "ok");
    let eval = "(fun Wait(0) -> lost; Wait(N) -> case pg:get_members(bed) of [_] -> ok; _ -> timer:sleep(50), Wait(N - 1) end end)(600)";
    assert_eq!(bob.eval(eval).await, "ok");
    for node in [&alice, &bob] {
        let echo = format!(
            "{{echo, '{}'}} ! {{self(), still}}, receive {{echo, still}} -> ok after 30000 -> lost end",
            subject.node()
        );
        assert_eq!(node.eval(echo).await, "ok");
        assert_eq!(node.eval("length(nodes())").await, "2");
    }
}
