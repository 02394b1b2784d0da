//! Pings between the subject and every kind of node, from either side, and who is then listed where.

use crate::inside::{Beam, Bed, LIMIT, Subject};

/// A visible node answers `pong` and stands in `nodes()`.
pub(crate) async fn visible(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(ping(&alice, subject.node()).await, "pong");
    assert_listed(&alice, subject.node(), "visible").await;
    assert_up(&subject, &alice, "visible").await;
}

/// A hidden one answers `pong` too, and stands in `nodes(hidden)` alone.
pub(crate) async fn hidden(bed: Bed) {
    let subject = bed.subject().hidden().start().await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(ping(&alice, subject.node()).await, "pong");
    assert_listed(&alice, subject.node(), "hidden").await;
    assert_up(&subject, &alice, "hidden").await;
}

/// So it is when the other one hides.
pub(crate) async fn from_hidden(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").hidden().start().await;
    assert_eq!(ping(&alice, subject.node()).await, "pong");
    assert_listed(&alice, subject.node(), "hidden").await;
    assert_up(&subject, &alice, "hidden").await;
}

/// Nodes with long names.
pub(crate) async fn long_names(bed: Bed) {
    let subject = bed.subject().long_names().start().await;
    let alice = bed.erl("alice", "a").long_names().start().await;
    assert_eq!(ping(&alice, subject.node()).await, "pong");
    assert_listed(&alice, subject.node(), "visible").await;
}

/// A node with a long name and one with a short name do not find together, and nobody is the worse for it.
pub(crate) async fn long_to_short(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").long_names().start().await;
    assert_eq!(ping(&alice, subject.node()).await, "pang");
    assert!(subject.is_running().await);
    assert!(subject.events_about(alice.node()).await.is_empty());
}

/// From Elixir, in its own words.
pub(crate) async fn elixir(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.elixir("alice", "a").start().await;
    let rust = subject.node();
    assert_eq!(alice.eval(format!("Node.connect(:\"{rust}\")")).await, "true");
    assert_eq!(alice.eval(format!("Node.ping(:\"{rust}\")")).await, ":pong");
    assert_eq!(alice.eval(format!("Node.list() == [:\"{rust}\"]")).await, "true");
    let echo = format!(
        "send({{:echo, :\"{rust}\"}}, {{self(), %{{name: \"é\", list: [1, :two, 3.0]}}}}); receive do {{:echo, m}} -> m after 30000 -> :lost end"
    );
    assert_eq!(
        alice
            .eval(format!("({echo}) == %{{name: \"é\", list: [1, :two, 3.0]}}"))
            .await,
        "true"
    );
}

/// The subject is the one that connects: visible.
pub(crate) async fn by_subject(bed: Bed) {
    let subject = bed.subject().connecting().start().await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(subject.ping(alice.node()).await, "pong");
    assert_listed(&alice, subject.node(), "visible").await;
    assert_up(&subject, &alice, "visible").await;
    assert_eq!(ping(&alice, subject.node()).await, "pong");
}

/// The subject is the one that connects: hidden.
pub(crate) async fn by_hidden_subject(bed: Bed) {
    let subject = bed.subject().connecting().hidden().start().await;
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(subject.ping(alice.node()).await, "pong");
    assert_listed(&alice, subject.node(), "hidden").await;
    assert_up(&subject, &alice, "hidden").await;
}

/// Both connect to each other at the same moment, again and again: one connection comes of it each time.
pub(crate) async fn both_at_once(bed: Bed) {
    let subject = bed.subject().connecting().start().await;
    let alice = bed.erl("alice", "a").start().await;
    alice.eval("node_watch:start()").await;
    for times in 1..=5 {
        let (theirs, ours) = tokio::join!(ping(&alice, subject.node()), subject.ping(alice.node()));
        assert_eq!((theirs.as_str(), ours.as_str()), ("pong", "pong"));
        assert_listed(&alice, subject.node(), "visible").await;
        let disconnected = alice.eval(format!("disconnect_node('{}')", subject.node())).await;
        assert_eq!(disconnected, "true");
        // Else its next ping may go out on the connection that is ending.
        subject
            .await_event(&format!("nodedown {} ", alice.node()), times, LIMIT)
            .await;
    }
    let last = alice
        .eval(format!("node_watch:await('{}', 10, 50000)", subject.node()))
        .await;
    let cycle = "{up,visible},{down,visible,disconnect}";
    assert_eq!(last, format!("[{}]", [cycle; 5].join(",")));
}

/// Two BEAM nodes and the subject: all three see each other, and the subject is no obstacle between the two.
pub(crate) async fn three_nodes(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let bob = bed.erl("bob", "b").start().await;
    assert_eq!(ping(&alice, subject.node()).await, "pong");
    assert_eq!(ping(&bob, subject.node()).await, "pong");
    assert_eq!(ping(&alice, bob.node()).await, "pong");
    for node in [&alice, &bob] {
        assert_eq!(node.eval("length(nodes())").await, "2");
    }
}

/// `net_adm:ping` by a BEAM node.
pub(crate) async fn ping(from: &Beam, node: &str) -> String {
    from.eval(format!("net_adm:ping('{node}')"))
        .await
        .text()
        .to_owned()
}

/// A BEAM node lists `node` among its nodes of this type, and not among those of the other.
pub(crate) async fn assert_listed(beam: &Beam, node: &str, r#type: &str) {
    let other = if r#type == "visible" { "hidden" } else { "visible" };
    let both = format!("{{nodes({type}), lists:member('{node}', nodes({other}))}} =:= {{['{node}'], false}}");
    assert_eq!(beam.eval(both).await, "true", "{node} among {type} nodes");
}

/// The subject has printed that this node is up.
pub(crate) async fn assert_up(subject: &Subject, beam: &Beam, r#type: &str) {
    let up = format!("nodeup {} ", beam.node());
    assert_eq!(subject.await_event(&up, 1, LIMIT).await, format!("{up}{type}"));
}
