//! Receiving: what a process takes from its mailbox, as Erlang's `receive` with its patterns and `after`.
//!
//! Cancelling any of these waits loses no message.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use super::mailbox::Place;
use super::{Message, Process};
#[cfg(feature = "serde")]
use crate::etf::SerdeError;

/// Why nothing was received.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReceiveError {
    /// No such message came in time.
    #[error("no such message within {0:?}")]
    TimedOut(Duration),
    /// The process has been ended from outside, or the node has stopped.
    #[error("the process has ended")]
    Exited,
    /// The message is not of the type asked for. It is gone from the mailbox.
    #[cfg(feature = "serde")]
    #[error("the message is of another type: {0}")]
    Type(#[from] SerdeError),
}

impl Process {
    /// The next message, in the order of arrival. `None` once the process has been ended from outside, or the node
    /// has stopped.
    ///
    /// Cancelling the wait loses no message.
    pub async fn recv(&mut self) -> Option<Message> {
        poll_fn(|cx| self.cell().poll_receive(cx)).await
    }

    /// The next message, if one comes in time: `receive Message -> … after …`.
    ///
    /// # Errors
    /// When none comes in time, or the process has ended.
    pub async fn recv_timeout(&mut self, patience: Duration) -> Result<Message, ReceiveError> {
        in_time(patience, self.recv()).await
    }

    /// The first message that `select` gives something for; the others stay, in their order. Erlang's selective
    /// `receive`.
    ///
    /// `None` once the process has been ended from outside. Cancelling the wait loses no message.
    pub async fn recv_select<T>(&mut self, mut select: impl FnMut(&Message) -> Option<T>) -> Option<T> {
        let mut place = Place::default();
        poll_fn(|cx| self.cell().poll_select(cx, &mut place, &mut select)).await
    }

    /// The first message that `select` gives something for, if one comes in time: a selective `receive` with `after`. With
    /// [`Duration::ZERO`] only what is there already counts.
    ///
    /// ```no_run
    /// # async fn example(mut me: beamnode::node::Process) -> Result<(), beamnode::node::ReceiveError> {
    /// use beamnode::node::Message;
    /// use std::time::Duration;
    ///
    /// // receive {'DOWN', _, process, _, Reason} -> Reason after 1000 -> … end
    /// let down = |message: &Message| match message {
    ///     Message::Down(down) => down.reason.decode().ok(),
    ///     _ => None,
    /// };
    /// let reason = me.recv_select_timeout(Duration::from_secs(1), down).await?;
    /// println!("it ended: {reason}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When none comes in time, or the process has ended.
    pub async fn recv_select_timeout<T>(
        &mut self,
        patience: Duration,
        select: impl FnMut(&Message) -> Option<T>,
    ) -> Result<T, ReceiveError> {
        in_time(patience, self.recv_select(select)).await
    }
}

#[cfg(feature = "serde")]
impl Process {
    /// The next message as a value of one's own type.
    ///
    /// ```no_run
    /// # async fn example(mut me: beamnode::node::Process) -> Result<(), beamnode::node::ReceiveError> {
    /// #[derive(serde::Deserialize)]
    /// #[serde(rename_all = "snake_case")]
    /// enum Order {
    ///     Put(String, u64), // {put, <<"apples">>, 3}
    ///     Stop,             // stop
    /// }
    ///
    /// while let Order::Put(what, count) = me.recv_as().await? {
    ///     println!("{count} {what}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the message is of another type, or the process has ended.
    pub async fn recv_as<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, ReceiveError> {
        let message = self.recv().await.ok_or(ReceiveError::Exited)?;
        Ok(message.deserialize()?)
    }

    /// The first message that is of that type; the others stay, in their order. `None` once the process has ended.
    pub async fn recv_select_as<T: serde::de::DeserializeOwned>(&mut self) -> Option<T> {
        self.recv_select(|message| message.deserialize().ok()).await
    }
}

/// What comes of a receive within that time.
async fn in_time<T>(
    patience: Duration,
    received: impl Future<Output = Option<T>>,
) -> Result<T, ReceiveError> {
    match tokio::time::timeout(patience, received).await {
        Ok(received) => received.ok_or(ReceiveError::Exited),
        Err(_) => Err(ReceiveError::TimedOut(patience)),
    }
}

/// The messages, as [`Process::recv`] gives them.
impl Stream for Process {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.cell().poll_receive(cx)
    }
}
