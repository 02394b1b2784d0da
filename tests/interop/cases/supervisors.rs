//! A tree of processes of ours as a BEAM node sees it, beside one of OTP's own, to which the same is done.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use beamnode::node::{ExitReason, Node, Process};
use beamnode::otp::{Child, Restart, Shutdown, Strategy, Supervisor};
use beamnode::term::{Atom, Term};

use crate::inside::{Bed, COOKIE};

/// Waits until it is ended.
async fn idle(mut me: Process) -> Result<(), ExitReason> {
    while me.recv().await.is_some() {}
    Ok(())
}

/// `supervisor` and `sys` get from a supervisor of ours what they get from OTP's, whose children come and go alike and which reports alike.
pub(crate) async fn beside_otp(bed: Bed) {
    let node = Node::builder(format!("asking@{}", bed.rust_host_name()))
        .cookie(COOKIE)
        .start()
        .await
        .unwrap();
    let reports: Arc<Mutex<Vec<Term>>> = Arc::default();
    let told = Arc::clone(&reports);
    node.module("tree").function("reports", 0, move |_, _| {
        let told = Arc::clone(&told);
        async move { Ok(Term::from(told.lock().unwrap().clone())) }
    });
    let child = |id: &'static str| Child::new(Term::atom(id), idle);
    let three = child("three")
        .restart(Restart::Transient)
        .shutdown(Shutdown::BrutalKill);
    let four = child("four")
        .restart(Restart::Temporary)
        .shutdown(Shutdown::Infinity);
    Supervisor::new(Strategy::RestForOne)
        .intensity(3, Duration::from_secs(60))
        .name(Atom::from_static("tree"))
        .on_report(move |report| reports.lock().unwrap().push(report.term()))
        .child(child("one"))
        .child(child("two"))
        .child(three)
        .child(four)
        .start(&node);
    let alice = bed.erl("alice", "a").start().await;
    assert_eq!(alice.eval("tree:start()").await, "ok");
    let same = |ours: &str, otp: &str| {
        format!(
            "(fun() -> N = '{}', Ours = {ours}, Otp = {otp}, \
             case Ours of Otp -> same; _ -> [{{ours, Ours}}, {{otp, Otp}}, {{ours_not_otp, catch Ours -- Otp}}] end end)()",
            node.name()
        )
    };
    let seen = same("tree:seen({tree, N})", "tree:seen({tree, node()})");
    assert_eq!(alice.eval(seen).await, "same");
    let view = |reports: &str| format!("tree:view({reports}, {})", bed.release());
    let reported = same(&view("rpc:call(N, tree, reports, [])"), &view("tree:reports()"));
    assert_eq!(alice.eval(reported).await, "same");
    assert_eq!(alice.eval("length(tree:reports()) > 10").await, "true");
    node.shutdown().await;
}
