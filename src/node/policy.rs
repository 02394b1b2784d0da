//! What peers may do here: call, spawn, end, send to. Everything, unless the node was started with a [`Policy`].
//!
//! Erlang has no such thing: there, whoever has the cookie may do everything. `docs/security.md` says what a policy is worth.

use super::Node;
use crate::dist::control::{Control, Target};
use crate::etf::RawTerm;
use crate::term::{Atom, Pid, Term};

/// What a peer is about to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Call a function, by `erpc`, `rpc` or `rex`, or from within one that it has called or spawned.
    Call {
        /// The module.
        module: Atom,
        /// The function's name.
        function: Atom,
        /// How many arguments it takes.
        arity: usize,
    },
    /// Spawn a process that runs a function.
    Spawn {
        /// The module.
        module: Atom,
        /// The function's name.
        function: Atom,
        /// How many arguments it takes.
        arity: usize,
    },
    /// Send an exit signal to a process, or link to it, which comes to the same.
    Exit {
        /// The process's registered name.
        name: Option<Atom>,
        /// The process.
        pid: Pid,
    },
    /// Send a message to a process, by name or pid. What comes through an alias was asked for, and always arrives.
    Send {
        /// The process's registered name.
        name: Option<Atom>,
        /// The process.
        pid: Pid,
    },
}

/// Decides what the nodes of the cluster may do here; [`Builder::policy`](super::Builder::policy) takes one. A function of a node's name and
/// an action is a policy, and so are [`Rules`].
///
/// It is asked for every signal that comes over a connection, in the task that owns that, and must not wait for anything.
///
/// What is not allowed fails so: a call with `error:{erpc,not_allowed}`, which `rpc` shows as `{badrpc,{'EXIT',not_allowed}}`; a spawn request with
/// `not_allowed`; a link as one to a process that does not exist. A message and an exit signal are dropped.
pub trait Policy: Send + Sync {
    /// Whether `peer` may do that.
    fn allows(&self, peer: &Atom, action: &Action) -> bool;
}

impl<F: Fn(&Atom, &Action) -> bool + Send + Sync> Policy for F {
    fn allows(&self, peer: &Atom, action: &Action) -> bool {
        self(peer, action)
    }
}

impl std::fmt::Debug for dyn Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Policy")
    }
}

/// A policy of rules, of which the first that fits decides.
///
/// ```
/// use beamnode::node::{Node, Rules, What};
///
/// // Web nodes may ask the store and be pinged, those of the operators everything, others nothing.
/// let rules = Rules::closed()
///     .allow("*@ops", What::Anything)
///     .allow("web*", What::Send("net_kernel"))
///     .allow("web*", What::Call("store", "get"));
/// let builder = Node::builder("rust@127.0.0.1").policy(rules);
/// # drop(builder);
/// ```
#[derive(Debug, Clone)]
pub struct Rules {
    rules: Vec<Rule>,
    otherwise: bool,
}

#[derive(Debug, Clone)]
struct Rule {
    nodes: String,
    what: Pattern,
    allowed: bool,
}

/// What a rule is about. In every name, `*` stands for any text, also none; a process without a name has the empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'a> {
    /// Every action.
    Anything,
    /// Calls of functions, by module and name.
    Call(&'a str, &'a str),
    /// Spawning of functions, by module and name.
    Spawn(&'a str, &'a str),
    /// Exit signals and links to processes, by registered name.
    Exit(&'a str),
    /// Messages to processes, by registered name.
    Send(&'a str),
}

#[derive(Debug, Clone)]
enum Pattern {
    Anything,
    Call(String, String),
    Spawn(String, String),
    Exit(String),
    Send(String),
}

impl Rules {
    /// Allows what no rule denies.
    #[must_use]
    pub fn open() -> Self {
        Self {
            rules: Vec::new(),
            otherwise: true,
        }
    }

    /// Denies what no rule allows. To be pinged, a node must let others send to `net_kernel`.
    #[must_use]
    pub fn closed() -> Self {
        Self {
            rules: Vec::new(),
            otherwise: false,
        }
    }

    /// Allows that to nodes whose names fit, where no earlier rule fits.
    #[must_use]
    pub fn allow(self, nodes: impl Into<String>, what: What<'_>) -> Self {
        self.rule(nodes.into(), what, true)
    }

    /// Denies that to nodes whose names fit, where no earlier rule fits.
    #[must_use]
    pub fn deny(self, nodes: impl Into<String>, what: What<'_>) -> Self {
        self.rule(nodes.into(), what, false)
    }

    fn rule(mut self, nodes: String, what: What<'_>, allowed: bool) -> Self {
        let what = match what {
            What::Anything => Pattern::Anything,
            What::Call(module, function) => Pattern::Call(module.to_owned(), function.to_owned()),
            What::Spawn(module, function) => Pattern::Spawn(module.to_owned(), function.to_owned()),
            What::Exit(name) => Pattern::Exit(name.to_owned()),
            What::Send(name) => Pattern::Send(name.to_owned()),
        };
        self.rules.push(Rule { nodes, what, allowed });
        self
    }
}

impl Policy for Rules {
    fn allows(&self, peer: &Atom, action: &Action) -> bool {
        let rule = self
            .rules
            .iter()
            .find(|rule| fits(&rule.nodes, peer) && rule.what.fits(action));
        rule.map_or(self.otherwise, |rule| rule.allowed)
    }
}

impl Pattern {
    fn fits(&self, action: &Action) -> bool {
        let named = |pattern: &str, name: &Option<Atom>| fits(pattern, name.as_deref().unwrap_or_default());
        match (self, action) {
            (Self::Anything, _) => true,
            (Self::Call(m, f), Action::Call { module, function, .. })
            | (Self::Spawn(m, f), Action::Spawn { module, function, .. }) => {
                fits(m, module) && fits(f, function)
            }
            (Self::Exit(pattern), Action::Exit { name, .. })
            | (Self::Send(pattern), Action::Send { name, .. }) => named(pattern, name),
            _ => false,
        }
    }
}

/// Whether `text` is `pattern`, in which `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl Node {
    /// Whether the policy lets this signal of `peer` in. Spawn requests are asked about where they are served.
    pub(super) fn admits(&self, peer: &Atom, signal: &Control) -> bool {
        let Some(policy) = &self.0.policy else { return true };
        let named = |name: &Atom| self.whereis(name).map(|pid| (Some(name.clone()), pid));
        let numbered = |pid: &Pid| (self.cell(pid).and_then(|cell| cell.name()), pid.clone());
        let target = |target: &Target| match target {
            Target::Name(name) => named(name),
            Target::Pid(pid) => Some(numbered(pid)),
            Target::Alias(_) => None,
        };
        let action = match signal {
            Control::Send(send) => target(&send.to).map(|(name, pid)| Action::Send { name, pid }),
            Control::Exit2(exit) => target(&exit.to).map(|(name, pid)| Action::Exit { name, pid }),
            Control::Link(link) => {
                let (name, pid) = numbered(&link.to);
                Some(Action::Exit { name, pid })
            }
            _ => None,
        };
        let Some(action) = action else { return true };
        let to_rex = matches!(&action, Action::Send { name: Some(name), .. } if *name == *"rex");
        let forged = to_rex && matches!(signal, Control::Send(send) if !is_of(peer, &send.message));
        let allowed = !forged && policy.allows(peer, &action);
        if !allowed {
            tracing::info!(%peer, ?action, "not allowed");
        }
        allowed
    }

    /// Whether a process may be spawned on behalf of `origin`; `None` is this node itself. The carriers of calls may be: what they are to
    /// call is asked about when they do.
    pub(super) fn may_spawn(
        &self,
        origin: Option<&Atom>,
        (module, function, arity): &(Atom, Atom, usize),
    ) -> bool {
        let carrier = *module == *"erpc" && matches!(function.as_str(), "execute_call" | "execute_cast");
        let (module, function, arity) = (module.clone(), function.clone(), *arity);
        carrier
            || self.may(
                origin,
                Action::Spawn {
                    module,
                    function,
                    arity,
                },
            )
    }

    /// Whether a function may be called on behalf of `origin`.
    pub(crate) fn may_call(
        &self,
        origin: Option<&Atom>,
        module: &Atom,
        function: &Atom,
        arity: usize,
    ) -> bool {
        if self.0.policy.is_none() {
            return true;
        }
        let (module, function) = (module.clone(), function.clone());
        self.may(
            origin,
            Action::Call {
                module,
                function,
                arity,
            },
        )
    }

    fn may(&self, origin: Option<&Atom>, action: Action) -> bool {
        let (Some(policy), Some(peer)) = (&self.0.policy, origin) else {
            return true;
        };
        let allowed = policy.allows(peer, &action);
        if !allowed {
            tracing::info!(%peer, ?action, "not allowed");
        }
        allowed
    }
}

/// Whether the request to `rex` is in the name of a process of `peer`: rex acts for that.
fn is_of(peer: &Atom, message: &RawTerm) -> bool {
    let Ok(message) = message.decode() else {
        return false;
    };
    let Some(tuple) = message.as_tuple() else {
        return true;
    };
    let from = match (tuple.get(0), tuple.get(1)) {
        (Some(Term::Atom(tag)), Some(Term::Tuple(from))) if tag == *"$gen_call" => from.get(0),
        // A cast names nobody but the group leader.
        (Some(Term::Atom(tag)), Some(Term::Tuple(cast))) if tag == *"$gen_cast" => cast.get(4),
        (Some(first), _) => Some(first),
        _ => None,
    };
    !matches!(from, Some(Term::Pid(pid)) if pid.node() != peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "a@b", true),
            ("a@b", "a@b", true),
            ("a@b", "a@bc", false),
            ("web*", "web1@host", true),
            ("*@ops", "x@ops", true),
            ("*@ops", "x@ops2", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = Rules::closed()
            .deny("web*", What::Call("erlang", "halt"))
            .allow("web*", What::Call("*", "*"))
            .allow("*", What::Send("net_kernel"));
        let call = |module: &str, function: &str| Action::Call {
            module: Atom::new(module).unwrap(),
            function: Atom::new(function).unwrap(),
            arity: 0,
        };
        let web = Atom::from_static("web@a");
        assert!(!rules.allows(&web, &call("erlang", "halt")));
        assert!(rules.allows(&web, &call("erlang", "node")));
        assert!(!rules.allows(&Atom::from_static("x@a"), &call("erlang", "node")));
    }
}
