//! A worker in an Elixir cluster (`cluster_worker.ex` is the other half).
//!
//! It joins the cluster through one node that it is told of, and the `pg` group `workers` of the scope `cluster`, whose members
//! square numbers for anybody. One worker of the cluster is the `foreman`, a global name: whoever asks first has it. When the
//! network splits, either part has a foreman; when the parts join, one of the two is told that it no longer is. A worker that has lost
//! the cluster looks for it again.
//!
//! How soon a split is noticed is a matter of `net_ticktime`, which all nodes of a cluster have the same of: seconds, the fourth
//! argument, 60 as it comes.
//!
//! ```text
//! $ iex --sname alice --cookie secret cluster_worker.ex
//! iex> ClusterWorker.start()
//! $ cargo run --example cluster_worker -- rust secret alice@build
//! iex> ClusterWorker.square(12)
//! {144, :rust@build}
//! iex> ClusterWorker.foreman()
//! :rust@build
//! ```

use std::error::Error;
use std::time::Duration;

use beamnode::dist::Cookie;
use beamnode::node::{ExitReason, Message, Node, NodeEvent, NodeType, Process};
use beamnode::otp::Resolve;
use beamnode::term;
use beamnode::term::{Pid, Term};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, cookie, peer, ticktime) = match arguments.as_slice() {
        [name, cookie, peer] => (name, cookie, peer, 60),
        [name, cookie, peer, ticktime] => (name, cookie, peer, ticktime.parse()?),
        _ => return Err("usage: cluster_worker NAME COOKIE PEER [TICKTIME]".into()),
    };
    let node = Node::short(name)
        .cookie(Cookie::new(cookie)?)
        .net_ticktime(Duration::from_secs(ticktime))
        .start()
        .await?;
    let worker = node.spawn(work);
    node.pg("cluster")?.join(Term::atom("workers"), &worker)?;
    loop {
        let mut events = node.monitor_nodes(NodeType::Visible);
        join(&node, peer, &worker).await?;
        // Until the node that we know is gone; what else goes, the cluster sees to.
        while let Some(event) = events.next().await {
            if matches!(&event, NodeEvent::NodeDown { node, .. } if node.as_str() == peer) {
                println!("lost {peer}");
                break;
            }
        }
    }
}

/// Connects, as soon as that is possible, and sees to it that there is a foreman.
async fn join(node: &Node, peer: &str, worker: &Pid) -> Result<(), Box<dyn Error>> {
    while let Err(error) = node.connect(peer).await {
        println!("not connected: {error}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // From here on the names of the cluster are ours.
    node.global().sync().await?;
    node.global()
        .register_name_with(term!(foreman), worker, Resolve::RandomNotify)
        .await?;
    let foreman = node.global().whereis_name(term!(foreman));
    let foreman = foreman.map_or_else(|| "nobody".to_owned(), |pid| pid.node().to_string());
    println!("joined {peer}; the foreman is on {foreman}");
    Ok(())
}

/// Squares numbers.
async fn work(mut me: Process) -> Result<(), ExitReason> {
    while let Some(message) = me.recv().await {
        if let Err(error) = serve(&me, &message).await {
            println!("not served: {error}");
        }
    }
    Ok(())
}

async fn serve(me: &Process, message: &Message) -> Result<(), Box<dyn Error + Send + Sync>> {
    let term = message.term()?;
    let tuple = term.as_tuple();
    if let Some([Term::Atom(tag), Term::Pid(from), Term::Integer(number)]) =
        tuple.and_then(|tuple| tuple.array())
        && tag == *"square"
    {
        let square = number.saturating_mul(number);
        me.send(from, term!({squared, (number), (square), (me.pid().clone())}))
            .await?;
    } else if let Some([Term::Atom(tag), name]) = tuple.and_then(|tuple| tuple.array())
        && tag == *"global_name_conflict"
    {
        println!("no longer {name}");
    }
    Ok(())
}
