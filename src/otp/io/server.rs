//! The process `user`: the I/O server of a node, group leader of its processes. "The Erlang I/O Protocol" in stdlib's user guide.
//!
//! The process takes each request from its mailbox at once and hands it to a thread, which formats, writes and answers, one request after
//! the other. So a device that takes nothing holds up those who print, and nobody else. What waits for the thread is limited: who
//! comes when that is reached gets `{error, system_limit}`.
//!
//! Output is served; input is not, and answered with `{error, enotsup}`.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokio::runtime::Handle;

use super::format::chars;
use super::request::{self, Encoding, Request};
use super::{FormatError, Formatter};
use crate::node::{MailboxLimits, Message, Node, Process};
use crate::term::{Atom, Term};

/// The bytes of requests that may wait for a slow device.
const WAITING: usize = 64 << 20;

/// The device that a node's processes print on; [`Output::default`] is the standard output.
///
/// Clones are the same device, which the first node that starts with it takes.
#[derive(Clone)]
pub struct Output(Arc<Mutex<Option<Box<dyn Write + Send>>>>);

impl Output {
    /// A device of one's own. It may block: only those who print wait for it.
    pub fn new(device: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(device)))))
    }

    fn take(&self) -> Option<Box<dyn Write + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new(std::io::stdout())
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Output")
    }
}

/// Starts the process `user`, which writes to `output`.
pub(crate) fn start(node: &Node, output: &Output) {
    let mut device = output.take();
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
                reply(&me, &message, error("system_limit"));
                continue;
            }
            // The thread is made for the first who prints.
            let to = thread.get_or_insert_with(|| {
                let (to, work) = mpsc::channel();
                let writer = Writer {
                    me: me.handle(),
                    device: device.take(),
                    encoding: Encoding::Unicode,
                    is_binary: false,
                    runtime: runtime.clone(),
                };
                let waiting = Arc::clone(&waiting);
                std::thread::spawn(move || writer.run(&work, &waiting));
                to
            });
            waiting.fetch_add(size, Ordering::Relaxed);
            if let Err(unsent) = to.send(Work { message, size }) {
                reply(&me, &unsent.0.message, error("terminated"));
            }
        }
        Ok(())
    });
    if let Some(user) = node.whereis("user") {
        node.set_leader(user);
    }
}

/// A request for the thread, and the bytes that it counts for.
struct Work {
    message: request::Message,
    size: usize,
}

/// The thread's side.
struct Writer {
    me: Process,
    /// Nothing when another node has taken it.
    device: Option<Box<dyn Write + Send>>,
    /// That of the device.
    encoding: Encoding,
    is_binary: bool,
    runtime: Handle,
}

impl Writer {
    fn run(mut self, work: &mpsc::Receiver<Work>, waiting: &AtomicUsize) {
        while let Ok(Work { message, size }) = work.recv() {
            let answer = self.serve(&message.request);
            waiting.fetch_sub(size, Ordering::Relaxed);
            reply(&self.me, &message, answer);
        }
    }

    /// Serves a request, or a list of them up to the first error.
    fn serve(&mut self, request: &Term) -> Term {
        let mut open = vec![vec![request.clone()].into_iter()];
        let mut answer = Term::atom("ok");
        while let Some(requests) = open.last_mut() {
            match requests.next().map(|request| Request::read(&request)) {
                None => drop(open.pop()),
                Some(Request::Several(more)) => open.push(more.into_iter()),
                Some(request) => match self.one(request) {
                    Ok(reply) => answer = reply,
                    Err(reason) => return Term::from((Term::atom("error"), reason)),
                },
            }
        }
        answer
    }

    fn one(&mut self, request: Request) -> Result<Term, Term> {
        match request {
            Request::Put { encoding, characters } => {
                let text = text(&characters, encoding)
                    .map_err(|_| Term::from((Term::atom("put_chars"), encoding.atom(), characters)))?;
                self.write(&text)
            }
            Request::Call {
                encoding,
                module,
                function,
                arguments,
            } => match self.call(encoding, &module, &function, arguments) {
                Some(text) => self.write(&text),
                None => Err(Term::Atom(function)),
            },
            Request::SetOptions(options) => self.set_options(&options),
            Request::GetOptions => Ok(Term::from(vec![
                Term::from((Term::atom("binary"), self.is_binary)),
                Term::from((Term::atom("encoding"), self.encoding.atom())),
            ])),
            Request::Geometry | Request::Input => Err(Term::atom("enotsup")),
            Request::Several(_) | Request::Unknown => Err(Term::atom("request")),
        }
    }

    /// What a function gives: those of `io_lib` that print, or one of the node's.
    fn call(
        &self,
        encoding: Encoding,
        module: &Atom,
        function: &Atom,
        arguments: Vec<Term>,
    ) -> Option<String> {
        let node = self.me.node();
        let formatter = Formatter::new().node(node.name().clone(), node.creation());
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
        let found = node.function(module, function, arguments.len())?;
        let characters = self.runtime.block_on(found(node.process(), arguments)).ok()?;
        text(&characters, encoding).ok()
    }

    fn set_options(&mut self, options: &[Term]) -> Result<Term, Term> {
        let (mut encoding, mut is_binary) = (self.encoding, self.is_binary);
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
        (self.encoding, self.is_binary) = (encoding, is_binary);
        Ok(Term::atom("ok"))
    }

    fn write(&mut self, text: &str) -> Result<Term, Term> {
        let Some(device) = &mut self.device else {
            return Ok(Term::atom("ok"));
        };
        let written = match self.encoding {
            Encoding::Unicode => device.write_all(text.as_bytes()),
            Encoding::Latin1 => device.write_all(&latin1(text)),
        };
        match written.and_then(|()| device.flush()) {
            Ok(()) => Ok(Term::atom("ok")),
            Err(_) => Err(Term::atom("terminated")),
        }
    }
}

/// Text in latin1, where what is beyond is escaped.
fn latin1(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend_from_slice(format!("\\x{{{:X}}}", u32::from(character)).as_bytes()),
        }
    }
    bytes
}

fn text(characters: &Term, encoding: Encoding) -> Result<String, FormatError> {
    match encoding {
        Encoding::Latin1 => chars::latin1(characters, FormatError::NotText),
        Encoding::Unicode => chars::data(characters),
    }
}

fn error(reason: &'static str) -> Term {
    Term::from((Term::atom("error"), Term::atom(reason)))
}

fn reply(me: &Process, message: &request::Message, answer: Term) {
    let reply = (Term::atom("io_reply"), message.reply_as.clone(), answer);
    me.post(&message.from, Term::from(reply));
}
