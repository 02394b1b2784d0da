//! What a node says it can do: the distribution flags of the handshake.
//!
//! Follows "Distribution Flags" of Erlang's *Distribution Protocol*, and where that page disagrees with what nodes
//! send, the nodes: the bit of `MANDATORY_25_DIGEST` is 26, not 36, and it is not mandatory in any release.
//!
//! | flag | bit | since OTP | 25 requires | 26–29 require | we require | offered by default |
//! |---|---|---|---|---|---|---|
//! | `PUBLISHED` | 0 | | | | | visible nodes |
//! | `ATOM_CACHE` | 1 | | | | | never (obsolete) |
//! | `EXTENDED_REFERENCES` | 2 | | x | x | x | yes |
//! | `DIST_MONITOR` | 3 | | | | | yes |
//! | `FUN_TAGS` | 4 | | x | x | | yes |
//! | `DIST_MONITOR_NAME` | 5 | | | | | yes |
//! | `HIDDEN_ATOM_CACHE` | 6 | | | | | never (obsolete) |
//! | `NEW_FUN_TAGS` | 7 | | x | x | x | yes |
//! | `EXTENDED_PIDS_PORTS` | 8 | | x | x | x | yes |
//! | `EXPORT_PTR_TAG` | 9 | | x | x | x | yes |
//! | `BIT_BINARIES` | 10 | | x | x | x | yes |
//! | `NEW_FLOATS` | 11 | | x | x | x | yes |
//! | `UNICODE_IO` | 12 | | | | | yes |
//! | `DIST_HDR_ATOM_CACHE` | 13 | | | | | yes |
//! | `SMALL_ATOM_TAGS` | 14 | | | | | yes |
//! | `UTF8_ATOMS` | 16 | | x | x | x | yes |
//! | `MAP_TAG` | 17 | | x | x | x | yes |
//! | `BIG_CREATION` | 18 | | x | x | x | yes |
//! | `SEND_SENDER` | 19 | 21 | | | | yes |
//! | `BIG_SEQTRACE_LABELS` | 20 | 21 | | | | yes |
//! | `EXIT_PAYLOAD` | 22 | 22 | | | | yes |
//! | `FRAGMENTS` | 23 | 22 | | | | yes |
//! | `HANDSHAKE_23` | 24 | 23 | x | x | x | yes |
//! | `UNLINK_ID` | 25 | 23.3 | | x | | yes |
//! | `MANDATORY_25_DIGEST` | 26 | 25 | | | | yes (stands for every flag that 25 requires) |
//! | `SPAWN` | 32 | 23 | | | | yes |
//! | `NAME_ME` | 33 | 23 | | | | by a node that asks for a name |
//! | `V4_NC` | 34 | 24 | | x | | yes |
//! | `ALIAS` | 35 | 24 | | | | yes |
//! | `ALTACT_SIG` | 37 | 28 | | | | yes |
//! | `NATIVE_RECORDS` | 38 | 29 | | | | yes |
//!
//! A bit that has no name here is carried unchanged and means nothing, as in BEAM.

use std::fmt;

bitflags::bitflags! {
    /// A set of distribution flags, 64 bits as they stand in the handshake.
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Flags: u64 {
        /// The node is visible: it is to be in `nodes()`. A connection is visible only if both ends say so.
        const PUBLISHED = 1 << 0;
        /// An atom cache of long ago; never offered.
        const ATOM_CACHE = 1 << 1;
        /// References of up to three words and more.
        const EXTENDED_REFERENCES = 1 << 2;
        /// Monitors of processes by pid.
        const DIST_MONITOR = 1 << 3;
        /// Funs as terms of their own.
        const FUN_TAGS = 1 << 4;
        /// Monitors of processes by registered name.
        const DIST_MONITOR_NAME = 1 << 5;
        /// An atom cache of long ago; never offered.
        const HIDDEN_ATOM_CACHE = 1 << 6;
        /// Funs in their present form.
        const NEW_FUN_TAGS = 1 << 7;
        /// Pids and ports of full width.
        const EXTENDED_PIDS_PORTS = 1 << 8;
        /// `fun M:F/A`.
        const EXPORT_PTR_TAG = 1 << 9;
        /// Bit strings.
        const BIT_BINARIES = 1 << 10;
        /// Floats as eight bytes.
        const NEW_FLOATS = 1 << 11;
        /// The I/O protocol's Unicode requests.
        const UNICODE_IO = 1 << 12;
        /// The distribution header with its atom cache.
        const DIST_HDR_ATOM_CACHE = 1 << 13;
        /// Atoms with one byte of length.
        const SMALL_ATOM_TAGS = 1 << 14;
        /// Atoms in UTF-8.
        const UTF8_ATOMS = 1 << 16;
        /// Maps.
        const MAP_TAG = 1 << 17;
        /// Creations of 32 bits.
        const BIG_CREATION = 1 << 18;
        /// `SEND_SENDER` in place of `SEND`.
        const SEND_SENDER = 1 << 19;
        /// Any term as the label of a trace token.
        const BIG_SEQTRACE_LABELS = 1 << 20;
        /// The reason of an exit signal as payload, after the control message.
        const EXIT_PAYLOAD = 1 << 22;
        /// Large messages in fragments.
        const FRAGMENTS = 1 << 23;
        /// The handshake of OTP 23.
        const HANDSHAKE_23 = 1 << 24;
        /// Unlinking with `UNLINK_ID` and its acknowledgement.
        const UNLINK_ID = 1 << 25;
        /// Stands for every flag that OTP 25 made mandatory; see [`Flags::expand`].
        const MANDATORY_25_DIGEST = 1 << 26;
        /// Spawn requests.
        const SPAWN = 1 << 32;
        /// A request, not a capability: "give me a name".
        const NAME_ME = 1 << 33;
        /// Pids, ports and references of OTP 24's width.
        const V4_NC = 1 << 34;
        /// Sends to aliases.
        const ALIAS = 1 << 35;
        /// The extensible signal of OTP 28, `ALTACT_SIG_SEND`.
        const ALTACT_SIG = 1 << 37;
        /// Native records.
        const NATIVE_RECORDS = 1 << 38;

        // Bits of releases to come are kept as they are.
        const _ = !0;
    }
}

impl Flags {
    /// Every flag that OTP 25 made mandatory: what [`Flags::MANDATORY_25_DIGEST`] stands for.
    pub const MANDATORY_25: Self = Self::EXTENDED_REFERENCES
        .union(Self::FUN_TAGS)
        .union(Self::NEW_FUN_TAGS)
        .union(Self::EXTENDED_PIDS_PORTS)
        .union(Self::EXPORT_PTR_TAG)
        .union(Self::BIT_BINARIES)
        .union(Self::NEW_FLOATS)
        .union(Self::UTF8_ATOMS)
        .union(Self::MAP_TAG)
        .union(Self::BIG_CREATION)
        .union(Self::HANDSHAKE_23);

    /// What a peer must have for us to speak with it: what our codec cannot do without, all of which every node
    /// since OTP 23 has. `FUN_TAGS` is left out, it names a form of funs that nobody writes any more.
    pub const REQUIRED: Self = Self::MANDATORY_25.difference(Self::FUN_TAGS);

    /// What a visible node offers that implements all of this crate: the offer of OTP 29.
    pub const OFFERED: Self = Self::MANDATORY_25
        .union(Self::PUBLISHED)
        .union(Self::DIST_MONITOR)
        .union(Self::DIST_MONITOR_NAME)
        .union(Self::UNICODE_IO)
        .union(Self::DIST_HDR_ATOM_CACHE)
        .union(Self::SMALL_ATOM_TAGS)
        .union(Self::SEND_SENDER)
        .union(Self::BIG_SEQTRACE_LABELS)
        .union(Self::EXIT_PAYLOAD)
        .union(Self::FRAGMENTS)
        .union(Self::UNLINK_ID)
        .union(Self::MANDATORY_25_DIGEST)
        .union(Self::SPAWN)
        .union(Self::V4_NC)
        .union(Self::ALIAS)
        .union(Self::ALTACT_SIG)
        .union(Self::NATIVE_RECORDS);

    /// What a hidden node offers: [`Flags::OFFERED`] without [`Flags::PUBLISHED`].
    pub const OFFERED_HIDDEN: Self = Self::OFFERED.difference(Self::PUBLISHED);

    /// The flags with what [`Flags::MANDATORY_25_DIGEST`] stands for written out.
    pub fn expand(self) -> Self {
        if self.contains(Self::MANDATORY_25_DIGEST) {
            self.union(Self::MANDATORY_25)
        } else {
            self
        }
    }

    /// What both ends can do: what `self` and `other` have in common, after [expanding](Self::expand) both.
    pub fn negotiate(self, other: Self) -> Self {
        self.expand().intersection(other.expand())
    }

    /// Which of `required` are missing here.
    pub fn missing(self, required: Self) -> Self {
        required.difference(self.expand())
    }
}

/// The names of the flags set, with `|` between them; `0` if none is. Bits without a name are printed as one
/// hexadecimal number at the end.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            f.write_str("0")
        } else {
            bitflags::parser::to_writer(self, f)
        }
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_those_that_nodes_send() {
        assert_eq!(Flags::OFFERED.bits(), 0x6d_07df_7fbd);
        assert_eq!(Flags::OFFERED_HIDDEN.bits(), 0x6d_07df_7fbc);
    }

    #[test]
    fn every_release_has_what_we_require() {
        // What nodes of OTP 23.2.6, 25.2.3 and 27.3.4, 29.1.1 and erl_call of 25 send.
        for offered in [0x01_01df_7fbd, 0x0d_07df_7fbd, 0x6d_07df_7fbd, 0x04_0707_4f9c] {
            assert_eq!(
                Flags::from_bits_retain(offered).missing(Flags::REQUIRED),
                Flags::empty()
            );
        }
    }

    #[test]
    fn the_digest_stands_for_what_25_requires() {
        let peer = Flags::MANDATORY_25_DIGEST | Flags::V4_NC | Flags::UNLINK_ID;
        assert_eq!(peer.missing(Flags::REQUIRED), Flags::empty());
        assert!(Flags::OFFERED.negotiate(peer).contains(Flags::MAP_TAG));
        assert!(!Flags::OFFERED.negotiate(peer).contains(Flags::FRAGMENTS));
    }

    #[test]
    fn missing_flags_are_named() {
        let peer = Flags::REQUIRED - Flags::MAP_TAG - Flags::HANDSHAKE_23;
        assert_eq!(
            peer.missing(Flags::REQUIRED).to_string(),
            "MAP_TAG | HANDSHAKE_23"
        );
        assert_eq!(Flags::empty().to_string(), "0");
    }

    #[test]
    fn bits_of_later_releases_are_kept() {
        let later = Flags::from_bits_retain(1 << 60 | 1);
        assert_eq!(later.bits(), 1 << 60 | 1);
        assert_eq!(later.to_string(), "PUBLISHED | 0x1000000000000000");
    }
}
