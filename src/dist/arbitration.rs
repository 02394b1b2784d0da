//! Which of two attempts to connect the same two nodes is the connection.
//!
//! Two nodes may connect to each other at the same moment, or one may connect again before the other has noticed that
//! the old connection is gone. Exactly one connection must come of it. This module holds the rules, those of
//! `net_kernel`, as pure functions of what a node holds under the peer's name; the node keeps the table and acts.
//!
//! What a node holds for a peer is one [`Held`]; [`incoming`] answers a peer that connects. For an attempt of our own
//! there are two more rules, simple enough to be said here: it ends without a word if, when it is about to send
//! its name, the node no longer holds it (and from then on the node holds [`Held::Pending`], no longer [`Held::Dialing`]);
//! and if the peer asks whether it is to replace the connection that the peer has (`alive`), the answer is yes exactly
//! when the node still holds this attempt as pending.

use super::NodeName;

/// What a node holds under the name of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Held {
    /// Nothing.
    Nothing,
    /// Our own attempt, which has not sent its name yet: it is looking up the address or waiting for TCP.
    Dialing,
    /// An attempt, ours or an earlier one of the peer, whose handshake has begun.
    Pending,
    /// A connection.
    Up,
    /// A connection, and an attempt of the peer to replace it, which was told `alive`.
    UpPending,
}

/// What to do with a peer that connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Go on: nothing stands against it. Hold [`Held::Pending`].
    Ok,
    /// Go on, and end the attempt that is held. Hold [`Held::Pending`] for this one in its place.
    OkSimultaneous,
    /// Refuse with [`Refusal::Nok`](super::handshake::Refusal::Nok): the attempt that is held goes on.
    Nok,
    /// Ask the peer. Hold [`Held::UpPending`]. If it says yes and proves its cookie, close the old connection, then
    /// acknowledge; if not, hold [`Held::Up`] again.
    Alive,
    /// Refuse with [`Refusal::Busy`](super::handshake::Refusal::Busy): one attempt to replace the connection is enough.
    Busy,
}

/// What node `us` answers to `peer`, which connects, when it holds `held` under that name.
///
/// ```
/// use beamnode::dist::arbitration::{Held, Verdict, incoming};
///
/// let (a, b) = ("a@host".parse()?, "b@host".parse()?);
/// // Each has dialled the other. The attempt of the node with the greater name wins.
/// assert_eq!(incoming(&a, &b, Held::Pending), Verdict::OkSimultaneous);
/// assert_eq!(incoming(&b, &a, Held::Pending), Verdict::Nok);
/// # Ok::<(), beamnode::dist::NameError>(())
/// ```
pub fn incoming(us: &NodeName, peer: &NodeName, held: Held) -> Verdict {
    match held {
        Held::Nothing => Verdict::Ok,
        // Our attempt has told the peer nothing yet, so nobody misses it.
        Held::Dialing => Verdict::OkSimultaneous,
        Held::Pending if us > peer => Verdict::Nok,
        Held::Pending => Verdict::OkSimultaneous,
        Held::Up => Verdict::Alive,
        Held::UpPending => Verdict::Busy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_attempts_one_wins() {
        let names: Vec<NodeName> = ["a@h", "b@h", "a1@h", "a@i"]
            .iter()
            .map(|n| n.parse().unwrap())
            .collect();
        for us in &names {
            for peer in names.iter().filter(|peer| *peer != us) {
                let (here, there) = (
                    incoming(us, peer, Held::Pending),
                    incoming(peer, us, Held::Pending),
                );
                assert_eq!(here == Verdict::Nok, us > peer);
                assert_ne!(here, there, "{us} and {peer}");
            }
        }
    }

    #[test]
    fn what_has_not_spoken_yields() {
        let (a, b) = ("a@h".parse().unwrap(), "b@h".parse().unwrap());
        assert_eq!(incoming(&a, &b, Held::Dialing), Verdict::OkSimultaneous);
        assert_eq!(incoming(&b, &a, Held::Dialing), Verdict::OkSimultaneous);
    }
}
