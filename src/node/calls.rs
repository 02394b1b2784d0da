//! Calls under way: functions that other nodes run for this one, and who waits for what comes of them.
//!
//! A call is a spawn request under a monitor, "SPAWN_REQUEST" in Erlang's distribution protocol documentation. It comes from a pid of
//! its own, behind which there is no process: nobody knows the pid but the process that runs the function, and all that is to come back is the
//! answer and the end of that, both known by the reference of the request. The connection holds who waits for them.
//!
//! Who no longer waits leaves nothing here, and an answer that comes later has the monitor taken away, as one for a process that has
//! ended.

use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::connections::Connection;
use super::{DownReason, HashMap, Node, SpawnError, net};
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

/// The calls over one connection, by the references of their requests; `None` once the connection is gone.
#[derive(Debug)]
pub(crate) struct Calls(Mutex<Option<HashMap<Reference, Pending>>>);

#[derive(Debug)]
struct Pending {
    /// The process that runs the function, once that is known.
    pid: Option<Pid>,
    /// Takes the reason for which it ends.
    tell: oneshot::Sender<Result<RawTerm>>,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Some(HashMap::default())))
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<Reference, Pending>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call, and gives what its result comes through. Nothing when the connection is gone.
    fn begin(&self, reference: Reference) -> Option<oneshot::Receiver<Result<RawTerm>>> {
        let (tell, result) = oneshot::channel();
        let pending = Pending { pid: None, tell };
        self.lock().as_mut()?.insert(reference, pending);
        Some(result)
    }

    /// A spawn request is answered; whether it was for a call that somebody waits for.
    pub(super) fn spawned(&self, reply: &SpawnReply) -> bool {
        let mut calls = self.lock();
        let Some(Entry::Occupied(mut call)) =
            calls.as_mut().map(|calls| calls.entry(reply.reference.clone()))
        else {
            return false;
        };
        match &reply.result {
            Ok(pid) => call.get_mut().pid = Some(pid.clone()),
            Err(reason) => {
                let refused = CallFailure::Spawn(SpawnError::Refused(reason.clone()));
                let _ = call.remove().tell.send(Err(refused));
            }
        }
        true
    }

    /// A process has ended; whether it ran a call that somebody waits for.
    pub(super) fn ended(&self, down: &MonitorPExit) -> bool {
        let call = self
            .lock()
            .as_mut()
            .and_then(|calls| calls.remove(&down.reference));
        let Some(call) = call else { return false };
        let _ = call.tell.send(Ok(down.reason.clone()));
        true
    }

    /// The connection has ended, from this side for that reason if from this side.
    pub(super) fn disconnected(&self, closing: Option<DownReason>) {
        for (_, call) in self.lock().take().into_iter().flatten() {
            let _ = call.tell.send(Err(match call.pid {
                _ if closing == Some(DownReason::NetKernelTerminated) => CallFailure::Stopped,
                None => CallFailure::Spawn(SpawnError::NoConnection),
                Some(_) => CallFailure::NoConnection,
            }));
        }
    }

    /// Nobody waits any more; the process that runs the function, if that is known and has not ended.
    fn give_up(&self, reference: &Reference) -> Option<Pid> {
        self.lock().as_mut()?.remove(reference)?.pid
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().as_ref().map_or(0, HashMap::len)
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
        let not_begun = |error| CallFailure::Spawn(error);
        let route = self.route_to(peer).await;
        let Some(via) = route.map_err(|error| not_begun(super::SendError::from(error).into()))? else {
            return Err(not_begun(SpawnError::NoConnection));
        };
        let (from, reference) = (self.unused_pid(), self.make_ref());
        let result = via.calls.begin(reference.clone());
        let result = result.ok_or(not_begun(SpawnError::NoConnection))?;
        let mut waiting = Waiting {
            via,
            from,
            reference,
            result,
        };
        let request = SpawnRequest {
            reference: waiting.reference.clone(),
            from: waiting.from.clone(),
            group_leader,
            module,
            function,
            arity,
            options: OPTIONS,
            token: None,
            arguments,
        };
        let request = Control::SpawnRequest(Box::new(request));
        waiting.via.outbound.send(request).await.map_err(|error| {
            not_begun(match error {
                net::SendError::Unsendable(_) => SpawnError::Refused(Atom::from_static("notsup")),
                net::SendError::Closed | net::SendError::Busy => SpawnError::NoConnection,
            })
        })?;
        (&mut waiting.result)
            .await
            .unwrap_or(Err(CallFailure::NoConnection))
    }
}

/// A call that somebody waits for.
struct Waiting {
    via: Arc<Connection>,
    from: Pid,
    reference: Reference,
    result: oneshot::Receiver<Result<RawTerm>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Also where it has its result: then there is none of it left.
        if let Some(pid) = self.via.calls.give_up(&self.reference) {
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
