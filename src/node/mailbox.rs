//! The messages that wait for a process.

use std::collections::VecDeque;

use super::message::Message;

/// How much may wait in a process's mailbox. A process over a limit is killed, as one over its `max_heap_size` is: what
/// peers send must not fill memory.
///
/// ```
/// use beamnode::node::MailboxLimits;
/// let limits = MailboxLimits { messages: 10_000, ..MailboxLimits::default() };
/// assert_eq!(limits.bytes, 1 << 30);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxLimits {
    /// The bytes of all messages, encoded, and of what it takes to keep them. 1 GiB unless said otherwise.
    pub bytes: usize,
    /// The number of messages. No limit unless said otherwise.
    pub messages: usize,
}

impl Default for MailboxLimits {
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            messages: usize::MAX,
        }
    }
}

/// The messages of one process: priority messages first, otherwise in the order of arrival.
#[derive(Debug)]
pub(crate) struct Mailbox {
    queue: VecDeque<Message>,
    /// How many at the front are priority messages.
    priority: usize,
    bytes: usize,
    limits: MailboxLimits,
    /// How often a message came or went before others: whoever remembers a place in the queue sees from it that places have moved.
    moved: u64,
}

/// The mailbox is over its limits.
#[derive(Debug)]
pub(crate) struct Full;

impl Mailbox {
    pub(crate) fn new(limits: MailboxLimits) -> Self {
        Self {
            queue: VecDeque::new(),
            priority: 0,
            bytes: 0,
            limits,
            moved: 0,
        }
    }

    pub(crate) fn push(&mut self, message: Message, priority: bool) -> Result<(), Full> {
        self.bytes += weight(&message);
        if self.bytes > self.limits.bytes || self.queue.len() >= self.limits.messages {
            return Err(Full);
        }
        if priority {
            self.queue.insert(self.priority, message);
            self.priority += 1;
            self.moved += 1;
        } else {
            self.queue.push_back(message);
        }
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Option<Message> {
        self.remove(0)
    }

    pub(crate) fn remove(&mut self, index: usize) -> Option<Message> {
        let message = if index == 0 {
            self.queue.pop_front()
        } else {
            self.queue.remove(index)
        }?;
        self.bytes -= weight(&message);
        if index < self.priority {
            self.priority -= 1;
        }
        Some(message)
    }

    /// Removes a message beside a receive that may be under way, which looks again from the front.
    pub(crate) fn remove_aside(&mut self, index: usize) -> Option<Message> {
        self.moved += 1;
        self.remove(index)
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Message> {
        self.queue.get(index)
    }

    /// The place of the first message that fits.
    pub(crate) fn position(&self, fits: impl FnMut(&Message) -> bool) -> Option<usize> {
        self.queue.iter().position(fits)
    }

    pub(crate) fn moved(&self) -> u64 {
        self.moved
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn clear(&mut self) {
        *self = Self {
            moved: self.moved + 1,
            ..Self::new(self.limits)
        };
    }
}

/// A place in a mailbox up to which a selective receive has looked.
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub(crate) index: usize,
    moved: u64,
}

impl Place {
    /// Back to the front if messages have come in before it.
    pub(crate) fn follow(&mut self, mailbox: &Mailbox) {
        if std::mem::replace(&mut self.moved, mailbox.moved()) != mailbox.moved() {
            self.index = 0;
        }
    }
}

/// What a message counts against the limit.
fn weight(message: &Message) -> usize {
    let payload = match message {
        Message::Term(raw) => raw,
        Message::Exit(exit) => &exit.reason,
        Message::Down(down) => &down.reason,
    };
    size_of::<Message>() + payload.bytes().len()
}
