//! The process `global_name_server`: what comes in goes to the [`Core`], and what that wants done is done.
//!
//! It waits for nothing but its next message. What goes to a node that is not connected waits for the connection in a queue of its
//! own, so that all that goes to one node keeps its order.

use std::collections::HashMap;
use std::time::Instant;

use tokio::sync::mpsc;
use tracing::debug;

use super::core::{CallId, Conflict, Core, MonitorId, Output, Settings, Timer};
use super::{NAME, functions};
use crate::node::{Destination, Item, Message, Node, NodeMonitor, Process};
use crate::otp::call::Request;
use crate::term::{Atom, Reference, Term};

pub(super) fn start(node: &Node, settings: Settings) {
    node.spawn_service(NAME, crate::otp::MAILBOX, move |me: Process| {
        // At once: before anybody can connect.
        me.monitor_nodes(NodeMonitor::default());
        async move {
            Server::new(me, settings).run().await;
            Ok(())
        }
    });
}

/// What came of something that took time.
enum Event {
    Connected {
        node: Atom,
        connected: bool,
    },
    Timer(Timer),
    Resolved {
        node: Atom,
        tag: i64,
        outcomes: Vec<(Conflict, Option<Term>)>,
    },
}

/// What waits for a connection.
enum Waiting {
    Send(Destination, Term),
    Monitor(Reference, Item),
    /// The core wants to know what came of it.
    Told,
}

struct Server {
    me: Process,
    core: Core,
    started: Instant,
    events: mpsc::UnboundedReceiver<Event>,
    tell: mpsc::UnboundedSender<Event>,
    monitors: HashMap<MonitorId, Reference>,
    monitored: HashMap<Reference, MonitorId>,
    calls: HashMap<Reference, (CallId, Atom)>,
    waiting: HashMap<Atom, Vec<Waiting>>,
}

impl Server {
    fn new(me: Process, settings: Settings) -> Self {
        let (tell, events) = mpsc::unbounded_channel();
        Self {
            core: Core::new(me.pid().clone(), settings, rand::random()),
            me,
            started: Instant::now(),
            events,
            tell,
            monitors: HashMap::new(),
            monitored: HashMap::new(),
            calls: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    async fn run(mut self) {
        loop {
            tokio::select! {
                message = self.me.recv() => match message {
                    Some(message) => self.received(&message),
                    None => return,
                },
                Some(event) = self.events.recv() => self.happened(event).await,
            }
            while let Some(output) = self.core.poll_output() {
                self.perform(output).await;
            }
        }
    }

    fn received(&mut self, message: &Message) {
        if let Message::Down(down) = message {
            return self.down(&down.reference);
        }
        match Request::read(message) {
            Ok(Request::Cast(request)) => self.core.handle_cast(&request),
            Ok(Request::Call(caller, request)) => {
                let from = caller.pid().clone();
                if !self.core.handle_call(caller, &request) {
                    debug!(%from, %request, "global: a request that is not served");
                }
            }
            Ok(Request::Info(message)) => self.info(&message),
            Err(error) => debug!(%error, "global: a message that is no term"),
        }
    }

    fn info(&mut self, message: &Term) {
        let pair = message.as_tuple().and_then(|tuple| tuple.array::<2>());
        match pair {
            Some([Term::Atom(tag), Term::Atom(node)]) if tag == *"nodeup" => self.core.handle_node_up(&node),
            Some([Term::Atom(tag), Term::Atom(node)]) if tag == *"nodedown" => {
                self.core.handle_node_down(&node)
            }
            Some([Term::Reference(reference), reply]) => {
                if let Some((id, node)) = self.calls.remove(&reference) {
                    self.me.demonitor_flush(&reference);
                    self.core.handle_answer(id, &node, Some(reply));
                }
            }
            _ => self.core.handle_info(message, self.started.elapsed()),
        }
    }

    /// A monitor has fired.
    fn down(&mut self, reference: &Reference) {
        if let Some((id, node)) = self.calls.remove(reference) {
            self.core.handle_answer(id, &node, None);
        } else if let Some(id) = self.monitored.remove(reference) {
            self.monitors.remove(&id);
            self.core.handle_down(id);
        }
    }

    async fn happened(&mut self, event: Event) {
        match event {
            Event::Timer(timer) => self.core.handle_timer(timer),
            Event::Resolved { node, tag, outcomes } => self.core.handle_resolved(&node, tag, outcomes),
            Event::Connected { node, connected } => {
                let mut told = false;
                for waiting in self.waiting.remove(&node).unwrap_or_default() {
                    match waiting {
                        Waiting::Told => told = true,
                        Waiting::Send(to, message) => self.me.post(to, message),
                        Waiting::Monitor(reference, item) => self.monitor(reference, item).await,
                    }
                }
                if told {
                    self.core.handle_connected(&node, connected);
                }
            }
        }
    }

    async fn perform(&mut self, output: Output) {
        match output {
            Output::Cast { node, request } => {
                let message = Term::from((Term::atom("$gen_cast"), request));
                self.send(node.clone(), server(node), message);
            }
            Output::Info { node, message } => {
                if self.is_connected(&node) {
                    self.send(node.clone(), server(node), message);
                }
            }
            Output::Send { to, message } => self.send(to.node().clone(), Destination::Pid(to), message),
            Output::Call { id, node, request } => self.call(id, node, request).await,
            Output::Reply { to, reply } => to.reply(&self.me, reply),
            Output::Monitor { id, pid } => {
                let reference = self.me.node().make_ref();
                self.monitors.insert(id, reference.clone());
                self.monitored.insert(reference.clone(), id);
                self.watch(reference, Item::Pid(pid)).await;
            }
            Output::Demonitor { id } => {
                if let Some(reference) = self.monitors.remove(&id) {
                    self.monitored.remove(&reference);
                    self.me.demonitor_flush(&reference);
                }
            }
            Output::Connect { node } => self.wait(node, Waiting::Told),
            Output::Disconnect { node } => {
                self.me.node().disconnect(&node);
            }
            Output::Timer { timer, after } => {
                let tell = self.tell.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    tell.send(Event::Timer(timer)).ok();
                });
            }
            Output::Resolve { node, tag, conflicts } => self.resolve(node, tag, conflicts),
            Output::Name { name, pid } => self.me.node().globals().set(name, pid),
        }
    }

    fn is_connected(&self, node: &Atom) -> bool {
        self.me.node().is_connected(node)
    }

    /// Whether something that goes to `node` need not wait.
    fn is_clear(&self, node: &Atom) -> bool {
        self.is_connected(node) && !self.waiting.contains_key(node)
    }

    fn send(&mut self, node: Atom, to: Destination, message: Term) {
        if self.is_clear(&node) {
            self.me.post(to, message);
        } else {
            self.wait(node, Waiting::Send(to, message));
        }
    }

    async fn watch(&mut self, reference: Reference, item: Item) {
        if self.is_clear(item.node()) {
            self.monitor(reference, item).await;
        } else {
            self.wait(item.node().clone(), Waiting::Monitor(reference, item));
        }
    }

    async fn call(&mut self, id: CallId, node: Atom, request: Term) {
        let reference = self.me.node().make_ref();
        self.calls.insert(reference.clone(), (id, node.clone()));
        let item = Item::Name {
            name: Atom::from_static(NAME),
            node: node.clone(),
        };
        self.watch(reference.clone(), item).await;
        let from = (self.me.pid().clone(), reference);
        let message = Term::from((Term::atom("$gen_call"), from, request));
        self.send(node.clone(), server(node), message);
    }

    /// Does that when the node is connected, which it is asked to be.
    fn wait(&mut self, node: Atom, what: Waiting) {
        if let Some(waiting) = self.waiting.get_mut(&node) {
            return waiting.push(what);
        }
        self.waiting.insert(node.clone(), vec![what]);
        let (us, tell) = (self.me.node().clone(), self.tell.clone());
        tokio::spawn(async move {
            let connected = us.connect(&node).await;
            if let Err(error) = &connected {
                tracing::warn!(%node, %error, "global: cannot connect");
            }
            let connected = connected.is_ok();
            tell.send(Event::Connected { node, connected }).ok();
        });
    }

    /// Monitors without waiting: a connection that has just gone is made again beside what else there is to do.
    async fn monitor(&self, reference: Reference, item: Item) {
        let me = self.me.handle();
        let mut monitored = Box::pin(async move { me.monitor_under(reference, item).await });
        let done =
            std::future::poll_fn(|cx| std::task::Poll::Ready(monitored.as_mut().poll(cx).is_ready())).await;
        if !done {
            tokio::spawn(monitored);
        }
    }

    /// Has conflicts resolved on the nodes of the processes that are ours.
    fn resolve(&self, node: Atom, tag: i64, conflicts: Vec<Conflict>) {
        let (us, tell) = (self.me.node().clone(), self.tell.clone());
        tokio::spawn(async move {
            let mut outcomes = Vec::with_capacity(conflicts.len());
            for conflict in conflicts {
                let outcome = functions::ask_resolver(&us, &conflict.mine, &conflict.his).await;
                outcomes.push((conflict, outcome));
            }
            tell.send(Event::Resolved { node, tag, outcomes }).ok();
        });
    }
}

fn server(node: Atom) -> Destination {
    Destination::Remote {
        name: Atom::from_static(NAME),
        node,
    }
}
