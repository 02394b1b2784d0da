//! Sockets, and the task that owns each.
