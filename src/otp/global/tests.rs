//! A name server between BEAM nodes, message by message.

use std::time::Duration;

use super::core::{CallId, Core, Output, Settings, Timer};
use crate::term;
use crate::term::{Atom, Pid, Term};

const PEERS: [&str; 3] = ["a@h", "c@h", "d@h"];

/// `b@h`, which is told what its peers tell it.
struct Here {
    core: Core,
}

fn atom(name: &str) -> Atom {
    Atom::new(name).expect("a name")
}

fn pid(node: &str) -> Pid {
    Pid::new(atom(node), 61, 0, 9)
}

impl Here {
    fn new() -> Self {
        Self {
            core: Core::new(pid("b@h"), Settings::default(), 1),
        }
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.core.poll_output()).collect()
    }

    /// The peer comes up; the session that begins with it.
    fn up(&mut self, peer: &str) -> i64 {
        self.core.handle_node_up(&atom(peer));
        self.core.session_tag(&atom(peer)).expect("a session")
    }

    fn cast(&mut self, request: &Term) -> Vec<Output> {
        self.core.handle_cast(request);
        self.outputs()
    }

    fn info(&mut self, message: &Term) -> Vec<Output> {
        self.core.handle_info(message, Duration::ZERO);
        self.outputs()
    }

    /// The peer calls its session 7, as all do.
    fn init_connect(&mut self, peer: &str) -> Vec<Output> {
        let (locker, peer) = (pid(peer), atom(peer));
        self.cast(&term!({init_connect, {8, 7}, (peer), {locker, no_longer_a_pid, [], (locker)}}))
    }

    /// Locks with a peer, which is up and has begun its session: with which?
    fn lock(&mut self, timer: Timer) -> &'static str {
        self.core.handle_timer(timer);
        let told = self.answer_calls().into_iter().find_map(|output| match output {
            Output::Cast { node, .. } => PEERS.into_iter().find(|peer| node == **peer),
            _ => None,
        });
        told.expect("a peer whose locker is told")
    }

    /// That peer knows nobody else and has no names.
    fn join(&mut self, peer: &str) -> Vec<Output> {
        let tag = self.core.session_tag(&atom(peer)).expect("a session");
        let (locker, peer) = (pid(peer), atom(peer));
        self.cast(&term!({lock_set, (locker), true, [], (tag)}));
        self.cast(&term!({exchange, (peer.clone()), [], [], (tag)}));
        self.core
            .handle_cast(&term!({resolved, (peer), [], [], unused, [], (tag)}));
        self.answer_calls()
    }

    /// Every name server that is called says yes, until nobody is; what else there was to do.
    fn answer_calls(&mut self) -> Vec<Output> {
        let mut others = Vec::new();
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Call { id, node, .. } => self.yes(id, &node),
                other => others.push(other),
            }
        }
        others
    }

    fn yes(&mut self, id: CallId, node: &Atom) {
        self.core.handle_answer(id, node, Some(Term::from(true)));
    }
}

/// The timer that was set last, and how long it runs.
fn timer(outputs: &[Output]) -> Option<(Timer, Duration)> {
    let timers = outputs.iter().filter_map(|output| match output {
        Output::Timer { timer, after } => Some((*timer, *after)),
        _ => None,
    });
    timers.last()
}

/// What goes to name servers, by its tag.
fn tags(outputs: &[Output]) -> Vec<String> {
    let tag = |term: &Term| Some(term.as_tuple()?.get(0)?.to_string());
    let tags = outputs.iter().filter_map(|output| match output {
        Output::Cast { request, .. } => tag(request),
        Output::Info { message, .. } => tag(message),
        _ => None,
    });
    tags.collect()
}

/// Who waits when a session ends comes next at once; who comes later is given time to meet all the others. A node of OTP 27 or later
/// whose session with a peer ends through ours while that peer still answers it is left without the names of the peer's processes.
#[test]
fn who_comes_long_after_a_session_is_given_time() {
    let mut here = Here::new();
    here.up("a@h");
    here.init_connect("a@h");
    here.up("c@h");
    let (alone, after) = timer(&here.init_connect("c@h")).expect("a timer");
    assert_eq!(after, Duration::from_millis(200));
    let first = here.lock(alone);
    let (next, after) = timer(&here.join(first)).expect("a timer for who waits");
    assert_eq!(after, Duration::ZERO);
    let second = here.lock(next);
    assert_ne!(first, second);
    assert_eq!(timer(&here.join(second)), None);

    here.up("d@h");
    let (_, after) = timer(&here.init_connect("d@h")).expect("a timer");
    assert_eq!(after, Duration::from_millis(1200));
}

/// A node that is known, through others, by the time that its session begins has that ended, and no more of it.
#[test]
fn one_that_is_known_is_in_sync() {
    let mut here = Here::new();
    here.up("a@h");
    let (first, _) = timer(&here.init_connect("a@h")).expect("a timer");
    here.lock(first);
    here.join("a@h");
    let tag = here.up("c@h");
    here.outputs();
    let lock = term!({global, [(pid("a@h")), (pid("c@h"))]});
    here.cast(&term!({new_nodes, (atom("a@h")), [], [], [{(atom("c@h")), 8}], [{vsn, 8}, {lock, (lock)}]}));
    assert_eq!(tags(&here.init_connect("c@h")), ["in_sync"]);
    // It has answered before it heard that.
    let late = here.info(&term!({init_connect_ack, (atom("c@h")), (tag), 7}));
    assert_eq!(tags(&late), [""; 0]);
}
