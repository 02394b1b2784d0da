//! What takes time, beside the same between two BEAM nodes in the same run.

use crate::inside::Bed;

/// 1,000 round trips to `echo` beside those to a BEAM node's.
pub(crate) async fn round_trips(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let bob = bed.erl("bob", "b").start().await;
    bob.eval("bed:echo()").await;
    let compare = |count: u32| {
        let (subject, bob) = (subject.node(), bob.node());
        alice.eval(format!(
            "tuple_to_list(round_trips:compare('{subject}', '{bob}', {count}))"
        ))
    };
    compare(200).await;
    // Once more, and once more again, where something else on the machine has got in the way of one of the two.
    let (mut ours, mut theirs) = (i64::MAX, 0);
    for _ in 0..3 {
        [ours, theirs] = compare(1000).await.integers();
        if ours <= theirs {
            break;
        }
    }
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
    // The figures are printed. What fails is a write that waits for an acknowledgement, which takes 40 ms each time: a
    // busy machine is no fault.
    let allowed = theirs * 10;
    assert!(ours <= allowed, "{ours} µs, against {theirs} µs");
}
