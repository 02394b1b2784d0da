//! Calls under way: functions that other nodes run for this one, and who waits for what comes of them.
//!
//! A call is a spawn request under a monitor, "SPAWN_REQUEST" in Erlang's distribution protocol documentation. It comes from a pid of
//! its own, behind which there is no process: nobody knows the pid but the process that runs the function, and all that is to come back is the
//! answer and the end of that, both known by the reference of the request. The connection holds who waits for them.
//!
//! Who no longer waits leaves nothing here, and an answer that comes later has the monitor taken away, as one for a process that has
//! ended.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::connections::Connection;
use super::signal::Outbox;
use super::{DownReason, HashMap, Node, SendError, SpawnError, net};
use crate::dist::control::{Control, DemonitorP, MonitorPExit, Monitored, SpawnReply, SpawnRequest};
use crate::etf::{Atoms, RawTerm};
use crate::term::{Atom, Pid, Reference};

/// Why there is no result of a call.
#[derive(Debug)]
pub(crate) enum CallFailure {
    /// The function was not begun.
    Spawn(SpawnError),
    /// The connection has ended after the function was begun.
    NoConnection,
    /// This node has stopped.
    Stopped,
}

type Result<T> = std::result::Result<T, CallFailure>;

/// The calls over one connection, by the references of their requests.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether the connection has ended.
    over: bool,
    pending: HashMap<Reference, Pending>,
}

#[derive(Debug)]
struct Pending {
    stage: Stage,
    /// Who waits.
    waker: Option<Waker>,
}

#[derive(Debug)]
enum Stage {
    Asked,
    /// The process that runs the function.
    Running(Pid),
    /// The reason for which it has ended.
    Over(Result<RawTerm>),
}

impl Pending {
    fn end(&mut self, result: Result<RawTerm>, out: &mut Outbox) {
        self.stage = Stage::Over(result);
        if let Some(waker) = self.waker.take() {
            out.wake(waker);
        }
    }
}

impl Calls {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call; `false` when the connection has ended.
    fn begin(&self, reference: Reference) -> bool {
        let mut calls = self.lock();
        let pending = Pending {
            stage: Stage::Asked,
            waker: None,
        };
        if !calls.over {
            calls.pending.insert(reference, pending);
        }
        !calls.over
    }

    /// Ready when the call has a result.
    fn poll(&self, cx: &mut Context<'_>, reference: &Reference) -> Poll<()> {
        match self.lock().pending.get_mut(reference) {
            Some(Pending {
                stage: Stage::Asked | Stage::Running(_),
                waker,
            }) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Forgets the call, and says how far it has come.
    fn take(&self, reference: &Reference) -> Option<Stage> {
        let pending = self.lock().pending.remove(reference)?;
        Some(pending.stage)
    }

    /// A spawn request is answered; whether it was for a call that somebody waits for.
    pub(super) fn spawned(&self, reply: &SpawnReply, out: &mut Outbox) -> bool {
        let mut calls = self.lock();
        let Some(call) = calls.pending.get_mut(&reply.reference) else {
            return false;
        };
        match &reply.result {
            // One that comes after the end, against the protocol, must not take the result from who waits for it.
            _ if !matches!(call.stage, Stage::Asked) => {}
            Ok(pid) => call.stage = Stage::Running(pid.clone()),
            Err(reason) => {
                let refused = SpawnError::Refused(reason.clone());
                call.end(Err(CallFailure::Spawn(refused)), out);
            }
        }
        true
    }

    /// A process has ended; whether it ran a call that somebody waits for.
    pub(super) fn ended(&self, down: &MonitorPExit, out: &mut Outbox) -> bool {
        let mut calls = self.lock();
        let Some(call) = calls.pending.get_mut(&down.reference) else {
            return false;
        };
        call.end(Ok(down.reason.clone()), out);
        true
    }

    /// The connection has ended, for that reason if from this side.
    pub(super) fn disconnected(&self, closing: Option<DownReason>, out: &mut Outbox) {
        let mut calls = self.lock();
        calls.over = true;
        for call in calls.pending.values_mut() {
            let failure = match call.stage {
                Stage::Over(_) => continue,
                _ if closing == Some(DownReason::NetKernelTerminated) => CallFailure::Stopped,
                Stage::Asked => CallFailure::Spawn(SpawnError::NoConnection),
                Stage::Running(_) => CallFailure::NoConnection,
            };
            call.end(Err(failure), out);
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().pending.len()
    }
}

impl Node {
    /// Has a node that is not this one run a function with the list of as many arguments, and gives the reason for which the process ends that
    /// runs it.
    pub(crate) async fn call_far(
        &self,
        peer: &Atom,
        (module, function, arity): (Atom, Atom, u8),
        arguments: RawTerm,
        group_leader: Pid,
    ) -> Result<RawTerm> {
        // `[monitor]`
        const OPTIONS: RawTerm = RawTerm::from_parts(
            Bytes::from_static(b"\x6c\x00\x00\x00\x01\x77\x07monitor\x6a"),
            Atoms::NONE,
        );
        let lost = || CallFailure::Spawn(SpawnError::NoConnection);
        let route = self.route_to(peer).await.map_err(SendError::from);
        let via = route
            .map_err(|error| CallFailure::Spawn(error.into()))?
            .ok_or_else(lost)?;
        let (from, reference) = (self.unused_pid(), self.make_ref());
        if !via.calls.begin(reference.clone()) {
            return Err(lost());
        }
        let waiting = Waiting { via, from, reference };
        let request = SpawnRequest {
            reference: waiting.reference.clone(),
            from: waiting.from.clone(),
            group_leader,
            module,
            function,
            arity: arity.into(),
            options: OPTIONS,
            token: None,
            arguments,
        };
        let request = Control::SpawnRequest(Box::new(request));
        let sent = waiting.via.outbound.send(request).await;
        sent.map_err(|error| match error {
            net::SendError::Unsendable(_) => {
                CallFailure::Spawn(SpawnError::Refused(Atom::from_static("notsup")))
            }
            net::SendError::Closed | net::SendError::Busy => lost(),
        })?;
        poll_fn(|cx| waiting.via.calls.poll(cx, &waiting.reference)).await;
        match waiting.via.calls.take(&waiting.reference) {
            Some(Stage::Over(result)) => result,
            _ => Err(CallFailure::NoConnection),
        }
    }
}

/// A call that somebody waits for.
struct Waiting {
    via: Arc<Connection>,
    from: Pid,
    reference: Reference,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Nothing is left of it if it has its result.
        if let Some(Stage::Running(pid)) = self.via.calls.take(&self.reference) {
            let demonitor = DemonitorP {
                from: self.from.clone(),
                to: Monitored::Pid(pid),
                reference: self.reference.clone(),
            };
            // A connection that has ended knows of no monitors.
            let _ = self.via.outbound.send_now(Control::DemonitorP(demonitor));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_comes_after_the_end_takes_no_result() {
        let (calls, mut out) = (Calls::default(), Outbox::default());
        let [from, process] = ["a@h", "b@h"].map(|node| Pid::new(Atom::from_static(node), 1, 0, 5));
        let reference = Reference::new(from.node().clone(), &[1, 2, 3], 5).expect("three words");
        assert!(calls.begin(reference.clone()));
        let down = MonitorPExit {
            process: Some(process.clone()),
            from: Monitored::Pid(process.clone()),
            to: from.clone(),
            reference: reference.clone(),
            reason: RawTerm::new(&Atom::from_static("done")),
        };
        assert!(calls.ended(&down, &mut out));
        let reply = SpawnReply {
            reference: reference.clone(),
            to: from,
            linked: false,
            monitored: true,
            result: Ok(process),
            token: None,
        };
        assert!(calls.spawned(&reply, &mut out));
        assert!(
            calls
                .poll(&mut Context::from_waker(Waker::noop()), &reference)
                .is_ready()
        );
        assert!(matches!(calls.take(&reference), Some(Stage::Over(Ok(_)))));
    }
}
