//! What the bed itself offers to cases, tried on real nodes alone.

use std::time::Duration;

use beamnode::etf;

use super::ping::ping;
use crate::inside::{Bed, LIMIT, Recorder, Side, epmd};

/// Values come out in both forms, bindings and messages stay, failures and long waits are told.
pub(crate) async fn values(bed: Bed) {
    let alice = bed.erl("alice", "a").start().await;
    alice.eval("A = {1, [two], <<\"three\">>}, self() ! kept").await;
    assert_eq!(
        alice.eval("receive kept -> A end").await,
        "{1,[two],<<\"three\">>}"
    );
    let decoded = etf::decode(alice.eval("A").await.bytes().to_vec()).expect("our codec reads it");
    assert_eq!(
        decoded,
        beamnode::term!({1, [two], (bytes::Bytes::from_static(b"three"))})
    );
    let failed = alice
        .try_eval("main", "error(on_purpose)".to_owned(), LIMIT)
        .await;
    assert!(failed.is_err_and(|error| error.contains("on_purpose")));
    let late = alice
        .try_eval(
            "main",
            "receive never -> ok end".to_owned(),
            Duration::from_millis(100),
        )
        .await;
    assert!(late.is_err_and(|error| error.contains("not done after 100 ms")));
    assert_eq!(alice.eval("element(1, A)").await, "1");
    let environment = bed.erl("bob", "a").environment("BED_TRIED", "yes").start().await;
    assert_eq!(environment.eval("os:getenv(\"BED_TRIED\")").await, "\"yes\"");
    let otp = alice
        .eval("list_to_integer(erlang:system_info(otp_release))")
        .await;
    assert_eq!(otp, bed.release().to_string());
}

/// A frozen host is silent, and goes on where it was once thawed.
pub(crate) async fn freeze(bed: Bed) {
    let alice = bed.erl("alice", "a").ticktime(4).start().await;
    let bob = bed.erl("bob", "b").ticktime(4).start().await;
    alice.eval("node_watch:start()").await;
    assert_eq!(ping(&alice, bob.node()).await, "pong");
    bed.freeze(bob.host()).await;
    let events = alice
        .eval(format!("node_watch:await('{}', 2, 50000)", bob.node()))
        .await;
    assert_eq!(events, "[{up,visible},{down,visible,net_tick_timeout}]");
    bed.thaw(bob.host()).await;
    assert_eq!(ping(&alice, bob.node()).await, "pong");
}

/// Cut hosts hear nothing of each other, and do again when healed; two others are not touched.
pub(crate) async fn cut(bed: Bed) {
    let alice = bed.erl("alice", "a").start().await;
    let bob = bed.erl("bob", "b").start().await;
    let carol = bed.erl("carol", "c").start().await;
    bed.cut(alice.host(), bob.host()).await;
    let connect = "catch gen_tcp:connect(\"b\", 4369, [], 1000)";
    assert_eq!(alice.eval(connect).await, "{error,timeout}");
    assert_eq!(ping(&alice, carol.node()).await, "pong");
    assert_eq!(carol.eval(format!("element(1, {connect})")).await, "ok");
    bed.heal().await;
    assert_eq!(ping(&alice, bob.node()).await, "pong");
}

/// The bytes of a connection between two real nodes are recorded: a fixture for whoever reads the protocol.
pub(crate) async fn record(bed: Bed) {
    let alice = bed
        .erl("alice", "a")
        .arguments(&["-epmd_module", "bed_epmd"])
        .start()
        .await;
    let bob = bed.erl("bob", "b").start().await;
    bob.eval("bed:echo()").await;
    let (alive, host) = bob.node().split_once('@').expect("a node's name");
    let port = epmd::port(host, alive).await.expect("bob is registered");
    let recorder = Recorder::before(host, port).await;
    let here = bed.rust_host_name();
    alice
        .eval(format!(
            "bed_epmd:route(\"{alive}\", \"{here}\", {})",
            recorder.port()
        ))
        .await;
    assert_eq!(ping(&alice, bob.node()).await, "pong");
    let talk = "Echoed = fun(T) -> {echo, Bob} ! {self(), T}, receive {echo, T} -> ok after 30000 -> lost end end, \
                ok = Echoed(hello), ok = Echoed({self(), make_ref(), [1.5, \"text\", <<\"binary\">>], #{key => 1 bsl 70}}), \
                ok = Echoed({hello, again}), spawn_link(Bob, fun() -> exit(normal) end), \
                M = monitor(process, {nobody, Bob}), receive {'DOWN', M, _, _, Why} -> Why end, \
                rpc:call(Bob, lists, reverse, [[1, 2, 3]]), disconnect_node(Bob)";
    assert_eq!(
        alice.eval(format!("Bob = '{}', {talk}", bob.node())).await,
        "true"
    );
    let recordings = recorder.recordings();
    assert_eq!(recordings.len(), 1);
    let recording = &recordings[0];
    assert!(matches!(
        recording.sent_by(Side::Initiator)[..],
        [0, _, b'N' | b'n', ..]
    ));
    assert!(recording.sent_by(Side::Acceptor).starts_with(b"\0\x03sok"));
    let release = bed.release();
    let about = format!(
        "A connection between two nodes of OTP {release}, recorded by the case bed::record:\n{} connects to {} and \
         pings; terms to `echo` and back; a linked spawn, a monitor, an rpc.\n> the one that connects, < the other",
        alice.node(),
        bob.node()
    );
    bed.fixture(
        &format!("connection/otp{release}.hex"),
        &recording.to_fixture(&about),
    )
    .await;
}
