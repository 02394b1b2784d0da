//! The Erlang port mapper daemon's protocol.
