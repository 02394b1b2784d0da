//! Printing and reading: what `io:put_chars/1`, `io:format/2` and `io:get_line/1` do, on the group leader of a process.

use super::format::chars;
use crate::node::{Destination, Item, Message, Process, SendError};
use crate::term::{List, Pid, Term};

/// Why nothing was printed or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IoError {
    /// The request could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The group leader ended, does not exist (`noproc`), or its node is gone (`noconnection`).
    #[error("the group leader is down: {0}")]
    Down(Term),
    /// The group leader answered with an error; this is the reason.
    #[error("the group leader refuses: {0}")]
    Refused(Term),
    /// The group leader's answer is none to what it was asked.
    #[error("the group leader answers {0}")]
    Answer(Term),
    /// This node has stopped.
    #[error("this node has stopped")]
    Stopped,
}

impl Process {
    /// Prints text on the group leader, as `io:put_chars/1`. Ready when the leader has taken it.
    ///
    /// # Errors
    /// When the leader is gone or refuses.
    pub async fn print(&self, text: &str) -> Result<(), IoError> {
        let request = (Term::atom("put_chars"), Term::atom("unicode"), text);
        self.ask_leader(Term::from(request)).await.map(drop)
    }

    /// Prints what a format makes of arguments on the group leader, as `io:format/2`; the leader's node formats.
    ///
    /// # Errors
    /// As for [`print`](Self::print); a format that does not suit its arguments is refused.
    ///
    /// ```no_run
    /// # async fn example(me: &beamnode::node::Process) -> Result<(), beamnode::otp::io::IoError> {
    /// me.format("~p has ~b messages~n", &[me.pid().into(), 3.into()]).await
    /// # }
    /// ```
    pub async fn format(&self, format: &str, arguments: &[Term]) -> Result<(), IoError> {
        let arguments = Term::from(vec![
            Term::List(List::from_chars(format)),
            Term::from(arguments.to_vec()),
        ]);
        let (unicode, library) = (Term::atom("unicode"), Term::atom("io_lib"));
        let request = (
            Term::atom("put_chars"),
            unicode,
            library,
            Term::atom("format"),
            arguments,
        );
        self.ask_leader(Term::from(request)).await.map(drop)
    }

    /// Prints a prompt on the group leader and reads a line from it, with its end, as `io:get_line/1`. `None` at the end of the
    /// input. A shell gives the line that its user types next.
    ///
    /// ```no_run
    /// # async fn example(me: &beamnode::node::Process) -> Result<(), beamnode::otp::io::IoError> {
    /// if let Some(name) = me.get_line("your name? ").await? {
    ///     me.print(&format!("hello {}\n", name.trim_end())).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`print`](Self::print); and when the line cannot be read.
    pub async fn get_line(&self, prompt: &str) -> Result<Option<String>, IoError> {
        let request = (Term::atom("get_line"), Term::atom("unicode"), prompt);
        let answer = self.ask_leader(Term::from(request)).await?;
        read(answer)
    }

    /// Prints a prompt on the group leader and reads so many characters from it, or those that are left, as `io:get_chars/2`. `None`
    /// at the end of the input.
    ///
    /// # Errors
    /// As for [`get_line`](Self::get_line).
    pub async fn get_chars(&self, prompt: &str, count: usize) -> Result<Option<String>, IoError> {
        let request = (Term::atom("get_chars"), Term::atom("unicode"), prompt, count);
        let answer = self.ask_leader(Term::from(request)).await?;
        read(answer)
    }

    /// Sends the group leader a request of the I/O protocol, from a process of its own, and gives what it answers: for `getopts`,
    /// `{get_geometry, columns}`, and what else there is.
    ///
    /// # Errors
    /// When the leader is gone, or answers `{error, Reason}`.
    pub async fn io_request(&self, request: Term) -> Result<Term, IoError> {
        self.ask_leader(request).await
    }

    async fn ask_leader(&self, request: Term) -> Result<Term, IoError> {
        self.ask_device(self.group_leader(), request).await
    }

    /// Sends a device a request, from a process of its own, and gives what it answers.
    pub(crate) async fn ask_device(&self, leader: Pid, request: Term) -> Result<Term, IoError> {
        let mut me = self.node().process();
        let monitor = me.monitor(Item::Pid(leader.clone())).await;
        let message = (
            Term::atom("io_request"),
            me.pid().clone(),
            monitor.clone(),
            request,
        );
        match me.send(Destination::Pid(leader), Term::from(message)).await {
            // The monitor says why.
            Ok(()) | Err(SendError::Connect(_) | SendError::ConnectionLost { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let answer = me.recv_select(|message| match message {
            Message::Down(down) if down.reference == monitor => {
                Some(Err(IoError::Down(down.reason.decode().unwrap_or(Term::NIL))))
            }
            Message::Term(raw) => match raw.decode().ok()?.as_tuple()?.array::<3>()? {
                [tag, Term::Reference(reply_as), answer]
                    if tag.is_atom("io_reply") && reply_as == monitor =>
                {
                    Some(Ok(answer))
                }
                _ => None,
            },
            _ => None,
        });
        let answer = answer.await.unwrap_or(Err(IoError::Stopped))?;
        match answer.as_tuple().and_then(|tuple| tuple.array::<2>()) {
            Some([tag, reason]) if tag.is_atom("error") => Err(IoError::Refused(reason)),
            _ => Ok(answer),
        }
    }
}

/// The text that a leader has read.
fn read(answer: Term) -> Result<Option<String>, IoError> {
    if answer.is_atom("eof") {
        return Ok(None);
    }
    chars::data(&answer)
        .map(Some)
        .map_err(|_| IoError::Answer(answer))
}
