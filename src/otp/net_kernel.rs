//! `net_kernel`: the process that answers pings.
//!
//! `net_adm:ping/1` is a call of `{is_auth, Node}` to it, which must be answered `yes`: at any other answer, and at `noproc`,
//! the caller disconnects.

use std::time::Duration;

use tracing::debug;

use super::call::{CallError, Request};
use crate::node::{Item, Node};
use crate::term::{Atom, Term};

const NAME: &str = "net_kernel";

/// How long a ping waits for its answer once the connection is up: what `gen_server:call/2` grants.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn start(node: &Node) {
    node.spawn_service(NAME, super::MAILBOX, async |mut me| {
        while let Some(message) = me.recv().await {
            match Request::read(&message) {
                Ok(Request::Call(caller, request)) => {
                    if is_ping(&request) {
                        caller.reply(&me, Term::Atom(Atom::from_static("yes")));
                    } else {
                        debug!(from = %caller.pid(), %request, "net_kernel: a request that is not served");
                    }
                }
                Ok(Request::Cast(other) | Request::Info(other)) => debug!(%other, "net_kernel: ignored"),
                Err(error) => debug!(%error, "net_kernel: a message that is no term"),
            }
        }
        Ok(())
    });
}

fn is_ping(request: &Term) -> bool {
    let tag = request.as_tuple().and_then(|tuple| tuple.array::<2>());
    matches!(tag, Some([Term::Atom(tag), Term::Atom(_)]) if tag == *"is_auth")
}

/// Asks the `net_kernel` of `peer` whether we may talk, connecting first if need be.
pub(crate) async fn ping(node: &Node, peer: &Atom) -> Result<(), CallError> {
    let request = (Atom::from_static("is_auth"), node.name().clone());
    let kernel = Item::Name {
        name: Atom::from_static(NAME),
        node: peer.clone(),
    };
    match node.call(kernel, Term::from(request), PATIENCE).await? {
        Term::Atom(answer) if answer == *"yes" => Ok(()),
        other => Err(CallError::Down(other)),
    }
}
