//! Erlang terms, their order and their text form.
