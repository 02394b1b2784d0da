//! The distribution protocol, sans-I/O.
