//! Reports, nesting, and what is asked of a supervisor.

use tokio::sync::mpsc;

use super::*;
use crate::dist::Cookie;
use crate::term;

const PATIENCE: Duration = Duration::from_secs(60);

async fn node() -> Node {
    Node::builder("trees@localhost")
        .cookie(Cookie::new("c").unwrap())
        .listen(false)
        .start()
        .await
        .unwrap()
}

/// A supervisor whose reports come out of the channel.
fn reporting(strategy: Strategy) -> (Supervisor, mpsc::UnboundedReceiver<Report>) {
    let (told, reports) = mpsc::unbounded_channel();
    let supervisor = Supervisor::new(strategy).on_report(move |report| drop(told.send(report.clone())));
    (supervisor, reports)
}

/// Waits until it is ended.
async fn idle(mut me: Process) -> Result<(), ExitReason> {
    while me.recv().await.is_some() {}
    Ok(())
}

/// Does not end when it is told to.
async fn stubborn(mut me: Process) -> Result<(), ExitReason> {
    me.trap_exit(true);
    while me.recv().await.is_some() {}
    Ok(())
}

fn pid_of(report: &Report) -> Pid {
    let first = report.child().as_list().unwrap().iter().next().unwrap();
    match first.as_tuple().unwrap().array::<2>() {
        Some([_, Term::Pid(pid)]) => pid,
        other => panic!("{other:?}"),
    }
}

async fn next(reports: &mut mpsc::UnboundedReceiver<Report>) -> Report {
    tokio::time::timeout(PATIENCE, reports.recv())
        .await
        .unwrap()
        .unwrap()
}

/// Traps exits, and says for what reason it ends.
struct Trapping(mpsc::UnboundedSender<ExitReason>);

impl GenServer for Trapping {
    async fn init(&mut self, context: &mut Context) -> Result<(), ExitReason> {
        context.process().trap_exit(true);
        Ok(())
    }

    async fn terminate(&mut self, _: &mut Context, reason: &ExitReason) {
        self.0.send(reason.clone()).unwrap();
    }
}

#[tokio::test]
async fn servers_that_trap_exits_end_with_their_supervisor() {
    let node = node().await;
    for suspended in [false, true] {
        let (told, mut reasons) = mpsc::unbounded_channel();
        let (supervisor, mut reports) = reporting(Strategy::OneForOne);
        let server =
            Child::new(1, move |me| run_server(me, Trapping(told.clone()))).shutdown(Shutdown::Infinity);
        let supervisor = supervisor.child(server).start(&node);
        let server = pid_of(&next(&mut reports).await);
        let mut me = node.process();
        // An exit signal of anyone else is a message.
        me.exit_other(&server, Term::atom("bye")).await.unwrap();
        if suspended {
            let from = (me.pid().clone(), Term::from(1));
            me.send(&server, (Term::atom("system"), from, Term::atom("suspend")))
                .await
                .unwrap();
            assert_eq!(me.recv().await.unwrap().term().unwrap(), term!({1, ok}));
        }
        let monitor = me.monitor(&server).await;
        me.exit_other(&supervisor, ExitReason::SHUTDOWN).await.unwrap();
        let reason = tokio::time::timeout(PATIENCE, reasons.recv()).await.unwrap();
        assert_eq!(reason, Some(ExitReason::SHUTDOWN));
        let down = me.recv().await.unwrap().term().unwrap();
        assert_eq!(
            down,
            term!({(Term::atom("DOWN")), (monitor), process, (server), shutdown})
        );
    }
    node.shutdown().await;
}

#[tokio::test]
async fn reports_read_as_those_of_otp() {
    let node = node().await;
    let (supervisor, mut reports) = reporting(Strategy::OneForOne);
    supervisor
        .name(Atom::from_static("sup"))
        .child(Child::new(Term::atom("c1"), idle))
        .start(&node);
    let started = next(&mut reports).await;
    assert_eq!(*started.event(), Event::Started);
    let first = pid_of(&started);
    let me = node.process();
    me.exit_other(&first, term!({bad, "x", [1, 2]})).await.unwrap();
    let ended = next(&mut reports).await;
    // As OTP 29 prints it, but for the function that started the child.
    let expected = format!(
        "=SUPERVISOR REPORT====\n    supervisor: {{local,sup}}\n    errorContext: child_terminated\n    reason: {{bad,<<\"x\">>,[1,2]}}\n    \
         offender: [{{pid,{}}},\n               {{id,c1}},\n               {{mfargs,{{beamnode,spawn_link,undefined}}}},\n               \
         {{restart_type,permanent}},\n               {{significant,false}},\n               {{shutdown,5000}},\n               \
         {{child_type,worker}}]\n",
        first.local()
    );
    assert_eq!(ended.to_string(), expected);
    let again = next(&mut reports).await;
    let expected = format!(
        "=PROGRESS REPORT====\n    supervisor: {{local,sup}}\n    started: [{{pid,{}}},\n              {{id,c1}},\n",
        pid_of(&again).local()
    );
    assert!(again.to_string().starts_with(&expected), "{again}");
    assert_eq!(
        ended.term().to_string().replace(&first.to_string(), "P"),
        "#{label => {supervisor,child_terminated},report => [{supervisor,{local,sup}},{errorContext,child_terminated},\
         {reason,{bad,<<120>>,[1,2]}},{offender,[{pid,P},{id,c1},{mfargs,{beamnode,spawn_link,undefined}},\
         {restart_type,permanent},{significant,false},{shutdown,5000},{child_type,worker}]}]}"
    );
    // Once too often.
    me.exit_other(&pid_of(&again), Term::atom("boom")).await.unwrap();
    assert_eq!(
        *next(&mut reports).await.event(),
        Event::ChildTerminated(Term::atom("boom"))
    );
    assert_eq!(*next(&mut reports).await.event(), Event::Shutdown);
    assert!(reports.recv().await.is_none());
}

#[tokio::test]
async fn a_child_that_does_not_end_as_told_is_reported() {
    let node = node().await;
    let (supervisor, mut reports) = reporting(Strategy::OneForOne);
    let brief = Shutdown::Timeout(Duration::from_millis(1));
    let supervisor = supervisor
        .child(Child::new(Term::atom("slow"), stubborn).shutdown(brief))
        .child(Child::new(Term::atom("killed"), stubborn).shutdown(Shutdown::BrutalKill))
        .start(&node);
    let slow = next(&mut reports).await;
    next(&mut reports).await;
    // The child has to trap exits before it is told to end.
    while !node.process_info(&pid_of(&slow)).unwrap().trap_exit {
        tokio::task::yield_now().await;
    }
    node.process()
        .exit_other(&supervisor, ExitReason::SHUTDOWN)
        .await
        .unwrap();
    let report = next(&mut reports).await;
    assert_eq!(*report.event(), Event::ShutdownError(Term::atom("killed")));
    assert_eq!(pid_of(&report), pid_of(&slow));
    assert!(reports.recv().await.is_none());
}

#[tokio::test]
async fn supervisors_nest_and_do_as_they_are_asked() {
    let node = node().await;
    let inner = Supervisor::new(Strategy::OneForOne).child(Child::new(Term::atom("leaf"), idle));
    let (outer, mut reports) = reporting(Strategy::OneForOne);
    let outer = outer
        .child(Child::supervisor(Term::atom("inner"), inner))
        .child(Child::new(Term::atom("brief"), idle).restart(Restart::Temporary))
        .start(&node);
    let inner = pid_of(&next(&mut reports).await);
    next(&mut reports).await;
    let ask = async |to: &Pid, request: Term| node.call(to, request, PATIENCE).await.unwrap();
    let counts = ask(&outer, Term::atom("count_children")).await;
    assert_eq!(
        counts,
        term!([{specs, 2}, {active, 2}, {supervisors, 1}, {workers, 1}])
    );
    let leaves = ask(&inner, Term::atom("which_children")).await.to_string();
    assert!(leaves.starts_with("[{leaf,<"), "{leaves}");
    let unknown = ask(&outer, term!({restart_child, nobody})).await;
    assert_eq!(unknown, term!({error, not_found}));
    assert_eq!(
        ask(&outer, term!({restart_child, inner})).await,
        term!({error, running})
    );
    assert_eq!(
        ask(&outer, term!({terminate_child, inner})).await,
        Term::atom("ok")
    );
    assert!(node.process_info(&inner).is_none());
    assert_eq!(
        ask(&outer, term!({terminate_child, brief})).await,
        Term::atom("ok")
    );
    let counts = ask(&outer, Term::atom("count_children")).await;
    assert_eq!(
        counts,
        term!([{specs, 1}, {active, 0}, {supervisors, 1}, {workers, 0}])
    );
    let again = ask(&outer, term!({restart_child, inner})).await.to_string();
    assert!(again.starts_with("{ok,<"), "{again}");
    assert_eq!(
        ask(&outer, term!({terminate_child, inner})).await,
        Term::atom("ok")
    );
    assert_eq!(ask(&outer, term!({delete_child, inner})).await, Term::atom("ok"));
}
