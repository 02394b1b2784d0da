//! What takes time, beside the same between two BEAM nodes in the same run.

use crate::inside::Bed;

/// 1,000 round trips to `echo` take no longer than to a BEAM node's.
pub(crate) async fn round_trips(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let bob = bed.erl("bob", "b").start().await;
    bob.eval("bed:echo()").await;
    alice
        .eval(format!(
            "round_trips:compare('{}', '{}', 200)",
            subject.node(),
            bob.node()
        ))
        .await;
    let times = alice.eval(format!(
        "{{Ours, Theirs}} = round_trips:compare('{}', '{}', 1000)",
        subject.node(),
        bob.node()
    ));
    times.await;
    let (ours, theirs) = (
        alice.eval("Ours").await.integer(),
        alice.eval("Theirs").await.integer(),
    );
    let who = if subject.is_rust() {
        "a Rust node"
    } else {
        "a BEAM node in its place"
    };
    bed.note(format!(
        "1,000 round trips: {:.1} ms to {who}, {:.1} ms to a BEAM node",
        ours as f64 / 1000.0,
        theirs as f64 / 1000.0
    ))
    .await;
    // Two BEAM nodes are not always as fast as each other.
    let allowed = if subject.is_rust() { theirs } else { theirs * 3 / 2 };
    assert!(ours <= allowed, "{ours} µs, against {theirs} µs");
}
