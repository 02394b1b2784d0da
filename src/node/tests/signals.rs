//! Links, monitors, aliases, spawn requests and what comes before other messages, between nodes and on one.

use super::*;

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

/// So that a policy is asked about what it calls as about what its parent does.
#[tokio::test]
async fn what_a_process_spawns_runs_on_whose_behalf_it_does() {
    let node = lone().await;
    let peer = Pid::new(Atom::from_static("peer@localhost"), 1, 0, 5);
    let (me, own) = (node.process(), node.process());
    let function = (Atom::from_static("m"), Atom::from_static("f"), 0);
    me.born_of(&peer, function);
    let (tell, told) = tokio::sync::oneshot::channel();
    me.spawn_link(async move |child| {
        tell.send(child.origin().cloned()).unwrap();
        Ok(())
    });
    assert_eq!(told.await.unwrap().as_ref(), Some(peer.node()));
    let (tell, told) = tokio::sync::oneshot::channel();
    own.spawn_monitor(async move |child| {
        tell.send(child.origin().cloned()).unwrap();
        Ok(())
    });
    assert_eq!(told.await.unwrap(), None);
}
