//! Overlapping partitions prevented: who has lost a connection says so to everybody, and everybody leaves the node that was lost.
//!
//! "Prevent Overlapping Partitions" in the documentation of `global`. Without it, a network that is cut between some nodes only leaves
//! a cluster in which not every node sees the same ones.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::core::{Core, Output};
use super::message;
use crate::term::{Atom, Term};

/// How long what was told of a loss is remembered: a message that comes round again later is taken for another loss.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// How a node went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Its connection is gone.
    Disconnected,
    /// Its connection is to go.
    Removed,
}

/// Losses that were told.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Tells this incarnation of the node from others, as the second of the message.
    incarnation: i64,
    count: i64,
    /// By who lost whom.
    told: HashMap<(Atom, Atom), Told>,
    /// When each was told, the first of them first.
    times: VecDeque<(Duration, (Atom, Atom), Told)>,
}

/// The loser's incarnation, and the number that it gave the loss.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    incarnation: Term,
    number: i64,
}

impl Losses {
    pub(super) fn new(random: u64, creation: u32) -> Self {
        // An integer that is small on a BEAM node, with 32 bits left for the creation.
        let high = i64::try_from(random >> 37).unwrap_or(0) << 32;
        Self {
            incarnation: high + i64::from(creation),
            ..Self::default()
        }
    }

    /// Whether it is news.
    fn note(&mut self, key: (Atom, Atom), told: Told, now: Duration) -> bool {
        let old = |(time, ..): &mut (Duration, _, _)| *time + REMEMBERED <= now;
        while let Some((_, key, told)) = self.times.pop_front_if(old) {
            if self.told.get(&key) == Some(&told) {
                self.told.remove(&key);
            }
        }
        let known = self.told.get(&key);
        if known.is_some_and(|known| known.incarnation == told.incarnation && told.number <= known.number) {
            return false;
        }
        self.times.push_back((now, key.clone(), told.clone()));
        self.told.insert(key, told);
        true
    }
}

impl Core {
    fn prevents(&self) -> bool {
        self.settings.connect_all && self.settings.prevent_overlapping_partitions
    }

    /// Tells everybody that we have lost the node.
    pub(super) fn tell_loss(&mut self, node: &Atom) {
        if !self.prevents() {
            return;
        }
        self.losses.count += 1;
        let (us, incarnation, count) = (self.node().clone(), self.losses.incarnation, self.losses.count);
        let message = Term::from((
            Term::atom("lost_connection"),
            us,
            incarnation,
            count,
            node.clone(),
        ));
        self.tell_all(&message, node);
    }

    /// To every node that is known or about to be, and understands it, but for one.
    fn tell_all(&mut self, message: &Term, except: &Atom) {
        let all = self.known.iter().chain(&self.pending);
        let told = all.filter(|&(node, version)| node != except && *version >= message::PREVENTS);
        let told: Vec<Atom> = told.map(|(node, _)| node.clone()).collect();
        for node in told {
            self.info(&node, message.clone());
        }
    }

    /// Another node has lost one, or tells of one that has.
    pub(super) fn lost_connection(&mut self, message: &Term, now: Duration) -> Option<()> {
        let [
            _,
            Term::Atom(loser),
            incarnation,
            Term::Integer(number),
            Term::Atom(lost),
        ] = message.as_tuple()?.array::<5>()?
        else {
            return None;
        };
        let told = Told { incarnation, number };
        if !self.prevents() || !self.losses.note((loser.clone(), lost.clone()), told, now) {
            return None;
        }
        // It may lose the connection to some of them while it tells everybody.
        self.tell_all(message, &loser);
        // Where we are the one that was lost, everybody else leaves us: it remains to leave the loser.
        let leave = if lost == *self.node() { loser } else { lost };
        let version = *self.known.get(&leave).or_else(|| self.pending.get(&leave))?;
        if version < message::PREVENTS {
            self.push(Output::Disconnect { node: leave.clone() });
        } else {
            let us = self.node().clone();
            self.info(&leave, (Term::atom("remove_connection"), us));
        }
        tracing::warn!(node = %leave, "global: asked to disconnect, to prevent overlapping partitions");
        self.lose(&leave, Loss::Removed);
        Some(())
    }

    /// A node has been told that we are lost, and wants to be left.
    pub(super) fn remove_connection(&mut self, node: &Atom) {
        if self.known.contains_key(node) || self.pending.contains_key(node) {
            tracing::warn!(%node, "global: disconnected, to prevent overlapping partitions");
            self.push(Output::Disconnect { node: node.clone() });
            self.lose(node, Loss::Removed);
        }
    }
}
