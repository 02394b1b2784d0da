//! Sockets, and the task that owns each.
//!
//! The distribution protocol itself is in [`dist`](crate::dist) and knows no sockets; here are the few places where bytes
//! meet an operating system: a [`Listener`], [`connect`], and the [`Driver`] of an established connection. Who may
//! connect, which of two connections wins and what a message means, the node says.
//!
//! # How a node uses this
//! *Being connected to.* [`Listener::bind`], register its port with the port mapper, then spawn [`Listener::serve`] with a
//! [`Gatekeeper`]: it is asked what to do about each peer, and gets the [`Link`] of each that has proven its cookie.
//!
//! *Connecting.* [`connect`] with the addresses of the peer and what to say to it gives a [`Link`]. Its [`Attempt`] ties it
//! to the node's table, for the case that the peer connects at the same time.
//!
//! *Running.* [`Link::open`] gives the sending end and the task. Enter the [`Outbound`] into the table and announce the node,
//! then spawn [`Driver::run`] with a [`Router`]: so nothing comes in from a node that is not yet up. When it returns, all
//! that came in has been routed; the node then fires links and monitors, and announces that the node is down.
//!
//! ```no_run
//! use beamnode::dist::handshake::{Dialed, LocalName, SETUP_TIME};
//! use beamnode::dist::{Control, Cookie, Flags};
//! use beamnode::net::{LinkOptions, connect};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let dialed = Dialed {
//!     name: LocalName::Named("rust@localhost".parse()?),
//!     flags: Flags::OFFERED_HIDDEN,
//!     creation: 4,
//!     peer: "alice@localhost".parse()?,
//!     cookie: Cookie::new("secret")?,
//! };
//! let link = connect(&["127.0.0.1:4370".parse()?], dialed, SETUP_TIME, &()).await?;
//! println!("connected to {}", link.established().peer.name);
//! let (outbound, driver) = link.open(LinkOptions::default());
//! let connection = tokio::spawn(driver.run(|control: Control| println!("{control:?}")));
//! outbound.close();
//! println!("{}", connection.await?);
//! # Ok(())
//! # }
//! ```

mod accept;
mod connect;
mod driver;
mod exchange;
mod link;
mod listener;
mod outbound;
#[cfg(test)]
mod tests;
mod wire;

pub use accept::{Decision, Gatekeeper, Naming};
pub use connect::{Attempt, connect, shake_hands};
pub use driver::Driver;
pub use link::{CloseReason, Link, LinkOptions, Router};
pub use listener::{ListenOptions, Listener};
pub use outbound::{DEFAULT_BUSY_LIMIT, DEFAULT_UNREAD_LIMIT, Outbound, SendError};
pub use wire::SetupError;
