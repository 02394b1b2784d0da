//! The I/O server and those who print, on one node.

use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

use super::{IoError, Output};
use crate::dist::Cookie;
use crate::node::Node;
use crate::term::Term;

/// A device that keeps what is written.
struct Kept(mpsc::Sender<Vec<u8>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send(bytes.to_vec()).ok();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A node that talks to nobody, and what is printed on it.
async fn node() -> (Node, mpsc::Receiver<Vec<u8>>) {
    let (to, written) = mpsc::channel();
    let node = Node::builder("io@127.0.0.1")
        .cookie(Cookie::new("secret").unwrap())
        .listen(false)
        .output(Output::new(Kept(to)))
        .start()
        .await
        .unwrap();
    (node, written)
}

fn printed(written: &mpsc::Receiver<Vec<u8>>) -> String {
    String::from_utf8(written.try_iter().flatten().collect()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn user_leads_every_process_and_itself() {
    let (node, _) = node().await;
    let user = node.whereis("user").unwrap();
    assert_eq!(node.process().group_leader(), user);
    let kernel = node.whereis("net_kernel").unwrap();
    assert_eq!(node.process_info(&kernel).unwrap().group_leader, user);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_processes_print_comes_out_in_order() {
    let (node, written) = node().await;
    let me = node.process();
    me.print("grüße →\n").await.unwrap();
    let arguments = [Term::Pid(me.pid().clone()), Term::from("x")];
    me.format("~p ~ts~n", &arguments).await.unwrap();
    let text = format!("grüße →\n{} x\n", me.pid().local());
    assert_eq!(printed(&written), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_that_does_not_suit_is_refused() {
    let (node, written) = node().await;
    let refused = node.process().format("~p~p", &[Term::from(1)]).await;
    assert!(matches!(refused, Err(IoError::Refused(reason)) if reason.is_atom("format")));
    assert_eq!(printed(&written), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_of_the_node_gives_characters() {
    let (node, written) = node().await;
    node.module("greeter").function("hello", 1, async |_, arguments| {
        Ok(Term::from(format!("hello {}", arguments[0])))
    });
    let me = node.process();
    let name = Term::from(vec![Term::atom("you")]);
    let (put, unicode) = (Term::atom("put_chars"), Term::atom("unicode"));
    let request = (put, unicode, Term::atom("greeter"), Term::atom("hello"), name);
    me.ask_leader(Term::from(request)).await.unwrap();
    assert_eq!(printed(&written), "hello you");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_gone_is_told() {
    let (node, _) = node().await;
    let me = node.process();
    let leader = node.process();
    me.set_group_leader(leader.pid().clone());
    leader.exit(Term::atom("normal"));
    let answer = tokio::time::timeout(Duration::from_secs(10), me.print("x"))
        .await
        .unwrap();
    assert!(matches!(answer, Err(IoError::Down(reason)) if reason.is_atom("noproc")));
}
