//! Printing: what `io:put_chars/1` and `io:format/2` do, on the group leader of a process.

use crate::node::{Destination, Item, Message, Process, SendError};
use crate::term::{List, Term};

/// Why nothing was printed.
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
        self.ask_leader(Term::from(request)).await
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
        self.ask_leader(Term::from(request)).await
    }

    /// Sends the group leader a request, from a process of its own, and waits for `ok`.
    pub(super) async fn ask_leader(&self, request: Term) -> Result<(), IoError> {
        let leader = self.group_leader();
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
            _ => Ok(()),
        }
    }
}
