//! Processes that are tasks: a future runs as the process, and its end is the process's end.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tracing::{debug, error};

use super::{ExitReason, Process};
use crate::term::Pid;

/// Runs `body` as `process`, which ends when `body` returns or panics; and when the process is ended, `body` is dropped.
pub(super) fn run<F>(process: Process, body: impl FnOnce(Process) -> F) -> Pid
where
    F: Future<Output = Result<(), ExitReason>> + Send + 'static,
{
    let cell = Arc::clone(process.cell());
    let pid = cell.pid().clone();
    let node = process.node().clone();
    // The first handle stays with the task: should the runtime drop it, the process ends all the same.
    let body = body(process.handle());
    node.0.runtime.spawn(async move {
        let mut body = pin!(body);
        let outcome = poll_fn(|cx| {
            if cell.poll_exited(cx).is_ready() {
                return Poll::Ready(None);
            }
            match catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(cx))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(outcome)) => Poll::Ready(Some(outcome)),
                Err(payload) => Poll::Ready(Some(Err(ExitReason::panic(&*payload)))),
            }
        });
        if let Some(outcome) = outcome.await {
            end(&process, outcome);
        }
    });
    pid
}

/// Ends `process`, of which that has come.
pub(super) fn end(process: &Process, outcome: Result<(), ExitReason>) {
    let reason = outcome.err().unwrap_or(ExitReason::NORMAL);
    if reason.is_crash() {
        error!(pid = %process.pid(), name = ?process.name(), %reason, "process crashed");
    } else {
        debug!(pid = %process.pid(), %reason, "process ended");
    }
    process.end(reason);
}
