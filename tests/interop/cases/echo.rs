//! Messages: what is sent to the subject's `echo` comes back as it went.

use std::time::Duration;

use crate::inside::Bed;

/// Terms of every type.
pub(crate) async fn every_type(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(
        alice
            .eval(format!("echo_terms:every_type('{}')", subject.node()))
            .await,
        "ok"
    );
}

/// Terms of every type over a connection that the subject has made.
pub(crate) async fn every_type_by_subject(bed: Bed) {
    let subject = bed.subject().connecting().start().await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(subject.ping(alice.node()).await, "pong");
    assert_eq!(
        alice
            .eval(format!("echo_terms:every_type('{}')", subject.node()))
            .await,
        "ok"
    );
}

/// 10 MB binaries, 1 MB lists, and what else is large.
pub(crate) async fn large(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let large = format!("echo_terms:large('{}')", subject.node());
    assert_eq!(alice.eval_in("main", large, Duration::from_secs(90)).await, "ok");
}

/// The largest of them over a connection that the subject has made.
pub(crate) async fn large_by_subject(bed: Bed) {
    let subject = bed.subject().connecting().start().await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(subject.ping(alice.node()).await, "pong");
    let largest = format!("echo_terms:largest('{}')", subject.node());
    assert_eq!(alice.eval(largest).await, "ok");
}

/// Many messages, large ones between small ones, without waiting: their order is kept both ways.
pub(crate) async fn in_order(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(
        alice
            .eval(format!("echo_terms:in_order('{}', 300)", subject.node()))
            .await,
        "ok"
    );
}
