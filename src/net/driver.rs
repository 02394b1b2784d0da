//! The task that owns a socket.
//!
//! It is one future: exchange what there is with the peer, tick. It never waits for a process.

use super::exchange::Exchange;
use super::link::{CloseReason, Link, Router};
use super::outbound::Outbound;
use crate::dist::{ConnectionError, ReadHalf};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};
use tracing::debug;

/// The task of a connection; nothing happens on it unless [`run`](Self::run) is polled. When it is dropped, the connection is
/// closed and nothing can be sent any more.
#[derive(Debug)]
pub struct Driver<T = TcpStream> {
    /// Who sends may write in our place.
    exchange: Arc<Mutex<Exchange<T>>>,
    outbound: Ending,
}

/// Ends the queue when it is dropped.
#[derive(Debug)]
struct Ending(Outbound);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Driver<T> {
    pub(super) fn new(link: Link<T>, connection: ReadHalf, outbound: Outbound) -> Self {
        let exchange = Arc::new(Mutex::new(Exchange::new(link, connection)));
        outbound.write_in_place_by(Arc::clone(&exchange) as _);
        Self {
            exchange,
            outbound: Ending(outbound),
        }
    }

    /// Runs the connection until it ends, and says why it did. All that came in before is with the router by then.
    pub async fn run(self, mut router: impl Router) -> CloseReason {
        let due = self.exchange(|exchange| exchange.due());
        let mut sleep = pin!(sleep_until(due.into()));
        let reason = poll_fn(|cx| {
            let done = self.exchange(|exchange| self.poll(exchange, cx, &mut router, sleep.as_mut()));
            done.map_or_else(Poll::Ready, |()| Poll::Pending)
        });
        let reason = reason.await;
        let peer = self.exchange(|exchange| exchange.peer().clone());
        debug!(%peer, %reason, "connection ended");
        reason
    }

    fn exchange<R>(&self, act: impl FnOnce(&mut Exchange<T>) -> R) -> R {
        act(&mut self.exchange.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does what there is to do. An error is why the connection ends.
    fn poll(
        &self,
        exchange: &mut Exchange<T>,
        cx: &mut Context<'_>,
        router: &mut impl Router,
        mut sleep: Pin<&mut Sleep>,
    ) -> Result<(), CloseReason> {
        loop {
            while sleep.as_mut().poll(cx).is_ready() {
                exchange.keep_time(&self.outbound.0, clock())?;
                sleep.as_mut().reset(exchange.connection.poll_timeout().into());
            }
            exchange.run(cx, &self.outbound.0, router, clock())?;
            // It is earlier than it was when the ticks have changed, or there is something to give back or put off.
            let due = exchange.due().into();
            if due >= sleep.deadline() {
                return Ok(());
            }
            sleep.as_mut().reset(due);
        }
    }
}

/// The clock of the runtime, which a test may have stopped.
pub(super) fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl From<ConnectionError> for CloseReason {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Silent(time) => Self::NetTickTimeout(time),
            error => Self::Protocol(error),
        }
    }
}
