//! Aliases: references under which a process receives, for as long as it wants to.
//!
//! "Process Aliases" in Erlang's reference manual. A message to an alias that is not active any more is dropped, so an answer
//! that comes too late never lands in the mailbox.

use super::table::Number;
use super::{Item, MonitorOptions, Process};
use crate::term::Reference;

/// When an alias stops being active, besides at the end of its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Until {
    /// At [`Process::unalias`](super::Process::unalias): `explicit_unalias`.
    #[default]
    Unalias,
    /// At the first message through it, or before: `reply`. A monitor of the same reference stays then; when that fires, no reply
    /// is waited for any more.
    Reply,
    /// With the monitor of the same reference, when that fires or is taken away: `demonitor`. Of an alias without a
    /// monitor it says no more than [`Until::Unalias`].
    Demonitor,
    /// At the first message through it, which takes the monitor of the same reference away; or with that monitor:
    /// `reply_demonitor`. Of an alias without a monitor it says no more than [`Until::Reply`].
    ReplyDemonitor,
}

/// What an alias is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AliasKind {
    /// How long it is active.
    pub until: Until,
    /// Whether priority messages through it come before others, as `alias([priority])` of OTP 28.
    pub priority: bool,
}

impl From<Until> for AliasKind {
    fn from(until: Until) -> Self {
        Self {
            until,
            priority: false,
        }
    }
}

impl Process {
    /// Makes an alias of this process, as `alias/1`: a reference to send to in place of its pid.
    ///
    /// ```no_run
    /// # async fn example(mut me: beamnode::node::Process) -> Result<(), Box<dyn std::error::Error>> {
    /// use beamnode::node::Until;
    /// use beamnode::term;
    ///
    /// let alias = me.alias(Until::Reply);
    /// me.send(("server", "alice@build"), term!({question, (alias.clone())})).await?;
    /// let answer = tokio::time::timeout(std::time::Duration::from_secs(1), me.recv()).await;
    /// me.unalias(&alias); // an answer that comes now is dropped
    /// # drop(answer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn alias(&self, kind: impl Into<AliasKind>) -> Reference {
        let alias = self.node().alias_of(self.cell());
        self.cell().alias(alias.clone(), kind.into());
        alias
    }

    /// Deactivates an alias of this process, as `unalias/1`; `false` when it was not active. A monitor of the same reference
    /// stays.
    pub fn unalias(&self, alias: &Reference) -> bool {
        self.cell().unalias(alias)
    }

    /// Monitors a process with a reference that is an alias too, as `monitor(process, Item, [{alias, Until}])`.
    ///
    /// To call a server: the answer comes through the alias, or the monitor fires, and after either nothing more does.
    pub async fn monitor_with_alias(&self, item: impl Into<Item>, until: Until) -> Reference {
        let options = MonitorOptions {
            alias: Some(until),
            ..MonitorOptions::default()
        };
        self.monitor_with(item, options).await
    }
}

/// Marks the third word of an alias, whose lower bits then are its process's number. Plain references never have it: the node
/// makes both.
const MARK: u32 = 1 << 31;

/// The third word of an alias of that process.
pub(crate) fn third_word(number: Number) -> u32 {
    MARK | number.get()
}

/// The process of an alias made by this node; `None` when it is a plain reference.
pub(crate) fn owner(alias: &Reference) -> Option<Number> {
    match *alias.words() {
        [_, _, word] if word & MARK != 0 => Some(Number::from_bits(word)),
        _ => None,
    }
}
