//! Functions by module and name: what other nodes can spawn on this one, and call.
//!
//! Erlang names code by module, function and arity. Here a node holds a table of Rust functions under such names; whatever
//! runs code on behalf of another node, spawn requests and everything built on them, looks there and nowhere else.

use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use super::{ExitReason, HashMap, Node, Process};
use crate::term::{Atom, Term};

/// How a function ends that does not return, as Erlang's classes of exceptions.
#[derive(Debug, Clone, PartialEq)]
pub enum Exception {
    /// `throw(Value)`.
    Throw(Term),
    /// `exit(Reason)`.
    Exit(Term),
    /// `error(Reason)`, with the stack trace `[{Module, Function, ArityOrArguments, Location}]`, innermost call first.
    Error {
        /// The reason: `badarg`, `{badmatch, Value}` and the like.
        reason: Term,
        /// The stack trace, a list.
        stack: Term,
    },
}

impl Exception {
    /// `error(Reason)` raised by `module:function`, called with `arguments`.
    #[must_use]
    pub fn error(reason: impl Into<Term>, module: &Atom, function: &Atom, arguments: &[Term]) -> Self {
        let arguments = Term::from(arguments.to_vec());
        let entry = Term::from((module.clone(), function.clone(), arguments, Term::NIL));
        Self::Error {
            reason: reason.into(),
            stack: Term::from(vec![entry]),
        }
    }

    /// What a call of a function that does not exist raises.
    #[must_use]
    pub fn undef(module: &Atom, function: &Atom, arguments: &[Term]) -> Self {
        Self::error(Atom::from_static("undef"), module, function, arguments)
    }

    /// The exit reason of a process in which nobody catches this.
    #[must_use]
    pub fn exit_reason(self) -> ExitReason {
        match self {
            Self::Throw(value) => {
                let reason = Term::from((Atom::from_static("nocatch"), value));
                ExitReason::crash(Term::from((reason, Term::NIL)))
            }
            Self::Exit(reason) => ExitReason::from(reason),
            Self::Error { reason, stack } => ExitReason::crash(Term::from((reason, stack))),
        }
    }
}

/// As Erlang's shell prints it: `throw: Value`, `exit: Reason`, `error: Reason`.
impl std::fmt::Display for Exception {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Throw(value) => write!(f, "throw: {value}"),
            Self::Exit(reason) => write!(f, "exit: {reason}"),
            Self::Error { reason, .. } => write!(f, "error: {reason}"),
        }
    }
}

/// What a function gives.
pub type Outcome = Result<Term, Exception>;

/// A function that other nodes can run: called with a process of its own and its arguments, in the task of whoever asks for it.
pub(crate) type Function = Arc<dyn Fn(Process, Vec<Term>) -> Call + Send + Sync>;

/// A function that was called.
pub(crate) enum Call {
    /// It was done at once.
    Done(Outcome),
    /// It is to be run.
    Running(Pin<Box<dyn Future<Output = Outcome> + Send>>),
}

impl Call {
    /// What comes of it.
    pub(crate) async fn outcome(self) -> Outcome {
        match self {
            Self::Done(outcome) => outcome,
            Self::Running(call) => call.await,
        }
    }

    /// The same call, of whose outcome that is made.
    pub(crate) fn map(self, make: impl FnOnce(Outcome) -> Outcome + Send + 'static) -> Self {
        match self {
            Self::Done(outcome) => Self::Done(make(outcome)),
            Self::Running(call) => Self::Running(Box::pin(async move { make(call.await) })),
        }
    }
}

/// The functions of one node.
#[derive(Default)]
pub(crate) struct Modules {
    /// By module and name.
    functions: RwLock<HashMap<Atom, HashMap<Atom, ByArity>>>,
}

type ByArity = Vec<(usize, Function)>;

impl Modules {
    pub(crate) fn get(&self, module: &Atom, function: &Atom, arity: usize) -> Option<Function> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        let arities = functions.get(module)?.get(function)?;
        arities
            .iter()
            .find(|(found, _)| *found == arity)
            .map(|(_, function)| Arc::clone(function))
    }

    /// Whether the node has any function of that module.
    pub(crate) fn has_module(&self, module: &Atom) -> bool {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        functions.contains_key(module)
    }

    /// The names of all modules.
    pub(crate) fn names(&self) -> Vec<Atom> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<Atom> = functions.keys().cloned().collect();
        names.sort();
        names
    }

    fn insert(&self, module: Atom, name: Atom, arity: usize, function: Function) {
        let mut functions = self.functions.write().unwrap_or_else(PoisonError::into_inner);
        let arities = functions.entry(module).or_default().entry(name).or_default();
        arities.retain(|(found, _)| *found != arity);
        arities.push((arity, function));
    }
}

impl std::fmt::Debug for Modules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        let names = functions.iter().flat_map(|(module, names)| {
            names.iter().flat_map(move |(name, arities)| {
                arities
                    .iter()
                    .map(move |(arity, _)| format!("{module}:{name}/{arity}"))
            })
        });
        f.debug_set().entries(names).finish()
    }
}

/// The name that a program gives to a module or a function.
pub(super) fn name(text: &str) -> Atom {
    Atom::new(text).expect("the name of a module or a function has at most 255 characters")
}

/// A module of a node, to add functions to; [`Node::module`] gives it.
#[derive(Debug)]
pub struct Module<'a> {
    node: &'a Node,
    name: Atom,
}

impl<'a> Module<'a> {
    pub(crate) fn new(node: &'a Node, name: Atom) -> Self {
        Self { node, name }
    }

    /// Adds a function of `arity` arguments, in place of one that has the same name and arity.
    ///
    /// It is run as a process, which it gets as its first argument, with exactly `arity` terms.
    ///
    /// ```no_run
    /// # fn example(node: &beamnode::node::Node) {
    /// use beamnode::term;
    /// use beamnode::term::Term;
    ///
    /// // spawn(rust@host, greeter, hello, [self()]) on any node of the cluster
    /// node.module("greeter").function("hello", 1, async |me, arguments| {
    ///     if let [Term::Pid(to)] = arguments.as_slice() {
    ///         me.send(to, term!({hello, (me.pid().clone())})).await.ok();
    ///     }
    ///     Ok(term!(ok))
    /// });
    /// # }
    /// ```
    ///
    /// # Panics
    /// If `name` has more than 255 characters.
    pub fn function<F>(
        &self,
        name: impl AsRef<str>,
        arity: usize,
        function: impl Fn(Process, Vec<Term>) -> F + Send + Sync + 'static,
    ) -> &Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let function = Arc::new(function);
        self.insert(name, arity, move |me, arguments| {
            let function = Arc::clone(&function);
            // Also what the function does before it gives a future is done by the process's own task.
            Call::Running(Box::pin(async move { function(me, arguments).await }))
        })
    }

    /// Adds a function that is done at once: it waits for nothing and takes some microseconds at the most. It has a process as any other, but
    /// no task: it runs in the one that reads from the connection, which does nothing else meanwhile. That spares
    /// most of what it costs to serve a call.
    ///
    /// ```no_run
    /// # fn example(node: &beamnode::node::Node) {
    /// use beamnode::term::Term;
    ///
    /// // erpc:call(rust@host, counter, next, [])
    /// let count = std::sync::atomic::AtomicI64::new(0);
    /// node.module("counter").at_once("next", 0, move |_, _| {
    ///     Ok(Term::from(count.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
    /// });
    /// # }
    /// ```
    ///
    /// # Panics
    /// If `name` has more than 255 characters.
    pub fn at_once(
        &self,
        name: impl AsRef<str>,
        arity: usize,
        function: impl Fn(&Process, &[Term]) -> Outcome + Send + Sync + 'static,
    ) -> &Self {
        self.insert(name, arity, move |me, arguments| {
            me.confirm();
            Call::Done(function(&me, &arguments))
        })
    }

    /// Adds a function that says itself whether it is done at once.
    pub(crate) fn insert(
        &self,
        name: impl AsRef<str>,
        arity: usize,
        function: impl Fn(Process, Vec<Term>) -> Call + Send + Sync + 'static,
    ) -> &Self {
        let (module, name) = (self.name.clone(), self::name(name.as_ref()));
        self.node
            .0
            .modules
            .insert(module, name, arity, Arc::new(function));
        self
    }
}
