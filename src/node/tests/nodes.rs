//! Nodes that connect, are kept apart, come and go.

use super::*;

#[tokio::test]
async fn two_nodes_speak_and_see_each_other_come_and_go() {
    let [a, b] = pair(["c", "c"]).await;
    let mut events = b.monitor_nodes(NodeType::All);
    let mut there = b.process();
    there.register("there").unwrap();
    let mut here = a.process();
    here.send(("there", "b@localhost"), term!({hello, (here.pid().clone())}))
        .await
        .unwrap();
    let Some(NodeEvent::NodeUp {
        node,
        hidden: false,
        connection_id,
    }) = events.next().await
    else {
        panic!("the other node is up and visible");
    };
    assert_eq!(node, *a.name());
    let hello = term(&mut there).await;
    assert_eq!(hello, term!({hello, (here.pid().clone())}));
    there.send(here.pid(), Term::atom("back")).await.unwrap();
    assert_eq!(term(&mut here).await, Term::atom("back"));
    assert_eq!(a.nodes(NodeType::Visible), [b.name().clone()]);
    a.ping(b.name()).await.unwrap();
    b.ping(a.name()).await.unwrap();

    let reference = here.monitor(there.pid()).await;
    assert!(b.disconnect(a.name()));
    let down = NodeEvent::NodeDown {
        node: a.name().clone(),
        hidden: false,
        connection_id,
        reason: DownReason::Disconnect,
    };
    assert_eq!(events.next().await, Some(down));
    let fired = term!({(Term::atom("DOWN")), (reference), process, (there.pid().clone()), noconnection});
    assert_eq!(term(&mut here).await, fired);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn processes_are_told_of_nodes_in_the_form_that_they_asked_for() {
    let [a, b] = pair(["c", "c"]).await;
    let mut plain = a.process();
    plain.monitor_nodes(NodeMonitor::default());
    plain.monitor_nodes(NodeMonitor::default());
    let mut full = a.process();
    full.monitor_nodes(NodeMonitor {
        node_type: Some(NodeType::All),
        nodedown_reason: true,
        connection_id: false,
        form: InfoForm::Map,
    });
    let hidden = a.process();
    hidden.monitor_nodes(NodeMonitor {
        node_type: Some(NodeType::Hidden),
        ..NodeMonitor::default()
    });
    let none = a.process();
    none.monitor_nodes(NodeMonitor::default());
    none.demonitor_nodes(NodeMonitor::default());
    let mut once = a.process();
    for _ in 0..3 {
        once.monitor_node(b.name()).await;
    }
    once.demonitor_node(b.name());
    let peer = b.name().clone();
    let up = term!({nodeup, (peer.clone())});
    assert_eq!([term(&mut plain).await, term(&mut plain).await], [up.clone(), up]);
    let info = Map::from_iter([(Term::atom("node_type"), Term::atom("visible"))]);
    assert_eq!(
        term(&mut full).await,
        Term::from((Term::atom("nodeup"), peer.clone(), Term::Map(info)))
    );

    let mut events = a.monitor_nodes(NodeType::All);
    assert!(a.disconnect(&peer));
    assert!(matches!(events.next().await, Some(NodeEvent::NodeDown { .. })));
    let down = term!({nodedown, (peer.clone())});
    assert_eq!(
        [term(&mut plain).await, term(&mut plain).await],
        [down.clone(), down.clone()]
    );
    assert_eq!(
        [term(&mut once).await, term(&mut once).await],
        [down.clone(), down.clone()]
    );
    let info = Map::from_iter([
        (Term::atom("node_type"), Term::atom("visible")),
        (Term::atom("nodedown_reason"), Term::atom("disconnect")),
    ]);
    assert_eq!(
        term(&mut full).await,
        Term::from((Term::atom("nodedown"), peer.clone(), Term::Map(info)))
    );
    for process in [&plain, &once, &hidden, &none] {
        assert_eq!(process.mailbox_len(), 0);
    }
    // Nobody there to connect to: told at once.
    b.shutdown().await;
    once.monitor_node(&peer).await;
    assert_eq!(term(&mut once).await, down);
    a.shutdown().await;
}

/// Nodes as `pair` makes them, the first with that policy.
async fn pair_with(auto_connect: AutoConnect) -> [Node; 2] {
    let [a, b] = pair(["c", "c"]).await;
    a.shutdown().await;
    let address = SocketAddr::from(([127, 0, 0, 1], b.port().unwrap()));
    let a = Node::builder("other@localhost")
        .cookie(Cookie::new("c").unwrap())
        .auto_connect(auto_connect)
        .resolver(Hosts::new().node("b".parse().unwrap(), "localhost", address))
        .start();
    [a.await.unwrap(), b]
}

#[tokio::test]
async fn a_node_connects_by_itself_as_often_as_it_is_told() {
    let refused = |sent| matches!(sent, Err(SendError::Connect(ConnectError::NotAutomatic { .. })));
    let to = || ("echo", "b@localhost");
    let [a, b] = pair_with(AutoConnect::Never).await;
    let me = a.process();
    assert!(refused(me.send(to(), Term::NIL).await));
    a.connect("b@localhost").await.unwrap();
    me.send(to(), Term::NIL).await.unwrap();
    a.shutdown().await;
    b.shutdown().await;

    let [a, b] = pair_with(AutoConnect::Once).await;
    let me = a.process();
    me.send(to(), Term::NIL).await.unwrap();
    let mut events = a.monitor_nodes(NodeType::All);
    assert!(a.disconnect("b@localhost"));
    assert!(matches!(events.next().await, Some(NodeEvent::NodeDown { .. })));
    assert!(refused(me.send(to(), Term::NIL).await));
    a.connect("b@localhost").await.unwrap();
    me.send(to(), Term::NIL).await.unwrap();
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn who_will_not_wait_is_told_why_nothing_was_sent() {
    let [a, b] = pair(["c", "c"]).await;
    let mut echo = b.process();
    echo.register("echo").unwrap();
    let me = a.process();
    let to = || ("echo", "b@localhost");
    let refused = me.try_send(to(), Term::NIL);
    assert!(
        matches!(&refused, Err(SendError::NotConnected { node }) if *node == *"b@localhost"),
        "{refused:?}"
    );
    a.connect("b@localhost").await.unwrap();
    me.try_send(to(), term!({ hello })).unwrap();
    assert_eq!(term(&mut echo).await, term!({ hello }));
    // Nothing is written before this task lets others run.
    let large = Term::from(bytes::Bytes::from(vec![0; crate::net::DEFAULT_BUSY_LIMIT]));
    me.try_send(to(), large.clone()).unwrap();
    let refused = me.try_send(to(), Term::NIL);
    assert!(matches!(refused, Err(SendError::Busy { .. })), "{refused:?}");
    assert_eq!(term(&mut echo).await, large);
    let missing = me.try_send("nobody", Term::NIL);
    assert!(
        matches!(missing, Err(SendError::NotRegistered { .. })),
        "{missing:?}"
    );
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn one_that_sends_much_does_not_keep_others_from_sending() {
    let [a, b] = pair(["c", "c"]).await;
    let mut echo = b.process();
    echo.register("echo").unwrap();
    let echo = tokio::spawn(async move {
        while let Some(message) = echo.recv().await {
            if let Some(from) = message.term().unwrap().as_pid() {
                echo.send(from.clone(), Term::NIL).await.unwrap();
            }
        }
    });
    let to = || ("echo", "b@localhost");
    a.connect("b@localhost").await.unwrap();
    let streamer = a.process();
    let streaming = tokio::spawn(async move {
        let large = Term::from(bytes::Bytes::from(vec![0; 2 * crate::net::DEFAULT_BUSY_LIMIT]));
        while streamer.send(to(), &large).await.is_ok() {}
    });
    let mut me = a.process();
    for _ in 0..20 {
        me.send(to(), me.pid()).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(60), me.recv()).await;
        answer.expect("it has its turn").unwrap();
    }
    a.shutdown().await;
    streaming.await.unwrap();
    b.shutdown().await;
    echo.await.unwrap();
}

#[tokio::test]
async fn where_a_node_listens_and_how_long_a_peer_may_take() {
    let node = Node::builder("here@localhost")
        .cookie(Cookie::new("c").unwrap())
        .listen_interface([127, 0, 0, 1].into())
        .net_setuptime(Duration::from_millis(50))
        .resolver(Hosts::new())
        .start()
        .await
        .unwrap();
    let at = |last: u8| {
        tokio::net::TcpStream::connect(SocketAddr::from(([127, 0, 0, last], node.port().unwrap())))
    };
    assert!(at(2).await.is_err(), "it listens everywhere");
    let silent = at(1).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(5), silent.readable()).await;
    closed.expect("a silent peer is cut off").unwrap();

    // And when it is this node that connects.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let dialling = Node::builder("there@localhost")
        .cookie(Cookie::new("c").unwrap())
        .listen(false)
        .net_setuptime(Duration::from_millis(50))
        .resolver(Hosts::new().node("mute".parse().unwrap(), "localhost", address))
        .start()
        .await
        .unwrap();
    let connected = tokio::time::timeout(Duration::from_secs(5), dialling.connect("mute@localhost")).await;
    let error = connected.expect("it gives up").unwrap_err();
    assert!(error.to_string().contains("timed out"), "{error}");
    node.shutdown().await;
    dialling.shutdown().await;
}

#[tokio::test]
async fn a_node_that_is_kept_connected_comes_back() {
    let [a, b] = pair(["c", "c"]).await;
    let mut events = a.monitor_nodes(NodeType::All);
    let backoff = Backoff {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(5),
    };
    let kept = a.keep_connected("b@localhost", backoff);
    for _ in 0..3 {
        assert!(matches!(events.next().await, Some(NodeEvent::NodeUp { .. })));
        while !b.disconnect("a@localhost") {
            // The other side learns of the connection a little later.
            tokio::task::yield_now().await;
        }
        assert!(matches!(events.next().await, Some(NodeEvent::NodeDown { .. })));
    }
    assert!(matches!(events.next().await, Some(NodeEvent::NodeUp { .. })));
    // What this side ends stays so until it is wanted.
    assert!(a.disconnect("b@localhost"));
    assert!(matches!(events.next().await, Some(NodeEvent::NodeDown { .. })));
    assert!(
        tokio::time::timeout(20 * backoff.longest, events.next())
            .await
            .is_err()
    );
    a.connect("b@localhost").await.unwrap();
    assert!(matches!(events.next().await, Some(NodeEvent::NodeUp { .. })));
    drop(kept);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_wrong_cookie_is_told_as_one() {
    let [a, b] = pair(["c", "d"]).await;
    let error = a.ping(b.name()).await.unwrap_err().to_string();
    assert!(error.contains("cookie"), "{error}");
    assert!(a.nodes(NodeType::All).is_empty() && b.nodes(NodeType::All).is_empty());
    a.set_cookie(b.name().clone(), Cookie::new("d").unwrap());
    a.ping(b.name()).await.unwrap();
}

#[tokio::test]
async fn cookies_set_for_each_other_and_for_all() {
    let [a, b] = pair(["c", "d"]).await;
    let cookie = |text: &str| Cookie::new(text).unwrap();
    a.set_cookie(b.name().clone(), cookie("shared"));
    assert!(a.ping(b.name()).await.is_err());
    b.set_cookie(a.name().clone(), cookie("shared"));
    a.ping(b.name()).await.unwrap();

    let [a, b] = pair(["c", "d"]).await;
    a.set_cookie(a.name().clone(), cookie("d"));
    a.ping(b.name()).await.unwrap();
}

#[tokio::test]
async fn a_node_that_cannot_be_reached_is_told_why() {
    let [a, _b] = pair(["c", "c"]).await;
    let nobody = a.ping("nobody@localhost").await.unwrap_err().to_string();
    assert!(nobody.contains("not in the table"), "{nobody}");
    let long = a.ping("b@example.org").await.unwrap_err().to_string();
    assert!(long.contains("long name"), "{long}");
    let mut me = a.process();
    let reference = me.monitor(("x", "nobody@localhost")).await;
    let item = Term::from((Term::atom("x"), Term::atom("nobody@localhost")));
    let down = term!({(Term::atom("DOWN")), (reference), process, (item), noconnection});
    assert_eq!(term(&mut me).await, down);
}

#[tokio::test]
async fn after_shutdown_nothing_is_left() {
    let [a, b] = pair(["c", "c"]).await;
    a.ping(b.name()).await.unwrap();
    let mut events = b.monitor_nodes(NodeType::All);
    let mut process = a.process();
    a.shutdown().await;
    assert!(process.recv().await.is_none());
    assert!(matches!(events.next().await, Some(NodeEvent::NodeDown { .. })));
    assert!(matches!(
        a.ping(b.name()).await,
        Err(PingError::Connect(ConnectError::Stopped))
    ));
}

#[tokio::test]
async fn a_node_without_a_name_gets_one_and_ends_with_who_gave_it() {
    let b = Node::builder("b@localhost")
        .cookie(Cookie::new("c").unwrap())
        .resolver(Hosts::new());
    let b = b.start().await.unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], b.port().unwrap()));
    let hosts = Hosts::new().node("b".parse().unwrap(), "localhost", address);
    let named = || {
        Node::named_by("b@localhost")
            .cookie(Cookie::new("c").unwrap())
            .resolver(hosts.clone())
            .start()
    };
    let first = named().await.unwrap();
    assert_eq!(b.nodes(NodeType::Hidden), [first.name().clone()]);
    let here = first.process();
    let mut there = b.process();
    here.send(there.pid(), term!({hello, (here.pid().clone())}))
        .await
        .unwrap();
    assert_eq!(term(&mut there).await, term!({hello, (here.pid().clone())}));
    b.ping(first.name()).await.unwrap();
    first.shutdown().await;
    // The name is given again, to another incarnation.
    let mut events = b.monitor_nodes(NodeType::All);
    let again = loop {
        let again = named().await.unwrap();
        if again.name() == first.name() {
            break again;
        }
        events.next().await;
        again.shutdown().await;
    };
    assert_ne!(again.creation(), first.creation());
    let mut process = again.process();
    b.disconnect(again.name());
    assert!(process.recv().await.is_none(), "it has stopped");
}

#[tokio::test]
async fn only_those_allowed_may_connect() {
    let [a, b] = pair(["c", "c"]).await;
    b.allow(["alice@localhost".to_owned()]);
    let refused = a.ping(b.name()).await.unwrap_err().to_string();
    assert!(refused.contains("does not allow us"), "{refused}");
    let ours = b.ping(a.name()).await.unwrap_err().to_string();
    assert!(ours.contains("not on this node's list"), "{ours}");
    b.allow(["localhost".to_owned()]);
    a.ping(b.name()).await.unwrap();
}

#[tokio::test]
async fn a_visible_node_can_connect_as_a_hidden_one() {
    let [a, b] = pair(["c", "c"]).await;
    a.connect_hidden(b.name()).await.unwrap();
    assert_eq!(a.nodes(NodeType::Hidden), [b.name().clone()]);
    assert_eq!(b.nodes(NodeType::Visible), [] as [Atom; 0]);
    a.ping(b.name()).await.unwrap();
}
