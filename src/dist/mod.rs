//! The distribution protocol, sans-I/O.

pub mod arbitration;
mod cookie;
mod flags;
pub mod handshake;
mod name;

pub use cookie::{Cookie, CookieError, Digest};
pub use flags::Flags;
pub use name::{NameError, NameKind, NodeName};
