//! Processes of one node, and two nodes in one program. What BEAM nodes make of ours is judged in `tests/interop`.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::dist::Cookie;
use crate::epmd::resolver::Table as Hosts;
use crate::term;
use crate::term::{Map, Term};

/// A node that nobody can connect to and that needs no EPMD.
pub(super) async fn lone() -> Node {
    Node::builder("lone@localhost")
        .cookie(Cookie::new("c").unwrap())
        .listen(false)
        .start()
        .await
        .unwrap()
}

/// Two nodes that find each other without EPMD, on any free port.
pub(super) async fn pair(cookies: [&str; 2]) -> [Node; 2] {
    let start = async |name: &str, cookie: &str, hosts: Hosts| {
        let builder = Node::builder(name)
            .cookie(Cookie::new(cookie).unwrap())
            .resolver(hosts);
        builder.start().await.unwrap()
    };
    let listed = |name: &str, node: &Node| {
        let address = SocketAddr::from(([127, 0, 0, 1], node.port().unwrap()));
        Hosts::new().node(name.parse().unwrap(), "localhost", address)
    };
    let b = start("b@localhost", cookies[1], Hosts::new()).await;
    let a = start("a@localhost", cookies[0], listed("b", &b)).await;
    [a, b]
}

pub(super) async fn term(process: &mut Process) -> Term {
    let message = tokio::time::timeout(Duration::from_secs(10), process.recv()).await;
    message
        .expect("no message within ten seconds")
        .expect("the process has ended")
        .term()
        .unwrap()
}

#[tokio::test]
async fn messages_come_in_order_and_as_they_were() {
    let node = lone().await;
    let mut me = node.process();
    let other = node.process();
    for n in 0..100 {
        other
            .send(me.pid(), term!({n, (n), [1, 2], "text"}))
            .await
            .unwrap();
    }
    for n in 0..100 {
        assert_eq!(term(&mut me).await, term!({n, (n), [1, 2], "text"}));
    }
}

#[tokio::test]
async fn a_name_leads_to_its_process_and_is_free_after_it() {
    let node = lone().await;
    let mut me = node.process();
    me.register("worker").unwrap();
    assert_eq!(node.whereis("worker").as_ref(), Some(me.pid()));
    let other = node.process();
    assert_eq!(
        other.register("worker"),
        Err(RegisterError::Taken {
            name: Atom::from_static("worker")
        })
    );
    assert!(matches!(
        me.register("second"),
        Err(RegisterError::HasName { .. })
    ));
    other.send("worker", Term::atom("hello")).await.unwrap();
    assert_eq!(term(&mut me).await, Term::atom("hello"));
    drop(me);
    assert_eq!(node.whereis("worker"), None);
    other.register("worker").unwrap();
    let missing = other.send("nobody", Term::atom("hello")).await;
    assert!(
        matches!(missing, Err(SendError::NotRegistered { .. })),
        "{missing:?}"
    );
}

#[tokio::test]
async fn a_selective_receive_leaves_the_others_in_order() {
    let node = lone().await;
    let mut me = node.process();
    let me_pid = me.pid().clone();
    for n in 0..5 {
        node.process().send(&me_pid, Term::from(n)).await.unwrap();
    }
    let three = me
        .recv_select(|message| message.term().ok().filter(|term| *term == Term::from(3)))
        .await;
    assert_eq!(three, Some(Term::from(3)));
    for n in [0, 1, 2, 4] {
        assert_eq!(term(&mut me).await, Term::from(n));
    }
}

#[tokio::test]
async fn a_monitor_fires_once_with_the_reason() {
    let node = lone().await;
    let mut me = node.process();
    let other = node.process();
    let reference = me.monitor(other.pid()).await;
    let pid = other.pid().clone();
    other.exit(Term::atom("tired"));
    let down = term!({(Term::atom("DOWN")), (reference), process, (pid.clone()), tired});
    assert_eq!(term(&mut me).await, down);
    let reference = me.monitor(&pid).await;
    let down = term!({(Term::atom("DOWN")), (reference), process, (pid), noproc});
    assert_eq!(term(&mut me).await, down);
    assert_eq!(me.mailbox_len(), 0);
}

#[tokio::test]
async fn a_monitor_taken_away_does_not_fire() {
    let node = lone().await;
    let mut me = node.process();
    let other = node.process();
    let first = me.monitor(other.pid()).await;
    assert!(me.demonitor(&first));
    let second = me.monitor(other.pid()).await;
    drop(other);
    assert!(!me.demonitor_flush(&second), "it has fired");
    me.send(me.pid(), Term::atom("last")).await.unwrap();
    assert_eq!(term(&mut me).await, Term::atom("last"));
}

#[tokio::test]
async fn links_pass_exits_on_unless_they_are_trapped() {
    let node = lone().await;
    let mut trapping = node.process();
    trapping.trap_exit(true);
    let dying = node.process();
    let dying_pid = dying.pid().clone();
    let mut bystander = node.process();
    trapping.link(&dying_pid).await;
    bystander.link(&dying_pid).await;
    dying.exit(Term::atom("boom"));
    assert_eq!(
        term(&mut trapping).await,
        term!({(Term::atom("EXIT")), (dying_pid), boom})
    );
    assert!(bystander.recv().await.is_none(), "it does not trap exits");
}

#[tokio::test]
async fn a_kill_cannot_be_trapped_and_shows_as_killed() {
    let node = lone().await;
    let mut me = node.process();
    let pid = node.spawn(async |me| {
        me.trap_exit(true);
        std::future::pending::<()>().await;
        Ok(())
    });
    let reference = me.monitor(&pid).await;
    me.exit_other(&pid, ExitReason::KILL).await.unwrap();
    assert_eq!(
        term(&mut me).await,
        term!({(Term::atom("DOWN")), (reference), process, (pid), killed})
    );
}

#[tokio::test]
async fn a_spawned_process_ends_with_what_its_body_gives() {
    let node = lone().await;
    let mut me = node.process();
    // Each waits for a message, so that it is monitored before it ends.
    let ok = node.spawn(async |mut me| {
        me.recv().await;
        Ok(())
    });
    let failed = node.spawn(async |mut me| {
        me.recv().await;
        Err(std::fmt::Error)?;
        Ok(())
    });
    let panicked = node.spawn(async |mut me| {
        me.recv().await;
        panic!("over")
    });
    let text = std::fmt::Error.to_string();
    for (pid, reason) in [
        (ok, Term::atom("normal")),
        (failed, term!({error, (text)})),
        (panicked, term!({panic, "over"})),
    ] {
        let reference = me.monitor(&pid).await;
        me.send(&pid, Term::atom("end")).await.unwrap();
        let down = term!({(Term::atom("DOWN")), (reference), process, (pid), (reason)});
        assert_eq!(term(&mut me).await, down);
    }
}

#[tokio::test]
async fn a_chain_of_many_links_breaks_without_a_stack_of_its_length() {
    let node = lone().await;
    let mut last = node.process();
    let first = last.pid().clone();
    let mut all = Vec::new();
    for _ in 0..100_000 {
        let next = node.process();
        next.link(last.pid()).await;
        all.push(std::mem::replace(&mut last, next));
    }
    let killer = node.process();
    killer.exit_other(&first, Term::atom("boom")).await.unwrap();
    assert!(last.recv().await.is_none());
}

#[tokio::test]
async fn a_mailbox_over_its_limit_kills_its_process() {
    let node = lone().await;
    let mut small = node.process_with(MailboxLimits {
        bytes: 10_000,
        ..MailboxLimits::default()
    });
    let mut me = node.process();
    me.monitor(small.pid()).await;
    for _ in 0..20 {
        me.send(small.pid(), Term::Binary(vec![0; 1000].into()))
            .await
            .unwrap();
    }
    assert!(term(&mut me).await.to_string().ends_with(",killed}"));
    assert!(small.recv().await.is_none());
}

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
async fn links_and_monitors_cross_a_connection() {
    let [a, b] = pair(["c", "c"]).await;
    let mut here = a.process();
    here.trap_exit(true);
    let there = b.process();
    let pid = there.pid().clone();
    here.link(&pid).await;
    let reference = here.monitor(&pid).await;
    // Both have arrived once an answer to something later has.
    a.ping(b.name()).await.unwrap();
    there.exit(Term::atom("tired"));
    let mut got = [term(&mut here).await, term(&mut here).await];
    got.sort();
    let mut expected = [
        term!({(Term::atom("EXIT")), (pid.clone()), tired}),
        term!({(Term::atom("DOWN")), (reference), process, (pid.clone()), tired}),
    ];
    expected.sort();
    assert_eq!(got, expected);
    here.link(&pid).await;
    assert_eq!(
        term(&mut here).await,
        term!({(Term::atom("EXIT")), (pid), noproc})
    );
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
async fn an_alias_for_a_reply_passes_one_message() {
    let [a, b] = pair(["c", "c"]).await;
    let mut me = a.process();
    let there = b.process();
    let alias = me.alias(Until::Reply);
    // The first message makes the connection; later ones need none in the other direction.
    a.ping(b.name()).await.unwrap();
    for n in [1, 2] {
        there.send(alias.clone(), Term::from(n)).await.unwrap();
    }
    there.send(me.pid(), Term::from(3)).await.unwrap();
    assert_eq!(term(&mut me).await, Term::from(1));
    assert_eq!(term(&mut me).await, Term::from(3));
    assert!(!me.unalias(&alias), "it is used up");
}

#[tokio::test]
async fn an_alias_that_is_taken_away_passes_nothing() {
    let node = lone().await;
    let mut me = node.process();
    let alias = me.alias(Until::Unalias);
    node.process().send(alias.clone(), Term::from(1)).await.unwrap();
    assert!(me.unalias(&alias));
    node.process().send(alias, Term::from(2)).await.unwrap();
    node.process().send(me.pid(), Term::from(3)).await.unwrap();
    assert_eq!(term(&mut me).await, Term::from(1));
    assert_eq!(term(&mut me).await, Term::from(3));
}

#[tokio::test]
async fn of_a_monitor_with_an_alias_either_answer_or_down_comes() {
    let node = lone().await;
    let mut me = node.process();
    let server = node.process();
    let answered = me.monitor_with_alias(server.pid(), Until::ReplyDemonitor).await;
    server.send(answered.clone(), Term::atom("answer")).await.unwrap();
    let fired = me.monitor_with_alias(server.pid(), Until::ReplyDemonitor).await;
    let pid = server.pid().clone();
    drop(server);
    node.process()
        .send(fired.clone(), Term::atom("late"))
        .await
        .unwrap();
    assert_eq!(term(&mut me).await, Term::atom("answer"));
    let down = term!({(Term::atom("DOWN")), (fired), process, (pid), normal});
    assert_eq!(term(&mut me).await, down);
    assert_eq!(me.mailbox_len(), 0);
}

#[tokio::test]
async fn an_alias_for_a_reply_leaves_its_monitor_and_ends_with_it() {
    let node = lone().await;
    let mut me = node.process();
    let server = node.process();
    let answered = me.monitor_with_alias(server.pid(), Until::Reply).await;
    server.send(answered.clone(), Term::atom("answer")).await.unwrap();
    assert_eq!(term(&mut me).await, Term::atom("answer"));
    assert!(me.demonitor(&answered), "it is the caller's to take away");
    let fired = me.monitor_with_alias(server.pid(), Until::Reply).await;
    drop(server);
    assert!(matches!(me.recv().await, Some(Message::Down(down)) if down.reference == fired));
    node.process().send(fired, Term::atom("late")).await.unwrap();
    assert_eq!(me.mailbox_len(), 0);
}

#[tokio::test]
async fn a_monitor_that_is_given_up_while_it_connects_leaves_no_alias() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hosts = Hosts::new().node(
        "silent".parse().unwrap(),
        "localhost",
        silent.local_addr().unwrap(),
    );
    let node = Node::builder("c@localhost")
        .cookie("c")
        .resolver(hosts)
        .listen(false)
        .start()
        .await
        .unwrap();
    let me = node.process();
    let monitor = me.monitor_with_alias(("any", "silent@localhost"), Until::ReplyDemonitor);
    // The connection waits for an answer when this has been accepted.
    tokio::select! {
        biased;
        monitor = monitor => panic!("{monitor} without a connection"),
        accepted = silent.accept() => drop(accepted.unwrap()),
    }
    assert_eq!(me.cell().aliases(), 0);
}

#[tokio::test]
async fn a_priority_message_comes_first_where_it_is_wanted() {
    let node = lone().await;
    let mut me = node.process();
    let other = node.process();
    let wanted = me.alias(AliasKind {
        until: Until::Unalias,
        priority: true,
    });
    let plain = me.alias(Until::Unalias);
    other.send(me.pid(), Term::from(1)).await.unwrap();
    other.send_priority(&plain, Term::from(2)).await.unwrap();
    other.send_priority(&wanted, Term::from(3)).await.unwrap();
    other.send_priority(&wanted, Term::from(4)).await.unwrap();
    for n in [3, 4, 1, 2] {
        assert_eq!(term(&mut me).await, Term::from(n));
    }
}

/// A module with a function that sends what it is given back with its pid, and waits.
fn serve_worker(node: &Node) {
    node.module("worker")
        .function("start", 2, async |mut me, arguments| {
            if let [Term::Pid(to), value] = arguments.as_slice() {
                me.send(to, term!({started, (me.pid().clone()), (value.clone())}))
                    .await
                    .ok();
            }
            me.recv().await;
            Err(Exception::Exit(Term::atom("done")))
        });
}

#[tokio::test]
async fn a_process_is_spawned_on_another_node_linked_and_monitored() {
    let [a, b] = pair(["c", "c"]).await;
    serve_worker(&b);
    let mut me = a.process();
    me.trap_exit(true);
    let start = (Atom::from_static("worker"), Atom::from_static("start"));
    let arguments = vec![Term::from(me.pid().clone()), Term::from(7)];
    let options = SpawnOptions {
        link: true,
        ..SpawnOptions::monitored()
    };
    let spawned = me.spawn_on(b.name(), start, arguments, options).await.unwrap();
    assert_eq!(term(&mut me).await, term!({started, (spawned.pid.clone()), 7}));
    me.send(&spawned.pid, Term::atom("end")).await.unwrap();
    let mut got = [term(&mut me).await, term(&mut me).await];
    got.sort();
    let mut expected = [
        term!({(Term::atom("EXIT")), (spawned.pid.clone()), done}),
        term!({(Term::atom("DOWN")), (spawned.monitor.unwrap()), process, (spawned.pid), done}),
    ];
    expected.sort();
    assert_eq!(got, expected);
}

#[tokio::test]
async fn a_function_that_is_not_there_ends_with_undef() {
    let [a, b] = pair(["c", "c"]).await;
    let mut me = a.process();
    let missing = (Atom::from_static("no"), Atom::from_static("where"));
    let options = SpawnOptions::monitored();
    let spawned = me
        .spawn_on(b.name(), missing, vec![Term::from(1)], options)
        .await
        .unwrap();
    let reason = term!({undef, [{no, where, [1], []}]});
    let down = term!({(Term::atom("DOWN")), (spawned.monitor.unwrap()), process, (spawned.pid), (reason)});
    assert_eq!(term(&mut me).await, down);
}

#[tokio::test]
async fn a_spawn_that_is_given_up_leaves_nothing_running() {
    let [a, b] = pair(["c", "c"]).await;
    serve_worker(&b);
    a.ping(b.name()).await.unwrap();
    let mut observer = b.process();
    let me = a.process();
    let start = (Atom::from_static("worker"), Atom::from_static("start"));
    let arguments = vec![Term::from(observer.pid().clone()), Term::from(7)];
    let options = SpawnOptions::linked();
    {
        let mut spawning = std::pin::pin!(me.spawn_on(b.name(), start, arguments, options));
        // One poll sends the request; dropping it gives the process up.
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(spawning.as_mut().poll(cx).is_pending()));
        assert!(polled.await);
    }
    let started = term(&mut observer).await;
    let Some(Term::Pid(pid)) = started.as_tuple().unwrap().get(1) else {
        panic!("{started}")
    };
    let reference = observer.monitor(&pid).await;
    let down = term(&mut observer).await;
    let [.., reason] = down.as_tuple().unwrap().array::<5>().unwrap();
    assert_eq!(down.as_tuple().unwrap().get(1), Some(Term::from(reference)));
    assert!(
        ["abandoned", "noproc"]
            .iter()
            .any(|name| reason == Term::atom(name)),
        "{reason}"
    );
}

#[tokio::test]
async fn what_was_told_of_a_spawn_that_is_given_up_goes_with_it() {
    let [a, b] = pair(["c", "c"]).await;
    a.ping(b.name()).await.unwrap();
    let me = a.process();
    me.trap_exit(true);
    me.send(me.pid(), Term::atom("other")).await.unwrap();
    {
        let options = SpawnOptions {
            link: true,
            monitor: true,
            ..SpawnOptions::default()
        };
        let mut spawning = std::pin::pin!(me.spawn_on(b.name(), ("erlang", "is_alive"), [], options));
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(spawning.as_mut().poll(cx).is_pending()));
        assert!(polled.await);
        let told = async {
            while me.mailbox_len() < 3 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), told)
            .await
            .expect("its end is told");
    }
    assert_eq!(me.mailbox_len(), 1);
    assert_eq!(me.cell().held(), [0; 4]);
}

#[tokio::test]
async fn a_monitor_tells_with_its_tag_and_before_others() {
    for [here, there] in [pair(["c", "c"]).await, {
        let node = lone().await;
        [node.clone(), node]
    }] {
        let mut me = here.process();
        me.trap_exit(true);
        let (other, linked) = (there.process(), there.process());
        let [other_pid, linked_pid] = [other.pid().clone(), linked.pid().clone()];
        let options = MonitorOptions {
            tag: Some(term!({lost, 1})),
            priority: true,
            alias: None,
        };
        let monitor = me.monitor_with(&other_pid, options).await;
        me.link_with_priority(&linked_pid).await;
        here.ping(there.name()).await.unwrap();
        me.send(me.pid(), Term::atom("ordinary")).await.unwrap();
        linked.exit(Term::atom("first"));
        other.exit(Term::atom("second"));
        there.ping(here.name()).await.unwrap();
        assert_eq!(
            term(&mut me).await,
            term!({(Term::atom("EXIT")), (linked_pid), first})
        );
        assert_eq!(
            term(&mut me).await,
            term!({{lost, 1}, (monitor), process, (other_pid), second})
        );
        assert_eq!(term(&mut me).await, Term::atom("ordinary"));
    }
}

#[tokio::test]
async fn an_exit_signal_through_a_priority_alias_comes_before_others() {
    let [a, b] = pair(["c", "c"]).await;
    let mut me = a.process();
    me.trap_exit(true);
    let alias = me.alias(AliasKind {
        until: Until::Unalias,
        priority: true,
    });
    let other = b.process();
    a.ping(b.name()).await.unwrap();
    other.send(me.pid(), Term::atom("ordinary")).await.unwrap();
    other.exit_priority(&alias, Term::atom("now")).await.unwrap();
    b.ping(a.name()).await.unwrap();
    let exit = term!({(Term::atom("EXIT")), (other.pid().clone()), now});
    assert_eq!(term(&mut me).await, exit);
    assert_eq!(term(&mut me).await, Term::atom("ordinary"));
}

#[tokio::test]
async fn a_process_that_monitors_or_links_itself_gets_nothing() {
    let node = lone().await;
    let mut me = node.process();
    me.register("me").unwrap();
    let own = me.pid().clone();
    me.monitor(&own).await;
    me.monitor((Atom::from_static("me"), node.name().clone())).await;
    me.link(&own).await;
    me.unlink(&own);
    me.send(&own, Term::atom("only")).await.unwrap();
    assert_eq!(term(&mut me).await, Term::atom("only"));
}

#[tokio::test]
async fn a_monitor_on_a_name_is_taken_away_though_the_name_is_anothers() {
    for [here, there] in [pair(["c", "c"]).await, {
        let node = lone().await;
        [node.clone(), node]
    }] {
        let (me, first, second) = (here.process(), there.process(), there.process());
        first.register("name").unwrap();
        let monitor = me
            .monitor((Atom::from_static("name"), there.name().clone()))
            .await;
        here.ping(there.name()).await.unwrap();
        first.unregister();
        second.register("name").unwrap();
        assert!(me.demonitor(&monitor));
        here.ping(there.name()).await.unwrap();
        assert_eq!(there.process_info(first.pid()).unwrap().monitored_by, []);
    }
}

#[tokio::test]
async fn a_receive_ends_in_time_and_takes_only_what_it_wants() {
    let node = lone().await;
    let mut me = node.process();
    let none = me.recv_timeout(Duration::ZERO).await;
    assert!(matches!(none, Err(ReceiveError::TimedOut(_))), "{none:?}");
    me.send(me.pid(), Term::atom("other")).await.unwrap();
    me.send(me.pid(), term!({wanted, 7})).await.unwrap();
    let wanted = |message: &Message| message.term().ok()?.as_tuple()?.get(1);
    let found = me.recv_select_timeout(Duration::ZERO, wanted).await;
    assert_eq!(found.unwrap(), Term::from(7));
    assert_eq!(term(&mut me).await, Term::atom("other"));
    me.send(me.pid(), Term::atom("other")).await.unwrap();
    me.send(me.pid(), term!({wanted, 8})).await.unwrap();
    assert_eq!(
        me.recv_select_as::<(String, u8)>().await,
        Some(("wanted".into(), 8))
    );
    let other = me.recv_as::<u8>().await;
    assert!(matches!(other, Err(ReceiveError::Type(_))), "{other:?}");
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
