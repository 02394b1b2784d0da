//! Processes of one node, and two nodes in one program. What BEAM nodes make of ours is judged in `tests/interop`.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::dist::Cookie;
use crate::epmd::resolver::Table as Hosts;
use crate::term;
use crate::term::{Map, Term};

mod nodes;
mod signals;

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
