//! `rex`: the server of the module `rpc`, for those who do not call by spawn requests.
//!
//! C nodes, Jinterface and `erl_call` send it plain messages, `rpc:block_call` and releases before OTP 23 call it as the server it is.
//! New nodes ask it which features it has. What it does and answers is that of OTP's `rpc` module.

use tracing::debug;

use super::call::{Caller, Request};
use super::erpc::{allowed, apply, whole};
use crate::node::{Destination, Exception, Node, Process};
use crate::term::{Atom, Pid, Term};

const NAME: &str = "rex";

pub(super) fn start(node: &Node) {
    node.spawn_service(NAME, super::MAILBOX, async |mut me| {
        while let Some(message) = me.recv().await {
            match Request::read(&message) {
                Ok(Request::Call(caller, request)) => call(&me, caller, &request).await,
                Ok(Request::Cast(request)) => cast(&me, &request),
                Ok(Request::Info(message)) => info(&me, &message),
                Err(error) => debug!(%error, "rex: a message that is no term"),
            }
        }
        Ok(())
    });
}

/// A function to call, `{Tag, Module, Function, Arguments, GroupLeader}`, and how.
struct Order {
    tag: Atom,
    function: [Term; 3],
    leader: Option<Pid>,
    /// Who asks for it.
    from: Pid,
}

impl Order {
    fn read(request: &Term, from: &Pid) -> Option<Self> {
        let [Term::Atom(tag), module, function, arguments, leader] = request.as_tuple()?.array::<5>()? else {
            return None;
        };
        let leader = if let Term::Pid(leader) = leader {
            Some(leader)
        } else {
            None
        };
        Some(Self {
            tag,
            function: [module, function, arguments],
            leader,
            from: from.clone(),
        })
    }

    /// Runs the function in a process of its own, whose result goes to `done`.
    fn run(self, rex: &Process, done: impl FnOnce(&Process, Term) + Send + 'static) {
        let me = rex.node().process();
        if let [Term::Atom(module), Term::Atom(function), list] = &self.function {
            let arity = list.as_list().map_or(0, |list| list.iter().count());
            me.born_of(&self.from, (module.clone(), function.clone(), arity));
        }
        let leader = self.leader.unwrap_or_else(|| rex.group_leader());
        me.set_group_leader(leader);
        me.run(async move |me| {
            let [module, function, arguments] = &self.function;
            let handle = me.handle();
            let outcome = if allowed(&me, module, function, arguments) {
                let outcome = apply(me, module, function, arguments).outcome().await;
                outcome.map_err(|exception| match exception {
                    Exception::Error { reason, stack } => Exception::Error {
                        reason,
                        stack: whole(stack, module, function, arguments),
                    },
                    other => other,
                })
            } else {
                Err(Exception::Exit(Term::atom("not_allowed")))
            };
            done(&handle, result(outcome));
            Ok(())
        });
    }
}

async fn call(rex: &Process, caller: Caller, request: &Term) {
    match Order::read(request, caller.pid()) {
        Some(order) if order.tag == *"call" => order.run(rex, move |me, result| caller.reply(me, result)),
        Some(order) if order.tag == *"block_call" => {
            // The point of it: nothing else is served meanwhile.
            let (done, result) = tokio::sync::oneshot::channel();
            order.run(rex, move |me, result| {
                caller.reply(me, result);
                let _ = done.send(());
            });
            let _ = result.await;
        }
        _ => debug!(from = %caller.pid(), %request, "rex: a request that is not served"),
    }
}

fn cast(rex: &Process, request: &Term) {
    // Who casts does not say so; its group leader is as near as one can get.
    let leader = request.as_tuple().and_then(|tuple| tuple.get(4));
    let from = match &leader {
        Some(Term::Pid(leader)) => leader,
        _ => rex.pid(),
    };
    match Order::read(request, from) {
        Some(order) if order.tag == *"cast" => order.run(rex, |_, _| {}),
        _ => debug!(%request, "rex: a cast that is not served"),
    }
}

/// `{From, Request}`, answered with `{rex, …}`.
fn info(rex: &Process, message: &Term) {
    let Some([Term::Pid(from), request]) = message.as_tuple().and_then(|tuple| tuple.array()) else {
        return debug!(%message, "rex: ignored");
    };
    let node = rex.node().name().clone();
    let tagged = |answer: Term| Term::from((Term::atom(NAME), answer));
    match &request {
        Term::Atom(request) if *request == *"features_request" => {
            let features = Term::from(vec![Term::atom("erpc")]);
            rex.post(&from, Term::from((Term::atom("features_reply"), node, features)));
        }
        Term::Tuple(tuple) => {
            if let Some(order) = Order::read(&request, &from)
                && order.tag == *"call"
            {
                return order.run(rex, move |me, result| me.post(&from, tagged(result)));
            }
            let Some([Term::Atom(tag), Term::Atom(name), message]) = tuple.array() else {
                return debug!(%request, "rex: ignored");
            };
            match tag.as_str() {
                "sbcast" => {
                    let there = rex.node().whereis(&name).is_some();
                    let missing = Term::from((Term::atom("nonexisting_name"), name.clone()));
                    rex.post(Destination::Name(name), message);
                    let answer = if there { Term::from(node.clone()) } else { missing };
                    rex.post(&from, Term::from((Term::atom(NAME), node, answer)));
                }
                "send" => rex.post(Destination::Name(name), message),
                _ => debug!(%request, "rex: ignored"),
            }
        }
        _ => debug!(%request, "rex: ignored"),
    }
}

/// What `rex` answers for what the function did. `{'EXIT', _}` that was thrown goes as it is: it is the caller's side that takes it for a failure.
fn result(outcome: Result<Term, Exception>) -> Term {
    let failed = |reason: Term| Term::from((Term::atom("badrpc"), (Term::atom("EXIT"), reason)));
    match outcome {
        Ok(value) | Err(Exception::Throw(value)) => value,
        Err(Exception::Exit(reason)) => failed(reason),
        Err(Exception::Error { reason, stack }) => failed(Term::from((reason, stack))),
    }
}
