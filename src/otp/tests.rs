//! Supervision and calls, among Rust nodes. What BEAM nodes make of ours is judged in `tests/interop`.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::dist::Cookie;
use crate::epmd::resolver::Table as Hosts;
use crate::node::{Exception, ExitReason, Message, Process, SpawnOptions};
use crate::term;
use crate::term::{Pid, Term};

async fn lone() -> Node {
    Node::builder("lone@localhost")
        .cookie(Cookie::new("c").unwrap())
        .listen(false)
        .start()
        .await
        .unwrap()
}

/// Two nodes, the first of which finds the second.
async fn pair() -> [Node; 2] {
    let cookie = Cookie::new("c").unwrap();
    let b = Node::builder("b@localhost")
        .cookie(cookie.clone())
        .resolver(Hosts::new())
        .start()
        .await
        .unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], b.port().unwrap()));
    let hosts = Hosts::new().node("b".parse().unwrap(), "localhost", address);
    let a = Node::builder("a@localhost")
        .cookie(cookie)
        .resolver(hosts)
        .start()
        .await
        .unwrap();
    [a, b]
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), work)
        .await
        .expect("it takes over ten seconds")
}

/// A child that tells `observer` its name and pid, and ends as it is told.
fn worker(name: &'static str, observer: &Pid) -> Child {
    let observer = observer.clone();
    Child::new(Term::atom(name), move |mut me| {
        let observer = observer.clone();
        async move {
            me.send(&observer, term!({(Term::atom(name)), (me.pid().clone())}))
                .await?;
            match me.recv().await {
                Some(message) => Err(ExitReason::from(message.term()?)),
                None => Ok(()),
            }
        }
    })
}

/// The name and pid of the next child that starts.
async fn started(me: &mut Process) -> (Term, Pid) {
    let message = within(me.recv()).await.unwrap().term().unwrap();
    match message.as_tuple().and_then(|tuple| tuple.array()) {
        Some([name, Term::Pid(pid)]) => (name, pid),
        _ => panic!("{message}"),
    }
}

#[tokio::test]
async fn a_child_that_ends_is_started_again_and_the_others_are_left_alone() {
    let node = lone().await;
    let mut me = node.process();
    let children = [worker("one", me.pid()), worker("two", me.pid())];
    let [one, two] = children;
    let supervisor = Supervisor::new(Strategy::OneForOne)
        .child(one)
        .child(two)
        .start(&node);
    let (name, first) = started(&mut me).await;
    assert_eq!(name, Term::atom("one"));
    let (_, second) = started(&mut me).await;
    me.send(&first, Term::atom("boom")).await.unwrap();
    let (name, again) = started(&mut me).await;
    assert_eq!(name, Term::atom("one"));
    assert_ne!(again, first);
    let children = within(node.call(supervisor, Term::atom("which_children"), Duration::from_secs(5)));
    let two = term!({two, (second), worker, []});
    let one = term!({one, (again), worker, []});
    assert_eq!(children.await.unwrap(), term!([(two), (one)]));
}

#[tokio::test]
async fn rest_for_one_starts_those_that_came_after_again() {
    let node = lone().await;
    let mut me = node.process();
    let mut supervisor = Supervisor::new(Strategy::RestForOne);
    for name in ["one", "two", "three"] {
        supervisor = supervisor.child(worker(name, me.pid()));
    }
    supervisor.start(&node);
    let mut pids = Vec::new();
    for _ in 0..3 {
        pids.push(started(&mut me).await.1);
    }
    me.send(&pids[1], Term::atom("boom")).await.unwrap();
    assert_eq!(started(&mut me).await.0, Term::atom("two"));
    assert_eq!(started(&mut me).await.0, Term::atom("three"));
    assert!(node.processes().contains(&pids[0]));
    assert!(!node.processes().contains(&pids[2]));
}

#[tokio::test]
async fn one_restart_too_many_ends_the_supervisor_and_all_children() {
    let node = lone().await;
    let mut me = node.process();
    let pid = Supervisor::new(Strategy::OneForOne)
        .intensity(1, Duration::from_secs(60))
        .child(worker("one", me.pid()))
        .child(worker("two", me.pid()))
        .start(&node);
    me.monitor(&pid).await;
    let (_, first) = started(&mut me).await;
    let (_, second) = started(&mut me).await;
    me.send(&first, Term::atom("boom")).await.unwrap();
    let (_, first) = started(&mut me).await;
    me.send(&first, Term::atom("boom")).await.unwrap();
    let Some(Message::Down(down)) = within(me.recv()).await else {
        panic!("no supervisor has ended")
    };
    assert_eq!(down.reason.decode().unwrap(), Term::atom("shutdown"));
    assert!(!node.processes().contains(&second));
}

#[tokio::test]
async fn a_transient_child_that_ends_normally_stays_ended() {
    let node = lone().await;
    let mut me = node.process();
    let one = worker("one", me.pid()).restart(Restart::Transient);
    let pid = Supervisor::new(Strategy::OneForOne).child(one).start(&node);
    let (_, first) = started(&mut me).await;
    me.monitor(&first).await;
    me.send(&first, Term::atom("normal")).await.unwrap();
    assert!(matches!(within(me.recv()).await, Some(Message::Down(_))));
    let counts = node.call(pid, Term::atom("count_children"), Duration::from_secs(5));
    let expected = term!([{specs, 1}, {active, 0}, {supervisors, 0}, {workers, 1}]);
    assert_eq!(within(counts).await.unwrap(), expected);
}

#[tokio::test]
async fn a_call_returns_or_says_what_was_raised() {
    let [a, b] = pair().await;
    let module = b.module("kv");
    module.function("get", 1, async |_, mut arguments| match arguments.pop() {
        Some(Term::Atom(key)) if key == *"throw" => Err(Exception::Throw(Term::from(1))),
        Some(Term::Atom(key)) if key == *"exit" => Err(Exception::Exit(Term::from(2))),
        Some(key) => Ok(term!({ok, (key)})),
        None => Ok(Term::NIL),
    });
    let rpc = a.rpc(b.name().clone());
    assert_eq!(
        within(rpc.call("kv", "get", [Term::from(7)])).await.unwrap(),
        term!({ok, 7})
    );
    let raised =
        async |argument: &'static str| match within(rpc.call("kv", "get", [Term::atom(argument)])).await {
            Err(RpcError::Raised(exception)) => exception,
            other => panic!("{other:?}"),
        };
    assert_eq!(raised("throw").await, Exception::Throw(Term::from(1)));
    assert_eq!(raised("exit").await, Exception::Exit(Term::from(2)));
    let undef = within(rpc.call("kv", "put", [])).await;
    let stack = term!([{kv, put, [], []}]);
    assert!(
        matches!(&undef, Err(RpcError::Raised(Exception::Error { reason, stack: found }))
            if *reason == Term::atom("undef") && *found == stack),
        "{undef:?}"
    );
}

/// What such a function raises is as of any other, and while it runs there is its process; if it panics, that ends its process and nothing else.
#[tokio::test]
async fn a_function_that_is_done_at_once_is_a_process_too() {
    let [a, b] = pair().await;
    let module = b.module("quick");
    module.at_once("throw", 0, |_, _| Err(Exception::Throw(Term::from(1))));
    module.at_once("panic", 0, |_, _| panic!("it panics"));
    module.at_once("tell", 1, |me, arguments| match arguments {
        [Term::Pid(to)] => {
            me.try_send(to, me.pid().clone()).expect("there is room");
            Ok(Term::from(me.node().process_info(me.pid()).is_some()))
        }
        _ => Ok(Term::NIL),
    });
    let rpc = a.rpc(b.name().clone());
    let thrown = within(rpc.call("quick", "throw", [])).await;
    assert!(matches!(thrown, Err(RpcError::Raised(Exception::Throw(value))) if value == Term::from(1)));
    let panicked = within(rpc.call("quick", "panic", [])).await;
    assert!(
        matches!(&panicked, Err(RpcError::Signal(reason)) if *reason.term() == Term::from((Term::atom("panic"), "it panics"))),
        "{panicked:?}"
    );
    let mut me = a.process();
    let told = [Term::from(me.pid().clone())];
    let lives = within(rpc.call("quick", "tell", told.clone())).await;
    assert_eq!(lives.unwrap(), Term::from(true));
    within(me.recv()).await.unwrap();
    let spawned = me.spawn_on(b.name(), ("quick", "tell"), told, SpawnOptions::linked());
    let spawned = within(spawned).await.unwrap();
    let message = within(me.recv()).await.unwrap();
    assert_eq!(message.term().unwrap(), Term::from(spawned.pid));
}

/// A stack would not have room for it.
#[tokio::test]
async fn calls_within_calls_are_nested_to_any_depth() {
    const DEPTH: usize = 10_000;
    let [a, b] = pair().await;
    let rpc = a.rpc(b.name().clone());
    for (module, function) in [("erlang", "apply"), ("timer", "tc"), ("erpc", "execute_cast")] {
        let innermost = vec![Term::atom("erlang"), Term::atom("node"), Term::NIL];
        let nested = (0..DEPTH).fold(innermost, |inner, _| {
            vec![Term::atom(module), Term::atom(function), Term::from(inner)]
        });
        let call = rpc.call(module, function, nested);
        let mut value = tokio::time::timeout(Duration::from_secs(60), call)
            .await
            .expect("it takes over a minute")
            .unwrap();
        // `timer:tc` gives the time and the value.
        while let Some([_, inner]) = value.as_tuple().and_then(|tuple| tuple.array()) {
            value = inner;
        }
        assert_eq!(value, Term::from(b.name().clone()));
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_is_no_longer_monitored() {
    let [a, b] = pair().await;
    let (begun, mut runs) = tokio::sync::mpsc::unbounded_channel();
    b.module("slow").function("wait", 0, move |me, _| {
        begun.send(me.pid().clone()).expect("it is awaited");
        std::future::pending()
    });
    let rpc = a.rpc(b.name().clone());
    let call = rpc.call("slow", "wait", []);
    let running = tokio::select! {
        result = call => panic!("{result:?}"),
        running = runs.recv() => running.expect("it runs"),
    };
    // The first may be answered before the answer to the spawn request has come.
    within(a.ping(b.name())).await.unwrap();
    within(a.ping(b.name())).await.unwrap();
    assert_eq!(b.process_info(&running).expect("it goes on").monitored_by, []);
}

#[tokio::test]
async fn a_call_to_a_node_that_goes_ends() {
    let [a, b] = pair().await;
    b.module("slow").function("wait", 0, async |mut me, _| {
        me.recv().await;
        Ok(Term::NIL)
    });
    let rpc = a.rpc(b.name().clone());
    let mut waiting = std::pin::pin!(rpc.call("slow", "wait", []));
    let mut events = b.monitor_nodes(crate::node::NodeType::All);
    tokio::select! {
        result = &mut waiting => panic!("{result:?}"),
        _ = events.next() => {}
    }
    // It is answered, if not at once, by the connection's end.
    b.disconnect(a.name());
    let result = within(waiting).await;
    assert!(
        matches!(result, Err(RpcError::NoConnection | RpcError::Spawn(_))),
        "{result:?}"
    );
}

/// Adds up what it is cast, answers calls at once or when it is told to, and ends when it is called `stop`.
#[derive(Default)]
struct Adder {
    sum: i64,
    waiting: Vec<Caller>,
}

impl GenServer for Adder {
    async fn init(&mut self, context: &mut Context) -> Result<(), ExitReason> {
        context.continue_with(Term::from(100));
        Ok(())
    }

    async fn call(
        &mut self,
        _: &mut Context,
        request: Term,
        from: &Caller,
    ) -> Result<Option<Term>, ExitReason> {
        match request {
            Term::Atom(word) if word == *"sum" => Ok(Some(Term::from(self.sum))),
            Term::Atom(word) if word == *"later" => {
                self.waiting.push(from.clone());
                Ok(None)
            }
            other => Err(ExitReason::from(other)),
        }
    }

    async fn cast(&mut self, context: &mut Context, request: Term) -> Result<(), ExitReason> {
        match request {
            Term::Integer(value) => self.sum += value,
            _ => self
                .waiting
                .drain(..)
                .for_each(|caller| caller.reply(context.process(), Term::from(self.sum))),
        }
        Ok(())
    }

    async fn continued(&mut self, _: &mut Context, start: Term) -> Result<(), ExitReason> {
        if let Term::Integer(start) = start {
            self.sum = start;
        }
        Ok(())
    }

    fn state(&self) -> Term {
        Term::from(self.sum)
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_server_answers_at_once_and_later_from_near_and_far() {
    let [a, b] = pair().await;
    b.start_server("adder", Adder::default()).unwrap();
    let adder = ("adder", "b@localhost");
    let mut me = a.process();
    me.cast(adder, Term::from(5)).await.unwrap();
    assert_eq!(
        me.call(adder, Term::atom("sum"), PATIENCE).await.unwrap(),
        Term::from(105)
    );
    let local = b.call(adder, Term::atom("later"), PATIENCE);
    let far = me.call(adder, Term::atom("later"), PATIENCE);
    let other = a.process();
    let answered = async {
        other.cast(adder, Term::from(1)).await.unwrap();
        other.cast(adder, Term::atom("answer")).await.unwrap();
    };
    // Polled in this order, and each is on its way after its first poll.
    let (local, far, ()) = within(async { tokio::join!(local, far, answered) }).await;
    assert_eq!([local.unwrap(), far.unwrap()], [Term::from(106), Term::from(106)]);
}

#[tokio::test]
async fn an_answer_that_came_before_its_request_was_given_up_goes_with_it() {
    let [a, b] = pair().await;
    b.start_server("adder", Adder::default()).unwrap();
    let mut me = a.process();
    let request = me
        .send_request(("adder", "b@localhost"), Term::atom("sum"))
        .await
        .unwrap();
    within(async {
        while me.mailbox_len() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let own = me.pid().clone();
    me.send(&own, Term::atom("other")).await.unwrap();
    drop(request);
    assert_eq!(me.mailbox_len(), 1);
    let left = within(me.recv()).await.unwrap().term().unwrap();
    assert_eq!(left, Term::atom("other"));
}

#[tokio::test]
async fn a_caller_is_told_when_the_server_ends_is_missing_or_is_slow() {
    let [a, b] = pair().await;
    b.start_server("adder", Adder::default()).unwrap();
    let adder = ("adder", "b@localhost");
    let mut me = a.process();
    let slow = me
        .call(adder, Term::atom("later"), Duration::from_millis(50))
        .await;
    assert!(matches!(slow, Err(CallError::TimedOut(_))), "{slow:?}");
    me.cast(adder, Term::atom("answer")).await.unwrap();
    let sum = me.call(adder, Term::atom("sum"), PATIENCE).await.unwrap();
    assert_eq!(
        (sum, me.mailbox_len()),
        (Term::from(100), 0),
        "the late answer is dropped"
    );
    let ended = me.call(adder, Term::atom("boom"), PATIENCE).await;
    assert!(
        matches!(&ended, Err(CallError::Down(reason)) if *reason == Term::atom("boom")),
        "{ended:?}"
    );
    let missing = me.call(adder, Term::atom("sum"), PATIENCE).await;
    assert!(
        matches!(&missing, Err(CallError::Down(reason)) if *reason == Term::atom("noproc")),
        "{missing:?}"
    );
}
