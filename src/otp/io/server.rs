//! The process `user`: the I/O server of a node, group leader of its processes. "The Erlang I/O Protocol" in stdlib's user guide.
//!
//! The process takes each request from its mailbox at once and hands it to a thread, which formats, writes and answers, one request after
//! the other. A second thread serves the requests for input, which come to it through the first, so that output goes on while
//! somebody waits for a line, and a prompt stands after what was printed before. So a device that takes or gives nothing holds up those
//! who use it, and nobody else. What waits for the threads is limited: who comes when that is reached gets `{error, system_limit}`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use tokio::runtime::Handle;

use super::device::{Device, Input, Keyboard, Output, ReadError};
use super::format::chars;
use super::fread::{Fread, Step};
use super::request::{self, Encoding, Request, Wanted};
use super::tokens::Tokens;
use super::{FormatError, Formatter};
use crate::node::{MailboxLimits, Message, Node, Outcome, Process};
use crate::term::{Atom, List, Term};

/// The bytes of requests that may wait for a slow device.
const WAITING: usize = 64 << 20;

/// Starts the process `user`, which writes to `output` and reads from `input`.
pub(crate) fn start(node: &Node, output: &Output, input: &Input) {
    let device = Arc::new(Mutex::new(output.open()));
    let mut keyboard = Some(input.open());
    let runtime = Handle::current();
    node.spawn_service("user", MailboxLimits::default(), |mut me| async move {
        me.set_group_leader(me.pid().clone());
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut thread: Option<mpsc::Sender<Work>> = None;

        while let Some(message) = me.recv().await {
            let Message::Term(raw) = &message else { continue };
            let size = raw.bytes().len();
            let Some(message) = raw.decode().ok().as_ref().and_then(request::Message::read) else {
                continue;
            };
            if waiting.load(Ordering::Relaxed) > WAITING {
                reply(&me, &message, error(Term::atom("system_limit")));
                continue;
            }
            // The threads are made for the first who prints or reads.
            let to = thread.get_or_insert_with(|| {
                let server = |me: &Process| Server {
                    me: me.handle(),
                    device: Arc::clone(&device),
                    keyboard: None,
                    runtime: runtime.clone(),
                    waiting: Arc::clone(&waiting),
                };
                let (to_reader, questions) = mpsc::channel();
                let mut reader = server(&me);
                reader.keyboard = keyboard.take();
                std::thread::spawn(move || reader.run(&questions, None));
                let (to, work) = mpsc::channel();
                let writer = server(&me);
                std::thread::spawn(move || writer.run(&work, Some(&to_reader)));
                to
            });
            waiting.fetch_add(size, Ordering::Relaxed);
            let requests = Request::flatten(&message.request);
            let work = Work {
                message,
                requests,
                size,
            };
            if let Err(unsent) = to.send(work) {
                reply(&me, &unsent.0.message, error(Term::atom("terminated")));
            }
        }
        Ok(())
    });
    if let Some(user) = node.whereis("user") {
        node.set_leader(user);
    }
}

/// A request for the threads, and the bytes that it counts for.
struct Work {
    message: request::Message,
    requests: Vec<Request>,
    size: usize,
}

/// A thread's side.
struct Server {
    me: Process,
    device: Arc<Mutex<Device>>,
    /// Of the thread that serves input.
    keyboard: Option<Keyboard>,
    runtime: Handle,
    waiting: Arc<AtomicUsize>,
}

impl Server {
    /// Serves until the process is gone. What wants input goes to the `reader`, if that is another.
    fn run(mut self, work: &mpsc::Receiver<Work>, reader: Option<&mpsc::Sender<Work>>) {
        while let Ok(work) = work.recv() {
            if let Some(reader) = reader
                && work.requests.iter().any(Request::is_input)
            {
                if let Err(unsent) = reader.send(work) {
                    reply(&self.me, &unsent.0.message, error(Term::atom("terminated")));
                }
                continue;
            }
            let answer = self.serve(work.requests);
            self.waiting.fetch_sub(work.size, Ordering::Relaxed);
            reply(&self.me, &work.message, answer);
        }
    }

    /// Serves requests up to the first error.
    fn serve(&mut self, requests: Vec<Request>) -> Term {
        let mut answer = Term::atom("ok");
        for request in requests {
            match self.one(request) {
                Ok(reply) => answer = reply,
                Err(reason) => return error(reason),
            }
        }
        answer
    }

    fn device(&self) -> MutexGuard<'_, Device> {
        // Nothing foreign runs under the lock but the device itself; one that panicked is tried again.
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn one(&mut self, request: Request) -> Result<Term, Term> {
        match request {
            Request::Put { encoding, characters } => {
                let text = text(&characters, encoding)
                    .map_err(|_| Term::from((Term::atom("put_chars"), encoding.atom(), characters)))?;
                self.device().write(&text)
            }
            Request::Call {
                encoding,
                module,
                function,
                arguments,
            } => match self.call(encoding, &module, &function, arguments) {
                Some(text) => self.device().write(&text),
                None => Err(Term::Atom(function)),
            },
            Request::SetOptions(options) => set_options(&mut self.device(), &options),
            Request::GetOptions => {
                let device = self.device();
                Ok(Term::from(vec![
                    Term::from((Term::atom("binary"), device.is_binary)),
                    Term::from((Term::atom("encoding"), device.encoding.atom())),
                ]))
            }
            Request::Geometry(which) => {
                let geometry = self.device().geometry();
                match (geometry, which.as_str()) {
                    (Some((columns, _)), "columns") => Ok(Term::from(columns)),
                    (Some((_, rows)), "rows") => Ok(Term::from(rows)),
                    _ => Err(Term::atom("enotsup")),
                }
            }
            Request::Input {
                encoding,
                prompt,
                wanted,
            } => self.input(encoding, &prompt, wanted),
            // Nobody can keep a terminal from showing what is typed that may not be one.
            Request::Password => Err(Term::atom("enotsup")),
            Request::Several(_) | Request::Unknown => Err(Term::atom("request")),
        }
    }

    fn formatter(&self) -> Formatter {
        let node = self.me.node();
        Formatter::new().node(node.name().clone(), node.creation())
    }

    /// What a function gives: those of `io_lib` that print, or one of the node's.
    fn call(
        &self,
        encoding: Encoding,
        module: &Atom,
        function: &Atom,
        arguments: Vec<Term>,
    ) -> Option<String> {
        let formatter = self.formatter();
        if module == "io_lib" {
            match (function.as_str(), arguments.as_slice()) {
                ("format" | "fwrite", [format, arguments]) => {
                    return formatter.format_terms(format, arguments).ok();
                }
                ("write", [term]) => return formatter.write(term).ok(),
                ("print", [term]) => return formatter.print(term, 1, 80, -1).ok(),
                ("nl", []) => return Some("\n".to_owned()),
                _ => {}
            }
        }
        let characters = self.apply(module, function, arguments)?.ok()?;
        text(&characters, encoding).ok()
    }

    /// Runs a function of the node's, in a process of its own.
    fn apply(&self, module: &Atom, function: &Atom, arguments: Vec<Term>) -> Option<Outcome> {
        let node = self.me.node();
        let found = node.function(module, function, arguments.len())?;
        Some(self.runtime.block_on(found(node.process(), arguments).outcome()))
    }

    /// Prints the prompt, and reads.
    fn input(&mut self, encoding: Encoding, prompt: &Term, wanted: Wanted) -> Result<Term, Term> {
        let prompt = self.prompt(prompt, encoding);
        let (of_device, is_binary) = {
            let mut device = self.device();
            if !prompt.is_empty() {
                device.write(&prompt)?;
            }
            (device.encoding, device.is_binary)
        };
        let Some(mut keyboard) = self.keyboard.take() else {
            return Err(Term::atom("enotsup"));
        };
        let answer = match wanted {
            Wanted::Line => keyboard
                .line(of_device)
                .map_err(unread)
                .and_then(|text| given(text, encoding, is_binary)),
            Wanted::Characters(count) => keyboard
                .characters(count, of_device)
                .map_err(unread)
                .and_then(|text| given(text, encoding, is_binary)),
            Wanted::Until {
                module,
                function,
                arguments,
            } => self
                .until(module, function, arguments)
                .and_then(|until| self.feed(until, &mut keyboard, of_device)),
        };
        self.keyboard = Some(keyboard);
        answer
    }

    /// The text of a prompt: `{format, Format, Arguments}`, characters, or any term.
    fn prompt(&self, prompt: &Term, encoding: Encoding) -> String {
        let formatter = self.formatter();
        if let Some([Term::Atom(tag), format, arguments]) = prompt.as_tuple().and_then(|tuple| tuple.array())
            && tag == *"format"
        {
            return formatter.format_terms(&format, &arguments).unwrap_or_default();
        }
        if let Term::Atom(atom) = prompt {
            return atom.as_str().to_owned();
        }
        text(prompt, encoding)
            .or_else(|_| formatter.format("~tp", std::slice::from_ref(prompt)))
            .unwrap_or_default()
    }

    /// The function of a `get_until`; `{error, Function}` where there is none of that name.
    fn until(&self, module: Atom, function: Atom, arguments: Vec<Term>) -> Result<Until, Term> {
        match (module.as_str(), function.as_str(), arguments.as_slice()) {
            ("io_lib", "fread", [format]) => {
                let format = text(format, Encoding::Unicode).map_err(|_| Term::Atom(function))?;
                Ok(Until::Fread(Fread::new(&format)))
            }
            ("erl_scan", "tokens", arguments) if arguments.len() <= 2 => match Tokens::new(arguments) {
                Some(tokens) => Ok(Until::Tokens(tokens)),
                None => Err(Term::Atom(function)),
            },
            _ if self
                .me
                .node()
                .function(&module, &function, arguments.len() + 2)
                .is_none() =>
            {
                Err(Term::Atom(function))
            }
            _ => Ok(Until::Function {
                module,
                function,
                arguments,
                continuation: Term::NIL,
            }),
        }
    }

    /// Gives a function line by line until it is done.
    fn feed(&self, mut until: Until, keyboard: &mut Keyboard, encoding: Encoding) -> Result<Term, Term> {
        loop {
            let line = keyboard.line(encoding).map_err(unread)?;
            let step = match &mut until {
                Until::Fread(fread) => fread.step(line.as_deref()),
                Until::Tokens(tokens) => tokens.step(line.as_deref()),
                Until::Function {
                    module,
                    function,
                    arguments,
                    continuation,
                } => {
                    let data = line
                        .as_deref()
                        .map_or_else(|| Term::atom("eof"), |line| Term::List(List::from_chars(line)));
                    let mut all = vec![continuation.clone(), data];
                    all.extend_from_slice(arguments);
                    let outcome = self.apply(module, function, all);
                    stepped(outcome, continuation).ok_or_else(|| Term::Atom(function.clone()))?
                }
            };
            match step {
                Step::More if line.is_none() => return Ok(Term::atom("eof")),
                Step::More => {}
                Step::Done(result, rest) => {
                    keyboard.put_back(&rest, encoding);
                    return Ok(result);
                }
            }
        }
    }
}

/// The functions that take input until they have enough.
enum Until {
    Fread(Fread),
    Tokens(Tokens),
    /// One of the node's, called as `Function(Continuation, Data, Arguments…)`.
    Function {
        module: Atom,
        function: Atom,
        arguments: Vec<Term>,
        continuation: Term,
    },
}

/// What such a function of the node's gave: `{more, Continuation}` or `{done, Result, Rest}`.
fn stepped(outcome: Option<Outcome>, continuation: &mut Term) -> Option<Step> {
    let outcome = outcome?.ok()?;
    let tuple = outcome.as_tuple()?;
    if let Some([tag, next]) = tuple.array::<2>()
        && tag.is_atom("more")
    {
        *continuation = next;
        return Some(Step::More);
    }
    let [tag, result, rest] = tuple.array::<3>()?;
    let rest = if rest.is_atom("eof") {
        String::new()
    } else {
        text(&rest, Encoding::Unicode).ok()?
    };
    tag.is_atom("done").then_some(Step::Done(result, rest))
}

/// Text that was read, as the asker wants it.
fn given(text: Option<String>, encoding: Encoding, is_binary: bool) -> Result<Term, Term> {
    let Some(text) = text else {
        return Ok(Term::atom("eof"));
    };
    let untranslatable = || {
        let unicode = Encoding::Unicode.atom();
        Term::from((Term::atom("no_translation"), unicode, Encoding::Latin1.atom()))
    };
    let bytes: Option<Vec<u8>> = match encoding {
        Encoding::Unicode => Some(text.as_bytes().to_vec()),
        Encoding::Latin1 => text.chars().map(|c| u8::try_from(c).ok()).collect(),
    };
    let bytes = bytes.ok_or_else(untranslatable)?;
    Ok(if is_binary {
        Term::Binary(bytes.into())
    } else {
        Term::List(List::from_chars(&text))
    })
}

fn unread(error: ReadError) -> Term {
    match error {
        ReadError::NotText => Term::from((
            Term::atom("no_translation"),
            Encoding::Latin1.atom(),
            Encoding::Unicode.atom(),
        )),
        ReadError::Failed => Term::atom("terminated"),
    }
}

fn set_options(device: &mut Device, options: &[Term]) -> Result<Term, Term> {
    let (mut encoding, mut is_binary) = (device.encoding, device.is_binary);
    for option in options {
        let (name, value) = match option {
            Term::Tuple(pair) => match pair.array::<2>() {
                Some([Term::Atom(name), value]) => (name, value),
                _ => return Err(Term::atom("enotsup")),
            },
            Term::Atom(name) if Encoding::read(option).is_some() => {
                (Atom::from_static("encoding"), Term::Atom(name.clone()))
            }
            Term::Atom(name) => (name.clone(), Term::from(true)),
            _ => return Err(Term::atom("enotsup")),
        };
        let known = match name.as_str() {
            "binary" => value.as_bool().map(|on| is_binary = on),
            "list" => value.as_bool().map(|on| is_binary = !on),
            "encoding" => Encoding::read(&value).map(|named| encoding = named),
            _ => None,
        };
        known.ok_or(Term::atom("enotsup"))?;
    }
    (device.encoding, device.is_binary) = (encoding, is_binary);
    Ok(Term::atom("ok"))
}

fn text(characters: &Term, encoding: Encoding) -> Result<String, FormatError> {
    match encoding {
        Encoding::Latin1 => chars::latin1(characters, FormatError::NotText),
        Encoding::Unicode => chars::data(characters),
    }
}

fn error(reason: Term) -> Term {
    Term::from((Term::atom("error"), reason))
}

fn reply(me: &Process, message: &request::Message, answer: Term) {
    let reply = (Term::atom("io_reply"), message.reply_as.clone(), answer);
    me.post(&message.from, Term::from(reply));
}
