//! The end of a connection: each side is told once, with the right reason, whoever had made the connection.

use std::time::Duration;

use super::ping::ping;
use crate::inside::{Beam, Bed, LIMIT, Subject};

/// Seconds. A silent node is down after it, at most a quarter later.
const TICKTIME: u32 = 4;

/// How long the end of a silent node may take to be noticed: much more than a tick time, for a machine where others build.
const SILENCE: Duration = Duration::from_secs(50);

/// Who makes the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Beam,
    Subject,
}

/// A killed subject is down for the BEAM node: `connection_closed`.
pub(crate) async fn subject_killed(bed: Bed) {
    killed_subject(bed, By::Beam).await;
}

/// A killed subject is down for the BEAM node that it had connected to.
pub(crate) async fn subject_killed_by_subject(bed: Bed) {
    killed_subject(bed, By::Subject).await;
}

/// A killed BEAM node is down for the subject: `connection_closed`.
pub(crate) async fn peer_killed(bed: Bed) {
    killed_peer(bed, By::Beam).await;
}

/// A killed BEAM node is down for the subject that had connected to it.
pub(crate) async fn peer_killed_by_subject(bed: Bed) {
    killed_peer(bed, By::Subject).await;
}

/// A paused subject is down after the tick time: `net_tick_timeout`.
pub(crate) async fn subject_paused(bed: Bed) {
    paused_subject(bed, By::Beam).await;
}

pub(crate) async fn subject_paused_by_subject(bed: Bed) {
    paused_subject(bed, By::Subject).await;
}

/// A paused BEAM node is down for the subject after the tick time.
pub(crate) async fn peer_paused(bed: Bed) {
    paused_peer(bed, By::Beam).await;
}

pub(crate) async fn peer_paused_by_subject(bed: Bed) {
    paused_peer(bed, By::Subject).await;
}

/// Two nodes that say nothing to each other stay connected well beyond the tick time: ticks keep them.
pub(crate) async fn silence_is_no_end(bed: Bed) {
    let (subject, alice) = connected(&bed, By::Beam, TICKTIME).await;
    tokio::time::sleep(Duration::from_secs(u64::from(TICKTIME) * 3)).await;
    assert_eq!(ping(&alice, subject.node()).await, "pong");
    assert_eq!(about(&alice, &subject).await, "[{up,visible}]");
    assert_eq!(subject.events_about(alice.node()).await.len(), 1);
}

/// The same where one of the two hides, which has rules of its own for ticks.
pub(crate) async fn silence_is_no_end_for_hidden(bed: Bed) {
    let subject = bed.subject().hidden().ticktime(TICKTIME).start().await;
    let alice = bed.erl("alice", "a").ticktime(TICKTIME).start().await;
    alice.eval("node_watch:start()").await;
    assert_eq!(ping(&alice, subject.node()).await, "pong");
    tokio::time::sleep(Duration::from_secs(u64::from(TICKTIME) * 3)).await;
    assert_eq!(ping(&alice, subject.node()).await, "pong");
    assert_eq!(about(&alice, &subject).await, "[{up,hidden}]");
}

/// A network that drops everything: both sides notice after the tick time, and find together again once it is healed.
pub(crate) async fn network_cut(bed: Bed) {
    let (subject, alice) = connected(&bed, By::Subject, TICKTIME).await;
    bed.cut(alice.host(), bed.subject_host()).await;
    assert_eq!(
        await_about(&alice, &subject, 2).await,
        "[{up,visible},{down,visible,net_tick_timeout}]"
    );
    let down = format!("nodedown {} ", alice.node());
    assert_eq!(
        subject.await_event(&down, 1, SILENCE).await,
        format!("{down}visible net_tick_timeout")
    );
    bed.heal().await;
    assert_eq!(subject.ping(alice.node()).await, "pong");
    assert_eq!(ping(&alice, subject.node()).await, "pong");
}

/// The network drops what goes to the subject, and lets its own packets through: both sides notice all the same.
pub(crate) async fn network_cut_one_way(bed: Bed) {
    let (subject, alice) = connected(&bed, By::Beam, TICKTIME).await;
    bed.cut_one_way(alice.host(), bed.subject_host()).await;
    let down = format!("nodedown {} ", alice.node());
    let reason = subject.await_event(&down, 1, SILENCE).await;
    assert_eq!(reason, format!("{down}visible net_tick_timeout"));
    // What the subject's closing sends still arrives.
    let events = await_about(&alice, &subject, 2).await;
    assert!(events.starts_with("[{up,visible},{down,visible,"), "{events}");
    bed.heal().await;
    assert_eq!(ping(&alice, subject.node()).await, "pong");
}

/// `disconnect_node` on the BEAM node.
pub(crate) async fn disconnect_by_peer(bed: Bed) {
    let (subject, alice) = connected(&bed, By::Beam, 60).await;
    assert_eq!(
        alice.eval(format!("disconnect_node('{}')", subject.node())).await,
        "true"
    );
    assert_eq!(
        await_about(&alice, &subject, 2).await,
        "[{up,visible},{down,visible,disconnect}]"
    );
    assert_down_once(&subject, &alice, "connection_closed").await;
}

/// `disconnect_node` on the subject.
pub(crate) async fn disconnect_by_subject(bed: Bed) {
    let (subject, alice) = connected(&bed, By::Subject, 60).await;
    subject.disconnect(alice.node()).await;
    assert_eq!(
        await_about(&alice, &subject, 2).await,
        "[{up,visible},{down,visible,connection_closed}]"
    );
    assert_down_once(&subject, &alice, "disconnect").await;
}

async fn killed_subject(bed: Bed, by: By) {
    let (subject, alice) = connected(&bed, by, 60).await;
    subject.kill().await;
    assert_eq!(
        await_about(&alice, &subject, 2).await,
        "[{up,visible},{down,visible,connection_closed}]"
    );
    // Another incarnation is another node up; nothing else was said of the first.
    let again = bed.subject().start().await;
    assert_eq!(ping(&alice, again.node()).await, "pong");
    let events = await_about(&alice, &again, 3).await;
    assert_eq!(
        events,
        "[{up,visible},{down,visible,connection_closed},{up,visible}]"
    );
}

async fn killed_peer(bed: Bed, by: By) {
    let (subject, alice) = connected(&bed, by, 60).await;
    alice.kill().await;
    let down = format!("nodedown {} ", alice.node());
    assert_eq!(
        subject.await_event(&down, 1, LIMIT).await,
        format!("{down}visible connection_closed")
    );
    let again = bed.erl("alice", "a").start().await;
    assert_eq!(ping(&again, subject.node()).await, "pong");
    assert_events(&subject, &again, &["up", "connection_closed", "up"]).await;
}

async fn paused_subject(bed: Bed, by: By) {
    let (subject, alice) = connected(&bed, by, TICKTIME).await;
    subject.pause().await;
    assert_eq!(
        await_about(&alice, &subject, 2).await,
        "[{up,visible},{down,visible,net_tick_timeout}]"
    );
    // It comes back to a connection that is closed.
    subject.resume().await;
    let down = format!("nodedown {} ", alice.node());
    subject.await_event(&down, 1, LIMIT).await;
    assert_eq!(ping(&alice, subject.node()).await, "pong");
}

async fn paused_peer(bed: Bed, by: By) {
    let (subject, alice) = connected(&bed, by, TICKTIME).await;
    alice.pause().await;
    let down = format!("nodedown {} ", alice.node());
    assert_eq!(
        subject.await_event(&down, 1, SILENCE).await,
        format!("{down}visible net_tick_timeout")
    );
    alice.resume().await;
    let events = await_about(&alice, &subject, 2).await;
    assert!(events.starts_with("[{up,visible},{down,visible,"), "{events}");
    assert_eq!(ping(&alice, subject.node()).await, "pong");
    assert_events(&subject, &alice, &["up", "net_tick_timeout", "up"]).await;
}

/// The subject and alice, connected, with alice's node events kept.
async fn connected(bed: &Bed, by: By, ticktime: u32) -> (Subject, Beam) {
    let subject = bed.subject().ticktime(ticktime);
    let subject = if by == By::Subject {
        subject.connecting()
    } else {
        subject
    };
    let subject = subject.start().await;
    let alice = bed.erl("alice", "a").ticktime(ticktime).start().await;
    alice.eval("node_watch:start()").await;
    let answer = match by {
        By::Beam => ping(&alice, subject.node()).await,
        By::Subject => subject.ping(alice.node()).await,
    };
    assert_eq!(answer, "pong");
    subject
        .await_event(&format!("nodeup {} ", alice.node()), 1, LIMIT)
        .await;
    (subject, alice)
}

/// What alice has seen of the subject.
async fn about(alice: &Beam, subject: &Subject) -> String {
    alice
        .eval(format!("node_watch:about('{}')", subject.node()))
        .await
        .text()
        .to_owned()
}

/// What alice has seen of the subject, once it is so many things.
async fn await_about(alice: &Beam, subject: &Subject, count: usize) -> String {
    let limit = SILENCE.as_millis();
    let await_events = format!("node_watch:await('{}', {count}, {limit})", subject.node());
    alice.eval(await_events).await.text().to_owned()
}

/// The subject says once that alice is down, and why.
async fn assert_down_once(subject: &Subject, alice: &Beam, reason: &str) {
    let down = format!("nodedown {} ", alice.node());
    assert_eq!(
        subject.await_event(&down, 1, LIMIT).await,
        format!("{down}visible {reason}")
    );
    // Anything said twice has been said by the time that another connection is up.
    assert_eq!(ping(alice, subject.node()).await, "pong");
    assert_events(subject, alice, &["up", reason, "up"]).await;
}

/// What the subject says of alice is this and no more: `up`, or the reason of a `down`.
async fn assert_events(subject: &Subject, alice: &Beam, expected: &[&str]) {
    let node = alice.node();
    let ups = expected.iter().filter(|&&event| event == "up").count();
    subject.await_event(&format!("nodeup {node} "), ups, LIMIT).await;
    let expected: Vec<String> = expected
        .iter()
        .map(|&event| match event {
            "up" => format!("nodeup {node} visible"),
            reason => format!("nodedown {node} visible {reason}"),
        })
        .collect();
    assert_eq!(subject.events_about(node).await, expected);
}
