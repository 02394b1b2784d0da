//! `net_adm:ping` of the subject by every kind of node, and who is then listed where.

use crate::inside::Bed;

/// A visible node answers `pong` and stands in `nodes()`, on both sides.
pub(crate) async fn visible(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let rust = subject.node();
    assert_eq!(alice.eval(format!("net_adm:ping('{rust}')")).await, "pong");
    assert_eq!(alice.eval(format!("nodes() =:= ['{rust}']")).await, "true");
    assert_eq!(alice.eval("nodes(hidden)").await, "[]");
    subject.await_event(&format!("nodeup {}", alice.node()), 1, crate::inside::LIMIT).await;
}
